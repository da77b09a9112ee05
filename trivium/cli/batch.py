"""`trivium batch`: a prompt over rows, into a JSON Lines file."""

from pathlib import Path
from typing import Annotated

import typer

from trivium.cli import console
from trivium.errors import TriviumError

app = typer.Typer(add_completion=False)


@app.command()
def batch(
    prompt: Annotated[str, typer.Argument(help="A prompt of the library, or its file.")],
    rows: Annotated[
        Path, typer.Argument(help="Rows (.jsonl, .csv, .tsv, .parquet); columns fill variables.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where answers go, a line a row.")],
    model: Annotated[str | None, typer.Option("--model", "-m", help="The model to ask.")] = None,
    key: Annotated[
        str | None, typer.Option("--id", help="The column that names a row; else its position.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Rows at most.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="The longest answer, in tokens.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", min=0, max=2, help="0 is greedy.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask the rows that failed again.")
    ] = False,
) -> None:
    """Run a prompt over rows. Ctrl-C is a pause: the same command goes on."""
    from trivium.config import load_settings
    from trivium.engines.base import Sampling
    from trivium.engines.load import load_engine
    from trivium.evals.batch import State, run_batch
    from trivium.evals.data import load_rows
    from trivium.evals.suite import Data
    from trivium.prompts.files import find_prompt

    settings = load_settings({"model": model, "max_tokens": max_tokens, "temperature": temperature})
    chosen = find_prompt(prompt)
    data = Data(file=str(rows), id=key, target=None, limit=limit)
    found = load_rows(data, Path())
    sampling = Sampling(temperature=settings.temperature, max_tokens=settings.max_tokens)
    engine = load_engine(settings.model, settings, batch=True)
    state = State(0, len(found), 0, 0)
    try:
        with console.progress() as bar:
            task = bar.add_task(console.clean(chosen.name), total=len(found))
            for state in run_batch(
                chosen, found, engine, output, sampling, retry_failed=retry_failed
            ):
                bar.update(task, completed=state.done)
    except KeyboardInterrupt:
        console.note("paused; the same command goes on from here")
        raise
    finally:
        engine.close()
    console.note(f"{console.short(str(output))} holds {state.done:,} rows, {state.failed:,} failed")
    if state.failed == state.total:
        raise TriviumError(f"all {state.total} rows failed; {output} says why")
