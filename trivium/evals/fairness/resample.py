"""Intervals of any statistic by bootstrap, and permutation tests; seeded, so equal data agree.

Every p is two-sided where the statistic has a sign, and agrees with its interval. The tests hold
them to a uniform p under "no difference", over 1,000 simulations each.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, isnan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trivium.errors import UsageError
from trivium.evals.fairness.points import only_points
from trivium.evals.intervals import (
    CONFIDENCE,
    NORMAL,
    Codes,
    Floats,
    Interval,
    checked,
    codes,
    merged,
    student,
    totals,
    wilson,
)

Statistic = Callable[[NDArray[np.int64]], float]
"""From positions of rows, shape (n,), repeats allowed, to a figure; NaN where it is undefined."""

Flags = NDArray[np.bool_]
Statistics = Callable[[Flags], Floats]
"""From who is in the group, shape (draws, n), to a figure of each draw: (draws,)."""

RESAMPLES = 2_000
PERMUTATIONS = 1_999
LEAST = 6
"""Fewer independent units are so often all one unit in a resample that no percentile is far out."""
JACKKNIFE = 200
"""Units are left out in at most so many blocks to estimate how skewed a statistic is."""
_CHUNK = 1_000_000


@dataclass(frozen=True, slots=True)
class Gap:
    """A difference of means with its interval, and the chance of one so large without an effect."""

    interval: Interval
    p: float


@dataclass(frozen=True, slots=True)
class Permuted:
    """What was observed, the share of relabellings that reach it, and what they come to on average.

    A distance of two samples is above 0 even where nothing differs; `chance` says by how much.
    """

    value: float
    p: float
    chance: float


@dataclass(frozen=True, slots=True)
class _Shape:
    """How replicates stand around an estimate: what BCa corrects, and the widened normal scale.

    `low` and `high` of `shares` are percentiles of the replicates; `p` inverts them.
    """

    bias: float
    skew: float
    df: float
    scale: float

    def shares(self, confidence: float) -> list[float]:
        wide = student(self.df, confidence) * self.scale
        shifted = (self.bias - wide, self.bias + wide)
        return [NORMAL.cdf(self.bias + z / (1 - self.skew * z)) for z in shifted]

    def p(self, share: float) -> float:
        """The p of the hypothesis that lies above this share of the replicates."""
        from scipy.special import stdtr

        y = NORMAL.inv_cdf(share) - self.bias
        t = (y / (1 + self.skew * y) - self.bias) / self.scale
        return 2 * float(stdtr(self.df, -abs(t)))


def resampled(
    statistic: Statistic,
    n: int,
    clusters: ArrayLike | None = None,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """A statistic of `n` rows and its bootstrap interval.

    BCa (Efron 1987, JASA 82:171) with the percentiles widened for small samples (Hesterberg 2015,
    The American Statistician 69:371), as `intervals.bootstrap` has it; the skewness comes from a
    jackknife. Whole clusters are drawn where rows depend on each other. None where the statistic
    itself is undefined; the bounds are infinite where fewer than `LEAST` units, or most resamples,
    define none. In 1,000 simulations it covered the mean of normal data in 93 % at 8 rows and 94 %
    at 20 (percentiles alone: 87 % and 91 %), that of exponential data in 90 % at 10 and 93 % at 30.
    Extremes of the rows (a maximum, a range between groups) it does not cover at any size.

    Args:
        clusters: (n,) keys of any kind.
    """
    value = float(statistic(np.arange(n))) if n else float("nan")
    if isnan(value):
        return None
    if only_points():
        return Interval(value, -inf, inf, n, "none")
    members = _members(np.arange(n) if clusters is None else codes(clusters))
    units = len(members)
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, units, (resamples if units >= LEAST else 0, units))
    found = np.array([statistic(_of(members, draw, units == n)) for draw in draws])
    found = found[~np.isnan(found)]
    if found.size <= resamples / 2:
        return Interval(value, -inf, inf, n, "bootstrap")
    if np.ptp(found) == 0:
        return Interval(value, value, value, n, "bootstrap")
    shape = _Shape(
        _bias(found, value),
        _skew(_influences(statistic, members, n)),
        units - 1,
        sqrt(units / (units - 1)),
    )
    low, high = np.quantile(found, shape.shares(confidence))
    return Interval(value, min(float(low), value), max(float(high), value), n, "bootstrap")


def gap(
    values: ArrayLike,
    inside: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Gap:
    """The mean of a group minus that of all others, by the bootstrap of `resampled`.

    Independent rows are drawn within the group and within the others. Where a cluster has rows of
    both, whole clusters are drawn, so that what all rows of a cluster share falls out. Student's
    degrees of freedom are Welch's (Welch 1947, Biometrika 34:28). Fewer than `LEAST` units on a
    side bound nothing. The p tests a difference of 0 on the same resamples; where none of them
    reaches 0 it is that of the last one, which is too large rather than too small.

    Args:
        values: (n,)
        inside: (n,) whether a row is of the group.
        clusters: (n,) keys of any kind, or None where rows are independent.

    Raises:
        UsageError: when a side has no rows.
    """
    array, here = checked(values), np.asarray(inside, np.bool_)
    if not 0 < here.sum() < array.size:
        raise UsageError("a gap needs rows in the group and rows outside of it")
    if only_points():
        value = float(array[here].mean() - array[~here].mean())
        return Gap(Interval(value, -inf, inf, array.size, "none"), 1.0)
    group = np.arange(array.size) if clusters is None else codes(clusters)
    table = np.stack(  # (units, 4): sum and size in the group, sum and size outside
        [totals(array * here, group), _counted(here, group),
         totals(array * ~here, group), _counted(~here, group)], axis=1,
    )  # fmt: skip
    both = bool(np.any((table[:, 1] > 0) & (table[:, 3] > 0)))
    strata = [table] if both else [table[table[:, 1] > 0], table[table[:, 1] == 0]]
    strata = [_blocks(one, seed) for one in strata]
    value, n = float(_difference(table.sum(axis=0))), array.size
    units = [int((table[:, column] > 0).sum()) for column in (1, 3)]
    if np.ptp(array[here]) == np.ptp(array[~here]) == 0:
        return _without_spread(array, here, units, confidence, resamples)
    if min(units) < LEAST:
        return Gap(Interval(value, -inf, inf, n, "bootstrap"), 1.0)
    found = np.concatenate(list(_replicates(strata, resamples, seed)))
    found = found[~np.isnan(found)]
    if np.ptp(found) == 0:  # clusters in which the group is always so much above the others
        p = 1 / resamples if value else 1.0
        return Gap(Interval(value, value, value, n, "bootstrap"), p)
    shape = _welch(strata, found, value)
    low, high = np.quantile(found, shape.shares(confidence))
    share = _share(found, 0.0)
    interval = Interval(value, min(float(low), value), max(float(high), value), n, "bootstrap")
    return Gap(interval, shape.p(share))


def permuted(
    statistics: Callable[[Flags], Sequence[Floats]],
    inside: ArrayLike,
    rows: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> list[Permuted]:
    """Permutation tests of statistics that are larger the more a group differs from the others.

    p = (1 + count) / (1 + permutations), where `count` relabellings reach what was observed
    (Phipson & Smyth 2010, Stat Appl Genet Mol Biol 9:39). What changes places is what is equally
    likely to under "no difference": the rows within a cluster that has rows of both; whole
    clusters that have rows of one side. The values of one row (its repeats) move together.

    Args:
        statistics: from who is in the group, (draws, n), to each statistic's (draws,) values.
        inside: (n,) whether a value is of the group.
        rows: (n,) keys; equal ones are repeats of one row.
        clusters: (n,) keys; equal ones are rows that depend on each other.

    Raises:
        UsageError: when a side has no rows, or a row is on both sides.
    """
    here = np.asarray(inside, np.bool_)
    if not 0 < here.sum() < here.size:
        raise UsageError("a permutation test needs rows in the group and rows outside of it")
    unit, block = _exchangeable(here, rows, clusters)
    observed = [float(one[0]) for one in statistics(here[None, :])]
    if only_points():
        return [Permuted(value, 1.0, float("nan")) for value in observed]
    counts, sums = np.zeros(len(observed)), np.zeros(len(observed))
    for labels in _relabelled(here, unit, block, permutations, seed):
        for at, found in enumerate(statistics(labels)):
            # sums in another order differ by rounding, which is no difference
            counts[at] += (found >= observed[at] - 1e-9 * max(abs(observed[at]), 1e-3)).sum()
            sums[at] += found.sum()
    return [
        Permuted(value, float((1 + count) / (1 + permutations)), float(total / permutations))
        for value, count, total in zip(observed, counts, sums, strict=True)
    ]


def _without_spread(
    values: Floats, here: Flags, units: Sequence[int], confidence: float, resamples: int
) -> Gap:
    """The gap of rows that say the same throughout, which is no proof that all others would.

    For values from 0 to 1 the difference of two score intervals (Newcombe 1998, Stat Med 17:873).
    """
    one, other = float(values[here].mean()), float(values[~here].mean())
    value, n = one - other, values.size
    low = high = value
    if values.min() >= 0 and values.max() <= 1:
        a, b = (
            wilson(mean * count, count, confidence)
            for mean, count in zip((one, other), units, strict=True)
        )
        low = value - sqrt((one - a.low) ** 2 + (b.high - other) ** 2)
        high = value + sqrt((a.high - one) ** 2 + (other - b.low) ** 2)
    p = 1.0 if low <= 0 <= high else 1 / resamples
    return Gap(Interval(value, low, high, n, "bootstrap"), p)


def _exchangeable(
    here: Flags, rows: ArrayLike | None, clusters: ArrayLike | None
) -> tuple[Codes, Codes]:
    """What moves as one, of each value: (n,); and within what it moves, of each unit: (units,)."""
    row = np.arange(here.size) if rows is None else codes(rows)
    cluster = row if clusters is None else codes(clusters)
    inside = _counted(here, row) > 0
    if np.any(inside & (_counted(~here, row) > 0)):
        raise UsageError("the repeats of a row must be on one side of a permutation test")
    crossed = (_counted(here, cluster) > 0) & (_counted(~here, cluster) > 0)
    unit = codes(np.where(crossed[cluster], row, row.size + cluster))
    first = np.unique(unit, return_index=True)[1]
    return unit, codes(np.where(crossed[cluster], cluster, -1)[first])


def _relabelled(
    here: Flags, unit: Codes, block: Codes, permutations: int, seed: int
) -> Iterator[Flags]:
    """Labels of all values after units change places within their block: (some draws, n)."""
    first = np.unique(unit, return_index=True)[1]
    order = np.argsort(block, kind="stable")  # units, block by block
    labels, place = here[first][order], np.argsort(order)
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // here.size)
    for start in range(0, permutations, step):
        draws = min(step, permutations - start)
        keys = block[order] + rng.random((draws, block.size))
        yield labels[np.argsort(keys, axis=1)][:, place[unit]]


def _blocks(table: Floats, seed: int) -> Floats:
    """At most so many units as are worth resampling; see `merged`."""
    pairs = [merged(table[:, at], table[:, at + 1], seed) for at in (0, 2)]
    return np.stack([column for pair in pairs for column in pair], axis=1)


def _replicates(strata: Sequence[Floats], resamples: int, seed: int) -> Iterator[Floats]:
    """The difference in each resample: (some resamples,)."""
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // max(map(len, strata)))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = np.zeros((size, 4))
        for one in strata:
            counts = rng.multinomial(len(one), np.full(len(one), 1 / len(one)), size)
            drawn += counts @ one
        yield _difference(drawn)


def _counted(flags: Flags, groups: Codes) -> Floats:
    """How many are true of each group: (groups,)."""
    return totals(flags.astype(np.float64), groups)


def _difference(sums: Floats) -> Floats:
    """(..., 4) sums and sizes of both sides to the difference of their means."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3]
    return found


