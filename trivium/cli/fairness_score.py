"""`trivium fairness score`: the bias scores of predictions that somebody else made."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console

if TYPE_CHECKING:
    from trivium.evals.fairness.base import Finding

HEADER = (
    "predictions", "group", "accuracy, ambiguous", "accuracy, disambiguated",
    "sAMB", "95% interval", "sDIS", "95% interval", "unmatched",
)  # fmt: skip


def score(
    predictions: Annotated[
        list[Path],
        typer.Option(
            "--predictions", "-p", help="JSON Lines, CSV or Parquet; may be repeated.", exists=True
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="BBQ's items, a file or their folder; else TRIVIUM_DATA/bbq."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help='A column of predictions; else all with "pred" in the name.'),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Score BBQ predictions without a model: accuracy and bias, in percent, by category.

    Rows are the authors' items with a column of answers, or have category, example_id and an
    answer: its text, or its number 0, 1 or 2.
    """
    from trivium.evals.fairness.bbq import findings
    from trivium.evals.fairness.bbq_predictions import read_predictions
    from trivium.evals.fairness.card import finding_json

    found = [
        (one, findings(one.records)) for one in read_predictions(predictions, data, column or ())
    ]
    for one, figures in found:
        total, share = len(one.records), figures_of(figures, "")["unmatched"].value
        if share:
            said = f"{round(share * total):,} of {total:,} predictions"
            console.note(f"{one.column}: {said} are none of the three answers, and in no figure")
        if one.missing:
            console.note(f"{one.column}: {one.missing:,} items of the data have no prediction")
    if as_json:
        console.emit_json(
            [
                {
                    "predictions": one.column,
                    "items": len(one.records),
                    "findings": [finding_json(figure) for figure in figures],
                }
                for one, figures in found
            ]
        )
        return
    console.table(HEADER, [row for one, figures in found for row in rows(one.column, figures)])


def rows(column: str, figures: "Sequence[Finding]") -> list[tuple[str, ...]]:
    """A line a group; that of all items where there is more than one group."""
    groups = list(dict.fromkeys(one.group for one in figures))
    shown = [group for group in groups if group or len(groups) > 2]
    lines: list[tuple[str, ...]] = []
    for group in shown:
        of = figures_of(figures, group)
        lines.append(
            (
                column,
                group or "all",
                percent(of["accuracy_ambiguous"].value),
                percent(of["accuracy_disambiguated"].value),
                percent(of["bias_ambiguous"].value),
                _bounds(of["bias_ambiguous"]),
                percent(of["bias_disambiguated"].value),
                _bounds(of["bias_disambiguated"]),
                percent(of["unmatched"].value),
            )
        )
    return lines


def figures_of(figures: "Sequence[Finding]", group: str) -> "dict[str, Finding]":
    return {one.measure: one for one in figures if one.group == group}


def percent(value: float | None) -> str:
    """A share in percent, to one decimal; "-0.0" is said as "0.0"."""
    return "undefined" if value is None else f"{round(100 * value, 1) + 0.0:.1f}"


def _bounds(figure: "Finding") -> str:
    if figure.interval is None:
        return ""
    return f"{percent(figure.interval.low)} to {percent(figure.interval.high)}"
