"""Gates on fairness: how far a figure may be from its ideal, judged on its interval's worst bound.

A figure holds when its whole interval is near enough to the ideal; "not worse than" holds when the
interval of the paired change in that distance excludes a step away larger than the margin. Too few
rows, and figures that are undefined, therefore fail a gate; they never pass it by luck.
"""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trivium.errors import UsageError
from trivium.evals.base import Cell, Record
from trivium.evals.compare import match
from trivium.evals.fairness.base import Benchmark, Finding
from trivium.evals.fairness.compare import Change, compare
from trivium.evals.fairness.readings import bounded, rows
from trivium.evals.gates import Verdict, parsed


class FairnessGate(BaseModel):
    """One gate; exactly one of `max_gap`, `max_bias` and `not_worse_than`.

    Without `measure` and `group` it judges every figure of its kind: all groups have to hold.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_gap: float | None = Field(None, ge=0)
    """Every difference or ratio between groups is at most so far from its ideal."""
    max_bias: float | None = Field(None, ge=0)
    """Every figure of bias is at most so far from its ideal."""
    not_worse_than: str | None = None
    """A run: no bias and no gap is farther from its ideal than there, on the same rows."""
    margin: float = Field(0.0, ge=0)
    """So much farther than that run is still not worse."""
    measure: str | None = None
    group: str | None = None
    """This group alone; "" is all rows together."""
    model: str | None = None
    prompt: str | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> "FairnessGate":
        if sum(one is not None for one in (self.max_gap, self.max_bias, self.not_worse_than)) != 1:
            raise ValueError("a gate has one of max_gap, max_bias and not_worse_than")
        if self.margin and self.not_worse_than is None:
            raise ValueError("margin belongs to not_worse_than")
        return self

    def __str__(self) -> str:
        if self.max_gap is not None:
            return f"gap ≤ {self.max_gap:g}"
        if self.max_bias is not None:
            return f"bias ≤ {self.max_bias:g}"
        return f"not worse than {self.not_worse_than} by more than {self.margin:g}"

    def means(self, one: Finding | Change) -> bool:
        """Whether this figure is one that the gate judges."""
        kind = (self.max_bias is None and one.gap) or (self.max_gap is None and one.bias)
        return kind and self.measure in (None, one.measure) and self.group in (None, one.group)


def parse_gates(given: Sequence[Mapping[str, object]]) -> list[FairnessGate]:
    """The gates of a suite's `fairness` key.

    Raises:
        UsageError: naming the gate and the key that is wrong.
    """
    return parsed(FairnessGate, "fairness gate", given)


Fetch = Callable[[str], Mapping[Cell, Sequence[Record]]]
"""From a run's name to its records, by cell."""


def judge(
    gates: Sequence[FairnessGate],
    benchmark: Benchmark,
    cells: Mapping[Cell, Sequence[Record]],
    findings: Mapping[Cell, Sequence[Finding]],
    fetch: Fetch,
) -> list[Verdict]:
    """Every gate on every cell and figure that it names.

    Raises:
        UsageError: for a gate that names no cell or no figure.
    """
    verdicts: list[Verdict] = []
    for gate in gates:
        meant = [
            cell for cell in cells if gate.model in (None, cell.model)
            and gate.prompt in (None, cell.prompt)
        ]  # fmt: skip
        if not meant:
            raise UsageError(f'the gate "{gate}" is for a model or prompt that was not run')
        for cell in meant:
            judged = (
                _absolute(gate, cell, findings[cell])
                if gate.not_worse_than is None
                else _relative(gate, cell, benchmark, list(cells), cells[cell], fetch)
            )
            if not judged:
                marked = dict.fromkeys(one.measure for one in findings[cell] if one.gap or one.bias)
                raise UsageError(
                    f'the gate "{gate}" judges nothing here; figures with a gap or bias are: '
                    + (", ".join(marked) or "none")
                )
            verdicts += judged
    return verdicts


def _absolute(gate: FairnessGate, cell: Cell, findings: Sequence[Finding]) -> list[Verdict]:
    limit = gate.max_gap if gate.max_gap is not None else gate.max_bias
    assert limit is not None
    verdicts = []
    for one in filter(gate.means, findings):
        name = _name(one.measure, one.group)
        if one.value is None:
            why = f"{gate}: {name} is undefined: {one.note}"
            verdicts.append(Verdict(gate, cell, False, None, why))
            continue
        ideal = one.ideal or 0.0
        if not bounded(one):
            why = f"{gate}: {name} is {one.value:.4g}, but {rows(one.n)} are too few to bound it"
            verdicts.append(Verdict(gate, cell, False, one.interval, why))
            continue
        assert one.interval is not None
        bounds = (one.interval.low, one.interval.high)
        worst = max(bounds, key=lambda bound: abs(bound - ideal))
        far = abs(worst - ideal)
        reason = (
            f"{gate}: {name} is {one.value:.4g} and may be {worst:.4g} (ideal {ideal:g}, n {one.n})"
        )
        verdicts.append(Verdict(gate, cell, far <= limit, one.interval, reason))
    return verdicts


def _relative(
    gate: FairnessGate,
    cell: Cell,
    benchmark: Benchmark,
    cells: Sequence[Cell],
    records: Sequence[Record],
    fetch: Fetch,
) -> list[Verdict]:
    assert gate.not_worse_than is not None
    baseline = fetch(gate.not_worse_than)
    pairs = [a for a, b in match(list(baseline), cells) if b == cell]
    if not pairs:
        return [Verdict(gate, cell, False, None, f"{gate}, but that run has no such cell")]
    found = compare(benchmark, baseline[pairs[0]], records)
    verdicts = []
    for one in filter(gate.means, found.changes):
        name = _name(one.measure, one.group)
        if one.distance is None:
            why = one.note or "it has no ideal"
            verdicts.append(Verdict(gate, cell, False, None, f"{gate}: {name}: {why}"))
            continue
        high = one.distance.high
        said = f"may be {high:+.4g}" if isfinite(high) else "has no bound"
        reason = (
            f"{gate}: {name}: the step away from the ideal {said} "
            f"(estimate {one.distance.mean:+.4g}, n {one.n})"
        )
        verdicts.append(Verdict(gate, cell, high <= gate.margin, one.distance, reason))
    return verdicts


def _name(measure: str, group: str) -> str:
    return f"{measure} of {group}" if group else measure
