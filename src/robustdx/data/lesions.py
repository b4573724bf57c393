"""Invented skin lesions: what is on the skin, drawn from a seed, and the diagnosis that follows from it.

No photograph is behind them. Each lesion has the signs that dermoscopy looks for, and its class is read off these signs
by the ABCD rule (Stolz et al. 1994; Nachbar et al. 1994), with a little disagreement, as between pathologists.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

CLASSES = ("nevus", "melanoma", "keratosis", "vascular")
FINDINGS = ("asymmetry", "irregular border", "many colours", "network", "globules", "streaks", "blue-white veil")
GRADES = ("benign", "suspicious", "malignant")
Floats = NDArray[np.float32]

ANGLES = 256
"""Into how many directions the outline is divided."""
NETWORK, GLOBULES, STREAKS, VEIL = range(4)
"""Where each stands among the structures of a lesion."""
_HABITS = (
    # share, asymmetry, border,   colours,  network, globules, streaks, veil, cysts,    lacunae
    (0.40, (1.3, 6.0), (1.3, 6.0), (1, 2), (0.60, 0.35, 0.03, 0.02), (0, 1), (0, 0)),
    (0.28, (5.0, 2.0), (5.0, 2.0), (3, 5), (0.60, 0.55, 0.60, 0.50), (0, 1), (0, 1)),
    (0.20, (1.5, 4.0), (1.5, 4.0), (1, 3), (0.10, 0.10, 0.00, 0.02), (2, 12), (0, 0)),
    (0.12, (1.3, 4.0), (1.5, 4.0), (1, 2), (0.02, 0.00, 0.00, 0.05), (0, 0), (2, 10)),
)


@dataclass(frozen=True, eq=False)
class Lesion:
    """The signs of one lesion; places are in units of its own frame, where 1 is half the short side of a photo."""

    asymmetry: float
    """0 round, 1 lopsided."""
    border: float
    """0 smooth, 1 ragged."""
    sharpness: float
    """How abruptly the pigment ends, per unit."""
    outline: Floats
    """Distance of the edge from the centre in each of `ANGLES` directions."""
    skin: Floats
    """Colour of the skin around, (3,) in [0, 1]."""
    base: int
    """Which colour most of the lesion has."""
    patches: Floats
    """(n, 4): x, y, width and colour of each area of another colour."""
    structures: tuple[bool, bool, bool, bool]
    """Whether there are pigment network, globules, streaks, blue-white veil."""
    tilt: float
    """Direction of the network and of the streaks, in radians."""
    globules: Floats
    """(n, 3): x, y and radius of dark dots."""
    cysts: Floats
    """(n, 3): x, y and radius of bright dots, the mark of keratosis."""
    lacunae: Floats
    """(n, 3): x, y and radius of red lakes, the mark of a vascular lesion."""
    opinion: Floats
    """(4,): what the reader of this lesion adds to the score of each class."""

    @property
    def colours(self) -> int:
        """How many colours occur."""
        return len({self.base, *self.patches[:, 3].astype(int).tolist()})

    @property
    def dermoscopy_score(self) -> float:
        """The total dermoscopy score of the ABCD rule: 1.3 A (0-2) + 0.1 B (0-8) + 0.5 C (1-6) + 0.5 D (1-5).

        Below 4.75 benign, above 5.45 malignant, between them suspicious (Nachbar et al. 1994).
        """
        return 1.3 * 2 * self.asymmetry + 0.1 * 8 * self.border + 0.5 * self.colours + 0.5 * (1 + sum(self.structures))

    @property
    def label(self) -> int:
        """The class with the highest score, the reader's opinion included."""
        scores = np.array([4.6, self.dermoscopy_score, 3.0 + 0.7 * len(self.cysts), 3.0 + 0.7 * len(self.lacunae)])
        return int((scores + self.opinion).argmax())

    @property
    def grade(self) -> int:
        """0 benign, 1 suspicious, 2 malignant by the total dermoscopy score."""
        return int(np.searchsorted((4.75, 5.45), self.dermoscopy_score))

    @property
    def findings(self) -> tuple[bool, ...]:
        """Which of `FINDINGS` are there."""
        return (self.asymmetry > 0.45, self.border > 0.45, self.colours >= 3, *self.structures)


