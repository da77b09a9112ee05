"""`trivium eval report`: a run, or two and their comparison, as a file."""

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from trivium.cli import console
from trivium.cli.eval_compare import chosen
from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.evals.columns import Columns
    from trivium.evals.compare import Comparison
    from trivium.evals.gates import Verdict
    from trivium.evals.report.page import Shown
    from trivium.evals.store import Runs
    from trivium.evals.summary import CellScores

Form = Literal["terminal", "html", "json", "csv", "md", "junit"]
ENDINGS: dict[str, Form] = {
    ".html": "html",
    ".json": "json",
    ".csv": "csv",
    ".md": "md",
    ".xml": "junit",
}


def report(
    run: Annotated[str, typer.Argument(help="A run, or a suite's name for its newest run.")],
    other: Annotated[
        str | None, typer.Argument(help="A second run, which is compared with the first.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", "-f", help="terminal, html, json, csv, md, junit; by -o's ending."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file in place of standard output.")
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--gates", help="A suite whose gates are judged; exit 6 if lost.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", help="The run that gates hold this one against.")
    ] = None,
) -> None:
    """Write a run's means with their intervals; as HTML, with every row to look at."""
    from trivium.evals.gates import judge, parse_gates, require
    from trivium.evals.store import Runs, default_file
    from trivium.evals.suite import load_suite
    from trivium.paths import atomic_write

    written = _form(form, output)
    if not default_file().exists():  # looking must not create the store
        raise UsageError(f'there is no run "{run}"; see: trivium eval list')
    with Runs() as runs:
        made = _Report(runs, [name for name in (run, other) if name is not None])
        if suite is not None:
            made.judge(
                lambda table, columns: judge(
                    parse_gates(load_suite(suite).gates),
                    table,
                    columns,
                    made.columns_of(baseline) if baseline else made.first_of_two(),
                )
            )
        parts = made.parts(written)
        if output is not None:
            with atomic_write(output) as file:
                for part in parts:
                    file.write(part.encode("utf-8", "replace"))
            console.note(f"{console.short(str(output))} holds {' and '.join(made.names)}")
        elif written == "terminal":
            made.print()
        else:
            for part in parts:
                sys.stdout.write(part if written in ("json", "html") else console.clean(part))
    sys.stdout.flush()
    require(made.verdicts)


class _Report:
    """What was read of one run, or of two that are compared."""

    def __init__(self, runs: "Runs", names: list[str]) -> None:
        from trivium.evals.compare import compare_columns

        self._runs = runs
        self._found = [runs.get(name) for name in names]
        self.names = [one.id for one in self._found]
        self._columns = [self.columns_of(name) for name in self.names]
        self.tables = [
            self._table(name, columns)
            for name, columns in zip(self.names, self._columns, strict=True)
        ]
        self.verdicts: list[Verdict] = []
        self.comparison: Comparison | None = None
        if len(names) == 2:
            a, b = self._columns
            self.comparison = compare_columns(a, b, chosen(a.cells, b.cells, None, None))

    def columns_of(self, name: str) -> "Columns":
        from trivium.evals.columns import of_run

        return of_run(self._runs, name)

    def first_of_two(self) -> "Columns | None":
        """A, when B is held against it."""
        return self._columns[0] if len(self._columns) == 2 else None

    def judge(self, judged: "Callable[[tuple[CellScores, ...], Columns], list[Verdict]]") -> None:
        self.verdicts = judged(self.tables[-1], self._columns[-1])

    def _table(self, name: str, columns: "Columns") -> "tuple[CellScores, ...]":
        from trivium.evals.summary import summarise

        corpus = self._runs.corpus(name)
        return summarise(
            columns, {columns.cells[number]: values for number, values in corpus.items()}
        )

    def parts(self, form: Form) -> Iterable[str]:
        from trivium.evals.report import junit, table
        from trivium.evals.report.page import page

        title, first = " against ".join(reversed(self.names)), self.tables[0]
        if form == "html":
            return page(title, self._shown(), self.comparison, self.verdicts)
        if form == "junit":
            return [junit.junit(self.names[-1], self.tables[-1], self.verdicts)]
        if form == "csv":
            found = self.comparison
            return [table.run_csv(first) if found is None else table.comparison_csv(found)]
        if form == "md":
            made = (
                table.run_markdown(title, first)
                if self.comparison is None
                else table.comparison_markdown(title, self.comparison)
            )
            return [made, table.verdicts_markdown(self.verdicts)]
        return [self._json()] if form == "json" else []

    def _json(self) -> str:
        import json

        from trivium.evals.report import table

        value: dict[str, Any] = {
            "runs": [
                {"id": one.id, "suite": one.suite, "complete": one.complete}
                | {"cells": table.run_json(cells)}
                for one, cells in zip(self._found, self.tables, strict=True)
            ],
            "gates": table.verdicts_json(self.verdicts),
        }
        if self.comparison is not None:
            value["comparison"] = table.comparison_json(self.comparison)
        return json.dumps(value, ensure_ascii=False, indent=2) + "\n"

    def _shown(self) -> "list[Shown]":
        from trivium.evals.report.pack import Side
        from trivium.evals.report.page import Shown

        return [
            Shown(
                Side(one.id, columns, self._runs.records(one.id)),
                cells,
                {
                    "suite": one.suite,
                    "records": f"{one.done:,} of {one.total:,}",
                    "failed": f"{one.failed:,}",
                    "begun": time.strftime("%Y-%m-%d %H:%M", time.localtime(one.created)),
                },
            )
            for one, columns, cells in zip(self._found, self._columns, self.tables, strict=True)
        ]

    def print(self) -> None:
        from trivium.evals.report import terminal

        tables = [terminal.means(cells) for cells in self.tables]
        tables += [terminal.effects(self.comparison)] if self.comparison else []
        tables += [terminal.gates(self.verdicts)] if self.verdicts else []
        for lines in tables:
            console.table(lines.header, lines.rows, lines.styles)


def _form(given: str | None, output: Path | None) -> Form:
    if given is None:
        return ENDINGS.get(output.suffix.lower(), "html") if output else "terminal"
    for form in get_args(Form):
        if given == form and not (form == "terminal" and output):
            return form  # type: ignore[no-any-return]
    raise UsageError(f'"{given}" is no format of a report; take html, json, csv, md or junit')
