"""Intervals of any statistic by bootstrap, and permutation tests; seeded, so equal data agree."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trivium.evals.intervals import CONFIDENCE, Codes, Interval, codes

Statistic = Callable[[NDArray[np.int64]], float]
"""From positions of rows, shape (n,), repeats allowed, to a figure; NaN where it is undefined."""

RESAMPLES = 2_000


def resampled(
    statistic: Statistic,
    n: int,
    clusters: ArrayLike | None = None,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """A statistic of `n` rows and its percentile bootstrap interval (Efron & Tibshirani 1993).

    Whole clusters are drawn where rows depend on each other. None where the statistic itself is
    undefined; the bounds are infinite where fewer than two units, or most resamples, define none.

    Args:
        clusters: (n,) keys of any kind.
    """
    value = statistic(np.arange(n)) if n else float("nan")
    if np.isnan(value):
        return None
    members = _members(np.arange(n) if clusters is None else codes(clusters))
    units = len(members)
    rng = np.random.default_rng(seed)
    found = np.array(
        [
            statistic(np.concatenate([members[unit] for unit in draw]))
            for draw in rng.integers(0, units, (resamples if units > 1 else 0, units))
        ]
    )
    found = found[~np.isnan(found)]
    if found.size <= resamples / 2:
        return Interval(value, -np.inf, np.inf, n, "bootstrap")
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, min(float(low), value), max(float(high), value), n, "bootstrap")


def _members(groups: Codes) -> list[Codes]:
    """The positions of each group's rows."""
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
