"""Conversations as trees of messages, in one SQLite file that all of Trivium's programs share.

A message is committed when it is complete. An answer that still grows is a draft, written again and
again; what is left of one when its program ends without a word is marked "interrupted". Nothing is
ever taken out of a tree: undo, edit and retry move the session's head.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from typing import cast

from trivium import paths
from trivium.agent import naming
from trivium.agent.base import Found, Node, Session
from trivium.agent.lock import locked
from trivium.agent.migrations import MIGRATIONS
from trivium.agent.records import COLUMNS, STORED, from_row, storable, to_row
from trivium.closing import Closing
from trivium.database import Database
from trivium.errors import UsageError
from trivium.retrieval.words import STOP_WORDS

FILE = "sessions.db"
REPAIR = "move it away to begin anew; `sqlite3 FILE .recover` saves what it still holds"
NEWEST = 2_000
"""A search ranks this many of the newest messages that fit: common words stay quick."""

_SESSION = (
    "SELECT id, name, model, system, created, updated, head, (SELECT count(*) FROM nodes "
    "WHERE session = sessions.id AND role IN ('user', 'assistant')) FROM sessions "
)
_NODES = f"SELECT {COLUMNS} FROM nodes "
_PATH = (
    "WITH RECURSIVE up(key, above) AS (SELECT id, parent FROM nodes WHERE id = ? UNION "
    "SELECT id, parent FROM nodes JOIN up ON id = above) "
)


def default_file() -> Path:
    """Where the user's conversations lie."""
    return paths.home() / FILE


