"""A SQLite file that survives kill -9, crowds and read-only disks, for all that Trivium stores.

WAL mode lets readers go on while a writer commits; every write is one short `BEGIN IMMEDIATE`
transaction that leaves a whole file. The schema's version stands in `user_version`.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from trivium.errors import TriviumError, UsageError

BUSY_SECONDS = 120

Migration = Callable[[sqlite3.Connection], None]


class Database:
    """The open file. Threads may share it; each waits for the other's transaction."""

    def __init__(self, file: Path, migrations: Sequence[Migration], repair: str) -> None:
        """Open `file`, creating and migrating it as needed.

        `migrations` are append only: number n leads from `user_version` n to n + 1. `repair` tells
        the user what to do when the file is damaged.

        Raises:
            TriviumError: when it is damaged, newer than this program, or cannot be written.
        """
        self.file = file
        self._migrations = migrations
        self._repair = repair
        self._lock = threading.RLock()
        try:
            self._db = self._connect()
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self.file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute("PRAGMA journal_mode = WAL")
            version = self._migrate(db)
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
                raise
            db.close()  # a read-only disk: nobody can be writing, so no locks are needed
            uri = f"{self.file.absolute().as_uri()}?mode=ro&immutable=1"
            db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(self._migrations):
            db.close()
            raise TriviumError(
                f"{self.file} was written by a newer trivium (schema {version}, this one knows "
                f"{len(self._migrations)}); upgrade trivium"
            )
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = NORMAL")
        return db

    def _migrate(self, db: sqlite3.Connection) -> int:
        """Bring the schema up to date; the version it has then."""
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version >= len(self._migrations):
            return version
        db.execute("BEGIN IMMEDIATE")
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        for migrate in self._migrations[version:]:  # none when another process was first
            migrate(db)
        db.execute(f"PRAGMA user_version = {max(version, len(self._migrations))}")
        db.execute("COMMIT")
        return max(version, len(self._migrations))

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is kept, or none."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise self._failed(error) from error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read inside is of one moment, whatever other processes store meanwhile."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN")  # takes its lock at the first read
            try:
                yield
            finally:
                if self._db.in_transaction:  # SQLite itself ends it after some errors
                    self._db.execute("ROLLBACK")

    def read(self, sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise self._failed(error) from error

    def close(self) -> None:
        self._db.close()

    def _failed(self, error: sqlite3.Error) -> TriviumError:
        file, name = self.file, getattr(error, "sqlite_errorname", "") or ""
        if name.startswith("SQLITE_FULL"):
            return TriviumError(
                f"the disk is full: {file} keeps what it had; free space and run again"
            )
        if name.startswith("SQLITE_BUSY"):
            return TriviumError(
                f"{file} stayed locked by another process for {BUSY_SECONDS} s; wait for it and "
                "retry"
            )
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            return TriviumError(f"cannot write {file}; make it writable or set TRIVIUM_HOME")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return TriviumError(f"{file} is damaged ({error}); {self._repair}")
        return TriviumError(f"{file}: {error}")


class IndexDatabase(Database):
    """The database of an index: a table `meta`, one model for all of it, a count of changes."""

    def meta(self, key: str) -> str | None:
        rows = self.read("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def set_meta(self, key: str, value: str) -> None:
        if self.meta(key) != value:
            with self.write() as db:
                db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def claim(self, key: str, index: str, name: str, fingerprint: str) -> None:
        """Note the model of a new index under `key` ("embedder"); refuse another one in an old.

        Raises:
            UsageError: naming both models.
        """
        if self.meta(key) is None:
            mine = json.dumps({"name": name, "fingerprint": fingerprint})
            with self.write() as db:
                db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, mine))
        theirs = json.loads(self.meta(key) or "{}")
        if theirs["fingerprint"] != fingerprint:
            raise UsageError(
                f'index "{index}" was made with the {key} {theirs["name"]} '
                f"({theirs['fingerprint']}), not with {name} ({fingerprint}); choose that one, or "
                "make another index"
            )


def create_meta(db: sqlite3.Connection) -> None:
    """The table of an `IndexDatabase`, and an id: what is derived from another index must never
    pass for derived from this one."""
    db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
    db.execute("INSERT INTO meta VALUES ('id', lower(hex(randomblob(8))))")


def touch(db: sqlite3.Connection) -> None:
    """Count a change of content, by which derived files know that they are stale."""
    db.execute(
        "INSERT INTO meta VALUES ('generation', '1') "
        "ON CONFLICT(key) DO UPDATE SET value = CAST(value AS INTEGER) + 1"
    )