def _welch(strata: Sequence[Floats], found: Floats, value: float) -> _Shape:
    """The shape of replicates of a difference, from how much each unit moves it."""
    whole = sum((one.sum(axis=0) for one in strata), np.zeros(4))
    means = whole[0] / whole[1], whole[2] / whole[3]
    moves = [
        (one[:, 0] - means[0] * one[:, 1]) / whole[1]
        - (one[:, 2] - means[1] * one[:, 3]) / whole[3]
        for one in strata
    ]
    spread = [float((one**2).sum()) * one.size / (one.size - 1) for one in moves]
    df = sum(spread) ** 2 / sum(s**2 / (one.size - 1) for s, one in zip(spread, moves, strict=True))
    every = np.concatenate(moves)
    scale = sqrt(sum(spread) / float((every**2).sum()))
    return _Shape(_bias(found, value), _skew(every), df, scale)


def _bias(found: Floats, value: float) -> float:
    return float(NORMAL.inv_cdf(_share(found, value)))


def _share(found: Floats, value: float) -> float:
    """The share of replicates below `value`, which is never none or all of them."""
    share = np.mean(found < value) + np.mean(found == value) / 2
    least = 1 / (2 * found.size)
    return min(max(float(share), least), 1 - least)


def _skew(influences: Floats) -> float:
    """BCa's acceleration; 0 where nothing moves the statistic."""
    square = float((influences**2).sum())
    if not np.isfinite(square) or square == 0:
        return 0.0
    return float((influences**3).sum()) / (6 * float(square**1.5))


def _influences(statistic: Statistic, members: Sequence[Codes], n: int) -> Floats:
    """How much a statistic falls when a block of units is left out: (at most JACKKNIFE,)."""
    units = np.array_split(np.arange(len(members)), min(len(members), JACKKNIFE))
    left = np.array(
        [
            statistic(np.setdiff1d(np.arange(n), np.concatenate([members[one] for one in block])))
            for block in units
        ]
    )
    return np.asarray(left.mean() - left, np.float64)


def _of(members: Sequence[Codes], draw: Codes, alone: bool) -> Codes:
    """The positions of the rows of the units that were drawn."""
    return draw if alone else np.concatenate([members[unit] for unit in draw])


def _members(groups: Codes) -> list[Codes]:
    """The positions of each group's rows."""
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
