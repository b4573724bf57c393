"""Defences that only look like one. Each answers as well as the network inside, stands under plain PGD, and is not robust."""

from __future__ import annotations

from robustdx.selftest.fakes import answers, chance, gradients, inside, memory, pixels
from robustdx.selftest.planted import Planted

_ALL = (
    Planted("bit_depth", pixels.bit_depth, "Rounds each colour to 3 bits.", "The slope of a staircase is 0."),
    Planted("jpeg", pixels.jpeg, "Writes the image to JPEG with Pillow and reads it again.", "Pillow is no part of the graph."),
    Planted("lookup", pixels.lookup, "Maps each pixel through a table of 25 tones.", "Indices have no slope."),
    Planted(
        "steep", pixels.steep, "Adds a wave of 2/255 over the pixel's value.", "Its slope of 157, of either sign, drowns the network's."
    ),
    Planted("thermometer", pixels.thermometer, "Codes each pixel by the thresholds below it.", "Comparisons have no slope."),
    Planted("resize_pad", chance.resize_pad, "Shrinks by chance and pads to size again.", "Pillow, and a seed that no one can ask for."),
    Planted("hashed_seed", chance.hashed_seed, "Dithers with a seed hashed from the pixels.", "The smallest step deals all noise anew."),
    Planted(
        "logit_noise",
        chance.logit_noise,
        "Adds fresh noise to each logit.",
        "The noise is a wave in the pixels, far steeper than the network.",
    ),
    Planted(
        "saturated", answers.saturated, "Multiplies the logits by 1,000.", "Cross-entropy is 0 to the last digit, and so is its slope."
    ),
    Planted("tempered", answers.tempered, "Gives log-probabilities at temperature 0.01.", "They have run out of digits and are clamped."),
    Planted(
        "distilled", answers.distilled, "A last layer 100 times as large, as distillation at T = 100 leaves it.", "Cross-entropy is flat."
    ),
    Planted("quantised", answers.quantised, "Rounds the logits to a grid.", "A staircase has no slope."),
    Planted("clipped", answers.clipped, "Clamps sharp log-probabilities from both sides.", "Outside its bounds a clamp has no slope."),
    Planted("wrong_sign", gradients.wrong_sign, "Changes nothing on the way forward.", "The gradient comes back with the other sign."),
    Planted(
        "scrambled", gradients.scrambled, "Changes nothing on the way forward.", "The gradient comes back at other pixels with other signs."
    ),
    Planted("detached", gradients.detached, "Adds a faint linear branch to the logits.", "The network sees a detached copy."),
    Planted("bait", gradients.bait, "Changes nothing on the way forward.", "The slope is that of an untrained network."),
    Planted("border", gradients.border, "Changes nothing on the way forward.", "All but the outermost pixels are copied by `.data`."),
    Planted(
        "cancelling",
        gradients.cancelling,
        "Averages over the image and its mirror image.",
        "The members' gradients are set against each other.",
    ),
    Planted("k_winners", inside.k_winners, "Adds a wide layer in which the k largest become 1.", "To win or not is a step."),
    Planted(
        "batch_norm", inside.batch_norm, "Batch norm goes by the batch, in eval mode too.", "Who stands beside an image decides its answer."
    ),
    Planted("cached", memory.cached, "Answers from an archive for images like known ones.", "A stored answer has no slope."),
    Planted("thermometer_robust", pixels.thermometer, "As thermometer, around the robust network.", "Only the surplus is fake.", "robust"),
    Planted("bait_robust", gradients.bait, "As bait, around the robust network.", "Only the surplus is fake.", "robust"),
    Planted("remembering", memory.remembering, "Repeats its first answer for images like earlier ones.", "The attacker asks too often."),
)
FAKES: dict[str, Planted] = {planted.name: planted for planted in _ALL}
"""The fakes by name. `FAKES[name]()` makes the defended model anew; where it is put around the robust network, only the surplus is fake."""

__all__ = ["FAKES", "Planted"]
