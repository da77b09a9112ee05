"""The pictures nearest to a query, and whether they are nearer than chance would have it.

The vectors lie in one flat file beside the database, mapped into memory and derived from it: it
carries the store's generation in its name and is written anew when that has moved on. Search is
exact.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from math import erfc, sqrt
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trivium import paths
from trivium.errors import TriviumError, UsageError
from trivium.images.base import Hit, Vectors
from trivium.images.store import Pictures

FALSE = 0.05
"""Share of the pictures said to be beyond chance that may be so by chance, on average."""
SAMPLE = 64
"""Pictures of the collection that stand for chance where a picture is looked for."""

_FAR = 1.64  # standard deviations: whatever is nearer has a p-value above FALSE
Figures = npt.NDArray[np.float64]


Found = tuple[int, float, float, float, bool]
"""A row, and the figures of a `Hit`."""


@dataclass(frozen=True, slots=True)
class Part:
    """A term as the model sees it: a unit vector, shape (E,), of words or of a picture."""

    vector: Vectors
    weight: float
    kind: Literal["words", "picture"]


class Collection:
    """All vectors of one moment of a store. Threads may share it."""

    def __init__(self, store: Pictures) -> None:
        """Read the derived file, or make it."""
        with store.snapshot():
            self.generation = int(store.meta("generation") or 0)
            stem = f"vectors-{store.meta('id')}"
            self._file = store.file.parent / f"{stem}-{self.generation}.npy"
            table = _load(self._file)
            if table is None:
                table = _table(store)
                _save(self._file, stem, self.generation, table)
        self._table = table
        self.rows: npt.NDArray[np.int64] = np.ascontiguousarray(table["row"])
        self.vectors: Vectors = table["vector"]

    @cached_property
    def _by_words(self) -> tuple[Figures, Figures]:
        return self._table["mean"].astype(float), self._table["spread"].astype(float)

    @cached_property
    def _by_pictures(self) -> tuple[Figures, Figures]:
        """Mean and spread of each picture's cosines with a sample of the others."""
        count = len(self.rows)
        drawn = np.unique(np.linspace(0, count - 1, min(SAMPLE, count)).astype(int))
        cosines = (self.vectors @ np.ascontiguousarray(self.vectors[drawn]).T).astype(float)
        cosines[drawn, np.arange(len(drawn))] = np.nan  # a picture is no chance neighbour of itself
        if len(drawn) < 3:
            return np.zeros(count), np.zeros(count)
        return np.nanmean(cosines, axis=1), np.nanstd(cosines, axis=1)

    def search(
        self, parts: list[Part], k: int, allowed: npt.NDArray[np.int64] | None = None
    ) -> list[Found]:
        """The `k` nearest of the `allowed` rows, nearest first, equals in the order of paths.

        Returns:
            Row, cosine with six decimals, percentile in the whole collection, percentile among
            what chance would give, and whether that is beyond chance.

        Raises:
            UsageError: when the terms cancel each other.
        """
        total = np.sum([part.weight * part.vector for part in parts], axis=0)
        norm = float(np.linalg.norm(total))
        if norm < 1e-6:
            raise UsageError("the terms of the query cancel each other; leave one out")
        at = np.arange(len(self.rows)) if allowed is None else self._places(allowed)
        if not len(at):
            return []
        query = np.ascontiguousarray(total / norm, np.float32)
        cosines = np.round((self.vectors @ query).astype(float), 6)
        scores = self._against_chance(parts, cosines * norm)
        beyond = np.zeros(len(self.rows), bool)
        p = np.ones(len(at))
        far = scores[at] > _FAR
        p[far] = _tail(scores[at][far])
        beyond[at] = discoveries(p)
        best = at[_nearest(cosines[at], k)]
        above = np.sort(cosines[cosines > cosines[best[-1]]])  # sorting all of them takes longest
        below = 1 - (len(above) - np.searchsorted(above, cosines[best], "right")) / len(cosines)
        chance = 1 - _tail(scores[best])
        return [
            (int(self.rows[n]), float(cosines[n]), float(100 * low), float(100 * by), bool(far))
            for n, low, by, far in zip(best, below, chance, beyond[best], strict=True)
        ]

    def _places(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
        return np.flatnonzero(np.isin(self.rows, rows))

    def _against_chance(self, parts: list[Part], sums: Figures) -> Figures:
        """How many standard deviations each weighted sum of cosines lies above what is expected
        when every term is replaced by a neutral prompt, or by another picture, at random."""
        mean, variance = np.zeros(len(sums)), np.zeros(len(sums))
        for part in parts:
            centre, spread = self._by_words if part.kind == "words" else self._by_pictures
            mean += part.weight * centre
            variance += (part.weight * spread) ** 2
        usable = variance > 1e-12
        return np.where(usable, (sums - mean) / np.sqrt(np.where(usable, variance, 1)), 0)


def discoveries(p: Figures) -> npt.NDArray[np.bool_]:
    """Which of these p-values hold at a false discovery rate of `FALSE`.

    Benjamini & Hochberg 1995: with the p-values sorted, all up to the last p(i) ≤ FALSE · i / m.
    """
    small = np.flatnonzero(p <= FALSE)  # the others hold in no case
    order = small[np.argsort(p[small])]
    holds = np.flatnonzero(p[order] <= FALSE * np.arange(1, len(order) + 1) / len(p))
    found = np.zeros(len(p), bool)
    if len(holds):
        found[order[: holds[-1] + 1]] = True
    return found


def hits(store: Pictures, found: list[Found]) -> list[Hit]:
    """What `Collection.search` found, with the pictures' facts."""
    pictures = store.at([row for row, *_ in found])
    return [
        Hit(picture, cosine, percentile, background, beyond)
        for picture, (_, cosine, percentile, background, beyond) in zip(
            pictures, found, strict=True
        )
    ]


def _tail(scores: Figures) -> Figures:
    """1 - Φ(score), without SciPy, which takes long to import."""
    return np.fromiter((0.5 * erfc(one / sqrt(2)) for one in scores.tolist()), float, len(scores))


def _nearest(cosines: Figures, k: int) -> npt.NDArray[np.intp]:
    """The places of the `k` largest, largest first, equals in their order."""
    if k < len(cosines):
        floor = -np.partition(-cosines, k - 1)[k - 1]
        kept = np.flatnonzero(cosines >= floor)
    else:
        kept = np.arange(len(cosines))
    return kept[np.argsort(-cosines[kept], kind="stable")][:k]


def _table(store: Pictures) -> npt.NDArray[Any]:
    """Every picture's row, vector, and mean and spread of its cosines with the background."""
    rows, vectors = store.embeddings()
    held = store.background().values()
    table = np.zeros(len(rows), _layout(vectors.shape[1]))
    table["row"], table["vector"] = rows, vectors
    if rows and held:
        neutral = np.stack([np.frombuffer(one, np.float32) for one in held])
        for start in range(0, len(rows), 10_000):
            cosines = vectors[start : start + 10_000] @ neutral.T
            table["mean"][start : start + 10_000] = cosines.mean(axis=1)
            table["spread"][start : start + 10_000] = cosines.std(axis=1)
    return table


def _layout(width: int) -> np.dtype[Any]:
    """Rows beside each other: NumPy multiplies them without a copy."""
    figures = [("row", "<i8"), ("mean", "<f4"), ("spread", "<f4"), ("vector", "<f4", (width,))]
    return np.dtype(figures)


def _load(file: Path) -> npt.NDArray[Any] | None:
    """What `_save` wrote, mapped into memory; None when it is missing or damaged."""
    try:
        table: npt.NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    names = table.dtype.names
    return table.view(np.ndarray) if names == ("row", "mean", "spread", "vector") else None


def _save(file: Path, stem: str, generation: int, table: npt.NDArray[Any]) -> None:
    """Keep the table for the next process. Failing that costs time, not truth."""
    if not len(table):
        return  # nothing can be mapped
    with suppress(TriviumError, OSError):
        with paths.atomic_write(file) as out:
            np.save(out, table, allow_pickle=False)
        pattern = re.compile(rf"\.?{re.escape(stem)}-(\d+)\.npy(?:\..+)?")
        for other in file.parent.iterdir():
            found = pattern.fullmatch(other.name)
            if found and int(found[1]) < generation:
                other.unlink()
