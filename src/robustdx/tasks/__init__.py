"""What outputs and labels mean."""

from robustdx.catalogue import Catalogue
from robustdx.tasks.binary import Binary
from robustdx.tasks.multiclass import MultiClass
from robustdx.tasks.multilabel import MultiLabel
from robustdx.tasks.protocol import Task
from robustdx.tasks.targeted import Targeted

TASKS = Catalogue("task", {"binary": Binary, "multiclass": MultiClass, "multilabel": MultiLabel})

__all__ = ["TASKS", "Binary", "MultiClass", "MultiLabel", "Targeted", "Task"]
