"""`trivium train`: models from scratch."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from trivium.cli import console
from trivium.errors import UsageError

app = typer.Typer(
    no_args_is_help=True, help="Train models from scratch, and go on where they stopped."
)


@app.command()
def clip(
    out: Annotated[Path, typer.Option("--out", "-o", help="The run's folder.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="A table, a folder, or archives of pictures with captions."),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="A YAML file; options stand above it.")
    ] = None,
    size: Annotated[str | None, typer.Option("--size", help="tiny, small or base.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Steps in all.")] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=2, help="Pairs in a step.")] = None,
    micro_batch: Annotated[
        int | None, typer.Option("--micro-batch", min=1, help="Pairs in memory at a time.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate")] = None,
    seed: Annotated[int | None, typer.Option("--seed")] = None,
) -> None:
    """Train a CLIP from scratch on pictures with captions.

    The same command goes on after Ctrl-C or a crash. The model lies in OUT/model, in the layout of
    the published ones.
    """
    from trivium.train.clip import Progress, Trainer
    from trivium.train.recipe import read_recipe

    given = {
        "data": data,
        "size": size,
        "steps": steps,
        "batch": batch,
        "micro_batch": micro_batch,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    values = _file(recipe) | {key: value for key, value in given.items() if value is not None}
    if "data" not in values:
        raise UsageError("say what to learn from: --data PATH, or data in the recipe")
    trainer = Trainer(read_recipe(values), out)
    if trainer.step:
        console.note(f"going on after step {trainer.step:,}")

    def watch(now: Progress) -> None:
        if sys.stderr.isatty() or now.step % 50 == 0 or now.step == now.steps:
            left = "" if now.left is None else f"  {now.left / 60:.0f} min left"
            console.note(
                f"step {now.step:,} of {now.steps:,}  loss {now.loss:.4f}  "
                f"{now.images_per_second:,.0f} images/s{left}"
            )

    try:
        trainer.train(watch)
    except KeyboardInterrupt:
        console.note("saved; the same command goes on from here")
        raise
    console.out(str(out / "model"))


def _file(recipe: Path | None) -> dict[str, Any]:
    if recipe is None:
        return {}
    from trivium.prompts.yaml_file import read_mapping

    values, _ = read_mapping(recipe)
    return dict(values)
