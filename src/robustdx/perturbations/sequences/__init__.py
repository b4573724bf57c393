"""Sequences of frames for flip probability, under the names of ImageNet-P and of Xu et al.'s Robust-Benchmark."""

from robustdx.catalogue import Catalogue
from robustdx.perturbations.protocol import FrameSequence

SEQUENCES = Catalogue("sequence", {}, role=FrameSequence)
