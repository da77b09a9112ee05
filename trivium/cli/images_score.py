"""`trivium images score`: how well captions fit their pictures."""

from pathlib import Path
from typing import Annotated

import typer

from trivium.cli import console
from trivium.cli.images_classify import AsJson, FormOption, Model, encoder_of


def score(
    data: Annotated[
        Path,
        typer.Argument(
            help="A table with columns image and caption, or a folder with text files beside its "
            "pictures."
        ),
    ],
    model: Model = None,
    form: FormOption = "auto",
    as_json: AsJson = False,
) -> None:
    """Score captions against their pictures by CLIPScore, from 0 (no fit at all) to 2.5.

    Its authors' figures are of OpenAI's ViT-B/32 (clip-vit-b32); no other model's compare to them.
    """
    from dataclasses import asdict

    from trivium.evals.pictures import mean_score
    from trivium.images.clip_score import score as run
    from trivium.train.pairs import find_pairs

    pairs = find_pairs(data)
    encoder = encoder_of(model, form)
    found = []
    with console.progress() as bar:
        total = sum(len(pair.captions) for pair in pairs)
        for one in bar.track(run(encoder, pairs), total, description="scoring"):
            found.append(one)
            if as_json:
                console.emit_json(asdict(one), line=True)
    if not as_json:
        rows = [(one.refused or f"{one.score:.4f}", one.caption, one.name) for one in found]
        console.table(("score", "caption", "picture"), rows)
    mean = mean_score(found)
    refused = sum(one.score is None for one in found)
    if mean is not None:
        console.note(
            f"mean {mean.mean:.4f}, 95% interval {mean.low:.4f} to {mean.high:.4f}, of {mean.n:,} "
            f"captions by {encoder.name}"
        )
    console.note(f"{refused:,} captions of refused pictures have no score")