def stream(*words: object) -> np.random.Generator:
    """The random numbers that belong to these words, on every computer."""
    key = int.from_bytes(blake2b("\x1f".join(map(str, words)).encode(), digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))


def draw_lesion(seed: int, name: str) -> Lesion:
    """The lesion of this name in the world of this seed."""
    rng = stream("lesion", seed, name)
    shares = np.cumsum([habit[0] for habit in _HABITS])
    kind = int(np.searchsorted(shares, rng.random()))
    _, a, b, (few, many), odds, (no_cysts, cysts), (no_lacunae, lacunae) = _HABITS[min(kind, 3)]
    asymmetry, border = float(rng.beta(*a)), float(rng.beta(*b))
    radius = float(rng.uniform(0.42, 0.68))
    structures = tuple(bool(x) for x in rng.random(4) < odds)
    n_globules = int(rng.integers(6, 14)) if structures[GLOBULES] else 0
    return Lesion(
        asymmetry=asymmetry,
        border=border,
        sharpness=float(rng.uniform(9, 16) if kind == 0 else rng.uniform(14, 40)),
        outline=_outline(rng, radius, asymmetry, border),
        skin=_skin(rng),
        base=4 if kind == 3 else int(rng.integers(0, 3)),
        patches=_patches(rng, int(rng.integers(few, many + 1)) - 1, radius, asymmetry),
        structures=structures,  # type: ignore[arg-type]
        tilt=float(rng.uniform(0, 2 * np.pi)),
        globules=_dots(rng, n_globules, radius, 0.04, 0.07),
        cysts=_dots(rng, int(rng.integers(no_cysts, cysts + 1)), radius, 0.04, 0.07),
        lacunae=_dots(rng, int(rng.integers(no_lacunae, lacunae + 1)), radius, 0.09, 0.17),
        opinion=rng.normal(0, 0.45, 4).astype(np.float32),
    )


def _outline(rng: np.random.Generator, radius: float, asymmetry: float, border: float) -> Floats:
    """A Fourier contour: low odd waves make it lopsided, high waves make it ragged."""
    angle = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    phases = rng.uniform(0, 2 * np.pi, 12)
    lopsided = 0.30 * np.cos(angle + phases[0]) + 0.17 * np.cos(3 * angle + phases[1])
    oval = rng.uniform(0.03, 0.12) * np.cos(2 * angle + phases[2])
    waves = np.arange(5, 14)[:, None]
    ragged = (np.cos(waves * angle + phases[3:, None]) / (waves - 3)).sum(axis=0)
    return (radius * (1 + asymmetry * lopsided + oval + 0.22 * border * ragged)).clip(0.12, 1.0).astype(np.float32)


def _skin(rng: np.random.Generator) -> Floats:
    """From pale to dark brown, most of them light, as in the public collections."""
    pale, dark = np.array([0.93, 0.77, 0.68]), np.array([0.52, 0.36, 0.27])
    return (pale + rng.beta(1.2, 4) * (dark - pale) + rng.normal(0, 0.02, 3)).astype(np.float32)


def _patches(rng: np.random.Generator, count: int, radius: float, asymmetry: float) -> Floats:
    """Areas of other colours, further from the centre the more lopsided the lesion is."""
    angle = rng.uniform(0, 2 * np.pi, count) * (1 - asymmetry / 2)
    distance = radius * rng.uniform(0.1, 0.35 + 0.3 * asymmetry, count)
    others = rng.permutation(6)[:count]
    return np.stack([distance * np.cos(angle), distance * np.sin(angle), radius * rng.uniform(0.22, 0.4, count), others], 1).astype(
        np.float32
    )


def _dots(rng: np.random.Generator, count: int, radius: float, small: float, large: float) -> Floats:
    angle, distance = rng.uniform(0, 2 * np.pi, count), 0.75 * radius * np.sqrt(rng.random(count))
    return np.stack([distance * np.cos(angle), distance * np.sin(angle), rng.uniform(small, large, count)], 1).astype(np.float32)
