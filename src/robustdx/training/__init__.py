"""Training that gives a network, plain or robust: resumable at any moment, chosen on validation images."""

from robustdx.catalogue import Catalogue
from robustdx.training.madry import Madry
from robustdx.training.noisy import Noisy
from robustdx.training.protocol import Objective
from robustdx.training.standard import Standard

OBJECTIVES = Catalogue("objective", {"standard": Standard, "madry": Madry, "noisy": Noisy})

__all__ = ["OBJECTIVES", "Madry", "Noisy", "Objective", "Standard"]
