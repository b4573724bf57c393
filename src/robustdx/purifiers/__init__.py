"""What cleans an image before a network sees it, and how an adversary looks through it."""

from robustdx.catalogue import Catalogue
from robustdx.models import Purifier
from robustdx.purifiers.bilateral import Bilateral
from robustdx.purifiers.bit_depth import BitDepth
from robustdx.purifiers.chain import Chain, is_differentiable, is_random
from robustdx.purifiers.denoiser import Denoiser
from robustdx.purifiers.diffusion import Diffusion
from robustdx.purifiers.feature_squeezing import FeatureSqueezing
from robustdx.purifiers.gaussian import Gaussian
from robustdx.purifiers.jpeg import JPEG
from robustdx.purifiers.jpeg_differentiable import JPEGDifferentiable
from robustdx.purifiers.mdda import MDDA
from robustdx.purifiers.median import Median
from robustdx.purifiers.non_local_means import NonLocalMeans
from robustdx.purifiers.pixel_deflection import PixelDeflection
from robustdx.purifiers.resize_pad import ResizePad
from robustdx.purifiers.rof import ROF
from robustdx.purifiers.straight_through import StraightThrough
from robustdx.purifiers.super_resolution import SuperResolution
from robustdx.purifiers.total_variation import TotalVariation
from robustdx.purifiers.wavelet import Wavelet
from robustdx.purifiers.without_draws import WithoutDraws

PURIFIERS = Catalogue(
    "purifier",
    {"jpeg": JPEG, "jpeg-differentiable": JPEGDifferentiable, "bit-depth": BitDepth, "feature-squeezing": FeatureSqueezing}
    | {"gaussian": Gaussian, "median": Median, "bilateral": Bilateral, "non-local-means": NonLocalMeans, "wavelet": Wavelet}
    | {"total-variation": TotalVariation, "resize-pad": ResizePad, "pixel-deflection": PixelDeflection}
    | {"mdda": MDDA, "rof": ROF, "super-resolution": SuperResolution, "denoiser": Denoiser, "diffusion": Diffusion, "chain": Chain},
    role=Purifier,
)
"""The purifiers by the name that plans use. Adding one is a file and a line here; tests/contracts apply themselves."""

__all__ = [
    "JPEG",
    "MDDA",
    "PURIFIERS",
    "ROF",
    "Bilateral",
    "BitDepth",
    "Chain",
    "Denoiser",
    "Diffusion",
    "FeatureSqueezing",
    "Gaussian",
    "JPEGDifferentiable",
    "Median",
    "NonLocalMeans",
    "PixelDeflection",
    "Purifier",
    "ResizePad",
    "StraightThrough",
    "SuperResolution",
    "TotalVariation",
    "Wavelet",
    "WithoutDraws",
    "is_differentiable",
    "is_random",
]
