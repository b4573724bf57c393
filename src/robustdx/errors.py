"""Everything that robustdx refuses, as one tree.

    RobustdxError
    ├── DataError            a data set, a file or a label that cannot be used
    │   └── ImageError       pixels that are not what a model may be shown
    ├── ModelError           a network that cannot be loaded or does not fit
    │   ├── WeightsError     weights that are missing, left over, not finite, or carry code
    │   └── TrustError       a format that runs code, without leave to do so
    ├── PlanError            what to run was asked for in words that mean nothing
    │   └── UnsupportedTask  a method that has no meaning for this task
    ├── RunError             a run folder that cannot be written, read or continued
    │   └── Diverged         a training whose loss or gradient is no longer a number
    └── MissingExtra         an optional dependency that is not installed

Every message says what was expected, what came, and what to do. The command line prints it as one sentence and ends
with status 2, and so it does with what the file system refuses by name (no permission, a name too long); nothing else is
caught, so a traceback is always a fault of ours.
"""


class RobustdxError(Exception):
    """The root: catch this to catch every refusal of robustdx."""


class DataError(RobustdxError):
    """A data set, a file or a label that cannot be used."""


class ImageError(DataError):
    """Pixels that are not what a model may be shown."""


class ModelError(RobustdxError):
    """A network that cannot be loaded, or whose outputs do not fit the task."""


class WeightsError(ModelError):
    """Weights that are missing, left over, not finite, or that carry code."""


class TrustError(ModelError):
    """A format that runs code when it is opened, without leave to do so."""


class PlanError(RobustdxError):
    """A plan, a flag or a setting that means nothing to robustdx."""


class UnsupportedTask(PlanError):
    """A method that has no meaning for this task."""


class RunError(RobustdxError):
    """A run folder that cannot be written, read or continued."""


class Diverged(RunError):
    """A training whose loss or gradient is no longer a number."""


class MissingExtra(RobustdxError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package}: pip install 'robustdx[{extra}]'")
