"""What happens to a model's answers under attack, beyond whether they are wrong."""

from robustdx.analyses.trajectory import Spread, Trajectory, spread, trajectory

__all__ = ["Spread", "Trajectory", "spread", "trajectory"]
