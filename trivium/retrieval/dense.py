"""Nearest neighbours of a vector: FAISS over the embeddings, derived from the store.

Exact (a flat index) below 50,000 passages, HNSW (Malkov & Yashunin 2016) above. The file carries
the store's generation in its name; a stale, missing or damaged one is brought up to date from
SQLite, by adding and removing what changed where that is possible.
"""

import re
from contextlib import suppress
from functools import cached_property
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
BUILD_EFFORT = 200  # efConstruction
SEARCH_EFFORT = 512  # efSearch
MOST_DEAD = 0.2  # share of removed nodes that an HNSW graph carries before it is built anew

Ids = npt.NDArray[np.int64]


class Dense:
    """The FAISS index of one store, in step with it when `sync` returns. Threads may share it."""

    def __init__(self, store: Store, dimension: int) -> None:
        self._store = store
        self._dimension = dimension
        self._folder = store.file.parent
        self._index: Any = None
        self._searcher: Any = None  # the same, on the GPUs where faiss sees any
        self._generation = -1
        self._dead = np.empty(0, np.int64)  # removed, but still nodes of the graph

    def search(self, queries: Vectors, count: int) -> list[list[tuple[int, float]]]:
        """For each query the `count` nearest (passage id, cosine), nearest first.

        Cosines have six decimals: beyond that they depend on what else was asked. Equals of the
        last one come as well, so that the caller and not FAISS decides between them.
        """
        with self._store.snapshot():
            self.sync()
            alive = self._index.ntotal - len(self._dead)
            if count < 1 or alive == 0:
                return [[] for _ in queries]
            rows = self._nearest(queries, min(count + 1, alive))
            for number, row in enumerate(rows):
                wanted = len(row)
                while count < len(row) and row[-1][1] == row[count - 1][1] and wanted < alive:
                    wanted = min(4 * wanted, alive)
                    row = self._nearest(queries[number : number + 1], wanted)[0]
                least = row[count - 1][1] if count < len(row) else -1.0
                rows[number] = [one for one in row if one[1] >= least]
        return rows

    def _nearest(self, queries: Vectors, count: int) -> list[list[tuple[int, float]]]:
        cosines, ids = self._searcher.search(
            np.ascontiguousarray(queries, np.float32), count, params=self._effort()
        )
        return [
            [
                (key, cosine)
                for key, cosine in zip(row_ids, row, strict=True)
                if key >= 0  # a graph may reach fewer than are wanted
            ]
            for row_ids, row in zip(
                ids.tolist(), np.round(cosines.astype(float), 6).tolist(), strict=True
            )
        ]

    def sync(self) -> None:
        """Bring FAISS in step with the store, reading its file or building what is missing."""
        with self._store.snapshot():
            generation = int(self._store.meta("generation") or 0)
            if generation == self._generation:
                return
            first = self._index is None
            if first:
                self._read(generation)
            if self._generation != generation:
                self._update()
                self._generation = generation
                if first:  # a process was killed before it had saved: spare the next one the work
                    self._write()
            self._searcher = self._ready()

    def save(self) -> None:
        """Write the FAISS file for the next process. Failing that costs time, not truth."""
        with self._store.snapshot():
            file = self._file(int(self._store.meta("generation") or 0))
            if file.is_file():
                return
            self.sync()
            if not file.is_file():
                self._write()

    def _write(self) -> None:
        file = self._file(self._generation)
        faiss = _faiss()
        with suppress(TriviumError):
            with paths.atomic_write(file) as out:
                faiss.write_index(self._index, faiss.PyCallbackIOWriter(out.write))
            for name, generation in self._files():
                if generation < self._generation:
                    with suppress(OSError):
                        (self._folder / name).unlink()

    @cached_property
    def _stem(self) -> str:
        return f"dense-{self._store.meta('id') or 'none'}"

    def _file(self, generation: int) -> Path:
        return self._folder / f"{self._stem}-{generation}.faiss"

    def _files(self) -> list[tuple[str, int]]:
        """This store's files, half-written ones too, with their generations; newest first."""
        pattern = re.compile(rf"\.?{self._stem}-(\d+)\.faiss(?:\..+)?")
        found = (pattern.fullmatch(entry.name) for entry in self._folder.iterdir())
        return sorted(((m[0], int(m[1])) for m in found if m), key=lambda one: -one[1])

    def _read(self, generation: int) -> None:
        """Load the file of this generation, or else the newest that can be brought up to it."""
        exact = self._file(generation)
        others = [self._folder / name for name, _ in self._files() if name.endswith(".faiss")]
        for file in dict.fromkeys([exact, *others]):
            index = self._load(file)
            if index is None:
                continue
            self._index = index
            if file == exact:
                self._generation = generation
                passages = self._store.read("SELECT count(*) FROM passages")[0][0]
                if index.ntotal != passages:
                    self._dead = np.setdiff1d(self._held(), self._ids())
            return

    def _load(self, file: Path) -> Any:
        """The index in `file`; None when it is missing, damaged or not one of ours."""
        faiss = _faiss()
        try:
            index = faiss.read_index(str(file))
            known = faiss.vector_to_array(index.id_map)
        except (RuntimeError, AttributeError, MemoryError):
            return None
        whole = index.d == self._dimension and index.ntotal == index.index.ntotal == len(known)
        return index if whole else None

    def _held(self) -> Ids:
        held: Ids = _faiss().vector_to_array(self._index.id_map)
        return held

    def _ids(self) -> Ids:
        rows = self._store.read("SELECT id FROM passages ORDER BY id")
        return np.array([row[0] for row in rows], np.int64)

    def _update(self) -> None:
        """Add what is new and drop what is gone; start again where that does not pay."""
        current = self._ids()
        exact = len(current) < EXACT_BELOW
        held = np.empty(0, np.int64)
        gone = held
        if self._index is not None and self._is_exact() == exact:
            held = self._held()
            gone = np.setdiff1d(held, current)
        if self._index is None or not len(held) or (not exact and self._too_many(gone, held)):
            self._index = self._empty(exact)
            held = gone = np.empty(0, np.int64)
        if exact and len(gone):
            self._index.remove_ids(gone)
            gone = gone[:0]
        new = np.setdiff1d(current, held)
        for at in range(0, len(new), 10_000):
            part = new[at : at + 10_000]
            vectors = self._store.vectors(part.tolist(), self._dimension)
            self._index.add_with_ids(vectors, part)
        self._dead = gone

    def _is_exact(self) -> bool:
        faiss = _faiss()
        return isinstance(faiss.downcast_index(self._index.index), faiss.IndexFlat)

    def _too_many(self, gone: Ids, held: Ids) -> bool:
        return len(gone) > MOST_DEAD * len(held)

    def _effort(self) -> Any:
        """How to search: a graph's effort, past the nodes that were removed."""
        faiss = _faiss()
        if self._is_exact():
            return None
        if not len(self._dead):
            return faiss.SearchParametersHNSW(efSearch=SEARCH_EFFORT)
        alive = faiss.IDSelectorNot(faiss.IDSelectorBatch(self._dead))
        return faiss.SearchParametersHNSW(efSearch=SEARCH_EFFORT, sel=alive)

    def _empty(self, exact: bool) -> Any:
        faiss = _faiss()
        if exact:
            inner = faiss.IndexFlatIP(self._dimension)
        else:
            inner = faiss.IndexHNSWFlat(self._dimension, LINKS, faiss.METRIC_INNER_PRODUCT)
            inner.hnsw.efConstruction = BUILD_EFFORT
        return faiss.IndexIDMap2(inner)

    def _ready(self) -> Any:
        """The index as it is searched: an exact one is copied to the GPUs, where there are any."""
        faiss = _faiss()
        gpus = faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0  # none in faiss-cpu
        return (
            faiss.index_cpu_to_all_gpus(self._index) if gpus and self._is_exact() else self._index
        )


def _faiss() -> Any:
    """The module, imported on first use; its stubs leave out half of what is used here."""
    import faiss

    return faiss
