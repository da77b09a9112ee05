"""A curve as SVG that needs nothing else: points with whiskers, laws with bands, log x."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite, log, log10

import numpy as np
from markupsafe import Markup, escape

from trivium.evals.curve import LOSSES, Curve, Guess, to_x
from trivium.evals.intervals import Floats, Interval
from trivium.evals.report.curve_words import size_label
from trivium.evals.report.plots import number_, ticks

WIDTH, HEIGHT = 760, 430
LEFT, RIGHT, TOP, BOTTOM = 58, 22, 18, 52
STEPS = 160
"""Points of a drawn curve."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is shown: x from `first` to `last`, y from `low` to `high`, in data units."""

    first: float
    last: float
    low: float
    high: float

    def x(self, value: float) -> float:
        share = log(value / self.first) / log(self.last / self.first)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def curve_plot(curve: Curve, guesses: Sequence[Guess] = ()) -> Markup:
    """The points of `curve`, its laws, and what they say at the sizes of `guesses`."""
    sizes = [to_x(curve.over, guess.size) for guess in guesses]
    inside = [point.x for point in curve.points]
    every = [*inside, *sizes]
    grid = np.geomspace(min(every), max(every), STEPS)
    drawn = [one.at(grid) for one in curve.fits]
    frame = _frame(curve, every, drawn, guesses)
    parts = [*_beyond(frame, inside, sizes), *_axes(frame, curve, sizes)]
    if curve.chance is not None:
        y = frame.y(curve.chance)
        parts.append(
            f'<line class="zero" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{WIDTH - RIGHT - 4}" y="{y - 5:.1f}" text-anchor="end">'
            f"chance {number_(curve.chance)}</text>"
        )
    for number, (one, (middle, low, high)) in enumerate(zip(curve.fits, drawn, strict=True)):
        second = curve.best not in (None, one.law.name)
        parts.append(_law(frame, grid, middle, low, high, f"law{number}", second))
    for number, one in enumerate(curve.fits):
        for guess in guesses:
            if guess.law == one.law.name:
                parts.append(_guess(frame, curve, guess, number))
    parts += [
        _point(frame, point.x, point.label, point.interval, curve.over == "parameters")
        for point in curve.points
    ]
    name = f"{curve.metric} against {_axis_name(curve.over)}"
    return Markup(  # noqa: S704 - numbers and escaped text alone
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}">'
        f"{''.join(parts)}</svg>"
    )


def _frame(
    curve: Curve,
    every: Sequence[float],
    drawn: Sequence[tuple[Floats, Floats, Floats]],
    guesses: Sequence[Guess],
) -> _Frame:
    """All points and laws; bands too where they cannot run away, as a score's cannot."""
    said = [point.interval for point in curve.points] + [guess.interval for guess in guesses]
    values = [value for one in said for value in (one.low, one.mean, one.high) if isfinite(value)]
    values += [float(value) for lines in drawn for value in (lines[0].min(), lines[0].max())]
    values += [] if curve.chance is None else [curve.chance]
    share = curve.metric not in LOSSES and min(values) >= 0 and max(values) <= 1
    if share:
        values += [float(value) for _, low, high in drawn for value in (low.min(), high.max())]
    low, high = min(values), max(values)
    gap = max(high - low, 0.02) * 0.08
    low, high = low - gap, high + gap
    if share:
        low, high = max(0.0, low), min(1.0, high)
    margin = (max(every) / min(every)) ** 0.06
    return _Frame(min(every) / margin, max(every) * margin, low, high)


def _beyond(frame: _Frame, inside: Sequence[float], sizes: Sequence[float]) -> list[str]:
    """A shade over what was not measured, where something is said of it."""
    spans = []
    if any(size > max(inside) for size in sizes):
        spans.append((frame.x(max(inside)), float(WIDTH - RIGHT)))
    if any(size < min(inside) for size in sizes):
        spans.append((float(LEFT), frame.x(min(inside))))
    return [
        f'<rect class="beyond" x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/><text class="tick" x="{(left + right) / 2:.1f}" '
        f'y="{TOP + 14}" text-anchor="middle">not measured</text>'
        for left, right in spans
    ]


