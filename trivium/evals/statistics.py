"""The statistics of evaluation, in one place: intervals, paired tests, power."""

from trivium.evals.intervals import Interval, bootstrap, clustered, estimate, nested, wilson
from trivium.evals.paired import Paired, holm, mcnemar, paired, paired_bootstrap, tango
from trivium.evals.power import minimum_detectable_effect, needed_n

__all__ = [
    "Interval",
    "Paired",
    "bootstrap",
    "clustered",
    "estimate",
    "holm",
    "mcnemar",
    "minimum_detectable_effect",
    "needed_n",
    "nested",
    "paired",
    "paired_bootstrap",
    "tango",
    "wilson",
]
