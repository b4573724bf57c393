"""What an adversary may do: a set of images around the true one, in pixel units."""

from robustdx.catalogue import Catalogue
from robustdx.threats.l2 import L2
from robustdx.threats.linf import Linf
from robustdx.threats.masked import Masked, everywhere
from robustdx.threats.protocol import Threat

THREATS = Catalogue("threat", {"linf": Linf, "l2": L2})

__all__ = ["L2", "THREATS", "Linf", "Masked", "Threat", "everywhere"]
