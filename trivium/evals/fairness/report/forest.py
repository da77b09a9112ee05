"""Forest plots: the figures of every group with their intervals around the ideal, as SVG.

Colours come from the page's style, and text is escaped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isfinite

from markupsafe import Markup, escape

from trivium.evals.fairness.base import FEW
from trivium.evals.intervals import Interval
from trivium.evals.report.plots import number_, ticks

WIDTH = 820
NAMES = 200
"""Pixels for the names on the left."""
FIGURES = 235
"""Pixels for the figures on the right."""
LINE = 22
HEAD, FOOT, GAP = 18, 26, 8
LETTERS = 30
"""Names longer than this are cut; the whole name is in the tooltip."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A dot with its whiskers. `series` chooses the colour, `value` is None where undefined."""

    series: int
    value: float | None
    interval: Interval | None
    n: int
    why: str = ""


def forest(
    title: str,
    rows: Sequence[tuple[str, Sequence[Mark]]],
    ideal: float | None = None,
    named: str = "ideal",
) -> Markup:
    """A row for each group, in it a line for each mark; a dashed line, `named`, is the ideal."""
    low, high = _scale([mark for _, marks in rows for mark in marks], ideal)

    def x(value: float) -> float:
        room = WIDTH - NAMES - FIGURES
        return NAMES + (min(max(value, low), high) - low) / (high - low) * room

    height = HEAD + FOOT + sum(LINE * len(marks) + GAP for _, marks in rows)
    bottom = height - FOOT
    behind, parts = [], []
    for value in ticks(low, high):
        parts.append(
            f'<line class="grid" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{HEAD}" '
            f'y2="{bottom}"/><text class="tick" x="{x(value):.1f}" y="{height - 8}" '
            f'text-anchor="middle">{value:.6g}</text>'
        )
    if ideal is not None:
        parts.append(
            f'<line class="ideal" x1="{x(ideal):.1f}" x2="{x(ideal):.1f}" y1="{HEAD - 4}" '
            f'y2="{bottom}"/><text class="tick" x="{x(ideal):.1f}" y="{HEAD - 7}" '
            f'text-anchor="middle">{escape(named)}</text>'
        )
    top = HEAD
    for number, (name, marks) in enumerate(rows):
        tall = LINE * len(marks) + GAP
        if number % 2 == 0:
            behind.append(f'<rect class="band" x="0" y="{top}" width="{WIDTH}" height="{tall}"/>')
        parts.append(
            f'<text class="name" x="8" y="{top + tall / 2 + 4:.1f}">'
            f"<title>{escape(name)}</title>{escape(_cut(name))}</text>"
        )
        for at, mark in enumerate(marks):
            y = top + GAP / 2 + LINE * at + LINE / 2
            parts.append(_mark(name, mark, y, x))
        top += tall
    return Markup(  # noqa: S704 - numbers and escaped text alone
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"{''.join([*behind, *parts])}</svg>"
    )


def _mark(name: str, mark: Mark, y: float, x: Callable[[float], float]) -> str:
    right = WIDTH - FIGURES + 14
    if mark.value is None:
        return (
            f'<text class="tick" x="{right}" y="{y + 4:.1f}"><title>{escape(mark.why)}</title>'
            f"undefined</text>"
        )
    low, high = _bounds(mark)
    ends = [x(bound) if isfinite(bound) else None for bound in (low, high)]
    lines = ""
    if all(end is not None for end in ends):
        lines = f'<line class="whisker" x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{y}" y2="{y}"/>'
        lines += "".join(
            f'<line class="cap" x1="{end:.1f}" x2="{end:.1f}" y1="{y - 4}" y2="{y + 4}"/>'
            for end in ends
        )
    few = " few" if mark.n < FEW else ""
    told = f"{number_(mark.value)} [{number_(low)}, {number_(high)}]"
    tip = f"{name}: {told}, {mark.n:,} rows"
    return (
        f'<g class="s{mark.series}{few}"><title>{escape(tip)}</title>{lines}'
        f'<circle cx="{x(mark.value):.1f}" cy="{y}" r="4.5"/>'
        f'<text class="figure" x="{right}" y="{y + 4:.1f}">{number_(mark.value)}'
        f'<tspan class="tick" dx="6">{number_(low)} to {number_(high)}</tspan></text></g>'
    )


def _bounds(mark: Mark) -> tuple[float, float]:
    return (mark.interval.low, mark.interval.high) if mark.interval else (-inf, inf)


def _scale(marks: Sequence[Mark], ideal: float | None) -> tuple[float, float]:
    """From the lowest to the highest that is drawn, with some room on both sides."""
    known = [mark for mark in marks if mark.value is not None]
    values = [value for mark in known for value in (mark.value, *_bounds(mark))]
    shown = [value for value in values if value is not None and isfinite(value)]
    shown += [] if ideal is None else [ideal]
    low, high = min(shown, default=0.0), max(shown, default=1.0)
    room = (high - low) * 0.06 or max(abs(high) * 0.05, 0.05)
    return low - room, high + room


def _cut(name: str) -> str:
    return name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"
