"""Gates: what a run has to reach, judged on the bound of an interval and not on its middle.

A threshold holds when the whole interval is beyond it. "Not worse than the baseline" holds when
the interval of the paired difference excludes a drop larger than the margin (non-inferiority).
Too few rows therefore fail a gate; they never pass it by luck.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trivium.errors import GateFailed, UsageError
from trivium.evals.base import Cell
from trivium.evals.columns import Columns, label
from trivium.evals.compare import compare_columns, match
from trivium.evals.intervals import Interval
from trivium.evals.summary import CellScores

AnyGate = TypeVar("AnyGate", bound=BaseModel)


class Gate(BaseModel):
    """One gate of a suite; exactly one of `min`, `max`, `max_drop` and `max_rise`.

    `metric` is a scorer's, or "failed", the share of records without a result.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str
    model: str | None = None
    """This model alone; every one when unset."""
    prompt: str | None = None
    min: float | None = None
    """The lower bound is at least this."""
    max: float | None = None
    """The upper bound is at most this."""
    max_drop: float | None = Field(None, ge=0)
    """At most so much below the baseline, for metrics of which more is better."""
    max_rise: float | None = Field(None, ge=0)
    """At most so much above the baseline, for metrics of which less is better."""

    @model_validator(mode="after")
    def _one_bound(self) -> "Gate":
        bounds = (self.min, self.max, self.max_drop, self.max_rise)
        if sum(bound is not None for bound in bounds) != 1:
            raise ValueError("a gate has one of min, max, max_drop and max_rise")
        return self

    @property
    def relative(self) -> bool:
        """Whether it needs a baseline."""
        return self.max_drop is not None or self.max_rise is not None

    def __str__(self) -> str:
        for sign, bound in (("≥", self.min), ("≤", self.max)):
            if bound is not None:
                return f"{self.metric} {sign} {bound:g}"
        if self.max_drop is not None:
            return f"{self.metric} at most {self.max_drop:g} below the baseline"
        return f"{self.metric} at most {self.max_rise:g} above the baseline"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate on one cell; `interval` is of the mean, or of the difference from the baseline."""

    gate: BaseModel
    """Its text says what was asked."""
    cell: Cell
    passed: bool
    interval: Interval | None
    reason: str


def parse_gates(given: Sequence[Mapping[str, object]]) -> list[Gate]:
    """The gates of a suite.

    Raises:
        UsageError: naming the gate and the key that is wrong.
    """
    return parsed(Gate, "gate", given)


def parsed(kind: type[AnyGate], what: str, given: Sequence[Mapping[str, object]]) -> list[AnyGate]:
    """Gates of a `kind`, called `what` in the sentence about one that is wrong.

    Raises:
        UsageError: naming the gate and the key.
    """
    gates = []
    for number, values in enumerate(given, start=1):
        try:
            gates.append(kind.model_validate(values))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            message = first["msg"].removeprefix("Value error, ")
            where = f"{what} {number}" + (f", {key}" if key else "")
            raise UsageError(f"{where}: {message}; it says {dict(values)}") from error
    return gates


def judge(
    gates: Sequence[Gate],
    table: Sequence[CellScores],
    columns: Columns | None = None,
    baseline: Columns | None = None,
) -> list[Verdict]:
    """Every gate on every cell that it names.

    Args:
        table: the run's summary.
        columns: the run's records; needed for gates against a baseline.
        baseline: the run to hold it against.

    Raises:
        UsageError: for a gate that names no cell, or needs a baseline that is not given.
    """
    verdicts: list[Verdict] = []
    for gate in gates:
        cells = [
            one
            for one in table
            if gate.model in (None, one.cell.model) and gate.prompt in (None, one.cell.prompt)
        ]
        if not cells:
            raise UsageError(f'the gate "{gate}" is for a model or prompt that was not run')
        if not gate.relative:
            verdicts += [_absolute(gate, one) for one in cells]
        elif columns is None or baseline is None:
            raise UsageError(f'the gate "{gate}" needs a run to compare with: --baseline RUN')
        else:
            verdicts += [_relative(gate, one.cell, columns, baseline) for one in cells]
    return verdicts


def require(verdicts: Sequence[Verdict]) -> None:
    """Raise when a gate did not hold.

    Raises:
        GateFailed: naming each one.
    """
    lost = [one for one in verdicts if not one.passed]
    if lost:
        which = "; ".join(f"{label(one.cell)}: {one.reason}" for one in lost)
        raise GateFailed(f"{len(lost)} of {len(verdicts)} gates failed: {which}")


def _absolute(gate: Gate, cell: CellScores) -> Verdict:
    interval = cell.score(gate.metric)
    if interval is None:
        return Verdict(gate, cell.cell, False, None, f"{gate}, but no record has {gate.metric}")
    if gate.min is not None:
        passed, bound, side = interval.low >= gate.min, interval.low, "lower"
    else:
        assert gate.max is not None
        passed, bound, side = interval.high <= gate.max, interval.high, "upper"
    reason = f"{gate}: the {side} bound is {bound:.4g} (mean {interval.mean:.4g}, n {interval.n})"
    return Verdict(gate, cell.cell, passed, interval, reason)


def _relative(gate: Gate, cell: Cell, columns: Columns, baseline: Columns) -> Verdict:
    pairs = [pair for pair in match(baseline.cells, columns.cells) if pair[1] == cell]
    if not pairs:
        return Verdict(gate, cell, False, None, f"{gate}, but the baseline has no such cell")
    try:
        found = compare_columns(baseline, columns, pairs, [gate.metric])
    except UsageError as error:
        return Verdict(gate, cell, False, None, f"{gate}, but {error}")
    interval = found.effects[0].interval
    if gate.max_drop is not None:
        passed, bound = interval.low >= -gate.max_drop, interval.low
    else:
        assert gate.max_rise is not None
        passed, bound = interval.high <= gate.max_rise, interval.high
    left = found.pairings[0].left_out
    aside = f", {left} records not paired" if left else ""
    reason = (
        f"{gate}: the difference may be {bound:+.4g} "
        f"(mean {interval.mean:+.4g}, n {interval.n}{aside})"
    )
    return Verdict(gate, cell, passed, interval, reason)
