"""Numbers out of records, with intervals over patients: plain numpy, no torch."""

from robustdx.metrics.accuracy import accuracy_metrics as accuracy_metrics
from robustdx.metrics.answers import Answers as Answers
from robustdx.metrics.answers import answers as answers
from robustdx.metrics.calibration import calibration_metrics as calibration_metrics
from robustdx.metrics.calibration import reliability as reliability
from robustdx.metrics.changes import change_metrics as change_metrics
from robustdx.metrics.changes import worst_decisions as worst_decisions
from robustdx.metrics.flips import Seen as Seen
from robustdx.metrics.flips import flip_metrics as flip_metrics
from robustdx.metrics.flips import flip_probability as flip_probability
from robustdx.metrics.flips import mean_flip_probability as mean_flip_probability
from robustdx.metrics.intervals import Resamples as Resamples
from robustdx.metrics.intervals import Statistic as Statistic
from robustdx.metrics.intervals import clopper_pearson as clopper_pearson
from robustdx.metrics.measure import ORDER as ORDER
from robustdx.metrics.measure import Measured as Measured
from robustdx.metrics.measure import measure as measure
from robustdx.metrics.operating_point import OperatingPoint as OperatingPoint
from robustdx.metrics.operating_point import default_point as default_point
from robustdx.metrics.operating_point import fix as fix
from robustdx.metrics.ranking import ranking_metrics as ranking_metrics
