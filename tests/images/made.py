"""Small pictures, and a model that sees the mean colour of a picture, and knows colours' names."""

import zlib
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


_STEPS = (0, 128, 255)
ANCHORS = np.array([(red, green, blue) for red in _STEPS for green in _STEPS for blue in _STEPS])


class ColourEncoder:
    """How near a colour is to 27 others; words that name none lie in random directions."""

    name = "colours"
    width = len(ANCHORS)
    side = 16
    scale = 10.0
    bias: float | None = None

    def __init__(self, fingerprint: str = "colours-1") -> None:
        self.fingerprint = fingerprint
        self.seen = 0  # pictures that were embedded

    def images(self, pictures: Sequence[Image.Image]) -> Vectors:
        self.seen += len(pictures)
        return _unit([_near(np.asarray(one).reshape(-1, 3).mean(axis=0)) for one in pictures])

    def texts(self, texts: Sequence[str]) -> Vectors:
        return _unit([_near(COLOURS[t]) if t in COLOURS else _anywhere(t) for t in texts])


def _near(colour: Any) -> Any:
    return np.exp(-(((ANCHORS - colour) / 90.0) ** 2).sum(axis=1))


def _anywhere(text: str) -> Any:
    return np.random.default_rng(zlib.crc32(text.encode())).standard_normal(len(ANCHORS))


def _unit(rows: Sequence[Any]) -> Vectors:
    vectors = np.array(rows, np.float32).reshape(len(rows), len(ANCHORS))
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
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
