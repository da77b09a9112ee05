"""The schema of `sessions.db`, as a diary: migration n leads from `user_version` n to n + 1."""

import sqlite3

from trivium.retrieval.words import TOKENIZER


def _m001_initial(db: sqlite3.Connection) -> None:
    for statement in (
        # AUTOINCREMENT: the files of a deleted session must never pass for another one's.
        # `named` is 0 until the user or the first message has given the name.
        """CREATE TABLE sessions (
            id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
            named INTEGER NOT NULL, model TEXT NOT NULL, system TEXT NOT NULL,
            created REAL NOT NULL, updated REAL NOT NULL, head INTEGER
        )""",
        # A parent is always older than its children, so that ids order a path. Deferred: a session
        # is deleted in one statement, whatever the depth of its tree.
        """CREATE TABLE nodes (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            session INTEGER NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
            parent INTEGER REFERENCES nodes(id) DEFERRABLE INITIALLY DEFERRED,
            role TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'tool', 'summary')),
            content TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('complete', 'writing', 'interrupted')),
            created REAL NOT NULL, pinned INTEGER NOT NULL,
            thinking TEXT NOT NULL, source TEXT NOT NULL,
            tool_calls TEXT NOT NULL, tool_call_id TEXT,
            citations TEXT NOT NULL, attachments TEXT NOT NULL,
            covers INTEGER, CHECK (parent < id)
        )""",
        "CREATE INDEX nodes_session ON nodes(session, role)",
        "CREATE INDEX nodes_parent ON nodes(parent)",
        # What is searched: not the results of tools, and no answer that still grows.
        """CREATE VIEW searchable AS SELECT id, content FROM nodes
            WHERE role <> 'tool' AND state <> 'writing'""",
        f"""CREATE VIRTUAL TABLE words USING fts5(
            content, content='searchable', content_rowid='id', tokenize='{TOKENIZER}'
        )""",
        """CREATE TRIGGER nodes_in AFTER INSERT ON nodes
            WHEN new.role <> 'tool' AND new.state <> 'writing' BEGIN
            INSERT INTO words(rowid, content) VALUES (new.id, new.content);
        END""",
        """CREATE TRIGGER nodes_out AFTER DELETE ON nodes
            WHEN old.role <> 'tool' AND old.state <> 'writing' BEGIN
            INSERT INTO words(words, rowid, content) VALUES ('delete', old.id, old.content);
        END""",
        """CREATE TRIGGER nodes_done AFTER UPDATE OF state ON nodes
            WHEN old.state = 'writing' AND new.state <> 'writing' AND new.role <> 'tool' BEGIN
            INSERT INTO words(rowid, content) VALUES (new.id, new.content);
        END""",
    ):
        db.execute(statement)


MIGRATIONS = (_m001_initial,)
