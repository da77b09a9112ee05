"""Whether B differs from A on the same rows: by how much, within what bounds, and how surely.

A difference is always B minus A. Every p is two-sided, and agrees with its interval.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import exp, inf, lgamma, log, sqrt

import numpy as np
from numpy.typing import ArrayLike

from trivium.errors import UsageError
from trivium.evals.intervals import (
    CONFIDENCE,
    Floats,
    Interval,
    checked,
    clustered_error,
    codes,
    is_proportion,
    merged,
    normal,
    of_rows,
    row_means,
    totals,
)

FLIPS = 9_999
ALL_FLIPS = 12
"""With so few units all 2 ** units sign flips are made instead of a sample of them."""


@dataclass(frozen=True, slots=True)
class Paired:
    """The mean difference with its interval, and the chance of one so large without an effect.

    `sd` is the differences' standard deviation as power analysis needs it: for rows in clusters,
    the clustered standard error of their mean times sqrt(n). Infinite where it is unknown.
    """

    effect: Interval
    p: float
    sd: float


def paired(
    a: ArrayLike,
    b: ArrayLike,
    rows: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    confidence: float = CONFIDENCE,
) -> Paired:
    """The comparison that fits the data, pair by pair.

    McNemar's test and Tango's interval for zeros and ones of independent rows, the wild bootstrap
    for everything else. Repeats of a row are averaged first.

    Args:
        a: (n,)
        b: (n,), of the same rows in the same order.
        rows: (n,) keys; equal ones are repeats of one row.
        clusters: (n,) keys; equal ones are rows that depend on each other.
    """
    first, second = checked(a), checked(b)
    if first.size != second.size:
        raise UsageError(f"{first.size} and {second.size} values are not pairs")
    row = np.arange(first.size) if rows is None else codes(rows)
    groups = None if clusters is None else of_rows(codes(clusters), row)
    once = int(row.max()) + 1 == first.size
    alone = groups is None or int(groups.max()) + 1 == groups.size
    if once and alone and is_proportion(first) and is_proportion(second):
        gains, losses = int((second > first).sum()), int((second < first).sum())
        return _binary(gains, losses, first.size, confidence)
    return paired_bootstrap(row_means(second - first, row), groups, confidence)


def _binary(gains: int, losses: int, n: int, confidence: float) -> Paired:
    low, high = tango(gains, losses, n, confidence)
    effect = Interval((gains - losses) / n, low, high, n, "mcnemar")
    # half a pair more in each cell: no discordant pairs do not prove that there never are any
    share = (gains - losses) / (n + 2)
    return Paired(effect, mcnemar(gains, losses), sqrt((gains + losses + 1) / (n + 2) - share**2))


def mcnemar(gains: int, losses: int) -> float:
    """The mid-p of McNemar's test, from the exact binomial distribution at every size.

    The mid-p keeps its level where the exact test is far below it and the chi-square test may be
    above (Fagerland, Lydersen & Laake 2013, BMC Med Res Methodol 13:91).

    Args:
        gains: rows that B alone has right.
        losses: rows that A alone has right.
    """
    from scipy.special import bdtr

    if min(gains, losses) < 0:
        raise UsageError(f"{gains} gains and {losses} losses are not counts")
    n, least = gains + losses, min(gains, losses)
    if n == 0:
        return 1.0
    exactly = exp(lgamma(n + 1) - lgamma(gains + 1) - lgamma(losses + 1) - n * log(2))
    if gains == losses:
        return 1 - exactly / 2
    return min(1.0, 2 * float(bdtr(least, n, 0.5)) - exactly)


def tango(gains: int, losses: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The score interval of a difference of paired proportions (Tango 1998, Stat Med 17:891).

    It is what McNemar's score test does not reject, and stays within -1 to 1.
    """
    if n < 1 or gains + losses > n or min(gains, losses) < 0:
        raise UsageError(f"{gains} gains and {losses} losses do not fit {n} pairs")
    z = normal(confidence)
    difference = (gains - losses) / n

    def score(delta: float) -> float:
        """The score statistic of the hypothesis that the difference is `delta`."""
        a, c = 2 * n, -losses * delta * (1 - delta)
        b = -gains - losses + (2 * n - gains + losses) * delta
        q = (sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)  # losses' share under `delta`
        variance = n * (2 * q + delta * (1 - delta))
        gap = gains - losses - n * delta
        return gap / sqrt(variance) if variance > 0 else (0.0 if gap == 0 else inf * gap)

    return (_root(score, -1.0, difference, z), _root(score, difference, 1.0, -z))


