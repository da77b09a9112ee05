"""Two sides of an evaluation on the same rows: what changed, within what bounds, how surely.

Rows are paired by their id and repeat, in cells that belong together. What could not be paired is
counted, never dropped in silence.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from trivium.errors import UsageError
from trivium.evals.base import Cell, Record
from trivium.evals.columns import Columns, label, of_records
from trivium.evals.intervals import Codes, Floats, Interval
from trivium.evals.paired import holm, paired
from trivium.evals.power import minimum_detectable_effect, needed_n


@dataclass(frozen=True, slots=True)
class Effect:
    """A metric of cell `b` against that of cell `a`.

    `interval` is that of the mean difference B - A over the rows that both sides have a value for;
    `gains`, `losses` and `ties` count pairs of records in which B is above, below, equal. `p_holm`
    is adjusted for all metrics and cells of the comparison. `detectable` is the smallest true
    difference that so many rows find four times in five, and `needed` the rows that it takes to
    find the difference in question; both None where the spread is unknown.
    """

    metric: str
    a: Cell
    b: Cell
    mean_a: float
    mean_b: float
    interval: Interval
    gains: int
    losses: int
    ties: int
    p: float
    p_holm: float
    detectable: float | None
    needed: int | None


@dataclass(frozen=True, slots=True)
class Pairing:
    """How the records of two cells met.

    `only_a` and `only_b` have no counterpart; `changed` share an id but not their inputs and
    target; `failed` pairs lack a result on one side or both. None of these is in an effect.
    """

    a: Cell
    b: Cell
    pairs: int
    only_a: int
    only_b: int
    changed: int
    failed: int

    @property
    def left_out(self) -> int:
        return self.only_a + self.only_b + self.changed + self.failed


def left_out(pairing: Pairing) -> str:
    """What was left out of a pairing and why, in words; empty when nothing was."""
    counts = (
        (pairing.only_a, "only in A"),
        (pairing.only_b, "only in B"),
        (pairing.changed, "with other inputs"),
        (pairing.failed, "failed on a side"),
    )
    return ", ".join(f"{count:,} {why}" for count, why in counts if count)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that was compared, and the cells of either side that had no counterpart."""

    effects: tuple[Effect, ...]
    pairings: tuple[Pairing, ...]
    alone: tuple[Cell, ...]


def compare(records_a: Iterable[Record], records_b: Iterable[Record]) -> Comparison:
    """Compare the records of two runs; see `compare_columns`."""
    return compare_columns(of_records(records_a), of_records(records_b))


def compare_columns(
    a: Columns,
    b: Columns,
    cells: Sequence[tuple[Cell, Cell]] | None = None,
    metrics: Sequence[str] = (),
    effect: float | None = None,
) -> Comparison:
    """Compare B with A.

    Args:
        cells: which cells belong together; by their names when None (`match`).
        metrics: these alone; all that both sides have when empty.
        effect: the difference for which `needed` is computed, else the one that was observed.

    Raises:
        UsageError: when there are no cells, rows or metrics in common.
    """
    if not (a.cell.size and b.cell.size):
        raise UsageError("a run without records cannot be compared; let it run first")
    chosen = match(a.cells, b.cells) if cells is None else list(cells)
    known = [name for name in a.scores if name in b.scores]
    if not known:
        raise UsageError("the two sides have no metric in common")
    for name in metrics:
        if name not in known:
            raise UsageError(f'no metric "{name}" on both sides; they have {", ".join(known)}')
    effects: list[Effect] = []
    pairings: list[Pairing] = []
    for one, other in chosen:
        pairing, at_a, at_b = _pair(a, b, one, other)
        pairings.append(pairing)
        for metric in metrics or known:
            found = _effect(a, b, pairing, metric, at_a, at_b, effect)
            effects += [found] if found else []
    if not effects:
        counts = sum(one.left_out for one in pairings)
        raise UsageError(f"no rows could be paired: {counts} have no counterpart with a result")
    adjusted = holm([one.p for one in effects])
    used = {cell for pair in chosen for cell in pair}
    return Comparison(
        tuple(replace(one, p_holm=p) for one, p in zip(effects, adjusted, strict=True)),
        tuple(pairings),
        tuple(dict.fromkeys(cell for cell in (*a.cells, *b.cells) if cell not in used)),
    )


