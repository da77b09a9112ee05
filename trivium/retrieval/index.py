"""An index: documents as passages, searchable by words and by meaning. The façade of the room."""

import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from trivium import paths
from trivium.closing import Closing
from trivium.errors import TriviumError, UsageError
from trivium.retrieval import indexing, search
from trivium.retrieval.base import (
    Document,
    Embedder,
    Hit,
    Mode,
    Passage,
    Paths,
    Report,
    Reranker,
    Vectors,
)
from trivium.retrieval.dense import Dense
from trivium.retrieval.load import MAX_BYTES
from trivium.retrieval.store import FILE, Root, Store

if TYPE_CHECKING:
    from langchain_core.retrievers import BaseRetriever

RERANKED = 20
"""Passages that a reranker reads to find the best few."""

_FOR_PATHS = re.compile(r"ask-[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Status:
    """What an index holds and how far the files have moved on. `size` is in bytes."""

    name: str
    folder: str
    documents: int
    passages: int
    size: int
    embedder: str
    embedder_fingerprint: str
    fingerprint: str
    roots: tuple[str, ...]
    new: int
    changed: int
    deleted: int


class Index(Closing):
    """An open index. Close it, or use it in a `with` block."""

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        """Open the index in `folder`, which exists. Use `create` or `open`."""
        self.folder = folder
        self.embedder = embedder
        self._store = Store(folder)
        try:
            self._store.claim("embedder", self.name, embedder.name, embedder.fingerprint)
        except BaseException:
            self._store.close()
            raise
        self._dense = Dense(self._store, embedder.dimension)

    @classmethod
    def create(cls, name: str | Path, *, embedder: Embedder) -> Self:
        """Open the index of this name or folder, making it when there is none.

        Raises:
            UsageError: when it was made with another embedder, or the name is not one.
        """
        return cls(paths.ensure(folder_of(name)), embedder)

    @classmethod
    def open(cls, name: str | Path, *, embedder: Embedder) -> Self:
        """Open an index that exists.

        Raises:
            UsageError: when there is none, naming those that there are.
        """
        folder = folder_of(name)
        if not (folder / FILE).is_file():
            there = ", ".join(names())
            raise UsageError(
                f'there is no index "{name}"{f" (there are: {there})" if there else ""}; '
                f"make it with: trivium index add PATH --index {name}"
            )
        return cls(folder, embedder)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits for the embedder and every document's path and content."""
        digest = hashlib.sha256(self.embedder.fingerprint.encode())
        for path, sha256 in self._store.read("SELECT path, sha256 FROM documents ORDER BY path"):
            digest.update(f"\0{path}\0{sha256}".encode())
        return digest.hexdigest()[:16]

    def add(
        self,
        paths: Paths,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        max_bytes: int = MAX_BYTES,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Report:
        """Index files and folders and remember them for `update`.

        What did not change is left alone; what is gone from a folder leaves the index; what cannot
        be read is skipped and reported. `on_progress(done, total)` counts files.

        Raises:
            UsageError: for a path that does not exist.
            TriviumError: when the index cannot be written.
        """
        roots = [
            Root(str(_existing(path)), tuple(include), tuple(exclude), max_bytes) for path in paths
        ]
        self._store.remember(r for r in roots if Path(r.path).is_dir() or Path(r.path).is_file())
        return self._sync(roots, on_progress)

    def update(self, on_progress: Callable[[int, int], None] | None = None) -> Report:
        """Bring the index in step with all files and folders that were ever added."""
        return self._sync(self._store.roots(), on_progress)

    def _sync(
        self, roots: Sequence[Root], on_progress: Callable[[int, int], None] | None
    ) -> Report:
        report = indexing.sync(self._store, self.embedder, roots, on_progress)
        self._dense.save()
        return report

    def add_document(self, document: Document) -> Report:
        """Index text that is no file, such as standard input."""
        report = indexing.add_document(self._store, self.embedder, document)
        self._dense.save()
        return report

    def remove(self, paths: Paths) -> int:
        """Take files or folders out of the index; how many documents left it."""
        count = indexing.remove(self._store, paths)
        self._dense.save()
        return count

    def status(self) -> Status:
        """Counts, and what `update` would find; nothing is read but sizes and times."""
        counted = self._store.read(
            "SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM passages)"
        )[0]
        documents, passages = (int(str(value)) for value in counted)
        new, changed, deleted = indexing.pending(self._store)
        return Status(
            self.name,
            str(self.folder),
            documents,
            passages,
            paths.size(self.folder),
            self.embedder.name,
            self.embedder.fingerprint,
            self.fingerprint,
            tuple(root.path for root in self._store.roots()),
            new,
            changed,
            deleted,
        )

    def search(
        self,
        query: str,
        k: int = 5,
        *,
        mode: Mode = "hybrid",
        reranker: Reranker | None = None,
    ) -> list[Hit]:
        """The `k` best passages, best first, each with every score that put it there."""
        return self.search_many([query], k, mode=mode, reranker=reranker)[0]

    def search_many(
        self,
        queries: Sequence[str],
        k: int = 5,
        *,
        mode: Mode = "hybrid",
        reranker: Reranker | None = None,
    ) -> list[list[Hit]]:
        """`search` for each query, embedded together. A blank query finds nothing."""
        asked = [query for query in queries if query.strip()]
        vectors = self.embedder.encode(asked, query=True) if mode != "bm25" else None
        wanted = max(k, RERANKED) if reranker else k
        found = iter(self._best(asked, vectors, wanted, mode))
        results = []
        for query in queries:
            hits = next(found) if query.strip() else []
            if reranker and hits:
                hits = search.reranked(query, hits, reranker)
            results.append(hits[:k])
        return results

    def _best(
        self, queries: Sequence[str], vectors: Vectors | None, wanted: int, mode: Mode
    ) -> list[list[Hit]]:
        """The `wanted` best passages for each query, all of one moment of the store."""
        depth = max(wanted, search.DEPTH)
        found = []
        with self._store.snapshot():
            near = [[] for _ in queries] if vectors is None else self._dense.search(vectors, depth)
            for query, neighbours in zip(queries, near, strict=True):
                dense = search.in_place(self._store, neighbours)[:depth]
                lexical = [] if mode == "dense" else search.bm25(self._store, query, depth)
                scores = search.fuse(lexical, dense, mode)
                best = sorted(scores, key=lambda key: -scores[key])
                # One more than asked for, and all that tie with it: the tie is broken by place.
                floor = scores[best[wanted]] if len(best) > wanted else -math.inf
                kept = [key for key in best if scores[key] >= floor]
                hits = search.hits(self._store.passages(kept), scores, lexical, dense)
                found.append(hits[:wanted])
        return found

    def text(self, path: str | Path) -> str:
        """A document's extracted text, in which every span of its passages lies.

        Raises:
            TriviumError: when the document is not in the index.
        """
        rows = self._store.read("SELECT text FROM documents WHERE path = ?", (str(path),))
        if not rows:
            raise TriviumError(f'{path} is not in the index "{self.name}"')
        return str(rows[0][0])

    def passages(self) -> list[Passage]:
        """All passages, by path and place."""
        return self._store.passages()

    def documents(self) -> list[str]:
        """The paths of all documents, sorted."""
        return sorted(self.contents())

    def contents(self) -> dict[str, str]:
        """The sha256 of each document's file, by path."""
        return {path: known.sha256 for path, known in self._store.known().items()}

    def frequencies(self, stems: Iterable[str]) -> tuple[int, dict[str, int]]:
        """How many passages there are, and how many of them hold each stem."""
        total = int(str(self._store.read("SELECT count(*) FROM passages")[0][0]))
        held = {}
        for stem in stems:
            rows = self._store.read("SELECT doc FROM vocabulary WHERE term = ?", (stem,))
            held[stem] = int(str(rows[0][0])) if rows else 0
        return total, held

    def idf(self, stems: Iterable[str]) -> Mapping[str, float]:
        """Each stem's inverse document frequency over passages: see `inverse_frequency`."""
        return inverse_frequency(*self.frequencies(stems))

    def as_retriever(self, k: int = 5, mode: Mode = "hybrid") -> "BaseRetriever":
        """This index as a LangChain retriever; its documents carry path, page, span and score."""
        from trivium.retrieval.langchain import IndexRetriever

        return IndexRetriever(index=self, k=k, mode=mode)

    def close(self) -> None:
        self._store.close()


def inverse_frequency(total: int, held: Mapping[str, int]) -> dict[str, float]:
    """ln(1 + (N - n + 0.5) / (n + 0.5)) for each stem, always positive (as in Lucene's BM25)."""
    return {
        stem: math.log(1 + (total - count + 0.5) / (count + 0.5)) for stem, count in held.items()
    }


def folder_of(name: str | Path) -> Path:
    """Where the index of this name lies; a path is a folder of its own.

    Raises:
        UsageError: for a name that is neither.
    """
    return paths.named(name, paths.indexes())


def names() -> list[str]:
    """The user's indexes, sorted; those that `ask` keeps for paths are left out."""
    folder = paths.indexes()
    if not folder.is_dir():
        return []
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if (entry / FILE).is_file() and not _FOR_PATHS.fullmatch(entry.name)
    )


def overview(name: str) -> tuple[int, int, int, str]:
    """Documents, passages, bytes and embedder of an index, without loading its embedder."""
    folder = folder_of(name)
    store = Store(folder)
    try:
        counted = "SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM passages)"
        documents, passages = (int(str(value)) for value in store.read(counted)[0])
        embedder = str(json.loads(store.meta("embedder") or "{}").get("name", ""))
    finally:
        store.close()
    return documents, passages, paths.size(folder), embedder


def delete(name: str) -> None:
    """Delete an index with all its files.

    Raises:
        UsageError: when there is none.
        TriviumError: when it cannot be deleted.
    """
    folder = folder_of(name)
    if not (folder / FILE).is_file():
        raise UsageError(f'there is no index "{name}"; see trivium index list')
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise TriviumError(f"cannot delete {folder}: {error.strerror}") from error


def _existing(path: str | Path) -> Path:
    absolute = paths.absolute(path)
    if not absolute.exists():
        raise UsageError(f"{path} does not exist")
    return absolute
