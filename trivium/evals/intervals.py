"""A mean and the interval around it, for data as evaluations have them.

Proportions, scores of any kind, rows that share a cluster, rows that were repeated. All functions
are pure and seeded: equal values give an equal interval. Arrays are one-dimensional.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trivium.errors import UsageError

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

CONFIDENCE = 0.95
RESAMPLES = 4_000
MAX_UNITS = 1_000
"""More independent units are merged at random into so many blocks before they are resampled."""

NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its two-sided confidence interval over `n` values.

    The bounds are infinite where the data cannot bound the mean: one value has no spread.
    """

    mean: float
    low: float
    high: float
    n: int
    method: str


def checked(values: ArrayLike) -> Floats:
    """`values` as a float array.

    Raises:
        UsageError: for no values at all, and for a value that is not finite.
    """
    array = np.asarray(values, np.float64)
    if array.size == 0:
        raise UsageError("there are no values to average; check filters and failed rows")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise UsageError(f"value {bad[0]} is {array[bad[0]]}; only finite values have a mean")
    return array


def is_proportion(values: Floats) -> bool:
    """Whether all values are 0 or 1."""
    return bool(np.all((values == 0) | (values == 1)))


def student(df: float, confidence: float) -> float:
    """The two-sided quantile of Student's t."""
    from scipy.special import stdtrit  # the only distribution that the standard library lacks

    return float(stdtrit(df, 0.5 + confidence / 2))


def normal(confidence: float) -> float:
    """The two-sided quantile of the normal distribution: 1.96 for 0.95."""
    return NORMAL.inv_cdf(0.5 + confidence / 2)


def wilson(successes: float, n: int, confidence: float = CONFIDENCE) -> Interval:
    """The score interval of a proportion (Wilson 1927, JASA 22:209)."""
    if n < 1:
        raise UsageError("there are no values to average; check filters and failed rows")
    if not 0 <= successes <= n:
        raise UsageError(f"{successes} of {n} is not a proportion")
    low, high = _score_bounds(successes / n, n, normal(confidence))
    return Interval(successes / n, low, high, n, "wilson")


