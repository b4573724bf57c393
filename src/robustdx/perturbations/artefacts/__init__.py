"""What gets into medical images when they are taken: hair, rulers, exposure, dust, streaks."""

from robustdx.perturbations.artefacts.acquisition import ACQUISITION
from robustdx.perturbations.artefacts.dermoscopy import DERMOSCOPY
from robustdx.perturbations.artefacts.fundus import FUNDUS
from robustdx.perturbations.artefacts.slices import SLICES
from robustdx.perturbations.artefacts.xray import XRAY

ARTEFACTS: dict[str, type] = {**DERMOSCOPY, **XRAY, **FUNDUS, **SLICES, **ACQUISITION}
"""The artefacts by the name that plans use, a dictionary for each modality."""
