"""What an adversary may be after, other than any wrong answer: which finding, which grade, at what cost."""

from robustdx.catalogue import Catalogue
from robustdx.tasks.goals.aimed import Aimed
from robustdx.tasks.goals.classes import Class, Costly, Grades
from robustdx.tasks.goals.findings import AllFindings, AnyFinding, Finding
from robustdx.tasks.goals.protocol import Goal

GOALS = Catalogue("goal", {"any": AnyFinding, "all": AllFindings, "finding": Finding, "class": Class, "grades": Grades, "costly": Costly})

__all__ = ["GOALS", "Aimed", "AllFindings", "AnyFinding", "Class", "Costly", "Finding", "Goal", "Grades"]
