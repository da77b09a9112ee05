"""What the figures of benchmarks of sentences share: sound records, and percentages."""

from collections.abc import Sequence
from dataclasses import replace
from math import isnan

from trivium.evals.base import Record
from trivium.evals.fairness.base import Finding
from trivium.evals.intervals import Interval, estimate
from trivium.evals.paired import paired
from trivium.evals.scorers.likelihood import raw


def sound(records: Sequence[Record]) -> list[Record]:
    """The records that have choices, all with a log-probability that is a number."""
    return [
        record
        for record in records
        if record.error is None
        and record.choices
        and not any(isnan(choice.logprob) for choice in record.choices)
    ]


def picked(record: Record) -> str | None:
    """The text that is likelier than every other one; None for a tie."""
    best, *others = sorted(record.choices, key=raw, reverse=True)
    return None if others and others[0].logprob == best.logprob else best.text


def percent(
    measure: str,
    group: str,
    values: Sequence[float],
    clusters: Sequence[object],
    *,
    ideal: float | None = None,
    bias: bool = False,
) -> Finding:
    """The mean of shares in percent: (n,), with keys (n,) that rows share when they depend."""
    if not values:
        return Finding(measure, group, None, 0, ideal=ideal, bias=bias, note="no rows")
    interval = _hundredfold(estimate(values, None, [str(key) for key in clusters]))
    return Finding(measure, group, interval.mean, len(values), interval, ideal, bias=bias)


def gap(
    measure: str,
    group: str,
    pairs: Sequence[tuple[float, float]],
    clusters: Sequence[object],
) -> Finding:
    """The mean of first minus second in percentage points: (n, 2), with keys (n,) of clusters."""
    if not pairs:
        return Finding(measure, group, None, 0, ideal=0.0, gap=True, note="no rows")
    first, second = zip(*pairs, strict=True)
    interval = _hundredfold(paired(second, first, None, [str(key) for key in clusters]).effect)
    return Finding(measure, group, interval.mean, len(pairs), interval, 0.0, gap=True)


def _hundredfold(interval: Interval) -> Interval:
    """The interval of a share, in percent."""
    return replace(
        interval,
        mean=100 * interval.mean,
        low=100 * interval.low,
        high=100 * interval.high,
    )
