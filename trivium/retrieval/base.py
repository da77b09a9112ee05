"""The values of retrieval: where text came from, what was found, what a claim stands on.

All spans are half-open character ranges `[start, end)` of a document's *extracted text*, which is
kept in the index; `extracted[start:end] == text` holds for every passage and citation, always.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Document:
    """A file's extracted text. `pages` holds the start of each page, empty where there are none.

    `path` is absolute, or a name such as "-" for standard input. `kind` decides how it is split:
    "text", "markdown", "code", "table", ... `language` is set for code ("python", "rust").
    """

    path: str
    kind: str
    text: str
    sha256: str
    pages: tuple[int, ...] = ()
    language: str | None = None

    def page_at(self, offset: int) -> int | None:
        """The 1-based page that holds the character at `offset`, None in unpaged documents."""
        from bisect import bisect_right

        return bisect_right(self.pages, offset) if self.pages else None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not read, and the one reason why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document's text, sized for the embedder. `sha256` is that of the source file.

    `id` is the index's own key, 0 before the passage is stored. `heading` is the trail of headings
    above it ("Guide > Install"), for display and for search; it is not part of `text`.
    """

    text: str
    path: str
    start: int
    end: int
    sha256: str
    page: int | None = None
    heading: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, with every figure that put it in its place.

    `score` orders the hits. `bm25` (larger is better) and `cosine` are None where that half of the
    search did not return the passage; ranks are 1-based.
    """

    passage: Passage
    score: float
    bm25: float | None = None
    bm25_rank: int | None = None
    cosine: float | None = None
    dense_rank: int | None = None
    rerank: float | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """A verbatim quotation: `text` is exactly the span `[start, end)` of the extracted text.

    `score` in [0, 1] says how strongly it supports the claim it is attached to.
    """

    path: str
    page: int | None
    start: int
    end: int
    text: str
    sha256: str
    score: float


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of the answer (`[start, end)` of the answer's text) with what supports it."""

    text: str
    start: int
    end: int
    citations: tuple[Citation, ...] = ()

    @property
    def supported(self) -> bool:
        return bool(self.citations)


@dataclass(frozen=True, slots=True)
class Report:
    """What an indexing run did: counts of files and passages, and every file it skipped."""

    added: int
    changed: int
    unchanged: int
    removed: int
    passages: int
    embedded: int
    skipped: tuple[Skipped, ...] = ()


Mode = Literal["hybrid", "bm25", "dense"]


class Embedder(Protocol):
    """Texts to unit vectors. Two embedders may share an index only if `fingerprint` is equal."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str:
        """Names weights and pooling; the ONNX and the torch form of one model share it."""

    @property
    def dimension(self) -> int: ...

    @property
    def max_tokens(self) -> int:
        """Tokens of text that one vector can see, special tokens left out."""

    def token_offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Character spans of the text's tokens, in order, special tokens left out, never cut."""

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        """Unit vectors, shape (len(texts), dimension), float32. Longer texts are truncated."""


class Reranker(Protocol):
    """Relevance of passages to a question, by a model that reads both."""

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """One figure a passage, larger is more relevant."""


Paths = Sequence[str | Path]
