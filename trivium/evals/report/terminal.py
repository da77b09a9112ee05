"""Tables of plain strings: a header and rows, for a terminal or a pipe to print."""

from collections.abc import Sequence
from dataclasses import dataclass

from trivium.evals.columns import label
from trivium.evals.compare import Comparison
from trivium.evals.gates import Verdict
from trivium.evals.intervals import Interval
from trivium.evals.report.plots import number_
from trivium.evals.summary import CellScores, metrics


@dataclass(frozen=True, slots=True)
class Lines:
    """A table; `styles` are Rich's, one a row."""

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    styles: list[str]


def means(table: tuple[CellScores, ...]) -> Lines:
    """A line for each model and prompt, a column for each metric."""
    names = metrics(table)
    corpus = list(dict.fromkeys(name for cell in table for name in cell.corpus))
    rows = [
        (
            cell.cell.model,
            cell.cell.prompt,
            f"{cell.records:,}",
            f"{cell.failed:,}",
            *(interval(cell.score(name)) for name in names),
            *(number_(cell.corpus[name]) if name in cell.corpus else "–" for name in corpus),
        )
        for cell in table
    ]
    header = ("model", "prompt", "records", "failed", *names, *corpus)
    return Lines(header, rows, ["yellow" if cell.failed else "" for cell in table])


def effects(comparison: Comparison) -> Lines:
    """A line for each metric of each pair of cells; bold where Holm's p is at most 0.05."""
    moved = any(one.a != one.b for one in comparison.effects)
    rows = [
        (
            one.metric,
            f"{label(one.a)} → {label(one.b)}" if moved else label(one.b),
            number_(one.mean_a),
            number_(one.mean_b),
            f"{one.interval.mean:+.4g}",
            f"{number_(one.interval.low)} to {number_(one.interval.high)}",
            f"{one.interval.n:,}",
            p_value(one.p),
            p_value(one.p_holm),
            number_(one.detectable) if one.detectable is not None else "–",
            f"{one.needed:,}" if one.needed is not None else "–",
        )
        for one in comparison.effects
    ]
    header = ("metric", "model · prompt", "A", "B", "B minus A", "95 %", "n", "p", "p, Holm")
    styles = ["bold" if one.p_holm <= 0.05 else "" for one in comparison.effects]
    return Lines((*header, "detectable", "n needed"), rows, styles)


def gates(verdicts: Sequence[Verdict]) -> Lines:
    rows = [("passed" if one.passed else "failed", label(one.cell), one.reason) for one in verdicts]
    return Lines(
        ("gate", "model · prompt", ""),
        rows,
        ["green" if one.passed else "bold red" for one in verdicts],
    )


def interval(found: Interval | None) -> str:
    if found is None:
        return "–"
    return f"{number_(found.mean)} [{number_(found.low)}, {number_(found.high)}]"


def p_value(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"
