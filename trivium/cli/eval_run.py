"""A suite carried out at the terminal: one engine at a time, a bar on stderr, Ctrl-C as a pause."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivium.cli import console
from trivium.errors import TriviumError

if TYPE_CHECKING:
    from trivium.evals.plan import Plan
    from trivium.evals.runner import Loader, Progress, Watch
    from trivium.evals.store import Run, Runs
    from trivium.evals.suite import Suite


def carry_out(
    runs: "Runs",
    suite: "Suite",
    *,
    models: Sequence[str] | None = None,
    data: Path | None = None,
    limit: int | None = None,
    system_prompts: Sequence[str] | None = None,
    custom: Mapping[str, Callable[..., Any]] | None = None,
    retry_failed: bool = False,
    cached: bool = True,
) -> str:
    """Run `suite`, or go on with it, and return the run's id.

    `models` and `system_prompts` stand in for the suite's own; without a model anywhere it is that
    of the settings.
    """
    from trivium.config import load_settings
    from trivium.evals.plan import make_plan

    if system_prompts:
        suite = suite.model_copy(update={"system_prompts": list(system_prompts)})
    named = models or suite.models or [load_settings().model]
    plan = make_plan(suite, named, data=data, limit=limit)
    return carry_out_plan(runs, plan, custom=custom, retry_failed=retry_failed, cached=cached)


def carry_out_plan(
    runs: "Runs",
    plan: "Plan",
    *,
    custom: Mapping[str, Callable[..., Any]] | None = None,
    retry_failed: bool = False,
    cached: bool = True,
    load: "Loader | None" = None,
) -> str:
    """Run `plan`, or go on with it, and return the run's id. `load` gives an engine by name."""
    from trivium.config import load_settings
    from trivium.engines.load import load_engine
    from trivium.evals.cache import Cache
    from trivium.evals.runner import run

    settings = load_settings()
    with Cache(enabled=cached) as cache:
        try:
            with _progress() as watch:
                made = run(
                    plan,
                    load or (lambda name: load_engine(name, settings, batch=True)),
                    runs=runs,
                    cache=cache,
                    custom=custom,
                    retry_failed=retry_failed,
                    watch=watch,
                )
        except KeyboardInterrupt:
            console.note("paused; the same command goes on from here")
            raise
        console.detail(f"{cache.hits:,} answers came from the cache")
    return made


def require_results(run: "Run") -> None:
    """Raise when there is nothing but failed rows.

    Raises:
        TriviumError: saying how to see why.
    """
    if run.failed == run.total:
        raise TriviumError(f"all {run.total} rows failed; see: trivium eval show {run.id} --failed")


@contextmanager
def _progress() -> "Iterator[Watch]":
    """A bar on stderr with the time that is really left; nothing without a terminal."""
    from rich import progress

    from trivium.cli.console import Verbosity, err, verbosity

    bar = progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[left]}", markup=False),
        console=err(),
        transient=True,
        disable=verbosity() <= Verbosity.QUIET or not err().is_terminal,
    )
    with bar:
        task = bar.add_task("", total=None, left="")

        def watch(now: "Progress") -> None:
            failed = f", {now.failed:,} failed" if now.failed else ""
            bar.update(
                task,
                description=console.clean(now.model),
                completed=now.done,
                total=now.total,
                left=(f"{duration(now.eta)} left" if now.eta is not None else "") + failed,
            )

        yield watch


def duration(seconds: float) -> str:
    """For a person: "45 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
