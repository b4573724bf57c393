"""What gets into medical images when they are taken: hair, rulers, exposure, dust, streaks."""

from robustdx.perturbations.artefacts.acquisition import ACQUISITION

ARTEFACTS: dict[str, type] = {**ACQUISITION}
"""The artefacts by the name that plans use, a dictionary for each modality."""
