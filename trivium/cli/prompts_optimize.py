"""`trivium prompts optimize`: search for a better prompt, and say so only when there is one."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console
from trivium.cli.run import Json, Model, Name
from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.evals.optimize.base import Progress, Result
    from trivium.evals.plan import Plan
    from trivium.evals.suite import Suite


def optimize(
    name: Name,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The prompt file to write, if there is a gain.")
    ],
    suite: Annotated[
        str | None,
        typer.Option(help="The suite that says what is right; the prompt's own when not given."),
    ] = None,
    model: Model = None,
    data: Annotated[
        Path | None, typer.Option(help="Rows in place of the suite's; shipped ones are too few.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Rows at most.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="What to improve; the suite's first metric when not given.")
    ] = None,
    budget: Annotated[
        int, typer.Option(min=1, help="Tokens, of prompts and answers, that may be spent.")
    ] = 200_000,
    seed: Annotated[int, typer.Option(help="Decides the split and all draws.")] = 0,
    instructions: Annotated[
        Path | None, typer.Option(help="A file of instructions to try besides, one a line.")
    ] = None,
    proposals: Annotated[
        int, typer.Option(min=0, max=64, help="Instructions that a model proposes.")
    ] = 8,
    proposer: Annotated[
        str | None, typer.Option(help="The model that proposes; the one under test by default.")
    ] = None,
    shots: Annotated[
        int | None,
        typer.Option(min=0, max=64, help="Examples in a set; as many as there are, or 4."),
    ] = None,
    code: Annotated[
        Path | None, typer.Option("--code", help="The Python file with scorers that may be run.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that exists.")] = False,
    as_json: Json = False,
) -> None:
    """Search for a better instruction and better examples; write them if they are better.

    They are searched on one part of the rows, chosen on another and tested on a third. Without a
    gain beyond noise on that one it says "no gain" and writes nothing. Ctrl-C is a pause: the same
    command goes on.
    """
    _writable(output, force)
    from trivium.config import load_settings
    from trivium.engines.load import load_engine
    from trivium.evals.cache import Cache
    from trivium.evals.custom import custom_scorers
    from trivium.evals.helpers import Helpers
    from trivium.evals.optimize.base import Options
    from trivium.evals.optimize.instructions import read_instructions
    from trivium.evals.optimize.run import optimize as search
    from trivium.evals.optimize.run import state_file
    from trivium.evals.plan import make_plan

    settings = load_settings({"model": model})
    said = _suite(name, suite)
    listed = read_instructions(instructions) if instructions else ()
    options = Options(metric, budget, seed, listed, proposals, shots)
    custom = custom_scorers(said, code)
    plan = make_plan(said, [settings.model], data=data, limit=limit)
    with (
        Cache(state_file(plan)) as cache,
        Helpers(lambda one: load_engine(one, settings, batch=True), cache) as helpers,
    ):
        try:
            with _progress(budget) as watch:
                result = search(
                    plan, helpers, cache, options, proposer=proposer, custom=custom, watch=watch
                )
        except KeyboardInterrupt:
            console.note("paused; the same command goes on from here")
            raise
        fingerprint = helpers.engine(settings.model).fingerprint.id
        console.detail(f"{cache.hits:,} answers were known from before")
    if result.best is not None:
        _write(result, plan, output, [f"Model {settings.model} ({fingerprint}), seed {seed}."])
    _show(result, plan, output, budget, as_json)


def _writable(output: Path, force: bool) -> None:
    """Told before hours are spent."""
    import re

    from trivium.prompts.files import NAME

    if output.suffix != ".yaml" or not re.fullmatch(NAME, output.stem):
        raise UsageError(
            f"{output} is no name for a prompt file; use small letters, digits, - and _, and .yaml"
        )
    if output.exists() and not force:
        raise UsageError(f"{output} is there already; choose another -o, or say --force")


def _suite(name: str, given: str | None) -> "Suite":
    """The suite, with this prompt alone."""
    from trivium.evals.suite import Inline, load_suite
    from trivium.prompts.files import find_prompt

    said = load_suite(given or _own_suite(name))
    for one in said.prompts:
        if name == (one.name if isinstance(one, Inline) else one):
            return said.model_copy(update={"prompts": [one]})
    path = find_prompt(name).path  # the suite's folder is not where it is looked for
    assert path is not None
    return said.model_copy(update={"prompts": [str(path.absolute())]})


def _own_suite(name: str) -> str:
    """The suite beside the prompt, or the shipped one in which the prompt is written.

    Raises:
        UsageError: when there is no such prompt, or no suite for it.
    """
    from trivium.evals.suite import shipped_suites
    from trivium.prompts.files import find_prompt

    if name in shipped_suites():
        return name
    path = find_prompt(name).path
    assert path is not None
    if (beside := path.parent / "suites" / path.name).is_file():
        return str(beside)
    raise UsageError(f'there is no suite for "{name}"; give one with --suite')


def _write(result: "Result", plan: "Plan", output: Path, lines: list[str]) -> None:
    from trivium.evals.optimize.written import prompt_text
    from trivium.paths import atomic_write

    best, base = result.best, plan.prompts[0]
    assert best is not None
    made = replace(best.prompt, name=output.stem, version=base.version + 1)
    comment = [
        f"Found by trivium prompts optimize from {base.name}, version {base.version} "
        f"({base.hash[:16]}).",
        _figures(result),
        *lines,
        f"Suite {plan.suite.name}, version {plan.suite.version}; searched on "
        f"{result.rows['train']} rows, chosen on {result.rows['validation']}.",
    ]
    if plan.suite.examples and not best.own:
        comment.append("Measured with the few-shot section of that suite, which is not in here.")
    with atomic_write(output) as file:
        file.write(prompt_text(made, output, comment).encode())


def _figures(result: "Result") -> str:
    """What the test says, in a line."""
    assert result.test is not None and result.before is not None and result.after is not None
    effect = result.test.effect
    sign = -1 if result.less else 1
    low, high = sorted((sign * effect.low, sign * effect.high))
    return (
        f"{result.metric} on {effect.n} held-out rows: {result.before:.4g} before, "
        f"{result.after:.4g} after; difference {sign * effect.mean:+.4g}, 95 % interval "
        f"{low:+.4g} to {high:+.4g} ({effect.method})."
    )


def _show(result: "Result", plan: "Plan", output: Path, budget: int, as_json: bool) -> None:
    spent = f"{result.spent:,} of {budget:,} tokens, {result.tried} candidates"
    if as_json:
        console.emit_json(_document(result, plan, output))
    else:
        if result.test is not None:
            sys.stdout.write(console.clean(_figures(result)) + "\n")
        if result.best is None:
            sys.stdout.write(f"no gain: {result.reason}\n")
        else:
            sys.stdout.write(f"gain: {result.best.origin}; {console.clean(str(output))}\n")
    console.note(spent + ("; the budget ended the search" if result.exhausted else ""))
    if result.left_out:
        console.note(f"{result.left_out} test rows have no score on a side and were left out")


def _document(result: "Result", plan: "Plan", output: Path) -> dict[str, object]:
    effect = result.test.effect if result.test else None
    return {
        "gain": result.best is not None,
        "reason": result.reason,
        "output": str(output) if result.best else None,
        "prompt": plan.prompts[0].name,
        "suite": plan.suite.name,
        "metric": result.metric,
        "before": result.before,
        "after": result.after,
        "improvement": effect and {
            "mean": effect.mean, "low": _finite(effect.low), "high": _finite(effect.high),
            "n": effect.n, "method": effect.method,
        },
        "origin": result.chosen.origin if result.chosen else None,
        "rows": dict(result.rows),
        "left_out": result.left_out,
        "tried": result.tried,
        "spent": result.spent,
        "exhausted": result.exhausted,
    }  # fmt: skip


def _finite(value: float) -> float | None:
    """JSON has no infinity: an unbounded side is null."""
    return value if abs(value) != float("inf") else None


@contextmanager
def _progress(budget: int) -> "Iterator[Callable[[Progress], None]]":
    """A bar of tokens on stderr, and a line when a stage begins."""
    stage = ""
    with console.progress() as bar:
        task = bar.add_task("", total=budget)

        def watch(now: "Progress") -> None:
            nonlocal stage
            if now.stage != stage:
                stage = now.stage
                console.note(
                    f"{stage}: {now.spent:,} tokens so far, {now.tried} candidates, "
                    f"best {now.gain:+.3f} on the training rows"
                )
            bar.update(task, description=stage, completed=now.spent)

        yield watch