def _axes(frame: _Frame, curve: Curve, sizes: Sequence[float]) -> list[str]:
    base = HEIGHT - BOTTOM
    parts = []
    for value in ticks(frame.low, frame.high, 8):
        y = frame.y(value)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{value:.6g}</text>"
        )
    for at, text in _x_ticks(frame, curve, sizes):
        x = frame.x(at)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{base}" y2="{base + 5}"/>'
            f'<text class="tick" x="{x:.1f}" y="{base + 19}" text-anchor="middle">{text}</text>'
        )
    parts.append(
        f'<line class="edge" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>'
        f'<text class="tick" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" '
        f'text-anchor="middle">{_axis_name(curve.over)}</text>'
    )
    return parts


def _axis_name(over: str) -> str:
    return "solved examples k (log of k + 1)" if over == "shots" else "parameters (log)"


def _x_ticks(frame: _Frame, curve: Curve, sizes: Sequence[float]) -> list[tuple[float, str]]:
    """Every k that is shown; for parameters 1, 2, 5 of each power of ten, or the tens alone."""
    if curve.over == "shots":
        every = sorted({*(point.x for point in curve.points), *sizes})
        return [(at, f"{at - 1:g}") for at in every]
    wide = log10(frame.last / frame.first) > 3
    found = [
        factor * 10.0**power
        for power in range(floor(log10(frame.first)), floor(log10(frame.last)) + 1)
        for factor in ((1,) if wide else (1, 2, 5))
    ]
    return [(at, size_label("parameters", at)) for at in found if frame.first <= at <= frame.last]


def _law(
    frame: _Frame,
    grid: Floats,
    middle: Floats,
    low: Floats,
    high: Floats,
    name: str,
    second: bool,
) -> str:
    """The curve and its band; the law that AICc does not prefer is dashed and has none."""
    line = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in zip(grid, middle, strict=True))
    if second:
        return f'<polyline class="{name} law second" points="{line}"/>'
    there = zip([*grid, *grid[::-1]], [*low, *high[::-1]], strict=True)
    band = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in there)
    return (
        f'<polygon class="{name} band" points="{band}"/>'
        f'<polyline class="{name} law" points="{line}"/>'
    )


def _whisker(frame: _Frame, x: float, said: Interval) -> str:
    top, bottom = frame.y(min(said.high, frame.high)), frame.y(max(said.low, frame.low))
    return (
        f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'
        f'<line class="cap" x1="{x - 4:.1f}" x2="{x + 4:.1f}" y1="{top:.1f}" y2="{top:.1f}"/>'
        f'<line class="cap" x1="{x - 4:.1f}" x2="{x + 4:.1f}" y1="{bottom:.1f}" '
        f'y2="{bottom:.1f}"/>'
    )


def _tip(label: str, said: Interval) -> str:
    return str(escape(f"{label}: {number_(said.mean)} [{number_(said.low)}, {number_(said.high)}]"))


def _point(frame: _Frame, at: float, label: str, said: Interval, named: bool) -> str:
    x, y = frame.x(at), frame.y(said.mean)
    cut = label if len(label) <= 18 else label[:17] + "…"
    anchor = "start" if x < LEFT + 60 else "end" if x > WIDTH - RIGHT - 60 else "middle"
    top = frame.y(min(said.high, frame.high)) - 7
    name = (
        f'<text class="tick" x="{x:.1f}" y="{max(top, TOP + 8):.1f}" text-anchor="{anchor}">'
        f"{escape(cut)}</text>"
        if named
        else ""
    )
    return (
        f'<g class="point"><title>{_tip(label, said)}</title>{_whisker(frame, x, said)}'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5"/>{name}</g>'
    )


def _guess(frame: _Frame, curve: Curve, guess: Guess, number: int) -> str:
    """A diamond; two laws stand beside each other."""
    x = frame.x(to_x(curve.over, guess.size)) + (5 if number else -5) * (len(curve.fits) > 1)
    y = frame.y(guess.interval.mean)
    label = f"{guess.law} at {size_label(curve.over, guess.size)}"
    return (
        f'<g class="law{number} guess"><title>{_tip(label, guess.interval)}</title>'
        f"{_whisker(frame, x, guess.interval)}"
        f'<path d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z"/></g>'
    )
