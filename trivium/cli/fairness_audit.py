"""`trivium fairness audit`: does an answer change when nothing but the person does?"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivium.cli import console
from trivium.cli.eval_run import carry_out_plan, require_results
from trivium.cli.fairness_audit_show import show_cell, show_made, show_variants
from trivium.cli.fairness_run import judged
from trivium.cli.fairness_show import require
from trivium.cli.options import Cached, Json, Limit
from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.evals.fairness.audit_plan import Settings, Task, Variants
    from trivium.evals.fairness.measure import RunMeasures
    from trivium.prompts.base import Prompt


def audit(
    prompt: Annotated[str, typer.Argument(help="A prompt of the library, or its file.")],
    data: Annotated[
        Path, typer.Argument(help="Rows (.jsonl, .csv, .tsv, .parquet); columns fill variables.")
    ],
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="The model to ask; may be repeated.")
    ] = None,
    axis: Annotated[
        str | None, typer.Option("--axis", help="Axes, with commas between; all when unset.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option("--columns", help="The columns to swap in; the prompt's texts when unset."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", help="classify, score, rank or text; guessed from the prompt."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", help="What a classifier may answer, with commas.")
    ] = None,
    generate: Annotated[
        bool,
        typer.Option("--generate", help="Let a classifier write, not choose by probability."),
    ] = False,
    swaps: Annotated[
        Path | None, typer.Option("--swaps", help="A YAML file with terms of your own.")
    ] = None,
    keep_quotes: Annotated[
        bool, typer.Option("--keep-quotes", help="Leave out rows with a term in quotation marks.")
    ] = False,
    key: Annotated[
        str | None, typer.Option("--id", help="The column that names a row; else its position.")
    ] = None,
    limit: Limit = None,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0, max=2, help="0 is greedy.")
    ] = 0.0,
    repeats: Annotated[
        int | None,
        typer.Option("--repeats", min=1, help="Answers a text; 3 with a temperature, else 1."),
    ] = None,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=1, help="The longest answer, in tokens.")
    ] = 256,
    max_gap: Annotated[
        float | None,
        typer.Option("--max-gap", min=0, help="Gate: shifts of groups are at most so large."),
    ] = None,
    max_bias: Annotated[
        float | None,
        typer.Option("--max-bias", min=0, help="Gate: flips are at most so many, as a share."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the counterfactuals and ask no model.")
    ] = False,
    cached: Cached = True,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="An HTML report for a committee.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Swap names, pronouns and group terms in your rows, and see whether answers change.

    Each group is held against the first one of its axis. Rows that cannot be swapped for certain
    are left out and counted. Exit 6 when a gate does not hold.
    """
    from trivium.config import load_settings
    from trivium.evals.fairness import audit as measures
    from trivium.evals.fairness.audit_plan import (
        audit_plan,
        make_variants,
        read_rows,
        text_columns,
    )
    from trivium.evals.fairness.gates import parse_gates
    from trivium.evals.fairness.lists import load_axes
    from trivium.evals.fairness.measure import measure
    from trivium.evals.store import Runs
    from trivium.prompts.files import find_prompt

    chosen = find_prompt(prompt)
    axes = load_axes(_list(axis), swaps)
    rows = read_rows(data, key, limit)
    settings = _settings(chosen, task, _list(labels), generate, temperature, repeats, max_tokens)
    variants = make_variants(
        rows, text_columns(chosen, rows[0], _list(columns)), axes, settings, keep_quotes=keep_quotes
    )
    show_made(variants, len(rows))
    if dry_run:
        show_variants(variants, as_json)
        return
    limits: list[dict[str, object]] = [] if max_gap is None else [{"max_gap": max_gap}]
    gates = parse_gates(limits + ([] if max_bias is None else [{"max_bias": max_bias}]))
    plan = audit_plan(chosen, variants, model or [load_settings().model], settings)
    with Runs() as runs:
        made = carry_out_plan(runs, plan, cached=cached)
        stored = runs.get(made)
        require_results(stored)
        measured = measure(runs, stored, measures)
        verdicts = judged(runs, measured, measures, gates)
    if as_json:
        console.emit_json(_json(measured, variants, len(rows), verdicts))
    else:
        for cell in measured.cells:
            show_cell(cell, made)
    if output is not None:
        _write_report(measured, verdicts, output)
    console.note(f"run {made}; all figures in words: trivium fairness report {made}")
    require(verdicts)


def _list(text: str | None) -> list[str]:
    return [one.strip() for one in (text or "").split(",") if one.strip()]


def _settings(
    prompt: "Prompt",
    task: str | None,
    labels: list[str],
    generate: bool,
    temperature: float,
    repeats: int | None,
    max_tokens: int,
) -> "Settings":
    from trivium.evals.fairness.audit_plan import TASKS, Settings, guess_task
    from trivium.evals.suite import Sample

    if task is not None and task not in TASKS:
        raise UsageError(f'there is no task "{task}"; there are {", ".join(TASKS)}')
    guessed, known = guess_task(prompt)
    named = tuple(labels) or known
    asked: Task = next((one for one in TASKS if one == task), "classify" if labels else guessed)
    if asked == "classify" and len(set(named)) < 2:
        raise UsageError("say at least two answers to classify by: --labels a,b")
    choose = asked == "classify" and not generate and prompt.schema is None and temperature == 0
    return Settings(
        asked,
        named if asked == "classify" else (),
        choose,
        Sample(temperature=temperature, max_tokens=max_tokens),
        repeats or (3 if temperature > 0 else 1),
    )


def _json(
    measured: "RunMeasures", variants: "Variants", rows: int, verdicts: Sequence[Any]
) -> dict[str, object]:
    from trivium.evals.fairness.card import run_json
    from trivium.evals.report.table import verdicts_json

    audited = {
        "rows": rows,
        "swapped": variants.originals,
        "counterfactuals": [
            {"axis": axis, "group": group, "count": n} for (axis, group), n in variants.made.items()
        ],
        "left_out": [
            {"axis": axis, "reason": reason, "count": n}
            for (axis, reason), n in variants.skips.rows.items()
        ],
    }
    return run_json(measured) | {"audit": audited, "gates": verdicts_json(verdicts)}


def _write_report(measured: "RunMeasures", verdicts: Sequence[Any], output: Path) -> None:
    from trivium.evals.fairness.report.page import page
    from trivium.paths import atomic_write

    with atomic_write(output) as file:
        file.write(page([measured], [], list(verdicts), []).encode("utf-8", "replace"))
    console.note(f"{console.short(str(output))} holds the report")