def _root(score: Callable[[float], float], low: float, high: float, target: float) -> float:
    """Where the falling `score` meets `target` between `low` and `high`."""
    for _ in range(60):
        middle = (low + high) / 2
        if score(middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def paired_bootstrap(
    differences: ArrayLike,
    clusters: ArrayLike | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = FLIPS,
    seed: int = 0,
) -> Paired:
    """The wild bootstrap of a mean difference: whole clusters change sign at random.

    Under "no effect" a difference is as likely as its negative, which is what the resamples
    impose; with few units every sign pattern is tried, and the test is exact for symmetric
    differences (Cameron, Gelbach & Miller 2008, Rev Econ Stat 90:414; Canay, Santos & Shaikh 2021,
    Rev Econ Stat 103:346). The interval holds each effect that this test does not reject; its
    bounds are quantiles of the means of random subsets (Hartigan 1969, JASA 64:1303). Fewer than
    six units bound nothing at 95 %.

    Args:
        differences: (n,) B minus A.
        clusters: (n,) keys, or None where pairs are independent.
    """
    array = checked(differences)
    groups = np.arange(array.size) if clusters is None else codes(clusters)
    if groups.size != array.size:
        raise UsageError(f"{array.size} differences and {groups.size} cluster keys do not match")
    mean, n, method = float(array.mean()), array.size, "wild bootstrap"
    sd = clustered_error(array, groups) * sqrt(n)
    units = merged(totals(array, groups), totals(np.ones(n), groups), seed)
    sums, counts = _subsets(*units, resamples, seed)
    tolerance = 1e-12 * float(np.abs(array).sum())
    # The empty subset leaves all signs as they are; it is as extreme as what was observed.
    tails = ((sums <= tolerance).sum() + 1, (sums >= -tolerance).sum() + 1)
    p = min(1.0, 2 * float(min(tails)) / (sums.size + 1))
    means = np.sort(sums / counts)
    rank = int((1 - confidence) / 2 * (sums.size + 1) + 1e-9)
    low, high = (means[rank - 1], means[-rank]) if rank else (-inf, inf)
    return Paired(Interval(mean, float(low), float(high), n, method), p, sd)


def _subsets(sums: Floats, sizes: Floats, resamples: int, seed: int) -> tuple[Floats, Floats]:
    """Sums and sizes of the non-empty subsets of units: all of them, or random ones."""
    both = np.stack([sums, sizes], axis=1)  # (units, 2)
    found = np.concatenate([flips @ both for flips in _flips(sums.size, resamples, seed)])
    taken = found[:, 1] > 0
    return found[taken, 0], found[taken, 1]


def _flips(units: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Which units change sign: (some resamples, units) zeros and ones."""
    if units <= ALL_FLIPS:
        yield (np.arange(2**units)[:, None] >> np.arange(units) & 1).astype(np.float64)
        return
    rng = np.random.default_rng(seed)
    step = max(1, 1_000_000 // units)
    for start in range(0, resamples, step):
        yield rng.integers(0, 2, (min(step, resamples - start), units)).astype(np.float64)


def holm(p_values: ArrayLike) -> list[float]:
    """p-values adjusted for being many (Holm 1979, Scand J Stat 6:65), in the order given."""
    p = np.asarray(p_values, np.float64)
    if np.any(~((p >= 0) & (p <= 1))):
        raise UsageError(f"p-values lie between 0 and 1, not {p.tolist()}")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]
