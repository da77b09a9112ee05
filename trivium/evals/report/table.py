"""A run or a comparison as JSON, CSV and Markdown.

JSON has no infinity: a bound that the data do not give is null. In CSV it is an empty field.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from trivium.evals.base import Cell
from trivium.evals.compare import Comparison, left_out
from trivium.evals.gates import Verdict
from trivium.evals.intervals import Interval
from trivium.evals.report import terminal
from trivium.evals.summary import CellScores


def run_json(table: Sequence[CellScores]) -> list[dict[str, Any]]:
    """Each cell with its counts and means."""
    return [
        {
            **asdict(cell.cell),
            "records": cell.records,
            "failed": cell.failed,
            "truncated": cell.truncated,
            "prompt_tokens": cell.prompt_tokens,
            "completion_tokens": cell.completion_tokens,
            "seconds": cell.seconds,
            "metrics": {
                one.metric: {"missing": one.missing}
                | (interval_json(one.interval) if one.interval else {"mean": None, "n": 0})
                for one in cell.scores
            },
            "corpus": {name: _finite(value) for name, value in cell.corpus.items()},
        }
        for cell in table
    ]


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Effects, how the records were paired, and the cells without a counterpart."""
    return {
        "effects": [
            {
                "metric": one.metric,
                "a": asdict(one.a),
                "b": asdict(one.b),
                "mean_a": one.mean_a,
                "mean_b": one.mean_b,
                "difference": interval_json(one.interval),
                "gains": one.gains,
                "losses": one.losses,
                "ties": one.ties,
                "p": one.p,
                "p_holm": one.p_holm,
                "detectable": one.detectable,
                "needed": one.needed,
            }
            for one in comparison.effects
        ],
        "pairings": [asdict(one) for one in comparison.pairings],
        "alone": [asdict(cell) for cell in comparison.alone],
    }


def verdicts_json(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    return [
        {
            "gate": str(one.gate),
            **asdict(one.cell),
            "passed": one.passed,
            "interval": interval_json(one.interval) if one.interval else None,
            "reason": one.reason,
        }
        for one in verdicts
    ]


def interval_json(found: Interval) -> dict[str, Any]:
    return {
        "mean": found.mean,
        "low": _finite(found.low),
        "high": _finite(found.high),
        "n": found.n,
        "method": found.method,
    }


def run_csv(table: Sequence[CellScores]) -> str:
    """A line for each cell and metric."""
    rows: list[list[object]] = [
        [
            *_names(cell.cell),
            one.metric,
            *(_bounds(one.interval) if one.interval else ("", "", "", 0, "")),
            one.missing,
            cell.records,
            cell.failed,
        ]
        for cell in table
        for one in cell.scores
    ]
    rows += [
        [*_names(cell.cell), name, value, "", "", "", "corpus", "", cell.records, cell.failed]
        for cell in table
        for name, value in cell.corpus.items()
    ]
    header = "model prompt metric mean low high n method missing records failed"
    return _csv(header.split(), rows)


def comparison_csv(comparison: Comparison) -> str:
    """A line for each effect."""
    header = "metric model_a prompt_a model_b prompt_b mean_a mean_b difference low high n method "
    header += "gains losses ties p p_holm detectable needed"
    rows: list[list[object]] = [
        [
            one.metric,
            *_names(one.a),
            *_names(one.b),
            one.mean_a,
            one.mean_b,
            *_bounds(one.interval),
            one.gains,
            one.losses,
            one.ties,
            one.p,
            one.p_holm,
            one.detectable,
            one.needed,
        ]
        for one in comparison.effects
    ]
    return _csv(header.split(), rows)


def run_markdown(title: str, table: tuple[CellScores, ...]) -> str:
    return f"# {escaped(title)}\n\n{_markdown(terminal.means(table))}"


def comparison_markdown(title: str, comparison: Comparison) -> str:
    text = f"# {escaped(title)}\n\n{_markdown(terminal.effects(comparison))}"
    for one in comparison.pairings:
        if one.left_out:
            text += f"\nLeft out of {one.pairs + one.left_out:,} records: {left_out(one)}.\n"
    return text


def verdicts_markdown(verdicts: Sequence[Verdict]) -> str:
    return f"\n{_markdown(terminal.gates(verdicts))}" if verdicts else ""


def _names(cell: Cell) -> tuple[str, str]:
    """Names as a spreadsheet shows them: one that begins like a formula must not become one."""
    model, prompt = (
        f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name
        for name in (cell.model, cell.prompt)
    )
    return model, prompt


def _bounds(found: Interval) -> tuple[object, ...]:
    low, high = (value if isfinite(value) else "" for value in (found.low, found.high))
    return found.mean, low, high, found.n, found.method


def _csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _markdown(lines: terminal.Lines) -> str:
    rows = [lines.header, tuple("---" for _ in lines.header), *lines.rows]
    return "".join(
        "| " + " | ".join(cell if cell == "---" else escaped(cell) for cell in row) + " |\n"
        for row in rows
    )


def escaped(text: str) -> str:
    """Text that stays within its cell and is no markup, nor HTML where Markdown lets it pass."""
    flat = " ".join(text.split())
    for sign in ("\\", "|", "`", "*", "_", "[", "]"):
        flat = flat.replace(sign, f"\\{sign}")
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
