"""`trivium train`: models from scratch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivium.cli import console
from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.train.recipe import ClipRecipe

app = typer.Typer(no_args_is_help=True, help="Train models from scratch, and go on with a run.")

Data = Annotated[
    Path | None,
    typer.Option("--data", help="A table, a folder, or archives of pictures with captions."),
]
Recipe = Annotated[
    Path | None, typer.Option("--recipe", help="A YAML file; options stand above what it says.")
]
Size = Annotated[str | None, typer.Option("--size", help="tiny, small or base.")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Steps in all.")]
Batch = Annotated[int | None, typer.Option("--batch", min=2, help="Pairs in a step.")]
Micro = Annotated[
    int | None, typer.Option("--micro-batch", min=1, help="Pairs in memory at a time.")
]


@app.command()
def clip(
    out: Annotated[Path, typer.Option("--out", "-o", help="The run's folder.")],
    data: Data = None,
    recipe: Recipe = None,
    evaluate: Annotated[
        Path | None, typer.Option("--evaluate", help="Class folders to classify now and then.")
    ] = None,
    size: Size = None,
    steps: Steps = None,
    batch: Batch = None,
    micro_batch: Micro = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="At its peak.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of weights and order.")] = None,
) -> None:
    """Train a CLIP from scratch on pictures with captions.

    The same command goes on after Ctrl-C or a crash. The model lies in OUT/model, in the layout of
    the published ones.
    """
    said = _recipe(
        recipe,
        data=data,
        evaluate=evaluate,
        size=size,
        steps=steps,
        batch=batch,
        micro_batch=micro_batch,
        learning_rate=learning_rate,
        seed=seed,
    )
    from trivium.train.clip import Progress, Trainer

    trainer = Trainer(said, out)
    if trainer.step:
        console.note(f"going on after step {trainer.step:,}")
    with console.progress() as bar:
        task = bar.add_task("", total=said.steps, completed=trainer.step)

        def watch(now: Progress) -> None:
            bar.update(
                task,
                completed=now.step,
                description=f"loss {now.loss:.3f}  {now.images_per_second:,.0f} images/s",
            )
            if now.zero_shot is not None:
                right, count = now.zero_shot
                share = f"{right / count:.3f} of {count:,} pictures"
                console.note(f"step {now.step:,}: {share} nearest to their class")

        try:
            trainer.train(watch)
        except KeyboardInterrupt:
            console.note("saved; the same command goes on from here")
            raise
    console.out().print(str(out / "model"), markup=False, highlight=False)


@app.command()
def plan(
    data: Data = None,
    recipe: Recipe = None,
    size: Size = None,
    steps: Steps = None,
    batch: Batch = None,
    micro_batch: Micro = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say what `train clip` would take on this machine; one step is tried for it."""
    from dataclasses import asdict

    said = _recipe(recipe, data=data, size=size, steps=steps, batch=batch, micro_batch=micro_batch)
    from trivium.train.plan import plan as make

    made = make(said)
    if as_json:
        console.emit_json(asdict(made))
        return
    rows = [
        ("pairs", f"{made.pairs:,}"),
        ("weights", f"{made.weights:,}"),
        ("epochs", f"{made.epochs:.1f}"),
        ("time", f"{made.seconds / 60:.0f} min"),
        ("memory", console.size(made.memory)),
    ]
    console.table(("", "plan"), rows)


def _recipe(file: Path | None, **options: object) -> "ClipRecipe":
    """What the file says, and the options that were given above it."""
    from trivium.prompts.yaml_file import read_mapping
    from trivium.train.recipe import read_recipe

    values: dict[str, Any] = {}
    if file is not None:
        try:
            values, _ = read_mapping(file.read_text(encoding="utf-8"), file)
        except OSError as error:
            raise UsageError(f"cannot read {file}: {error.strerror}") from error
    values |= {key: value for key, value in options.items() if value is not None}
    if "data" not in values:
        raise UsageError("say what to learn from: --data PATH, or data in the recipe")
    return read_recipe(values)
