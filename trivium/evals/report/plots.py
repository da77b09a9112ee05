"""Plots as SVG that needs nothing else: colours come from the page's style, text is escaped."""

from collections.abc import Sequence
from math import floor, isfinite, log10

import numpy as np
from markupsafe import Markup, escape

from trivium.evals.intervals import Floats, Interval

WIDTH = 760
LABEL = 300
"""Pixels for the names on the left."""
ROW = 26
LETTERS = 42
"""Names longer than this are cut; the whole name is in the tooltip."""


def intervals(title: str, rows: Sequence[tuple[str, Interval]], zero: bool = False) -> Markup:
    """A dot with whiskers for each row; `zero` draws the line of no effect."""
    bounds = [
        value for _, one in rows for value in (one.low, one.mean, one.high) if isfinite(value)
    ] + ([0.0] if zero else [])
    low, high = _padded(min(bounds), max(bounds))
    height = ROW * len(rows) + 34
    parts = [_axis(low, high, height)]
    if zero:
        at = _x(0, low, high)
        parts.append(f'<line class="zero" x1="{at:.1f}" x2="{at:.1f}" y1="6" y2="{height - 28}"/>')
    for number, (name, one) in enumerate(rows):
        y = ROW * number + 20
        left, right = (_x(min(max(value, low), high), low, high) for value in (one.low, one.high))
        clear = zero and (one.low > 0 or one.high < 0)
        kind = ("gain" if one.mean > 0 else "loss") if clear else "plain"
        tip = f"{name}: {number_(one.mean)} [{number_(one.low)}, {number_(one.high)}], n {one.n}"
        parts.append(
            f'<g class="{kind}"><title>{escape(tip)}</title>'
            f'<text x="{LABEL - 12}" y="{y + 4}" text-anchor="end">{escape(_cut(name))}</text>'
            f'<line class="whisker" x1="{left:.1f}" x2="{right:.1f}" y1="{y}" y2="{y}"/>'
            f'<line class="cap" x1="{left:.1f}" x2="{left:.1f}" y1="{y - 4}" y2="{y + 4}"/>'
            f'<line class="cap" x1="{right:.1f}" x2="{right:.1f}" y1="{y - 4}" y2="{y + 4}"/>'
            f'<circle cx="{_x(one.mean, low, high):.1f}" cy="{y}" r="4.5"/></g>'
        )
    return _svg(title, height, parts)


def histogram(title: str, rows: Sequence[tuple[str, Floats]], bins: int = 30) -> Markup:
    """How the values of each row are spread, on one scale."""
    every = np.concatenate([values for _, values in rows])
    low, high = _padded(float(every.min()), float(every.max()), 0.0)
    tall = 44
    height = tall * len(rows) + 34
    parts = [_axis(low, high, height)]
    width = (WIDTH - LABEL - 20) / bins
    for number, (name, values) in enumerate(rows):
        counts = np.histogram(values, bins, (low, high))[0]
        base = tall * (number + 1) + 2
        bars = [
            f'<rect x="{LABEL + at * width + 0.5:.1f}" y="{base - tall * 0.8 * share:.1f}" '
            f'width="{width - 1:.1f}" height="{tall * 0.8 * share:.1f}"/>'
            for at, share in enumerate(counts / max(1, counts.max()))
            if share
        ]
        parts.append(
            f'<g class="bars"><title>{escape(name)}: {values.size:,} values</title>'
            f'<text x="{LABEL - 12}" y="{base - 12}" text-anchor="end">{escape(_cut(name))}</text>'
            f"{''.join(bars)}</g>"
        )
    return _svg(title, height, parts)


def number_(value: float) -> str:
    """Four digits that matter; a dash for what is unbounded."""
    return f"{value:.4g}" if isfinite(value) else "–"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers between `low` and `high`, about `count` of them."""
    raw = (high - low) / count
    power = 10.0 ** floor(log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = int(np.ceil(low / step - 1e-9))
    last = int(np.floor(high / step + 1e-9))
    return [number * step for number in range(first, last + 1)]


def _axis(low: float, high: float, height: int) -> str:
    lines = []
    for value in ticks(low, high):
        at = _x(value, low, high)
        lines.append(
            f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="6" y2="{height - 28}"/>'
            f'<text class="tick" x="{at:.1f}" y="{height - 10}" text-anchor="middle">'
            f"{value:.6g}</text>"
        )
    return "".join(lines)


def _padded(low: float, high: float, share: float = 0.06) -> tuple[float, float]:
    gap = (high - low) * share
    if high - low < 1e-12 * max(1.0, abs(high)):
        gap = max(abs(high) * 0.05, 0.05)
    return low - gap, high + gap


def _x(value: float, low: float, high: float) -> float:
    return LABEL + (value - low) / (high - low) * (WIDTH - LABEL - 20)


def _cut(name: str) -> str:
    return name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"


def _svg(title: str, height: int, parts: Sequence[str]) -> Markup:
    """`parts` are put together from numbers and escaped text alone."""
    return Markup(  # noqa: S704 - see above
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )
