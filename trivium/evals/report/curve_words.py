"""What a curve shows, in sentences and as plain data, with what it does not show."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from trivium.evals.curve import LOSSES, SMOOTH, Curve, Guess
from trivium.evals.curve_fit import Fit
from trivium.evals.intervals import Interval
from trivium.evals.report.plots import number_
from trivium.evals.report.table import interval_json

RARE = 0.05
HALF = 0.5
CAUTION = (
    "Accuracy counts an answer only once it is the likeliest, so it can jump where the model's "
    "probabilities change smoothly (Schaeffer et al. 2023); look at a score without a threshold "
    "before calling a jump emergence."
)
SCOPE = (
    "Intervals are of the rows alone: other models of such sizes, other examples or another law "
    "would add to them."
)


def sentences(curve: Curve) -> list[str]:
    """What is to be said of a curve: the better law, jumps, and limits."""
    said = list(curve.unfitted)
    said += [_choice(curve)] if len(curve.fits) > 1 else []
    for one in curve.fits:
        said += _shape(one)
    shown = [one for one in curve.fits if curve.best in (None, one.law.name)]
    said += [_jump(curve, one) for one in shown if one.jump is not None]
    if curve.metric not in LOSSES and _jumps(curve):
        said.append(CAUTION)
    if curve.left_out:
        said.append(
            f"{curve.left_out:,} rows are in no point, as they have no {curve.metric} somewhere."
        )
    return said


def _choice(curve: Curve) -> str:
    if curve.best is None:
        most = max(len(one.law.names) for one in curve.fits) + 3
        return (
            f"{len(curve.points)} points are too few to choose between the laws "
            f"(AICc needs {most}); both are shown."
        )
    marks = sorted((one.aicc, one.law.name) for one in curve.fits if one.aicc is not None)
    gap = marks[1][0] - marks[0][0]
    clear = "" if gap >= 2 else ", which is no clear difference"
    return f"AICc prefers the {curve.best}, by {gap:.1f}{clear}."


def _shape(one: Fit) -> list[str]:
    """What speaks against a law by itself."""
    said = []
    if one.jump is None:
        said.append(
            f"The {one.law.name} has as many parameters as there are points, so that it passes "
            "through nearly anything: that it fits shows nothing."
        )
    edge = [
        name
        for name, value, low, high in zip(
            one.law.names, one.parameters, one.law.low, one.law.high, strict=True
        )
        if value in (low, high) and not (name == "a" and value == 0)  # an end of 0 is a good one
    ]
    if one.explained < HALF:
        said.append(
            f"The {one.law.name} follows {max(one.explained, 0):.0%} of how the points differ: "
            "the rest is noise or another shape."
        )
    if edge:
        said.append(
            f"In the {one.law.name} {' and '.join(edge)} came to the end of what is allowed: these "
            "points do not have its shape, and its parameters mean little."
        )
    return said


def _jump(curve: Curve, one: Fit) -> str:
    jump = one.jump
    assert jump is not None
    before, after = curve.points[jump.at], curve.points[jump.at + 1]
    seen = (
        f"The step from {before.label} to {after.label} departs from the {one.law.name} the most: "
        f"{jump.seen:+.3g} where the law says {jump.expected:+.3g} (p = {jump.p:.2g}, from the "
        "largest of all steps)."
    )
    if jump.p < RARE:
        return f"{seen} The smooth law does not explain it."
    return f"{seen} The noise of the rows can be all of it; no jump is shown."


def together(curves: Sequence[Curve]) -> list[str]:
    """Whether a jump of a score is one of the smooth score too, on the same rows."""
    said = []
    for sharp in curves:
        for smooth in curves:
            same = (sharp.model, sharp.prompt) == (smooth.model, smooth.prompt)
            if not same or smooth.metric != SMOOTH or sharp.metric in LOSSES:
                continue
            if _jumps(sharp) and _jumps(smooth) is False:
                said.append(
                    f"{sharp.metric} jumps and {SMOOTH} does not: the jump may come from the "
                    "threshold of the metric, and is by itself no sign of emergence."
                )
            elif _jumps(sharp) and _jumps(smooth):
                said.append(
                    f"{sharp.metric} and {SMOOTH} both leave their smooth laws: these points do "
                    "not lie on one such curve, for whatever reason."
                )
    return said


def _jumps(curve: Curve) -> bool | None:
    """Whether no law that is shown explains the largest step; None where that is not known."""
    tested = [
        one.jump.p < RARE
        for one in curve.fits
        if one.jump is not None and curve.best in (None, one.law.name)
    ]
    return all(tested) if tested else None


def scale(curve: Curve) -> str:
    """What x and x0 of the laws are."""
    first = (
        size_label("parameters", curve.points[0].x)
        if curve.over == "parameters"
        else (f"{curve.points[0].x:g}")
    )
    return f"x = {'parameters' if curve.over == 'parameters' else 'k + 1'}, x0 = {first}"


def warning(guess: Guess, curve: Curve) -> str:
    """The plain warning of an extrapolation."""
    low, high = curve.points[0].label, curve.points[-1].label
    return (
        f"{size_label(curve.over, guess.size)} lies beyond what was measured ({low} to {high}): "
        "the figure is right only if the law still holds there, which nothing here shows."
    )


def beside(metric: str) -> str:
    """What a metric is, where its name does not say."""
    if metric == SMOOTH:
        return "cross-entropy of the right choice among those offered, in nats; less is better"
    return ""


def size_label(over: str, size: float) -> str:
    """A size for a person: "4 shots", "135M"."""
    if over == "shots":
        return f"{size:g} shot{'' if size == 1 else 's'}"
    for unit, name in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if size >= unit:
            return f"{size / unit:.3g}{name}"
    return f"{size:g}"


def parameter_rows(one: Fit) -> list[tuple[str, str, str]]:
    """Name, value and interval of each parameter."""
    return [
        (name, number_(said.mean), f"{number_(said.low)} to {number_(said.high)}")
        for name, said in zip(one.law.names, one.intervals, strict=True)
    ]


def curve_json(curve: Curve, guesses: list[Guess]) -> dict[str, Any]:
    """Everything of a curve as plain data."""
    return {
        "model": curve.model or None,
        "prompt": curve.prompt,
        "metric": curve.metric,
        "over": curve.over,
        "rows": curve.rows,
        "left_out": curve.left_out,
        "chance": curve.chance,
        "points": [
            {"size": one.size, "label": one.label, "run": one.run, **interval_json(one.interval)}
            for one in curve.points
        ],
        "laws": [_fit_json(one) for one in curve.fits],
        "best": curve.best,
        "guesses": [
            {"law": one.law, "size": one.size, "extrapolated": one.beyond}
            | interval_json(one.interval)
            for one in guesses
        ],
        "remarks": sentences(curve),
    }


def _fit_json(one: Fit) -> dict[str, Any]:
    jump = one.jump
    return {
        "law": one.law.name,
        "formula": one.law.formula,
        "parameters": {
            name: _bounds(said) for name, said in zip(one.law.names, one.intervals, strict=True)
        },
        "residual": one.residual,
        "aicc": one.aicc,
        "jump": None
        if jump is None
        else {
            "after_point": jump.at,
            "seen": jump.seen,
            "expected": jump.expected,
            "p": jump.p,
        },
    }


def _bounds(said: Interval) -> dict[str, float | None]:
    return {
        "value": said.mean,
        "low": said.low if isfinite(said.low) else None,
        "high": said.high if isfinite(said.high) else None,
    }
