"""Model folders for tests: random towers of `transformers`, and one that knows three colours."""

import atexit
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import numpy as np
from PIL import Image

from tests.nn import made
from tests.train.made import class_folders
from trivium.nn.pixels import Pixels, save_pixels
from trivium.nn.words import END, START, Words, byte_pairs
from trivium.train.clip import Trainer
from trivium.train.recipe import read_recipe

LETTERS = "abcdefghijklmnopqrstuvwxyz"
LENGTH = 12


def words(end: int = made.END) -> Words:
    """A tokenizer of letters; the end token has the highest id."""
    tokens = [*LETTERS, *(letter + "</w>" for letter in LETTERS)]
    vocabulary = {token: at for at, token in enumerate(tokens, start=3)} | {START: 1, END: end}
    return Words(byte_pairs(vocabulary, []), LENGTH, end)


def saved(folder: Path, kind: str, model: Any = None) -> Any:
    """Save a random CLIP or SigLIP with all that a loader reads; gives transformers' model."""
    model = model or (made.clip() if kind == "clip" else made.siglip())
    model.save_pretrained(folder)
    words().save(folder)
    save_pixels(Pixels(made.SIZE, crop=kind == "clip"), folder, kind)
    return model


@cache
def colours() -> tuple[Path, Path]:
    """A model that tells three colours apart, and the class folders that it was trained on."""
    folder = Path(mkdtemp(prefix="trivium-colours-"))
    atexit.register(rmtree, folder, ignore_errors=True)
    data = class_folders(folder / "data")
    values = {
        "data": data, "steps": 30, "batch": 12, "micro_batch": 12, "warmup": 2, "vocabulary": 530,
        "checkpoint_every": 100, "learning_rate": 5e-4,
    }  # fmt: skip
    Trainer(read_recipe(values), folder / "run").train()
    return folder / "run", data


def pictures(count: int = 4) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(rng.integers(0, 256, (20 + 9 * at, 30, 3)).astype(np.uint8))
        for at in range(count)
    ]
