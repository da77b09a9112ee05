"""A small model, and small pictures with captions on the disk."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from trivium.nn.block import Shape
from trivium.nn.towers import ImageShape, TextShape
from trivium.nn.two_towers import Kind, TwoTowers, TwoTowersShape

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (20, 40, 230)}


def model(kind: Kind) -> TwoTowers:
    torch.manual_seed(0)
    clip = kind == "clip"
    image = ImageShape(Shape(16, 1, 2, 32), 8, 4, "class" if clip else "attention")
    text = TextShape(Shape(16, 1, 2, 32), 20, 6, 19, "end" if clip else "last")
    return TwoTowers(TwoTowersShape(kind, image, text, 16))


def class_folders(folder: Path, each: int = 12) -> Path:
    """Noisy squares of three colours, in folders named for them."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(each):
            noise = rng.integers(-20, 20, (16, 16, 3))
            values = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(values).save(folder / name / f"{number:02}.png")
    return folder
