"""Training that gives a network, plain or robust: resumable at any moment, chosen on validation images."""

from robustdx.training.objectives import OBJECTIVES, Madry, Noisy, Objective, Standard

__all__ = ["OBJECTIVES", "Madry", "Noisy", "Objective", "Standard"]
