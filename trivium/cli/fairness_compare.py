"""`trivium fairness compare`: is B fairer than A on the same rows, figure by figure?"""

from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console
from trivium.cli.eval_compare import chosen
from trivium.cli.fairness_show import show_comparison
from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.evals.fairness.base import Benchmark
    from trivium.evals.store import Run, Runs


def compare(
    a: Annotated[str, typer.Argument(help="A run, or a suite's name for its newest run.")],
    b: Annotated[
        str | None,
        typer.Argument(help="Another; without it, A's models and prompts among themselves."),
    ] = None,
    cell_a: Annotated[
        str | None, typer.Option("--cell-a", help="A's model and prompt, by a part of their names.")
    ] = None,
    cell_b: Annotated[str | None, typer.Option("--cell-b", help="B's model and prompt.")] = None,
    group: Annotated[
        str | None, typer.Option("--group", help="Compare group metrics: the column with groups.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option("--positive", help="The answer that counts as selected.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Compare two runs, models or prompts on the same rows: does it help, and how surely?"""
    from trivium.evals.fairness.card import comparison_json
    from trivium.evals.fairness.compare import compare as compare_cells
    from trivium.evals.fairness.measure import by_cell

    with opened() as runs:
        first = runs.get(a)
        second = first if b is None else runs.get(b)
        measures = benchmarks_of(first, group, positive)[-1]
        if benchmarks_of(second, group, positive)[-1].ABOUT.name != measures.ABOUT.name:
            raise UsageError(f"{first.id} and {second.id} are of different benchmarks")
        records = by_cell(runs, first.id)
        others = records if b is None else by_cell(runs, second.id)
        pairs = chosen(list(records), None if b is None else list(others), cell_a, cell_b)
        found = [compare_cells(measures, records[one], others[other]) for one, other in pairs]
    if as_json:
        console.emit_json({"comparisons": [comparison_json(one) for one in found]})
        return
    for one in found:
        show_comparison(one)


def opened() -> "Runs":
    """The store of runs; looking must not create it."""
    from trivium.evals.store import Runs, default_file

    if not default_file().exists():
        raise UsageError("there are no runs yet; begin one with: trivium fairness run NAME")
    return Runs()


def benchmarks_of(run: "Run", group: str | None, positive: str | None) -> "list[Benchmark]":
    """What a run is measured by: its suite's benchmark, and group metrics where they are asked for.

    Raises:
        UsageError: when there is neither.
    """
    from trivium.evals.fairness.benchmarks import BENCHMARKS, benchmark
    from trivium.evals.fairness.groups import GroupMetrics

    if (group is None) != (positive is None):
        raise UsageError("--group COLUMN and --positive LABEL need each other")
    found: list[Benchmark] = [benchmark(run.suite)] if run.suite in BENCHMARKS else []
    if group is not None and positive is not None:
        found.append(GroupMetrics(group, positive))
    if not found:
        raise UsageError(
            f"{run.suite} is no benchmark of fairness; for group metrics of any run say "
            "--group COLUMN --positive LABEL"
        )
    return found
