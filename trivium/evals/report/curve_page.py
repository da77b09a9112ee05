"""Curves as one HTML file that runs no script and loads nothing."""

from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from trivium.evals.curve import Curve, Guess
from trivium.evals.report.curve_plot import curve_plot
from trivium.evals.report.curve_words import (
    SCOPE,
    beside,
    parameter_rows,
    scale,
    sentences,
    size_label,
    together,
    warning,
)
from trivium.evals.report.plots import number_


def curve_page(suite: str, curves: Sequence[tuple[Curve, Sequence[Guess]]]) -> str:
    """The page of at least one curve, each with what its laws say at further sizes."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": number_,
        "size": lambda size: size_label("parameters", size),
        "shown": lambda size, over: size_label(over, size),
        "parameters": parameter_rows,
        "scale": scale,
    }
    shown = [
        {
            "curve": curve,
            "guesses": guesses,
            "plot": curve_plot(curve, guesses),
            "said": sentences(curve),
            "beside": beside(curve.metric),
            "warnings": dict.fromkeys(warning(one, curve) for one in guesses if one.beyond),
        }
        for curve, guesses in curves
    ]
    return environment.from_string(_read("curve.html")).render(
        suite=suite,
        curves=shown,
        scope=SCOPE,
        together=together([curve for curve, _ in curves]),
        style=Markup(_read("page.css") + _read("curve.css")),  # noqa: S704 - files of this package
    )


def _read(name: str) -> str:
    return files("trivium.evals.report").joinpath(name).read_text(encoding="utf-8")
