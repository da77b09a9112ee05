"""`trivium eval`: run suites, and show, list and delete runs."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console
from trivium.cli.eval_compare import compare
from trivium.cli.eval_curve import curve
from trivium.cli.eval_fetch import fetch
from trivium.cli.eval_report import report
from trivium.cli.eval_run import carry_out, require_results
from trivium.cli.eval_show import judge_gates, show_run
from trivium.cli.options import Cached, Code, Data, Json, Limit, Models, RetryFailed, SystemPrompts
from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.evals.store import Run, Runs

app = typer.Typer(
    no_args_is_help=True, help="Run suites of prompts, models and data, and compare them."
)
app.command()(compare)
app.command("curve")(curve)
app.command()(report)
app.command()(fetch)

Name = Annotated[str, typer.Argument(help="A run's id, or a suite's name for its newest run.")]


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="A suite's YAML file, or a shipped suite's name.")],
    model: Models = None,
    data: Data = None,
    limit: Limit = None,
    system_prompt: SystemPrompts = None,
    code: Code = None,
    retry_failed: RetryFailed = False,
    baseline: Annotated[
        str | None, typer.Option("--baseline", help="A run that the gates compare with.")
    ] = None,
    cached: Cached = True,
    as_json: Json = False,
) -> None:
    """Run a suite, or go on with it. Ctrl-C is a pause: the same command goes on.

    Exit 6 when one of the suite's gates does not hold.
    """
    from trivium.evals.custom import custom_scorers
    from trivium.evals.gates import parse_gates
    from trivium.evals.store import Runs
    from trivium.evals.suite import load_suite

    said = load_suite(suite)
    gates = parse_gates(said.gates)
    custom = custom_scorers(said, code)
    with Runs() as runs:
        before = None if baseline is None else runs.get(baseline).id
        made = carry_out(
            runs,
            said,
            models=model,
            data=data,
            limit=limit,
            system_prompts=system_prompt,
            custom=custom,
            retry_failed=retry_failed,
            cached=cached,
        )
        summary = show_run(runs, made, as_json)
        require_results(summary.run)
        judge_gates(runs, made, gates, before)
        if said.fairness:
            console.note("its fairness gates are judged by: trivium fairness run")


@app.command()
def show(
    name: Name,
    failed: Annotated[bool, typer.Option("--failed", help="The failed rows and why.")] = False,
    records: Annotated[
        bool, typer.Option("--records", help="Every record, as JSON lines on stdout.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what came out of a run, finished or not."""
    with _open() as runs:
        if records:
            for record in runs.records(name):
                console.emit_json(asdict(record), line=True)
        elif failed:
            rows = [
                (record.row, record.model, record.prompt, record.error or "")
                for record in runs.records(name)
                if record.error is not None
            ]
            if as_json:
                keys = ("row", "model", "prompt", "error")
                console.emit_json([dict(zip(keys, row, strict=True)) for row in rows])
            else:
                console.table(("row", "model", "prompt", "error"), rows)
        else:
            show_run(runs, name, as_json)


@app.command("list")
def list_runs(as_json: Json = False) -> None:
    """Show all runs, the newest first."""
    from trivium.evals.store import Runs, default_file

    found: list[Run] = []
    if default_file().exists():
        with Runs() as runs:
            found = runs.all()
    if as_json:
        keys = ("id", "suite", "total", "done", "failed", "created", "complete")
        console.emit_json([{key: getattr(one, key) for key in keys} for one in found])
        return
    rows = [
        (
            one.id,
            f"{one.done:,} of {one.total:,}",
            f"{one.failed:,} failed" if one.failed else "",
            "" if one.complete else "paused",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(one.created)),
        )
        for one in found
    ]
    console.table(("run", "rows", "failed", "state", "begun"), rows)
    if not rows:
        console.note("There are no runs; begin one with: trivium eval run SUITE")


@app.command()
def suites(as_json: Json = False) -> None:
    """Show the suites that come with trivium."""
    from trivium.evals.suite import load_suite, shipped_suites

    found = [load_suite(name) for name in shipped_suites()]
    if as_json:
        keys = ("name", "version", "description", "source", "licence", "variant", "known")
        console.emit_json([one.model_dump(mode="json", include=set(keys)) for one in found])
        return
    console.table(
        ("suite", "version", "description"),
        [(one.name, str(one.version), one.description) for one in found],
    )


@app.command()
def rm(
    names: Annotated[list[str], typer.Argument(help="The ids of runs.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete runs with all their records. They cannot be brought back."""
    with _open() as runs:
        known = {one.id for one in runs.all()}
        unique = list(dict.fromkeys(names))
        for name in unique:  # before the first one is gone
            if name not in known:
                raise UsageError(f'there is no run "{name}"; see: trivium eval list')
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError(f"say --yes to delete {', '.join(unique)} without being asked")
            typer.confirm(console.clean(f"Delete {', '.join(unique)}?"), abort=True, err=True)
        for name in unique:
            runs.delete(name)
            console.note(f"the run {name} is deleted")


@contextmanager
def _open() -> "Iterator[Runs]":
    from trivium.evals.store import Runs, default_file

    if not default_file().exists():
        raise UsageError("there are no runs yet; begin one with: trivium eval run SUITE")
    with Runs() as runs:
        yield runs
