"""Corruptions of any image at five severities, under the names of Hendrycks and Dietterich (2019)."""

from robustdx.perturbations.corruptions.brightness import Brightness
from robustdx.perturbations.corruptions.contrast import Contrast
from robustdx.perturbations.corruptions.defocus_blur import DefocusBlur
from robustdx.perturbations.corruptions.elastic_transform import ElasticTransform
from robustdx.perturbations.corruptions.fog import Fog
from robustdx.perturbations.corruptions.frost import Frost
from robustdx.perturbations.corruptions.gaussian_blur import GaussianBlur
from robustdx.perturbations.corruptions.glass_blur import GlassBlur
from robustdx.perturbations.corruptions.jpeg_compression import JPEGCompression
from robustdx.perturbations.corruptions.motion_blur import MotionBlur
from robustdx.perturbations.corruptions.noise import GaussianNoise, ImpulseNoise, ShotNoise, SpeckleNoise
from robustdx.perturbations.corruptions.pixelate import Pixelate
from robustdx.perturbations.corruptions.saturate import Saturate
from robustdx.perturbations.corruptions.snow import Snow
from robustdx.perturbations.corruptions.standard import STANDARD
from robustdx.perturbations.corruptions.zoom_blur import ZoomBlur

CORRUPTIONS: dict[str, type] = {
    "gaussian_noise": GaussianNoise,
    "shot_noise": ShotNoise,
    "impulse_noise": ImpulseNoise,
    "speckle_noise": SpeckleNoise,
    "defocus_blur": DefocusBlur,
    "glass_blur": GlassBlur,
    "motion_blur": MotionBlur,
    "zoom_blur": ZoomBlur,
    "gaussian_blur": GaussianBlur,
    "snow": Snow,
    "frost": Frost,
    "fog": Fog,
    "brightness": Brightness,
    "contrast": Contrast,
    "elastic_transform": ElasticTransform,
    "pixelate": Pixelate,
    "jpeg_compression": JPEGCompression,
    "saturate": Saturate,
}
"""Those of ImageNet-C, spatter left to the sequences."""

__all__ = [
    "CORRUPTIONS",
    "STANDARD",
    "Brightness",
    "Contrast",
    "DefocusBlur",
    "ElasticTransform",
    "Fog",
    "Frost",
    "GaussianBlur",
    "GaussianNoise",
    "GlassBlur",
    "ImpulseNoise",
    "JPEGCompression",
    "MotionBlur",
    "Pixelate",
    "Saturate",
    "ShotNoise",
    "Snow",
    "SpeckleNoise",
    "ZoomBlur",
]
