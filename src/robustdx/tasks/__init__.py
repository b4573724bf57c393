"""What outputs and labels mean."""

from robustdx.catalogue import Catalogue
from robustdx.tasks.binary import Binary
from robustdx.tasks.goals import GOALS, Aimed, AllFindings, AnyFinding, Class, Costly, Finding, Goal, Grades
from robustdx.tasks.multiclass import MultiClass
from robustdx.tasks.multilabel import MultiLabel
from robustdx.tasks.ordinal import Ordinal
from robustdx.tasks.protocol import Task, plain
from robustdx.tasks.targeted import Targeted
from robustdx.tasks.unnoticed import Unnoticed

TASKS = Catalogue("task", {"binary": Binary, "multiclass": MultiClass, "multilabel": MultiLabel, "ordinal": Ordinal})

__all__ = [
    "GOALS",
    "TASKS",
    "Aimed",
    "AllFindings",
    "AnyFinding",
    "Binary",
    "Class",
    "Costly",
    "Finding",
    "Goal",
    "Grades",
    "MultiClass",
    "MultiLabel",
    "Ordinal",
    "Targeted",
    "Task",
    "Unnoticed",
    "plain",
]
