"""`trivium eval curve`: score against the number of examples, or against the size of a model."""

import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivium.cli import console
from trivium.cli.eval_run import carry_out_plan, require_results
from trivium.cli.options import Code, Data, Json, Limit
from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.engines.base import Engine
    from trivium.evals.curve import Curve, Guess, Lent, Measured
    from trivium.evals.intervals import Interval
    from trivium.evals.plan import Plan
    from trivium.evals.store import Runs

UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


def curve(
    suite: Annotated[str, typer.Argument(help="A suite's YAML file, or a shipped suite's name.")],
    shots: Annotated[
        str | None, typer.Option("--shots", help="Numbers of examples, such as 0,1,2,4,8.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Models; without --shots they are the family."),
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option("--size", help="NAME=PARAMETERS of a model that does not say, such as x=7B."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="This metric of single rows; may be repeated."),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option("--at", help="Say what the laws make of this size; may be repeated."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The picture, as one HTML file.")
    ] = None,
    data: Data = None,
    limit: Limit = None,
    code: Code = None,
    cached: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Take known runs and answers.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Run a suite at several sizes and fit a law: over k examples, or over a family of models.

    Each point is a run of its own, resumed and shown like any other.
    """
    from trivium.config import load_settings
    from trivium.evals.curve import curves, shot_plans
    from trivium.evals.custom import custom_scorers
    from trivium.evals.plan import make_plan
    from trivium.evals.store import Runs
    from trivium.evals.suite import load_suite

    said = load_suite(suite)
    models = list(dict.fromkeys(model or said.models or [load_settings().model]))
    numbers = None if shots is None else _shots(shots)
    sizes = _sizes(size or [], models if numbers is None else [])
    asked = [_size(one, positive=numbers is None) for one in at or []]
    if numbers is None and len(models) < 2:
        raise UsageError("name --shots for a curve over examples, or several --model for a family")
    custom = custom_scorers(said, code)
    over = "parameters" if numbers is None else "shots"
    found: list[Curve] = []
    with Runs() as runs:
        carry = _Carry(runs, custom, cached)
        if numbers is None:
            plans = [make_plan(said, [name], data=data, limit=limit) for name in models]
            family = [
                carry.sized(name, plan, sizes) for name, plan in zip(models, plans, strict=True)
            ]
            found = curves(runs, family, over, metric or ())
        else:
            every = [shot_plans(said, name, numbers, data=data, limit=limit) for name in models]
            for name, plans in zip(models, every, strict=True):
                found += curves(runs, carry.shots(name, numbers, plans), over, metric or ())
    _show(said.name, found, asked, output, as_json)


class _Carry:
    """Carries plans out, each model loaded once; a finished run of the same engine stands."""

    def __init__(
        self, runs: "Runs", custom: Mapping[str, Callable[..., Any]], cached: bool
    ) -> None:
        self._runs = runs
        self._custom = custom
        self._cached = cached

    def shots(self, name: str, numbers: Sequence[int], plans: "Sequence[Plan]") -> "list[Measured]":
        from trivium.evals.curve import Lent, Measured
        from trivium.evals.report.curve_words import size_label

        with Lent(name, _load) as lent:
            return [
                Measured(k, size_label("shots", k), self._carry(lent, plan))
                for k, plan in zip(numbers, plans, strict=True)
            ]

    def sized(self, name: str, plan: "Plan", sizes: Mapping[str, float]) -> "Measured":
        from trivium.evals.curve import Lent, Measured

        with Lent(name, _load) as lent:
            count = sizes.get(name) or lent.engine.parameters
            if not count:
                raise UsageError(
                    f"{name} does not say how many parameters it has; say --size {name}=7B"
                )
            return Measured(float(count), name, self._carry(lent, plan))

    def _carry(self, lent: "Lent", plan: "Plan") -> str:
        from trivium.evals.curve import finished

        known = finished(self._runs, plan, lent.engine) if self._cached else None
        made = known or carry_out_plan(
            self._runs, plan, custom=self._custom, cached=self._cached, load=lent.load
        )
        run = self._runs.get(made)
        console.detail(f"run {made}: {run.done:,} of {run.total:,} rows")
        require_results(run)
        return made


def _load(name: str) -> "Engine":
    from trivium.config import load_settings
    from trivium.engines.load import load_engine

    return load_engine(name, load_settings(), batch=True)


def _show(
    suite: str,
    found: "Sequence[Curve]",
    asked: Sequence[float],
    output: Path | None,
    as_json: bool,
) -> None:
    """The table or the document on stdout, remarks on stderr, the picture in its file."""
    from trivium.evals.report.curve_page import curve_page
    from trivium.evals.report.curve_words import (
        SCOPE,
        curve_json,
        sentences,
        together,
        warning,
    )
    from trivium.paths import atomic_write

    guessed = [(one, [guess for size in asked for guess in one.guesses(size)]) for one in found]
    if output is not None:
        with atomic_write(output) as file:
            file.write(curve_page(suite, guessed).encode("utf-8", "replace"))
        console.note(f"{console.short(str(output))} holds {len(found)} curves")
    if as_json:
        curves = [curve_json(one, guesses) for one, guesses in guessed]
        console.emit_json({"suite": suite, "curves": curves, "remarks": together(found)})
    else:
        header = ("model", "prompt", "metric", "at", "value", "95% interval", "rows")
        rows = [row for one, guesses in guessed for row in _rows(one, guesses)]
        console.table(header, rows)
    for one, guesses in guessed:
        name = " · ".join(filter(None, (one.model, one.prompt, one.metric)))
        told = sentences(one)
        told += dict.fromkeys(warning(guess, one) for guess in guesses if guess.beyond)
        for sentence in told:
            console.note(f"{name}: {sentence}")
    for sentence in together(found):
        console.note(sentence)
    if any(one.fits for one in found):
        console.note(SCOPE)


def _rows(one: "Curve", guesses: "Sequence[Guess]") -> list[tuple[str, ...]]:
    """Points, then each law's parameters, then what the laws say elsewhere."""
    from trivium.evals.report.curve_words import parameter_rows, size_label

    names = (one.model, one.prompt, one.metric)
    rows: list[tuple[str, ...]] = [
        (*names, point.label, *_said(point.interval)) for point in one.points
    ]
    for fitted in one.fits:
        rows += [
            (*names, f"{fitted.law.name} {name}", value, bounds, f"{one.rows:,}")
            for name, value, bounds in parameter_rows(fitted)
        ]
    rows += [
        (*names, f"{guess.law} at {size_label(one.over, guess.size)}", *_said(guess.interval))
        for guess in guesses
    ]
    return rows


def _said(interval: "Interval") -> tuple[str, str, str]:
    bounds = f"{interval.low:.4g} to {interval.high:.4g}"
    return f"{interval.mean:.4g}", bounds if isfinite(interval.low) else "", f"{interval.n:,}"


def _shots(text: str) -> list[int]:
    """Numbers of examples, in order.

    Raises:
        UsageError: for what are not several different numbers between 0 and 64.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) <= 64 for part in parts):
        raise UsageError(f'--shots "{text}" has to be numbers from 0 to 64, such as 0,1,2,4')
    numbers = sorted({int(part) for part in parts})
    if len(numbers) < 2:
        raise UsageError(f"--shots {text} is one point; a curve needs at least two")
    return numbers


def _sizes(given: Sequence[str], models: Sequence[str]) -> dict[str, float]:
    """`NAME=PARAMETERS` of models that are asked.

    Raises:
        UsageError: for another form, and for a model that is not in the family.
    """
    sizes = {}
    for text in given:
        name, sign, count = text.rpartition("=")
        if not sign:
            raise UsageError(f'--size "{text}" has to be NAME=PARAMETERS, such as {text}=7B')
        if name not in models:
            raise UsageError(f"--size names {name}, which is no model of a family here")
        sizes[name] = _size(count, positive=True)
    return sizes


def _size(text: str, *, positive: bool) -> float:
    """A number with k, M, B or T behind it.

    Raises:
        UsageError: for anything else, and for 0 where it has to be `positive`.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?(?:e\d{1,2})?)([kmbt]?)", text.strip().lower())
    if not found:
        raise UsageError(f'"{text}" is no size; write a number such as 8, 350M or 1.3B')
    size = float(found[1]) * UNITS[found[2]]
    if positive and not size:
        raise UsageError(f'"{text}" is a size of 0 parameters; a curve needs one above 0')
    return size
