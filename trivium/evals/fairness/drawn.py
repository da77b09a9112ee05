"""A figure drawn from pairs of answers, with its interval, and its p corrected with the others'."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from trivium.evals.base import Record
from trivium.evals.fairness.base import Finding
from trivium.evals.fairness.pairs import Contrast, Repeats
from trivium.evals.fairness.points import only_points
from trivium.evals.intervals import bootstrap, estimate
from trivium.evals.paired import holm, paired, paired_bootstrap

SURE = 0.05
TESTABLE = 6
"""Fewer pairs cannot differ surely at 5 %, and would only cost the others in Holm's correction."""

Reader = Callable[[Record], float | None]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A finding with its p, to be corrected with all others of its `family`."""

    finding: Finding
    family: str = ""
    p: float | None = None


def rate(
    measure: str,
    group: str,
    values: Sequence[float],
    *,
    ideal: float | None = 0.0,
    bias: bool = False,
    share: bool = True,
    note: str = "",
) -> Finding:
    """A mean of one value a row, with its interval; a `share` is of rows, and lies in 0 to 1."""
    if not values:
        return Finding(measure, group, None, 0, ideal=ideal, bias=bias, note="no row defines it")
    interval = None if only_points() else (estimate if share else bootstrap)(values)
    return Finding(
        measure, group, fmean(values), len(values), interval, ideal, bias=bias, note=note
    )


def shift(
    measure: str,
    contrast: Contrast,
    read: Reader,
    *,
    family: str = "",
    share: bool = False,
    scale: Callable[[Sequence[float]], float] = lambda reference: 1.0,
) -> list[Drawn]:
    """The mean difference of a number that can be read of both sides, repeats averaged first.

    It is told in units of `scale`, a function of the reference's values.
    """
    pairs = [(_mean(a, read), _mean(b, read)) for a, b in contrast.pairs]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    unit = scale([a for a, _ in known]) if known else 1.0
    unread = len(pairs) - len(known)
    return [
        difference(
            measure,
            contrast.name,
            [(a / (unit or 1.0), b / (unit or 1.0)) for a, b in known],
            family=family or measure,
            share=share,
            note=f"{unread} rows without a value" if unread else "",
        )
    ]


def difference(
    measure: str,
    group: str,
    pairs: Sequence[tuple[float, float]],
    *,
    family: str,
    share: bool = False,
    note: str = "",
) -> Drawn:
    """The mean of group minus reference over rows, with its interval and p.

    A `share` is of zeros and ones, for which there is McNemar's test; all else is bootstrapped.
    """
    plain = Finding(measure, group, None, len(pairs), None, 0.0, gap=True, note=note)
    if not pairs:
        return Drawn(replace(plain, note="no answer has such a value on both sides"))
    changes = [b - a for a, b in pairs]
    plain = replace(plain, value=fmean(changes))
    if only_points():
        return Drawn(plain)
    if share:
        tested = paired([a for a, _ in pairs], [b for _, b in pairs])
    else:
        tested = paired_bootstrap(changes)
    p = tested.p if len(pairs) >= TESTABLE else None
    return Drawn(replace(plain, interval=tested.effect), family, p)


def _mean(answers: Repeats, read: Reader) -> float | None:
    values = [value for one in answers if (value := read(one)) is not None]
    return fmean(values) if values else None


def corrected(drawn: Sequence[Drawn]) -> list[Finding]:
    """Findings whose notes give p after Holm's correction, over all groups of a measure."""
    found = [one.finding for one in drawn]
    for family in dict.fromkeys(one.family for one in drawn if one.p is not None):
        at = [n for n, one in enumerate(drawn) if one.family == family and one.p is not None]
        for n, p in zip(at, holm([drawn[n].p or 0.0 for n in at]), strict=True):
            over = f" (Holm over {len(at)})" if len(at) > 1 else ""
            note = "; ".join(part for part in (f"p {p_text(p)}{over}", found[n].note) if part)
            found[n] = replace(found[n], note=note, p=p)
    return found


def p_text(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
