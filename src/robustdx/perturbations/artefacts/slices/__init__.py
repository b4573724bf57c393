"""What gets into slices of CT and MR."""

from robustdx.perturbations.artefacts.slices.bias_field import BiasField
from robustdx.perturbations.artefacts.slices.ghosts import Ghosts
from robustdx.perturbations.artefacts.slices.metal_streaks import MetalStreaks
from robustdx.perturbations.artefacts.slices.motion import Motion
from robustdx.perturbations.artefacts.slices.window import Window

SLICES: dict[str, type] = {"window": Window, "metal_streaks": MetalStreaks, "motion": Motion, "ghosts": Ghosts, "bias_field": BiasField}

__all__ = ["SLICES", "BiasField", "Ghosts", "MetalStreaks", "Motion", "Window"]
