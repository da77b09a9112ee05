"""An index's one SQLite file: documents, passages, their FTS5 terms and their embeddings.

SQLite is the truth and everything else is derived from it. Every write is one transaction that
leaves a whole index, so that kill -9 costs at most the documents of the transaction under way.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trivium.database import IndexDatabase, create_meta, touch
from trivium.retrieval.base import Document, Passage, Vectors
from trivium.retrieval.known import Known
from trivium.retrieval.words import TOKENIZER

FILE = "index.db"
REPAIR = "remove the index with `trivium index rm`, then add the files again"


def _m001_initial(db: sqlite3.Connection) -> None:
    create_meta(db)
    for statement in (
        """CREATE TABLE roots (
            path TEXT PRIMARY KEY, include TEXT NOT NULL, exclude TEXT NOT NULL,
            max_bytes INTEGER NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE documents (
            id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, sha256 TEXT NOT NULL,
            size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, read_ns INTEGER NOT NULL,
            kind TEXT NOT NULL, language TEXT, pages TEXT NOT NULL, text TEXT NOT NULL
        )""",
        # AUTOINCREMENT: an id that FAISS has seen must never name another passage.
        """CREATE TABLE passages (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            document INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
            start INTEGER NOT NULL, "end" INTEGER NOT NULL, page INTEGER,
            heading TEXT NOT NULL, text TEXT NOT NULL, embedded BLOB NOT NULL
        )""",
        "CREATE INDEX passages_document ON passages(document)",
        "CREATE INDEX passages_embedded ON passages(embedded)",
        "CREATE TABLE embeddings (sha256 BLOB PRIMARY KEY, vector BLOB NOT NULL)",
        f"""CREATE VIRTUAL TABLE terms USING fts5(
            text, heading, content='passages', content_rowid='id', tokenize='{TOKENIZER}'
        )""",
        "CREATE VIRTUAL TABLE vocabulary USING fts5vocab(terms, row)",
        """CREATE TRIGGER passages_in AFTER INSERT ON passages BEGIN
            INSERT INTO terms(rowid, text, heading) VALUES (new.id, new.text, new.heading);
        END""",
        """CREATE TRIGGER passages_out AFTER DELETE ON passages BEGIN
            INSERT INTO terms(terms, rowid, text, heading)
            VALUES ('delete', old.id, old.text, old.heading);
        END""",
    ):
        db.execute(statement)


MIGRATIONS = (_m001_initial,)
"""Append only: migration n leads from `user_version` n to n + 1."""


@dataclass(frozen=True, slots=True)
class Root:
    """What the user asked to index, and keeps up to date with `update`."""

    path: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document read and split, not yet stored. `hashes` name the text each passage embeds."""

    document: Document
    known: Known
    passages: tuple[Passage, ...]
    hashes: tuple[bytes, ...]


class MissingEmbeddings(Exception):
    """Hashes of texts that must be embedded before their passages can be stored."""

    def __init__(self, hashes: set[bytes]) -> None:
        super().__init__(f"{len(hashes)} texts have no embedding")
        self.hashes = hashes


class Store(IndexDatabase):
    """The open database. Threads may share it; each waits for the other's transaction."""

    def __init__(self, folder: Path) -> None:
        """Open `folder`'s database, creating and migrating it as needed.

        Raises:
            TriviumError: when it is damaged, newer than this program, or cannot be written.
        """
        super().__init__(folder / FILE, MIGRATIONS, REPAIR)

    def known(self) -> dict[str, Known]:
        """Every file in the index, by path."""
        rows = self.read("SELECT path, sha256, size, mtime_ns, read_ns FROM documents")
        return {str(row[0]): Known(*row[1:]) for row in rows}  # type: ignore[arg-type]

    def roots(self) -> list[Root]:
        rows = self.read("SELECT path, include, exclude, max_bytes FROM roots ORDER BY path")
        return [
            Root(
                str(path), tuple(json.loads(str(inc))), tuple(json.loads(str(exc))), int(str(size))
            )
            for path, inc, exc, size in rows
        ]

    def embedded(self, hashes: Iterable[bytes]) -> set[bytes]:
        """Which of these texts have an embedding already."""
        wanted = list(dict.fromkeys(hashes))
        found: set[bytes] = set()
        for at in range(0, len(wanted), 500):
            part = wanted[at : at + 500]
            marks = ",".join("?" * len(part))
            sql = f"SELECT sha256 FROM embeddings WHERE sha256 IN ({marks})"
            found.update(row[0] for row in self.read(sql, part))  # type: ignore[misc]
        return found

    def passages(self, ids: Sequence[int] | None = None) -> list[Passage]:
        """Passages by id in the order asked for, or all of them by path and place."""
        columns = 'p.text, d.path, p.start, p."end", d.sha256, p.page, p.heading, p.id'
        query = f"SELECT {columns} FROM passages p JOIN documents d ON d.id = p.document "
        if ids is None:
            rows = self.read(query + "ORDER BY d.path, p.start")
            return [Passage(*row) for row in rows]  # type: ignore[arg-type]
        found: dict[int, Passage] = {}
        for at in range(0, len(ids), 500):
            part = ids[at : at + 500]
            rows = self.read(query + f"WHERE p.id IN ({','.join('?' * len(part))})", part)
            found.update((int(str(row[-1])), Passage(*row)) for row in rows)  # type: ignore[arg-type]
        return [found[key] for key in ids if key in found]

    def places(self, ids: Sequence[int]) -> dict[int, tuple[str, int]]:
        """Path and start of each of these passages."""
        found: dict[int, tuple[str, int]] = {}
        for at in range(0, len(ids), 500):
            part = ids[at : at + 500]
            rows = self.read(
                "SELECT p.id, d.path, p.start FROM passages p JOIN documents d "
                f"ON d.id = p.document WHERE p.id IN ({','.join('?' * len(part))})",
                part,
            )
            found.update((key, (path, start)) for key, path, start in rows)  # type: ignore[misc]
        return found

    def vectors(self, ids: Sequence[int], dimension: int) -> Vectors:
        """The embeddings of these passages, shape (len(ids), dimension); zeros for unknown ones."""
        out = np.zeros((len(ids), dimension), np.float32)
        for at in range(0, len(ids), 500):
            part = [int(key) for key in ids[at : at + 500]]
            place = {key: at + n for n, key in enumerate(part)}
            rows = self.read(
                "SELECT p.id, e.vector FROM passages p JOIN embeddings e ON e.sha256 = p.embedded "
                f"WHERE p.id IN ({','.join('?' * len(part))})",
                part,
            )
            for key, vector in rows:
                out[place[int(str(key))]] = np.frombuffer(vector, np.float32)  # type: ignore[call-overload]
        return out

    def put(self, parsed: Sequence[Parsed], vectors: Mapping[bytes, bytes]) -> None:
        """Store documents whole, in place of what their paths held, in one transaction.

        Raises:
            MissingEmbeddings: nothing is stored when a passage would be left without a vector,
                because another process swept one that was counted on.
        """
        with self.write() as db:
            for one in parsed:
                _delete(db, one.document.path)
                _insert(db, one)
            db.executemany("INSERT OR IGNORE INTO embeddings VALUES (?, ?)", vectors.items())
            hashes = {text_hash for one in parsed for text_hash in one.hashes}
            missing = hashes - self.embedded(hashes)
            if missing:
                raise MissingEmbeddings(missing)
            touch(db)

    def touch(self, path: str, known: Known) -> None:
        """The file's times changed, its content did not."""
        with self.write() as db:
            db.execute(
                "UPDATE documents SET size = ?, mtime_ns = ?, read_ns = ? WHERE path = ?",
                (known.size, known.mtime_ns, known.read_ns, path),
            )

    def drop(self, paths: Iterable[str]) -> None:
        """Forget these documents. Their embeddings stay until `sweep`: a moved file needs them."""
        with self.write() as db:
            for path in paths:
                _delete(db, path)
            touch(db)

    def sweep(self) -> None:
        """Delete embeddings that no passage uses."""
        unused = "SELECT sha256 FROM embeddings EXCEPT SELECT embedded FROM passages"
        if self.read(f"SELECT 1 FROM ({unused}) LIMIT 1"):
            with self.write() as db:
                db.execute(f"DELETE FROM embeddings WHERE sha256 IN ({unused})")

    def remember(self, roots: Iterable[Root]) -> None:
        with self.write() as db:
            db.executemany(
                "INSERT OR REPLACE INTO roots VALUES (?, ?, ?, ?)",
                (
                    (r.path, json.dumps(r.include), json.dumps(r.exclude), r.max_bytes)
                    for r in roots
                ),
            )


def _insert(db: sqlite3.Connection, one: Parsed) -> None:
    document, known = one.document, one.known
    row = db.execute(
        "INSERT INTO documents(path, sha256, size, mtime_ns, read_ns, kind, language, pages, text) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            document.path,
            document.sha256,
            known.size,
            known.mtime_ns,
            known.read_ns,
            document.kind,
            document.language,
            json.dumps(document.pages),
            document.text,
        ),
    )
    db.executemany(
        'INSERT INTO passages(document, start, "end", page, heading, text, embedded) '
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (row.lastrowid, p.start, p.end, p.page, p.heading, p.text, text_hash)
            for p, text_hash in zip(one.passages, one.hashes, strict=True)
        ),
    )


def _delete(db: sqlite3.Connection, path: str) -> None:
    db.execute("DELETE FROM documents WHERE path = ?", (path,))
