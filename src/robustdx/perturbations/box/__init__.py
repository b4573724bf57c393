"""The worst image within plausible parameters: a natural adversary, and the average beside it."""

from robustdx.perturbations.box.box import Box
from robustdx.perturbations.box.sampled import Sampled, sampled
from robustdx.perturbations.box.worst_case import WorstCase, WorstImages

__all__ = ["Box", "Sampled", "WorstCase", "WorstImages", "sampled"]
