"""Pictures at the tower's size: as they are, or a random part of them, perhaps mirrored."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trivium.nn.pixels import Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

Bytes = npt.NDArray[np.uint8]


def random_part(
    image: "Image", pixels: Pixels, rng: np.random.Generator, least: float, mirror: bool
) -> Bytes:
    """A part of `least` to all of the area, of a ratio in 3/4 to 4/3, at the tower's size.

    The random resized crop of Inception (Szegedy et al. 2014, arXiv:1409.4842); `mirror` turns
    every other one around. Shape (size, size, 3).
    """
    width, height = image.size
    area = width * height * rng.uniform(least, 1.0)
    ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    wide = min(width, float(np.sqrt(area * ratio)))
    high = min(height, float(np.sqrt(area / ratio)))
    left, top = rng.uniform(0, width - wide), rng.uniform(0, height - high)
    flipped = mirror and rng.random() < 0.5
    part = image.resize(
        (pixels.size, pixels.size), pixels.resample, (left, top, left + wide, top + high)
    )
    found = np.asarray(part)
    return found[:, ::-1] if flipped else found


def normalised(batch: Bytes, pixels: Pixels) -> npt.NDArray[np.float32]:
    """(B, size, size, 3) of bytes to (B, 3, size, size), as `Pixels.prepare` does one."""
    mean, std = np.array(pixels.mean, np.float32), np.array(pixels.std, np.float32)
    values = (batch.astype(np.float32) / 255 - mean) / std
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
