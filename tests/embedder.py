"""An embedder for tests of logic: words hashed into a small unit vector, the same everywhere."""

import re
import zlib
from collections.abc import Sequence

import numpy as np

from trivium.retrieval.base import Vectors

DIMENSION = 32


class WordEmbedder:
    """A bag of words, each at a place that its CRC-32 names. `seen` records what was embedded."""

    def __init__(self, fingerprint: str = "words", max_tokens: int = 60) -> None:
        self._fingerprint = fingerprint
        self._max_tokens = max_tokens
        self.seen: list[str] = []

    @property
    def name(self) -> str:
        return f"the {self._fingerprint} embedder"

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def dimension(self) -> int:
        return DIMENSION

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    def token_offsets(self, text: str) -> Sequence[tuple[int, int]]:
        return [found.span() for found in re.finditer(r"\S+", text)]

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        if not query:
            self.seen += texts
        vectors = np.full((len(texts), DIMENSION), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                vectors[row, zlib.crc32(word.encode()) % DIMENSION] += 1
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit
