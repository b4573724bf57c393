"""Sequences of frames for flip probability, under the names of ImageNet-P and of Xu et al.'s Robust-Benchmark."""

from robustdx.catalogue import Catalogue
from robustdx.perturbations.protocol import FrameSequence
from robustdx.perturbations.sequences.affine import Rotate, Scale, Shear
from robustdx.perturbations.sequences.brightness import Brightness
from robustdx.perturbations.sequences.gaussian_blur import GaussianBlur
from robustdx.perturbations.sequences.motion_blur import MotionBlur
from robustdx.perturbations.sequences.noise import GaussianNoise, SpeckleNoise
from robustdx.perturbations.sequences.shot_noise import ShotNoise
from robustdx.perturbations.sequences.snow import Snow
from robustdx.perturbations.sequences.spatter import Spatter
from robustdx.perturbations.sequences.tilt import Tilt
from robustdx.perturbations.sequences.translate import Translate
from robustdx.perturbations.sequences.zoom_blur import ZoomBlur

SEQUENCES = Catalogue(
    "sequence",
    {
        "gaussian_noise": GaussianNoise,
        "shot_noise": ShotNoise,
        "motion_blur": MotionBlur,
        "zoom_blur": ZoomBlur,
        "snow": Snow,
        "brightness": Brightness,
        "translate": Translate,
        "rotate": Rotate,
        "tilt": Tilt,
        "scale": Scale,
        "speckle_noise": SpeckleNoise,
        "gaussian_blur": GaussianBlur,
        "spatter": Spatter,
        "shear": Shear,
    },
    role=FrameSequence,
)
"""What changes an image from frame to frame, by the name that plans use. Adding one is a file and a line here."""

__all__ = ["SEQUENCES", *sorted(cls.__name__ for cls in SEQUENCES.own.values())]
