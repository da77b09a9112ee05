"""`trivium eval compare`: two runs, or the cells of one, row by row."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console

if TYPE_CHECKING:
    from trivium.evals.base import Cell
    from trivium.evals.columns import Columns
    from trivium.evals.compare import Comparison


def compare(
    a: Annotated[str, typer.Argument(help="A run, or a suite's name for its newest run.")],
    b: Annotated[
        str | None,
        typer.Argument(help="Another; without it, A's models and prompts among themselves."),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="This metric; may be repeated.")
    ] = None,
    cell_a: Annotated[
        str | None, typer.Option("--cell-a", help="A's model and prompt, by a part of their names.")
    ] = None,
    cell_b: Annotated[str | None, typer.Option("--cell-b", help="B's model and prompt.")] = None,
    effect: Annotated[
        float | None,
        typer.Option("--effect", help="Say how many rows it takes to find this difference."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Compare two runs on the same rows: effect, interval, p, and what could not be paired."""
    from trivium.evals.compare import compare_columns, left_out
    from trivium.evals.report.table import comparison_json
    from trivium.evals.report.terminal import effects

    first, second = columns_of(a), None if b is None else columns_of(b)
    pairs = chosen(first.cells, None if second is None else second.cells, cell_a, cell_b)
    found = compare_columns(first, second or first, pairs, metric or (), effect)
    if as_json:
        console.emit_json(comparison_json(found))
        return
    lines = effects(found)
    console.table(lines.header, lines.rows, lines.styles)
    for one in found.pairings:
        if one.left_out:
            console.note(f"{one.pairs:,} pairs of {one.b.model}; left out: {left_out(one)}")
    _note_alone(found)
    sys.stdout.flush()


def columns_of(name: str) -> "Columns":
    """The columns of a stored run."""
    from trivium.errors import UsageError
    from trivium.evals.columns import of_run
    from trivium.evals.store import Runs, default_file

    if not default_file().exists():  # looking must not create the store
        raise UsageError(f'there is no run "{name}"; see: trivium eval list')
    with Runs() as runs:
        return of_run(runs, name)


def chosen(
    a: "Sequence[Cell]", b: "Sequence[Cell] | None", cell_a: str | None, cell_b: str | None
) -> "list[tuple[Cell, Cell]]":
    """Which cells of two runs are compared, or of one: those named, else those that fit."""
    from trivium.evals.compare import against_first, find_cell, match

    others = a if b is None else b
    if cell_a is not None and cell_b is not None:
        return [(find_cell(a, cell_a), find_cell(others, cell_b))]
    pairs = against_first(a) if b is None else None
    if cell_a is not None:
        base = find_cell(a, cell_a)
        return [(base, cell) for cell in others if b is not None or cell != base]
    if cell_b is not None:
        other = find_cell(others, cell_b)
        return [(cell, other) for cell in a if b is not None or cell != other]
    return pairs if pairs is not None else match(a, others)


def _note_alone(found: "Comparison") -> None:
    from trivium.evals.columns import label

    if found.alone:
        console.note(f"without a counterpart: {', '.join(label(cell) for cell in found.alone)}")
