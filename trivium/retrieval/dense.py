"""Nearest neighbours of a vector: FAISS over the embeddings, derived from the store.

Exact (a flat index) below 50,000 passages, HNSW (Malkov & Yashunin 2016) above. The file carries
the store's generation in its name; a stale, missing or damaged one is brought up to date from
SQLite, by adding and removing what changed where that is possible.
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trivium import paths
from trivium.errors import TriviumError
from trivium.retrieval.base import Vectors
from trivium.retrieval.store import Store

EXACT_BELOW = 50_000
LINKS = 32  # HNSW's M: neighbours of a node
BUILD_EFFORT = 80  # efConstruction
SEARCH_EFFORT = 128  # efSearch
MOST_DEAD = 0.2  # share of removed nodes that an HNSW graph carries before it is built anew

Ids = npt.NDArray[np.int64]


class Dense:
    """The FAISS index of one store, in step with it when `sync` returns."""

    def __init__(self, store: Store, dimension: int) -> None:
        self._store = store
        self._dimension = dimension
        self._folder = store.file.parent
        self._index: Any = None
        self._searcher: Any = None  # the same, on the GPUs where faiss sees any
        self._generation = -1
        self._dead = 0

    def search(self, queries: Vectors, count: int) -> list[list[tuple[int, float]]]:
        """For each query up to `count` (passage id, cosine), nearest first."""
        self.sync()
        total = self._index.ntotal
        if total == 0 or count < 1:
            return [[] for _ in queries]
        # A graph still finds nodes that were removed; ask for as many more.
        wanted = min(count + self._dead, total)
        cosines, ids = self._searcher.search(np.ascontiguousarray(queries, np.float32), wanted)
        alive = set(self._ids().tolist()) if self._dead else None
        return [
            [
                (int(key), float(cosine))
                for key, cosine in zip(row_ids, row, strict=True)
                if key >= 0 and (alive is None or int(key) in alive)
            ][:count]
            for row_ids, row in zip(ids, cosines, strict=True)
        ]

    def sync(self) -> None:
        """Bring FAISS in step with the store, reading its file or building what is missing."""
        generation = int(self._store.meta("generation") or 0)
        if generation == self._generation:
            return
        if self._index is None:
            self._read(generation)
        if self._generation != generation:
            self._update()
            self._generation = generation
        self._searcher = self._ready()

    def save(self) -> None:
        """Write the FAISS file for the next process. Failing that costs time, not truth."""
        self.sync()
        file = self._file(self._generation)
        if file.is_file():
            return
        faiss = _faiss()
        with suppress(TriviumError), paths.atomic_write(file) as out:
            faiss.write_index(self._index, faiss.PyCallbackIOWriter(out.write))
            for old in self._folder.glob("dense-*.faiss"):
                with suppress(OSError):
                    old.unlink()

    def _file(self, generation: int) -> Path:
        return self._folder / f"dense-{generation}.faiss"

    def _read(self, generation: int) -> None:
        faiss = _faiss()
        exact = self._file(generation)
        files = [exact, *sorted(self._folder.glob("dense-*.faiss"))]
        for file in dict.fromkeys(files):
            if not file.is_file() or not _GENERATION.fullmatch(file.name):
                continue
            try:
                index = faiss.read_index(str(file))
                known = faiss.vector_to_array(index.id_map)
            except (RuntimeError, AttributeError):  # damaged, or not one of ours
                continue
            if index.d == self._dimension and index.ntotal == len(known):
                self._index = index
                self._dead = 0
                if file == exact:
                    self._generation = generation
                    passages = self._store.read("SELECT count(*) FROM passages")[0][0]
                    self._dead = index.ntotal - int(str(passages))
                return

    def _ids(self) -> Ids:
        rows = self._store.read("SELECT id FROM passages ORDER BY id")
        return np.array([row[0] for row in rows], np.int64)

    def _update(self) -> None:
        """Add what is new and drop what is gone; start again where that does not pay."""
        faiss = _faiss()
        current = self._ids()
        exact = len(current) < EXACT_BELOW
        held = (
            faiss.vector_to_array(self._index.id_map)
            if self._index is not None
            else np.empty(0, np.int64)
        )
        gone = np.setdiff1d(held, current)
        was_exact = self._index is not None and isinstance(
            faiss.downcast_index(self._index.index), faiss.IndexFlat
        )
        keep = self._index is not None and was_exact == exact
        if keep and not exact and len(gone) > MOST_DEAD * len(held):
            keep = False
        if not keep:
            self._index = self._empty(exact)
            held = np.empty(0, np.int64)
            gone = held
        new = np.setdiff1d(current, held)
        if exact and len(gone):
            self._index.remove_ids(gone)
        for at in range(0, len(new), 10_000):
            part = new[at : at + 10_000]
            vectors = self._store.vectors(part.tolist(), self._dimension)
            self._index.add_with_ids(vectors, part)
        self._dead = 0 if exact else len(gone)

    def _empty(self, exact: bool) -> Any:
        faiss = _faiss()
        if exact:
            inner = faiss.IndexFlatIP(self._dimension)
        else:
            inner = faiss.IndexHNSWFlat(self._dimension, LINKS, faiss.METRIC_INNER_PRODUCT)
            inner.hnsw.efConstruction = BUILD_EFFORT
        return faiss.IndexIDMap2(inner)

    def _ready(self) -> Any:
        """The index as it is searched: with its effort set, or copied to the GPUs."""
        faiss = _faiss()
        inner = faiss.downcast_index(self._index.index)
        if isinstance(inner, faiss.IndexHNSW):
            inner.hnsw.efSearch = SEARCH_EFFORT
            return self._index
        gpus = faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0  # none in faiss-cpu
        return faiss.index_cpu_to_all_gpus(self._index) if gpus else self._index


def _faiss() -> Any:
    """The module, imported on first use; its stubs leave out half of what is used here."""
    import faiss

    return faiss


_GENERATION = re.compile(r"dense-\d+\.faiss")
