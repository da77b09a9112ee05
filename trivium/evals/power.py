"""How large an effect a comparison can see, and how many rows it takes to see a given one.

Both are the normal approximation for a two-sided test of a mean difference of pairs (Miller 2024,
"Adding Error Bars to Evals", arXiv:2411.00640, section 5).
"""

from math import ceil, sqrt

from trivium.errors import UsageError
from trivium.evals.intervals import NORMAL

ALPHA = 0.05
POWER = 0.8


def minimum_detectable_effect(
    sd: float, n: int, alpha: float = ALPHA, power: float = POWER
) -> float:
    """The smallest true difference that is found with probability `power`.

    Args:
        sd: standard deviation of the pairs' differences; for clusters the clustered standard error
            of their mean times sqrt(n).
        n: pairs.
    """
    if n < 1 or sd < 0:
        raise UsageError(f"an effect needs pairs and a spread, not {n} pairs and {sd:g}")
    return _quantiles(alpha, power) * sd / sqrt(n)


def needed_n(sd: float, effect: float, alpha: float = ALPHA, power: float = POWER) -> int:
    """The pairs that it takes to find a true difference of `effect` with probability `power`."""
    if effect == 0 or sd < 0:
        raise UsageError(f"no number of rows finds an effect of {effect:g}; give one above 0")
    return max(1, ceil((_quantiles(alpha, power) * sd / effect) ** 2 - 1e-9))


def _quantiles(alpha: float, power: float) -> float:
    if not (0 < alpha < 1 and 0 < power < 1):
        raise UsageError(f"alpha {alpha:g} and power {power:g} have to lie between 0 and 1")
    return NORMAL.inv_cdf(1 - alpha / 2) + NORMAL.inv_cdf(power)