def match(a: Sequence[Cell], b: Sequence[Cell]) -> list[tuple[Cell, Cell]]:
    """Which cells of two runs belong together.

    The only ones of each; else those of equal model and prompt; else those of equal prompt when
    each run has one model, or of equal model when each has one prompt.

    Raises:
        UsageError: when none of these says it.
    """
    if len(a) == len(b) == 1:
        return [(a[0], b[0])]
    common = [(cell, cell) for cell in a if cell in b]
    if common:
        return common
    for key, other in (("prompt", "model"), ("model", "prompt")):
        if len({getattr(cell, other) for cell in a}) == len({getattr(c, other) for c in b}) == 1:
            of = {getattr(cell, key): cell for cell in b}
            found = [(cell, of[getattr(cell, key)]) for cell in a if getattr(cell, key) in of]
            if found:
                return found
    names = "; ".join(", ".join(label(cell) for cell in cells) for cells in (a, b))
    raise UsageError(
        f"nothing says which of these belong together: {names}; choose with --cell-a and --cell-b"
    )


def against_first(cells: Sequence[Cell]) -> list[tuple[Cell, Cell]]:
    """Each other cell of a run against its first."""
    if len(cells) < 2:
        raise UsageError("a run with one model and one prompt needs another run to compare with")
    return [(cells[0], cell) for cell in cells[1:]]


def find_cell(cells: Sequence[Cell], name: str) -> Cell:
    """The one cell whose model and prompt, written "model · prompt", contain `name`.

    Raises:
        UsageError: when there is none, or more than one.
    """
    found = [cell for cell in cells if name in label(cell)]
    exact = [cell for cell in found if name in (label(cell), cell.model, cell.prompt)]
    found = exact if len(exact) == 1 else found
    if len(found) != 1:
        known = ", ".join(label(cell) for cell in found or cells)
        raise UsageError(f'"{name}" names {len(found)} cells; say which of {known}')
    return found[0]


def pair_records(a: Columns, b: Columns, one: Cell, other: Cell) -> tuple[Codes, Codes]:
    """Where the records of equal row and repeat stand in `a` and in `b`, in A's order."""
    here = np.flatnonzero(a.cell == a.number(one))
    there = np.flatnonzero(b.cell == b.number(other))
    known = {key: number for number, key in enumerate(a.row_ids)}
    # B's rows in A's numbers; those that A lacks come after all of A's
    as_a = np.array([known.get(key, len(known) + at) for at, key in enumerate(b.row_ids)], np.int64)
    repeats = int(max(a.repeat.max(initial=0), b.repeat.max(initial=0))) + 1
    _, in_a, in_b = np.intersect1d(
        a.row[here] * repeats + a.repeat[here],
        as_a[b.row[there]] * repeats + b.repeat[there],
        assume_unique=True,
        return_indices=True,
    )
    order = np.argsort(here[in_a])
    return here[in_a][order], there[in_b][order]


def same_contents(a: Columns, b: Columns, at_a: Codes, at_b: Codes) -> NDArray[np.bool_]:
    """Whether the rows of these records have equal inputs and targets, pair by pair."""
    content_a, content_b = np.array(a.contents, np.int64), np.array(b.contents, np.int64)
    same: NDArray[np.bool_] = content_a[a.row[at_a]] == content_b[b.row[at_b]]
    return same


def _pair(a: Columns, b: Columns, one: Cell, other: Cell) -> tuple[Pairing, Codes, Codes]:
    """The records that can be compared, and how many cannot."""
    at_a, at_b = pair_records(a, b, one, other)
    same = same_contents(a, b, at_a, at_b)
    failed = same & (a.failed[at_a] | b.failed[at_b])
    good = same & ~failed
    pairing = Pairing(
        one,
        other,
        int(good.sum()),
        int((a.cell == a.number(one)).sum()) - at_a.size,
        int((b.cell == b.number(other)).sum()) - at_b.size,
        int((~same).sum()),
        int(failed.sum()),
    )
    return pairing, at_a[good], at_b[good]


def _effect(
    a: Columns,
    b: Columns,
    pairing: Pairing,
    metric: str,
    at_a: Codes,
    at_b: Codes,
    effect: float | None,
) -> Effect | None:
    first, second = a.scores[metric][at_a], b.scores[metric][at_b]
    has: NDArray[np.bool_] = ~(np.isnan(first) | np.isnan(second))
    if not has.any():
        return None
    first, second = first[has], second[has]
    found = paired(first, second, a.row[at_a][has], a.cluster[at_a][has])
    sought = found.effect.mean if effect is None else effect
    known = isfinite(found.sd) and found.sd > 0
    return Effect(
        metric,
        pairing.a,
        pairing.b,
        _mean(first, a.row[at_a][has]),
        _mean(second, a.row[at_a][has]),
        found.effect,
        int((second > first).sum()),
        int((second < first).sum()),
        int((second == first).sum()),
        found.p,
        found.p,
        minimum_detectable_effect(found.sd, found.effect.n) if known else None,
        needed_n(found.sd, sought) if known and (sought or effect is not None) else None,
    )


def _mean(values: Floats, rows: Codes) -> float:
    """Each row counts once, however often it was repeated."""
    shares = 1 / np.bincount(rows)[rows]
    return float((values * shares).sum() / shares.sum())
