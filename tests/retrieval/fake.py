"""An embedder for tests of everything but the embedding: a bag of hashed words."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trivium.retrieval.base import Vectors
from trivium.retrieval.index import Index


class FakeEmbedder:
    """Each word adds one to one of 32 places, and one to all keeps the vector from being zero.

    `encoded` holds every text that was ever embedded, in order.
    """

    def __init__(self, name: str = "fake", max_tokens: int = 64) -> None:
        self.encoded: list[str] = []
        self._name = name
        self._max_tokens = max_tokens

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        return f"{self._name}-32"

    @property
    def dimension(self) -> int:
        return 32

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    def token_offsets(self, text: str) -> Sequence[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        if not query:
            self.encoded += texts
        vectors = np.full((len(texts), 32), 0.01, np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[hashlib.sha256(word.encode()).digest()[0] % 32] += 1
            row /= np.linalg.norm(row)
        return vectors


def contents(index: Index) -> list[tuple[object, ...]]:
    """All that an index holds but for its ids and times: text, place and vector of each passage."""
    return index._store.read(
        'SELECT d.path, d.sha256, d.text, d.kind, d.pages, p.start, p."end", p.page, p.heading, '
        "p.text, e.vector FROM documents d LEFT JOIN passages p ON p.document = d.id "
        "LEFT JOIN embeddings e ON e.sha256 = p.embedded ORDER BY d.path, p.start"
    )


def check(index: Index) -> None:
    """SQLite's own checks, and that no passage is without a vector, nor a vector without one."""
    read = index._store.read
    assert read("PRAGMA integrity_check") == [("ok",)]
    assert read("PRAGMA foreign_key_check") == []
    with index._store.write() as db:
        db.execute("INSERT INTO terms(terms, rank) VALUES ('integrity-check', 1)")
    assert read("SELECT sha256 FROM embeddings EXCEPT SELECT embedded FROM passages") == []
    assert read("SELECT embedded FROM passages EXCEPT SELECT sha256 FROM embeddings") == []


def write(folder: Path, **texts: str) -> Path:
    """A folder with a text file of each name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    return folder