class Sessions(Closing):
    """The open store. Threads may share it, and so may processes: each change is a transaction.

    Every method raises `TriviumError` when the file is damaged, cannot be written or the disk is
    full, and `UsageError` for a session or message that is not there.
    """

    def __init__(self, file: Path | None = None) -> None:
        """Open `file`, made if need be, readable by its owner alone.

        Raises:
            TriviumError: when it is damaged, newer than this program, or cannot be made.
        """
        self.file = file or default_file()
        paths.ensure(self.file.parent)
        with suppress(OSError):  # the database says it better
            self.file.touch(mode=0o600)
        self._db = Database(self.file, MIGRATIONS, REPAIR)
        self._db.read("PRAGMA synchronous = FULL")  # few writes, and a power cut takes none

    # Sessions

    def create(self, name: str | None = None, *, model: str = "", system: str = "") -> Session:
        """A new, empty conversation. Without a name it gets one from its first message."""
        now = time.time()
        with self._db.write() as db:
            if name is None:
                given = naming.of_the_day(datetime.fromtimestamp(now).date(), self._names())
            else:
                given = self._free(name)
            key = _insert(
                db,
                "sessions",
                "name, named, model, system, created, updated",
                (given, name is not None, storable(model), storable(system), now, now),
            )
        return self.session(key)

    def get(self, name: str) -> Session:
        """The session of this name.

        Raises:
            UsageError: when there is none, with names that are near.
        """
        rows = self._db.read(_SESSION + "WHERE name = ?", (storable(name),))
        if not rows:
            raise naming.unknown(name, sorted(self._names()))
        return Session(*rows[0])  # type: ignore[arg-type]

    def session(self, session_id: int) -> Session:
        """The session as it is now."""
        rows = self._db.read(_SESSION + "WHERE id = ?", (session_id,))
        if not rows:
            raise UsageError(f"there is no session {session_id}; it may have been deleted")
        return Session(*rows[0])  # type: ignore[arg-type]

    def latest(self) -> Session | None:
        """The session that was last written to."""
        return next(iter(self._sessions("LIMIT 1")), None)

    def all(self) -> list[Session]:
        """Every session, the one last written to first."""
        return self._sessions("")

    def rename(self, name: str, new: str) -> Session:
        with self._db.write() as db:
            session = self.get(name)
            if new != session.name:
                new = self._free(new)
            db.execute("UPDATE sessions SET name = ?, named = 1 WHERE id = ?", (new, session.id))
        return self.session(session.id)

    def delete(self, name: str) -> None:
        """Delete a session with all its messages and its KV state.

        Raises:
            TriviumError: when a chat has it open.
        """
        session = self.get(name)
        with locked(self._lock_file(session.id), session.name):
            with self._db.write() as db:
                db.execute("DELETE FROM sessions WHERE id = ?", (session.id,))
            for file in (self.state_file(session.id), self._lock_file(session.id)):
                with suppress(FileNotFoundError):
                    file.unlink()

    def set_system(self, session_id: int, text: str) -> None:
        with self._db.write() as db:
            self._update(db, "sessions", session_id, "system = ?", storable(text))

    def set_model(self, session_id: int, model: str) -> None:
        with self._db.write() as db:
            self._update(db, "sessions", session_id, "model = ?", storable(model))

    def set_head(self, session_id: int, node_id: int | None) -> None:
        """Open another branch: the path to `node_id`, or none of the tree (None)."""
        with self._db.write() as db:
            self._member(session_id, node_id)
            self._update(db, "sessions", session_id, "head = ?", node_id)

    def fork(self, session_id: int, node_id: int, name: str | None = None) -> Session:
        """A new session with a copy of the path to `node_id`; without a name, "NAME-fork"."""
        with self._db.write() as db:
            old, now = self.session(session_id), time.time()
            self._member(session_id, node_id)
            taken = self._names()
            given = self._free(name) if name else naming.unique(f"{old.name}-fork"[:80], taken)
            key = _insert(
                db,
                "sessions",
                "name, named, model, system, created, updated",
                (given, 1, old.model, old.system, now, now),
            )
            copies: dict[int | None, int] = {}
            for node in self.path(node_id):
                state = "interrupted" if node.state == "writing" else node.state
                copy = replace(
                    node, session=key, state=state,
                    parent=copies.get(node.parent), covers=copies.get(node.covers),
                )  # fmt: skip
                copies[node.id] = _insert(db, "nodes", STORED, to_row(copy))
            self._update(db, "sessions", key, "head = ?", copies[node_id])
        return self.session(key)

    # Messages

    def append(self, session_id: int, node: Node) -> Node:
        """Store a complete message under `node.parent`, else under the head; it is the new head."""
        return self._add(session_id, replace(node, state="complete"))

    def begin(self, session_id: int, node: Node) -> Node:
        """Like `append`, for a message that grows by `write` until `finish`."""
        return self._add(session_id, replace(node, state="writing"))

    def write(self, node_id: int, content: str, thinking: str = "") -> None:
        """Store what there is of a draft so far, whole."""
        with self._db.write() as db:
            changed = db.execute(
                "UPDATE nodes SET content = ?, thinking = ? WHERE id = ? AND state = 'writing'",
                (storable(content), storable(thinking), node_id),
            )
            if not changed.rowcount:
                raise UsageError(f"message {node_id} is not being written")

    def finish(self, node: Node) -> Node:
        """End a draft with all of `node`; a state of "writing" is taken for "complete"."""
        with self._db.write() as db:
            stored = self.node(node.id)
            if stored.state != "writing":
                raise UsageError(f"message {node.id} is not being written")
            state = "complete" if node.state == "writing" else node.state
            kept = replace(
                node, session=stored.session, parent=stored.parent, created=stored.created,
                role=stored.role, pinned=stored.pinned, state=state,
            )  # fmt: skip
            marks = ",".join("?" * (STORED.count(",") + 1))
            db.execute(
                f"UPDATE nodes SET ({STORED}) = ({marks}) WHERE id = ?",
                (*to_row(kept), node.id),
            )
            self._update(db, "sessions", stored.session, "updated = ?", time.time())
        return self.node(node.id)

    def pin(self, node_id: int, pinned: bool = True) -> None:
        """Keep a message in the context whatever is summarised, or no longer."""
        with self._db.write() as db:
            self._update(db, "nodes", node_id, "pinned = ?", pinned)

    def node(self, node_id: int) -> Node:
        nodes = self._nodes("WHERE id = ?", node_id)
        if not nodes:
            raise UsageError(f"there is no message {node_id}; `trivium sessions show` lists them")
        return nodes[0]

    def path(self, node_id: int | None) -> list[Node]:
        """From the root down to the message, which is the last; empty for None."""
        if node_id is None:
            return []
        rows = self._db.read(
            f"{_PATH}SELECT {COLUMNS} FROM up JOIN nodes ON id = key ORDER BY id", (node_id,)
        )
        if not rows:
            return [self.node(node_id)]  # which raises
        return [from_row(row) for row in rows]

    def tree(self, session_id: int) -> list[Node]:
        """Every message of every branch, oldest first."""
        return self._nodes("WHERE session = ? ORDER BY id", session_id)

    def branches(self, session_id: int) -> list[Node]:
        """The last message of each branch, newest first."""
        return self._nodes(
            "WHERE session = ? AND id NOT IN (SELECT parent FROM nodes WHERE session = ? "
            "AND parent IS NOT NULL) ORDER BY id DESC",
            session_id,
            session_id,
        )

    def children(self, node_id: int) -> list[Node]:
        """The messages that follow one directly, oldest first."""
        return self._nodes("WHERE parent = ? ORDER BY id", node_id)

    def search(self, query: str, limit: int = 20) -> list[Found]:
        """Messages that have all words of `query`, best first by BM25, over all sessions.

        There are no operators; forms of a word are the same (Porter), and words such as "the" are
        left out beside others. Of more than 2,000 messages that fit, the newest are ranked.
        """
        plain = storable(query).replace("\0", " ").replace('"', " ")
        words = dict.fromkeys(plain.split())
        kept = [word for word in words if word.lower() not in STOP_WORDS] or words
        if not kept:
            return []
        match = " ".join(f'"{word}"' for word in kept)
        excerpt = "SELECT snippet(words, 0, '[', ']', '…', 24) FROM words WHERE words MATCH ? "
        with self._db.snapshot():
            best = self._db.read(
                "SELECT key, score FROM (SELECT rowid AS key, bm25(words) AS score FROM words "
                "WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?) ORDER BY score, key DESC LIMIT ?",
                (match, NEWEST, limit),
            )
            found = []
            for key, score in cast("list[tuple[int, float]]", best):
                node = self.node(key)
                shown = self._db.read(excerpt + "AND rowid = ?", (match, key))[0][0]
                found.append(Found(self.session(node.session).name, node, str(shown), -score))
        return found

    # Beside the database

    @contextmanager
    def hold(self, session_id: int) -> Iterator[None]:
        """Be the one chat that writes to the session; drafts that another left are interrupted.

        Raises:
            TriviumError: when another chat has it open.
        """
        session = self.session(session_id)
        with locked(self._lock_file(session.id), session.name):
            self.session(session_id)  # it may have been deleted just before
            with self._db.write() as db:
                db.execute(
                    "UPDATE nodes SET state = 'interrupted' "
                    "WHERE session = ? AND state = 'writing'",
                    (session_id,),
                )
            yield

    def state_file(self, session_id: int) -> Path:
        """Where the KV state of the session's conversation lies, if there is one."""
        return self._beside(session_id, ".kv")

    def _lock_file(self, session_id: int) -> Path:
        return self._beside(session_id, ".lock")

    def _beside(self, session_id: int, suffix: str) -> Path:
        return self.file.with_suffix(".state") / f"{session_id}{suffix}"

    # Shared by the above

    def _sessions(self, end: str) -> list[Session]:
        rows = self._db.read(f"{_SESSION}ORDER BY updated DESC, id DESC {end}")
        return [Session(*row) for row in rows]  # type: ignore[arg-type]

    def _nodes(self, end: str, *values: object) -> list[Node]:
        return [from_row(row) for row in self._db.read(_NODES + end, values)]

    def _names(self) -> set[str]:
        return {str(row[0]) for row in self._db.read("SELECT name FROM sessions")}

    def _free(self, name: str) -> str:
        """`name` as it is stored; an error when it is taken or no name."""
        name = naming.checked(name)
        if name in self._names():
            raise UsageError(f'there is a session "{name}" already; choose another name')
        return name

    def _member(self, session_id: int, node_id: int | None) -> None:
        if node_id is not None and self.node(node_id).session != session_id:
            raise UsageError(
                f'message {node_id} is not of the session "{self.session(session_id).name}"'
            )

    def _add(self, session_id: int, node: Node) -> Node:
        with self._db.write() as db:
            session = self.session(session_id)
            parent = session.head if node.parent is None else node.parent
            self._member(session_id, parent)
            now = time.time()
            node = replace(node, session=session_id, parent=parent, created=node.created or now)
            key = _insert(db, "nodes", STORED, to_row(node))
            db.execute(
                "UPDATE sessions SET head = ?, updated = ? WHERE id = ?", (key, now, session_id)
            )
            if node.role == "user":
                self._baptise(db, session_id, node.content)
        return self.node(key)

    def _baptise(self, db: Connection, session_id: int, text: str) -> None:
        """Name a session that has none yet after its first message with words."""
        named = db.execute("SELECT named FROM sessions WHERE id = ?", (session_id,)).fetchone()[0]
        made = "" if named else naming.slug(storable(text))
        if made:
            name = naming.unique(made, self._names())
            db.execute("UPDATE sessions SET name = ?, named = 1 WHERE id = ?", (name, session_id))

    def _update(self, db: Connection, table: str, key: int, change: str, value: object) -> None:
        changed = db.execute(f"UPDATE {table} SET {change} WHERE id = ?", (value, key))
        if not changed.rowcount:
            self.session(key) if table == "sessions" else self.node(key)  # which raise

    def close(self) -> None:
        self._db.close()


def _insert(db: Connection, table: str, columns: str, values: Sequence[object]) -> int:
    marks = ",".join("?" * len(values))
    row = db.execute(f"INSERT INTO {table}({columns}) VALUES ({marks})", values)
    assert row.lastrowid is not None
    return row.lastrowid
