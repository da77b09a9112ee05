"""The one SQLite file of an index of pictures: files, what they hold, and what the model saw.

A file is known by its path and points to its content, which is stored once however many files
hold it: a renamed or copied picture is not embedded again. Every write is one transaction that
leaves a whole index. Paths are the bytes that the system gave, for those may be no text.
"""

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trivium.database import IndexDatabase, create_meta, touch
from trivium.images.base import Picture, Reason, Vectors
from trivium.retrieval.known import Known

FILE = "pictures.db"
REPAIR = "delete it, then index the folders again"


def _m001_initial(db: sqlite3.Connection) -> None:
    create_meta(db)
    for statement in (
        "CREATE TABLE roots (path BLOB PRIMARY KEY) WITHOUT ROWID",
        "CREATE TABLE mounts (path BLOB PRIMARY KEY) WITHOUT ROWID",
        """CREATE TABLE contents (
            sha256 TEXT PRIMARY KEY, pixels TEXT NOT NULL, width INTEGER NOT NULL,
            height INTEGER NOT NULL, taken TEXT, format TEXT NOT NULL, frames INTEGER NOT NULL,
            vector BLOB NOT NULL
        )""",
        # Either a content, or the reason why there is none.
        """CREATE TABLE files (
            path BLOB PRIMARY KEY, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL, read_ns INTEGER NOT NULL,
            content TEXT REFERENCES contents(sha256), reason TEXT, detail TEXT,
            CHECK ((content IS NULL) = (reason IS NOT NULL))
        )""",
        "CREATE INDEX files_content ON files(content)",
        # The neutral prompts as this model reads them: see `search.background`.
        "CREATE TABLE background (prompt TEXT PRIMARY KEY, vector BLOB NOT NULL)",
    ):
        db.execute(statement)


MIGRATIONS = (_m001_initial,)
"""Append only: migration n leads from `user_version` n to n + 1."""

_COLUMNS = """f.path, f.sha256, c.pixels, c.width, c.height, f.size, f.mtime_ns / 1e9, c.taken,
    c.format, c.frames"""
_JOIN = "FROM files f JOIN contents c ON c.sha256 = f.content"
_WHEN = "coalesce(c.taken, strftime('%Y-%m-%dT%H:%M:%S', f.mtime_ns / 1e9, 'unixepoch'))"


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds, and the model's unit vector of it, as float32 bytes."""

    pixels: str
    width: int
    height: int
    taken: str | None
    format: str
    frames: int
    vector: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that is not indexed, and why."""

    path: str
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as it was read: its content is stored under `known.sha256` unless it was refused."""

    path: str
    known: Known
    refusal: Refusal | None = None


