"""The values of pictures: what one is, what was found, and what sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

MODEL = "tinyclip-8m"
"""The model of an index for which none is named."""

Vectors = npt.NDArray[np.float32]
"""Unit vectors, shape (n, E)."""

Reason = Literal["truncated", "empty", "bomb", "wrong extension", "unreadable"]
"""Why a file is not indexed."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An indexed file. `path` is as the user's system spells it, whatever bytes it holds.

    `taken` is the EXIF date as ISO 8601, where there is one; `frames` is above 1 for moving ones;
    `sha256` is of the file's bytes, `pixels` of the decoded, upright picture.
    """

    path: str
    sha256: str
    pixels: str
    width: int
    height: int
    size: int
    modified: float
    taken: str | None
    format: str
    frames: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A picture that was found. `cosine` is the query's; `percentile` is where it stands in the
    collection, `background` where it stands among neutral words for this picture (0 to 100);
    `beyond_chance` says that it is nearer than those are, however many pictures were compared."""

    picture: Picture
    cosine: float
    percentile: float
    background: float
    beyond_chance: bool


class Encoder(Protocol):
    """What sees pictures and reads words, in one space; see `encoder.load_encoder`.

    `fingerprint` changes with the weights and with the form they run in (float, int8). `side` is
    the size in pixels that the model looks at. A logit is `scale` · cosine (+ `bias`, of SigLIP).
    """

    name: str
    fingerprint: str
    width: int
    side: int
    scale: float
    bias: float | None

    def images(self, pictures: Sequence["Image"]) -> Vectors:
        """RGB pictures, upright, of any size, to unit vectors: (n, E)."""

    def texts(self, texts: Sequence[str]) -> Vectors:
        """(n, E)"""
