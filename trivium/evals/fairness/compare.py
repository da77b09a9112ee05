"""Whether B is fairer than A on the same rows: what changed in each figure, and how surely.

A figure of a benchmark is any function of records, so a difference of two figures has no formula.
Its spread is that of a paired jackknife: the same rows are left out of both sides, block by block
of whole clusters, and the benchmark itself computes both figures again (Shao & Tu 1995, The
Jackknife and Bootstrap, section 2.3; delete-a-group, Kott 2001, J Official Statistics 17:521). No
row is ever doubled, which a benchmark that joins rows to pairs could not bear.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from trivium.errors import UsageError
from trivium.evals.base import Cell, Record
from trivium.evals.compare import Pairing
from trivium.evals.fairness.base import Benchmark, Finding
from trivium.evals.fairness.points import points_only
from trivium.evals.intervals import CONFIDENCE, Codes, Floats, Interval, codes, student
from trivium.evals.paired import holm

BLOCKS = 40
"""So many blocks of clusters are left out in turn; fewer where there are fewer clusters."""
LEAST = 6
"""Figures that rest on fewer rows get no bounds: no test of them can reach 5 %."""

Key = tuple[str, str]
"""Measure and group."""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of cell `b` against that of cell `a`, over the rows that both have.

    `difference` is B minus A. `distance` is how much farther from `ideal` B is than A: below zero
    where B is fairer; None where the figure has no ideal. Both are None where a side is undefined,
    and `note` then says why. `p` is that of no difference; `p_holm` is adjusted for every figure of
    the comparison.
    """

    measure: str
    group: str
    a: float | None
    b: float | None
    n: int
    ideal: float | None = None
    gap: bool = False
    bias: bool = False
    difference: Interval | None = None
    distance: Interval | None = None
    p: float = 1.0
    p_holm: float = 1.0
    note: str = ""

    @property
    def clear(self) -> bool:
        return self.p_holm <= 1 - CONFIDENCE

    @property
    def verdict(self) -> str:
        """In a word or two: which side is fairer, where that is clear."""
        if self.difference is None:
            return "undefined"
        if not self.clear:
            return "not clear"
        if self.distance is None or self.distance.low <= 0 <= self.distance.high:
            return "higher" if self.difference.mean > 0 else "lower"
        return "fairer" if self.distance.high < 0 else "less fair"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from cell `a` to cell `b`, and how their records met."""

    a: Cell
    b: Cell
    changes: tuple[Change, ...]
    pairing: Pairing


def compare(benchmark: Benchmark, a: Sequence[Record], b: Sequence[Record]) -> Comparison:
    """Compare the records of two cells.

    Raises:
        UsageError: when no rows are on both sides with a result.
    """
    left, right, pairing = pair(a, b)
    findings = [(one, benchmark.findings(one)) for one in (left, right)]
    whole = [{(one.measure, one.group): one for one in found} for _, found in findings]
    keys = [key for key in whole[0] if key in whole[1]]
    replicates = _replicates(benchmark, left, right, keys)  # (2, blocks, keys)
    changes = [
        _change(key, whole[0][key], whole[1][key], replicates[:, :, number])
        for number, key in enumerate(keys)
    ]
    tested = [one for one in changes if one.difference is not None]
    adjusted = iter(holm([one.p for one in tested]))
    changes = [
        replace(one, p_holm=next(adjusted)) if one.difference is not None else one
        for one in changes
    ]
    return Comparison(pairing.a, pairing.b, tuple(changes), pairing)


def pair(a: Sequence[Record], b: Sequence[Record]) -> tuple[list[Record], list[Record], Pairing]:
    """The records of equal row and repeat with equal contents and a result on both sides.

    Raises:
        UsageError: when there are none.
    """
    if not (a and b):
        raise UsageError("a run without records cannot be compared; let it run first")
    there = {(one.row, one.repeat): one for one in b}
    met = [(one, there[one.row, one.repeat]) for one in a if (one.row, one.repeat) in there]
    same = [(x, y) for x, y in met if x.inputs == y.inputs and x.target == y.target]
    good = [(x, y) for x, y in same if x.error is None and y.error is None]
    pairing = Pairing(
        a[0].cell,
        b[0].cell,
        len(good),
        len(a) - len(met),
        len(b) - len(met),
        len(met) - len(same),
        len(same) - len(good),
    )
    if not good:
        raise UsageError(
            f"no rows could be paired: {pairing.left_out} have no counterpart with a result"
        )
    return [x for x, _ in good], [y for _, y in good], pairing


def blocks(records: Sequence[Record], count: int = BLOCKS, seed: int = 0) -> Codes:
    """A block number for each record, (n,): whole clusters, dealt at random, near equal in number.

    Rows without a cluster are clusters of their own repeats.
    """
    units = codes([repr((one.cluster is None, one.cluster or one.row)) for one in records])
    total = int(units.max()) + 1
    order = np.random.default_rng(seed).permutation(total)
    dealt = np.empty(total, np.int64)
    dealt[order] = np.arange(total) % min(count, total)
    return dealt[units]


def jackknife(whole: float, replicates: Floats, n: int) -> tuple[Interval, float]:
    """A figure's interval and the two-sided p of zero, from its values with each block left out.

    Student's t with the smaller of blocks and rows, less one, as its degrees of freedom. Unbounded
    where the figure rests on fewer than `LEAST` rows or blocks, or is undefined without one block.

    Args:
        replicates: (blocks,)
        n: rows that the figure rests on.
    """
    from scipy.special import stdtr

    units = min(replicates.size, n)
    if units < LEAST or bool(np.isnan(replicates).any()):
        return Interval(whole, -inf, inf, n, "jackknife"), 1.0
    count = replicates.size
    error = sqrt((count - 1) / count * float(((replicates - replicates.mean()) ** 2).sum()))
    if error < 1e-12 * max(1.0, abs(whole)):
        # every row says the same: as sure as that all signs agree by chance, and no surer
        p = 1.0 if abs(whole) < 1e-12 else min(1.0, 2.0 ** (1 - units))
        return Interval(whole, whole, whole, n, "jackknife"), p
    wide = student(units - 1, CONFIDENCE) * error
    p = float(2 * stdtr(units - 1, -abs(whole) / error))
    return Interval(whole, whole - wide, whole + wide, n, "jackknife"), p


def _replicates(
    benchmark: Benchmark, a: Sequence[Record], b: Sequence[Record], keys: Sequence[Key]
) -> Floats:
    """Every figure of both sides without each block: (2, blocks, keys); NaN where undefined."""
    number = blocks(a)
    count = int(number.max()) + 1
    made = np.full((2, count, len(keys)), nan)
    with points_only():
        for block in range(count if count > 1 else 0):
            kept = np.flatnonzero(number != block).tolist()
            for side, records in enumerate((a, b)):
                found = benchmark.findings([records[at] for at in kept])
                values = {(one.measure, one.group): one.value for one in found}
                made[side, block] = [_number(values.get(key)) for key in keys]
    return made


def _change(key: Key, a: Finding, b: Finding, replicates: NDArray[np.float64]) -> Change:
    """`replicates`: (2, blocks)."""
    n = min(a.n, b.n)
    plain = Change(*key, a.value, b.value, n, b.ideal, b.gap, b.bias)
    if a.value is None or b.value is None:
        why = "; ".join(
            f"{side}: {one.note or 'undefined'}"
            for side, one in (("A", a), ("B", b))
            if one.value is None
        )
        return replace(plain, note=why)
    difference, p = jackknife(b.value - a.value, replicates[1] - replicates[0], n)
    distance = None
    if b.ideal is not None:
        sides = (a.value - b.ideal, b.value - b.ideal)
        distance = _distance(sides, replicates - b.ideal, difference)
    note = "" if isfinite(difference.low) else "too few rows for bounds"
    return replace(plain, difference=difference, distance=distance, p=p, note=note)


def _distance(sides: tuple[float, float], replicates: Floats, difference: Interval) -> Interval:
    """The interval of |b| - |a|, where 0 is the ideal.

    Which side of the ideal a figure is on may be open, and an absolute value has no spread to speak
    of there. So the interval is the union of those of s b - r a over all signs s, r that the
    intervals of `a` and `b` do not exclude, within the bounds of |b - a|, which it cannot exceed.

    Args:
        sides: `a` and `b`.
        replicates: (2, blocks)
    """
    n = difference.n
    alone = [
        jackknife(side, without, n)[0] for side, without in zip(sides, replicates, strict=True)
    ]
    found = [
        jackknife(s * sides[1] - r * sides[0], s * replicates[1] - r * replicates[0], n)[0]
        for r in _signs(alone[0])
        for s in _signs(alone[1])
    ]
    most = max(abs(difference.low), abs(difference.high))
    mean = abs(sides[1]) - abs(sides[0])
    low = max(min(one.low for one in found), -most)
    high = min(max(one.high for one in found), most)
    return Interval(mean, min(low, mean), max(high, mean), n, "jackknife")


def _signs(found: Interval) -> list[int]:
    return [sign for sign, may in ((1, found.high >= 0), (-1, found.low < 0)) if may]


def _number(value: float | None) -> float:
    return nan if value is None else value