class Pictures(IndexDatabase):
    """The open database. Threads may share it; each waits for the other's transaction."""

    def __init__(self, folder: Path) -> None:
        """Open `folder`'s database, creating and migrating it as needed.

        Raises:
            TriviumError: when it is damaged, newer than this program, or cannot be written.
        """
        super().__init__(folder / FILE, MIGRATIONS, REPAIR)

    def known(self) -> dict[str, Known]:
        """Every file, refused ones too, by path."""
        rows = self.read("SELECT path, sha256, size, mtime_ns, read_ns FROM files")
        return {os.fsdecode(row[0]): Known(*row[1:]) for row in rows}  # type: ignore[arg-type]

    def count(self) -> int:
        return int(str(self.read("SELECT count(*) FROM files WHERE content IS NOT NULL")[0][0]))

    def refusals(self) -> list[Refusal]:
        """The files that are not indexed, by path."""
        sql = "SELECT path, reason, detail FROM files WHERE content IS NULL ORDER BY path"
        rows = self.read(sql)
        return [Refusal(os.fsdecode(path), why, more) for path, why, more in rows]  # type: ignore[arg-type]

    def contents(self) -> dict[str, str]:
        """The format of every content that has an embedding, by its SHA-256."""
        return dict(self.read("SELECT sha256, format FROM contents"))  # type: ignore[arg-type]

    def pictures(self) -> list[Picture]:
        """All indexed files, by path (in the order of its bytes)."""
        return [_picture(row) for row in self.read(f"SELECT {_COLUMNS} {_JOIN} ORDER BY f.path")]

    def at(self, ids: Sequence[int]) -> list[Picture]:
        """The pictures of these rows, in their order; those that are gone are left out."""
        found: dict[int, Picture] = {}
        for start in range(0, len(ids), 500):
            part = [int(one) for one in ids[start : start + 500]]
            marks = ",".join("?" * len(part))
            sql = f"SELECT f.rowid, {_COLUMNS} {_JOIN} WHERE f.rowid IN ({marks})"
            found.update((int(str(row[0])), _picture(row[1:])) for row in self.read(sql, part))
        return [found[int(one)] for one in ids if int(one) in found]

    def embeddings(self) -> tuple[list[int], Vectors]:
        """The row and the vector of every indexed file, in the order of `pictures`: (n, E)."""
        rows = self.read(f"SELECT f.rowid, c.vector {_JOIN} ORDER BY f.path")
        joined = np.frombuffer(b"".join(row[1] for row in rows), np.float32)  # type: ignore[misc]
        return [int(str(row[0])) for row in rows], joined.reshape(
            len(rows), len(joined) // max(len(rows), 1)
        )

    def vector(self, sha256: str) -> Vectors | None:
        """The vector of this content, shape (E,), where a file with it is indexed."""
        rows = self.read("SELECT vector FROM contents WHERE sha256 = ?", (sha256,))
        return np.frombuffer(rows[0][0], np.float32) if rows else None  # type: ignore[call-overload]

    def rows(
        self,
        *,
        after: str | None = None,
        before: str | None = None,
        under: str | None = None,
        without: Sequence[str] = (),
    ) -> list[int]:
        """The rows of indexed files that pass: dates are the beginnings of ISO 8601 ones.

        A picture without an EXIF date counts by when its file was changed. `without` names
        contents.
        """
        clauses, values = ["1"], list[object]()
        for clause, value in ((f"{_WHEN} >= ?", after), (f"{_WHEN} < ?", before)):
            if value is not None:
                clauses.append(clause)
                values.append(value)
        if under is not None:
            path = os.fsencode(under)
            below = path.rstrip(b"/") + b"/"
            clauses.append("(f.path = ? OR (f.path >= ? AND f.path < ?))")
            values += [path, below, below[:-1] + b"0"]  # "0" follows "/"
        if without:
            clauses.append(f"f.content NOT IN ({','.join('?' * len(without))})")
            values += without
        sql = f"SELECT f.rowid {_JOIN} WHERE {' AND '.join(clauses)}"
        return [int(str(row[0])) for row in self.read(sql, values)]

    def put(self, entries: Sequence[Entry], contents: Mapping[str, Content]) -> list[Entry]:
        """Store files in place of what their paths held, in one transaction.

        Returns:
            Entries that could not be stored, because another process swept the content that they
            counted on.
        """
        lost = []
        with self.write() as db:
            db.executemany(
                "INSERT OR IGNORE INTO contents VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (key, c.pixels, c.width, c.height, c.taken, c.format, c.frames, c.vector)
                    for key, c in contents.items()
                ),
            )
            for one in entries:
                held = "SELECT 1 FROM contents WHERE sha256 = ?"
                if not one.refusal and not db.execute(held, (one.known.sha256,)).fetchone():
                    lost.append(one)
                    continue
                _insert(db, one)
            touch(db)
        return lost

    def refresh(self, entries: Iterable[tuple[str, Known]]) -> None:
        """The files' times changed, their contents did not."""
        with self.write() as db:
            db.executemany(
                "UPDATE files SET size = ?, mtime_ns = ?, read_ns = ? WHERE path = ?",
                ((k.size, k.mtime_ns, k.read_ns, os.fsencode(path)) for path, k in entries),
            )

    def drop(self, paths: Iterable[str]) -> None:
        """Forget these files. Their contents stay until `sweep`: a moved file needs them."""
        with self.write() as db:
            values = ((os.fsencode(path),) for path in paths)
            db.executemany("DELETE FROM files WHERE path = ?", values)
            touch(db)

    def sweep(self) -> None:
        """Delete contents that no file holds."""
        unused = "SELECT sha256 FROM contents EXCEPT SELECT content FROM files"
        if self.read(f"SELECT 1 FROM ({unused}) LIMIT 1"):
            with self.write() as db:
                db.execute(f"DELETE FROM contents WHERE sha256 IN ({unused})")

    def roots(self) -> list[str]:
        """The folders and files that were indexed, by path."""
        return self._paths("roots")

    def mounts(self) -> list[str]:
        """Folders below the roots that other disks were mounted on when they were read."""
        return self._paths("mounts")

    def _paths(self, table: str) -> list[str]:
        rows = self.read(f"SELECT path FROM {table} ORDER BY path")
        return [os.fsdecode(row[0]) for row in rows]  # type: ignore[arg-type]

    def remember(self, roots: Iterable[str], mounts: Iterable[str] = ()) -> None:
        with self.write() as db:
            for table, paths in (("roots", roots), ("mounts", mounts)):
                values = ((os.fsencode(path),) for path in paths)
                db.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?)", values)

    def unremember(self, paths: Iterable[str]) -> None:
        """These are neither roots nor mounts any more."""
        with self.write() as db:
            for path in map(os.fsencode, paths):
                db.execute("DELETE FROM roots WHERE path = ?", (path,))
                db.execute("DELETE FROM mounts WHERE path = ?", (path,))

    def background(self) -> dict[str, bytes]:
        """The vector of each neutral prompt, as float32 bytes."""
        return dict(self.read("SELECT prompt, vector FROM background"))  # type: ignore[arg-type]

    def set_background(self, vectors: Mapping[str, bytes]) -> None:
        with self.write() as db:
            db.execute("DELETE FROM background")
            db.executemany("INSERT INTO background VALUES (?, ?)", vectors.items())
            touch(db)


def _insert(db: sqlite3.Connection, one: Entry) -> None:
    known, refusal = one.known, one.refusal
    why = (None, refusal.reason, refusal.detail) if refusal else (known.sha256, None, None)
    # Deleted first, so that a changed file gets a new row: rows are what derived files know.
    path = os.fsencode(one.path)
    db.execute("DELETE FROM files WHERE path = ?", (path,))
    db.execute(
        "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (path, known.sha256, known.size, known.mtime_ns, known.read_ns, *why),
    )


def _picture(row: Sequence[object]) -> Picture:
    return Picture(os.fsdecode(row[0]), *row[1:])  # type: ignore[arg-type]
