"""What watches over a training: each looks at its numbers, and says what should be done."""

from robustdx.training.monitors.catastrophic_overfitting import CatastrophicOverfitting
from robustdx.training.monitors.dead_class import DeadClass, without_images
from robustdx.training.monitors.protocol import Alarm, Monitor
from robustdx.training.monitors.robust_overfitting import RobustOverfitting

MONITORS: tuple[Monitor, ...] = (CatastrophicOverfitting(), RobustOverfitting(), DeadClass())

__all__ = ["MONITORS", "Alarm", "CatastrophicOverfitting", "DeadClass", "Monitor", "RobustOverfitting", "without_images"]
