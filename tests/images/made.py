"""Small pictures, and a model that sees colours: the mean of a picture, or the name of one."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trivium.images.base import Vectors

COLOURS = {
    "red": (230, 20, 20),
    "green": (20, 200, 30),
    "blue": (20, 30, 230),
    "yellow": (230, 220, 20),
    "white": (240, 240, 240),
    "black": (12, 12, 12),
}


class ColourEncoder:
    """Red, green and blue against grey, and a fixed direction of its own for other words."""

    name = "colours"
    width = 8
    side = 16
    scale = 10.0
    bias = None

    def __init__(self, fingerprint: str = "colours-1") -> None:
        self.fingerprint = fingerprint
        self.seen = 0  # pictures that were embedded

    def images(self, pictures: Sequence[Image.Image]) -> Vectors:
        self.seen += len(pictures)
        return self._vectors([np.asarray(one).reshape(-1, 3).mean(axis=0) for one in pictures])

    def texts(self, texts: Sequence[str]) -> Vectors:
        unknown = np.random.default_rng(7)
        mixed = unknown.uniform(90, 160, (len(texts), 3))  # near grey: fits nothing well
        return self._vectors(
            [COLOURS.get(text, tuple(grey)) for text, grey in zip(texts, mixed, strict=True)]
        )

    def _vectors(self, colours: Sequence[Any]) -> Vectors:
        out = np.full((len(colours), self.width), 0.02, np.float32)
        for row, colour in enumerate(colours):
            out[row, :3] = np.asarray(colour) / 128 - 1
        unit: Vectors = out / np.linalg.norm(out, axis=1, keepdims=True)
        return unit


def picture(colour: str = "red", size: tuple[int, int] = (24, 16), seed: int = 0) -> Image.Image:
    """Noise about a colour; another seed is another picture."""
    noise = np.random.default_rng(seed).integers(-9, 10, (size[1], size[0], 3))
    values = np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(values)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    held = BytesIO()
    image.save(held, kind, **options)
    return held.getvalue()


def save(path: Path, colour: str = "red", seed: int = 0, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(colour, seed=seed).save(path, **options)
    return path
