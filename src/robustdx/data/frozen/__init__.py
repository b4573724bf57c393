"""A frozen benchmark: the images of a data set and all frames of its sequences, in files that anyone can measure again.

    SET/
      set.json            classes, preset, sequences with their settings, frames, size, seed, and the digest of all of it
      examples.json       id, label, patient, split and attributes of each image
      manifest.csv        every file with its size and the SHA-256 of its pixels
      clean/ID.webp       the image that frames were made of
      frames/NAME/ID.webp the frames of a sequence, from the top to the bottom of one picture
      manifest.json       written last: the set is whole

Pictures are WebP without loss: next to PNG a fifth smaller and several times as quick to write (docs/natural-perturbations.md).
"""

from robustdx.data.frozen.source import Frozen

__all__ = ["Frozen"]
