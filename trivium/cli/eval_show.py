"""What `trivium eval` prints of a run: each mean with its interval, and the gates."""

from collections.abc import Iterator, Mapping
from math import isinf
from typing import TYPE_CHECKING

from trivium.cli import console

if TYPE_CHECKING:
    from trivium.evals.base import Cell
    from trivium.evals.gates import Gate
    from trivium.evals.store import Runs, Summary
    from trivium.evals.summary import CellScores, Score


def judge_gates(runs: "Runs", made: str, gates: "list[Gate]", baseline: str | None) -> None:
    """Say what became of each gate.

    Raises:
        GateFailed: when one does not hold.
    """
    from trivium.evals.columns import label, of_run
    from trivium.evals.gates import judge, require
    from trivium.evals.summary import summarise

    if not gates:
        return
    columns = of_run(runs, made)
    before = None if baseline is None else of_run(runs, baseline)
    verdicts = judge(gates, summarise(columns, _corpus(runs.summary(made))), columns, before)
    for one in verdicts:
        mark = "holds" if one.passed else "FAILS"
        console.note(f"gate {mark}: {label(one.cell)}: {one.reason}")
    require(verdicts)


def show_run(runs: "Runs", name: str, as_json: bool) -> "Summary":
    """What came out, each mean with its interval; the counts on stderr."""
    from trivium.evals.columns import of_run
    from trivium.evals.summary import summarise

    summary = runs.summary(name)
    run = summary.run
    table = summarise(of_run(runs, run.id), _corpus(summary))
    if as_json:
        plain = summary.to_dict()
        for one, scores in zip(plain["cells"], table, strict=True):
            del one["means"]  # the metrics have them, with intervals
            one["metrics"] = [_metric(score) for score in scores.scores]
        console.emit_json(plain)
    else:
        header = ("model", "prompt", "metric", "value", "95% interval", "rows")
        console.table(header, [row for cell in table for row in _rows(cell)])
    state = "" if run.complete else "; paused"
    console.note(f"run {run.id}: {run.done:,} of {run.total:,} rows{state}")
    if run.failed:
        console.note(
            f"{run.failed:,} rows failed and are in no mean; "
            f"see: trivium eval show {run.id} --failed"
        )
    cut = sum(cell.truncated for cell in summary.cells)
    if cut:
        console.note(f"{cut:,} answers were cut at max_tokens")
    return summary


def _corpus(summary: "Summary") -> "dict[Cell, Mapping[str, float]]":
    return {one.cell: one.corpus for one in summary.cells}


def _metric(score: "Score") -> dict[str, object]:
    """A metric as JSON, which has no form for an infinite bound."""
    said = score.interval
    bounds = (None, None) if said is None else (said.low, said.high)
    low, high = (None if one is None or isinf(one) else one for one in bounds)
    return {
        "metric": score.metric,
        "mean": None if said is None else said.mean,
        "low": low,
        "high": high,
        "n": 0 if said is None else said.n,
        "method": None if said is None else said.method,
        "missing": score.missing,
    }


def _rows(cell: "CellScores") -> Iterator[tuple[str, ...]]:
    """Lines of the table. What a corpus metric says of one class is in the JSON alone."""
    names = (cell.cell.model, cell.cell.prompt)
    for score in cell.scores:
        said = score.interval
        if said is None:
            yield (*names, score.metric, "none", "", "0")
        else:
            bounds = f"{said.low:.4g} to {said.high:.4g}"
            yield (*names, score.metric, f"{said.mean:.4g}", bounds, f"{said.n:,}")
    for metric, value in cell.corpus.items():
        if ":" not in metric:
            yield (*names, metric, f"{value:.4g}", "", f"{cell.records - cell.failed:,}")
