"""`trivium fairness report`: what was measured, on what, and what it says, for a committee."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console
from trivium.cli.fairness_compare import benchmarks_of, opened
from trivium.cli.fairness_run import judged, pinned
from trivium.cli.fairness_show import require, show, show_comparison
from trivium.cli.options import MaxBias, MaxGap
from trivium.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium.evals.base import Record
    from trivium.evals.fairness.base import Benchmark
    from trivium.evals.fairness.compare import Comparison
    from trivium.evals.fairness.measure import RunMeasures
    from trivium.evals.gates import Verdict
    from trivium.evals.store import Runs


def report(
    names: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Runs, or suites' names for their newest.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The HTML file; a table without it.")
    ] = None,
    card: Annotated[
        Path | None, typer.Option("--card", help="A model card's section as .md or .json, too.")
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", help="Group metrics by this column of any run.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option("--positive", help="The answer that counts as selected.")
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option("--gates", help="A suite whose fairness gates are judged; exit 6 if lost."),
    ] = None,
    max_gap: MaxGap = None,
    max_bias: MaxBias = None,
) -> None:
    """Write one page for a committee: figures in plain words, intervals, worst rows, limits.

    Models and prompts of one benchmark are compared with the first of them, row by row. With
    `--group`, `--max-gap` and `--max-bias` judge the group metrics; exit 6 when one is too large.
    """
    from trivium.evals.fairness.gates import parse_gates
    from trivium.evals.fairness.report.page import page
    from trivium.evals.suite import load_suite
    from trivium.paths import atomic_write

    if card is not None and card.suffix.lower() not in (".md", ".json"):
        raise UsageError(f"{card} is neither .md nor .json")
    with opened() as runs:
        gates = pinned(runs, parse_gates(load_suite(suite).fairness) if suite else [])
        bounds = {"max_gap": max_gap, "max_bias": max_bias}
        own = parse_gates([{key: one} for key, one in bounds.items() if one is not None])
        made = _Made(runs)
        for name in dict.fromkeys(runs.get(name).id for name in names):
            for benchmark in benchmarks_of(runs.get(name), group, positive):
                measured = made.add(name, benchmark)
                if benchmark.ABOUT.name == "groups":
                    made.verdicts += judged(runs, measured, benchmark, own)
                else:
                    more = own if group is None else []
                    made.verdicts += judged(runs, measured, benchmark, [*gates, *more])
        made.compare()
    if card is not None:
        with atomic_write(card) as file:
            file.write(_card(card, made.measured).encode("utf-8", "replace"))
        console.note(f"{console.short(str(card))} holds the section of a model card")
    if output is not None:
        with atomic_write(output) as file:
            text = page(made.measured, made.comparisons, made.verdicts, made.notes)
            file.write(text.encode("utf-8", "replace"))
        shown = ", ".join(dict.fromkeys(one.run.id for one in made.measured))
        console.note(f"{console.short(str(output))} holds {shown}")
    if output is None and card is None:
        for one in made.measured:
            show(one)
        for _, found in made.comparisons:
            show_comparison(found)
    for note in made.notes:
        console.note(note)
    require(made.verdicts)


class _Made:
    """What goes into a report: measures, comparisons with the first of a benchmark, verdicts."""

    def __init__(self, runs: "Runs") -> None:
        self._runs = runs
        self._sides: dict[str, tuple[Benchmark, list[Sequence[Record]]]] = {}
        self.measured: list[RunMeasures] = []
        self.comparisons: list[tuple[str, Comparison]] = []
        self.verdicts: list[Verdict] = []
        self.notes: list[str] = []

    def add(self, name: str, benchmark: "Benchmark") -> "RunMeasures":
        from trivium.evals.fairness.measure import by_cell, measure

        measured = measure(self._runs, self._runs.get(name), benchmark)
        self.measured.append(measured)
        sides = self._sides.setdefault(benchmark.ABOUT.name, (benchmark, []))[1]
        sides += by_cell(self._runs, name).values()
        return measured

    def compare(self) -> None:
        from trivium.evals.columns import label
        from trivium.evals.fairness.compare import compare

        for benchmark, (first, *others) in self._sides.values():
            for other in others:
                try:
                    found = compare(benchmark, first, other)
                except UsageError as error:
                    names = f"{label(first[0].cell)} and {label(other[0].cell)}"
                    self.notes.append(f"{benchmark.ABOUT.title}: {names} not compared: {error}")
                else:
                    self.comparisons.append((benchmark.ABOUT.title, found))


def _card(file: Path, measured: "list[RunMeasures]") -> str:
    from trivium.evals.fairness.card import card_json, card_markdown

    if file.suffix.lower() == ".md":
        return card_markdown(measured)
    return json.dumps(card_json(measured), ensure_ascii=False, indent=2) + "\n"
