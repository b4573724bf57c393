"""What happens to any image on its way from the device to the network."""

from robustdx.perturbations.artefacts.acquisition.moire import Moire
from robustdx.perturbations.artefacts.acquisition.quantisation import Quantisation
from robustdx.perturbations.artefacts.acquisition.recompression import Recompression
from robustdx.perturbations.artefacts.acquisition.resize import Resize

ACQUISITION: dict[str, type] = {"recompression": Recompression, "resize": Resize, "quantisation": Quantisation, "moire": Moire}
"""Artefacts of any modality."""
