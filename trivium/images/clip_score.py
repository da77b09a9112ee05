"""CLIPScore: how well captions fit their pictures, without reference captions.

Hessel et al. 2021 (arXiv:2104.08718), equation 1: 2.5 · max(cos(picture, caption), 0), the caption
with "A photo depicts " before it. Scores of different models are not to be compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from threading import Lock

import numpy as np
import numpy.typing as npt

from trivium.images.base import Encoder, Vectors
from trivium.images.look import BATCH, look
from trivium.train.pairs import Pair, Reader

WEIGHT = 2.5
PREFIX = "A photo depicts "


@dataclass(frozen=True, slots=True)
class Scored:
    """A picture and one of its captions; `score` is None where the picture was refused."""

    name: str
    caption: str
    score: float | None
    refused: str | None = None


def clip_score(images: Vectors, captions: Vectors) -> npt.NDArray[np.float64]:
    """2.5 · max(cos, 0), pair by pair. Unit vectors (n, E) and (n, E) to (n,)."""
    cosines = (images.astype(np.float64) * captions.astype(np.float64)).sum(axis=1)
    return np.asarray(WEIGHT * np.maximum(cosines, 0.0))


def score(encoder: Encoder, pairs: Sequence[Pair]) -> Iterator[Scored]:
    """Every caption of every picture, in order."""
    reader, alone = Reader(), Lock()

    def read(at: int) -> bytes:
        with alone:  # an archive is read by one thread at a time
            return reader.bytes(pairs[at].entry)

    names = [pair.entry.name for pair in pairs]
    seen = look(encoder, names, read)
    together = enumerate(zip(pairs, seen, strict=True))
    for _, batch in groupby(together, key=lambda numbered: numbered[0] // BATCH):
        rows = [(picture, caption) for _, (pair, picture) in batch for caption in pair.captions]
        texts = encoder.texts([PREFIX + caption for _, caption in rows])
        for (picture, caption), text in zip(rows, texts, strict=True):
            if picture.vector is None:
                yield Scored(picture.name, caption, None, picture.refused)
            else:
                (found,) = clip_score(picture.vector[None], text[None]).tolist()
                yield Scored(picture.name, caption, found)