def _score_bounds(p: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's bounds; `n` may be an effective sample size."""
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # rounding must not take 0 and 1 out of the interval of "none" and "all"
    return (0.0 if p == 0 else max(0.0, centre - half), 1.0 if p == 1 else min(1.0, centre + half))


def bootstrap(
    values: ArrayLike,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The bootstrap interval of a mean of independent values of any distribution.

    BCa (Efron 1987, JASA 82:171), with the percentiles widened for small samples so that normal
    data get Student's interval (Hesterberg 2015, The American Statistician 69:371). It never leaves
    the range of the values.
    """
    array = checked(values)
    mean, n = float(array.mean()), array.size
    if n == 1:
        return Interval(mean, -inf, inf, 1, "bootstrap")
    if np.ptp(array) == 0:
        return Interval(mean, mean, mean, n, "bootstrap")
    sums, sizes = merged(array, np.ones(n), seed)
    means = np.concatenate(
        [
            sums[draw].sum(axis=1) / sizes[draw].sum(axis=1)
            for draw in _draws(sums.size, resamples, seed)
        ]
    )
    below = np.mean(means < mean) + np.mean(means == mean) / 2
    bias = NORMAL.inv_cdf(min(max(float(below), 1 / resamples), 1 - 1 / resamples))
    influence = sums - mean * sizes
    skew = float((influence**3).sum() / (6 * (influence**2).sum() ** 1.5))
    wide = student(n - 1, confidence) * sqrt(n / (n - 1))
    shares = [NORMAL.cdf(bias + (bias + z) / (1 - skew * (bias + z))) for z in (-wide, wide)]
    low, high = np.quantile(means, shares)
    return Interval(mean, min(float(low), mean), max(float(high), mean), n, "bootstrap")


def _draws(units: int, resamples: int, seed: int) -> Iterator[Codes]:
    """Resampled indices, at most a million at a time: (some resamples, units)."""
    rng = np.random.default_rng(seed)
    step = max(1, 1_000_000 // units)
    for start in range(0, resamples, step):
        yield rng.integers(0, units, (min(step, resamples - start), units))


def merged(sums: Floats, sizes: Floats, seed: int) -> tuple[Floats, Floats]:
    """At most `MAX_UNITS` independent units: sums and sizes of random blocks of what is given.

    Blocks of independent units are independent units themselves, and their mean is the same, so
    that a resampling of a thousand blocks stands for one of a million rows.
    """
    n = sums.size
    if n <= MAX_UNITS:
        return sums, sizes
    order = np.random.default_rng(seed).permutation(n)
    starts = np.linspace(0, n, MAX_UNITS, endpoint=False).astype(np.int64)
    return np.add.reduceat(sums[order], starts), np.add.reduceat(sizes[order], starts)


def codes(keys: ArrayLike) -> Codes:
    """Keys of any kind as the numbers 0, 1, 2 ...; equal keys get equal numbers."""
    return np.unique(np.asarray(keys), return_inverse=True)[1].reshape(-1).astype(np.int64)


def clustered_error(values: Floats, clusters: Codes) -> float:
    """The standard error of a mean when values of one cluster depend on each other.

    CR1 of Liang & Zeger (1986, Biometrika 73:13) for a mean; s / sqrt(n) with clusters of one.
    Infinite for a single cluster.
    """
    sums = totals(values - values.mean(), clusters)
    groups = sums.size
    if groups == 1:
        return inf
    return sqrt(groups / (groups - 1) * float((sums**2).sum())) / values.size


def clustered(values: ArrayLike, clusters: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """The interval of a mean of values of which those in one cluster depend on each other.

    Student's interval on the clustered standard error; for a proportion Wilson's interval at the
    effective sample size (Dean & Pagano 2015, Survey Methodology 41:2), which stays within 0 to 1
    and is honest about "all of them".

    Args:
        values: (n,)
        clusters: (n,) keys of any kind.
    """
    array, groups = checked(values), codes(clusters)
    if groups.size != array.size:
        raise UsageError(f"{array.size} values and {groups.size} cluster keys do not match")
    return _clustered(array, groups, is_proportion(array), array.size, "clustered", confidence)


def nested(
    values: ArrayLike,
    rows: ArrayLike,
    clusters: ArrayLike | None = None,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The interval of a mean over rows of which each was repeated.

    Each row counts once, with the mean of its repeats, and rows are what is sampled: 10 rows
    repeated 100 times are 10 rows. `n` is the number of rows.

    Args:
        values: (n,)
        rows: (n,) keys of any kind.
        clusters: (n,) keys of clusters of rows, or None where rows are independent.
    """
    array, row = checked(values), codes(rows)
    if row.size != array.size:
        raise UsageError(f"{array.size} values and {row.size} row keys do not match")
    means = row_means(array, row)
    groups = np.arange(means.size) if clusters is None else of_rows(codes(clusters), row)
    return _clustered(means, groups, is_proportion(array), array.size, "nested", confidence)


def row_means(values: Floats, rows: Codes) -> Floats:
    """The mean of each row's repeats: (rows,), in the order of their codes."""
    return totals(values, rows) / totals(np.ones(values.size), rows)


def totals(values: Floats, groups: Codes) -> Floats:
    """The sum of each group: (groups,), in the order of their codes."""
    return np.asarray(np.bincount(groups, values), np.float64)


def of_rows(clusters: Codes, rows: Codes) -> Codes:
    """Each row's cluster: (rows,), in the order of the rows' codes.

    Raises:
        UsageError: when the repeats of a row lie in different clusters.
    """
    first = np.unique(rows, return_index=True)[1]
    if np.any(clusters[first][rows] != clusters):
        raise UsageError("the repeats of a row must share its cluster")
    return codes(clusters[first])


def _clustered(
    values: Floats, groups: Codes, proportion: bool, limit: int, method: str, confidence: float
) -> Interval:
    """Shared by rows in clusters and by means of repeats; `limit` caps the effective size."""
    mean, count = float(values.mean()), int(groups.max()) + 1
    if count == 1:
        low, high = (0.0, 1.0) if proportion else (-inf, inf)
        return Interval(mean, low, high, values.size, method)
    error, t = clustered_error(values, groups), student(count - 1, confidence)
    if not proportion:
        return Interval(mean, mean - t * error, mean + t * error, values.size, method)
    # without any spread only the number of clusters is known to be independent
    effective = min(mean * (1 - mean) / error**2, limit) if error > 0 else count
    low, high = _score_bounds(mean, max(effective, 1.0), t)
    return Interval(mean, low, high, values.size, method)


def estimate(
    values: ArrayLike,
    rows: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The mean with the interval that fits the data.

    Repeated rows: `nested`. Shared clusters: `clustered`. Else `wilson` for zeros and ones, and
    `bootstrap` for everything else.
    """
    array = checked(values)
    if rows is not None and np.unique(np.asarray(rows)).size < array.size:
        return nested(array, rows, clusters, confidence)
    if clusters is not None and np.unique(np.asarray(clusters)).size < array.size:
        return clustered(array, clusters, confidence)
    if is_proportion(array):
        return wilson(float(array.sum()), array.size, confidence)
    return bootstrap(array, confidence)
