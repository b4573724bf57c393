"""What cleans an image before a network sees it, and how an adversary looks through it."""

from robustdx.catalogue import Catalogue
from robustdx.models import Purifier
from robustdx.purifiers.mdda import MDDA
from robustdx.purifiers.rof import ROF
from robustdx.purifiers.straight_through import StraightThrough

PURIFIERS = Catalogue("purifier", {"mdda": MDDA, "rof": ROF}, role=Purifier)
"""The purifiers by the name that plans use. Adding one is a file and a line here; tests/contracts apply themselves."""

__all__ = ["MDDA", "PURIFIERS", "ROF", "Purifier", "StraightThrough"]
