"""What cleans an image before a network sees it, and how an adversary looks through it."""

from robustdx.purifiers.straight_through import StraightThrough

__all__ = ["StraightThrough"]
