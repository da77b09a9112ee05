"""All runs in one SQLite file: what was planned, and every record, a shard at a time.

A row's inputs are stored once for all models, prompts and repeats. Nothing here depends on the
clock but `created`, so that a run that was interrupted reads as one that was not.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trivium.closing import Closing
from trivium.database import Database
from trivium.errors import UsageError
from trivium.evals.base import Cell, Choice, Record, Row
from trivium.paths import ensure, home

PAGE = 2000


def _m001_initial(db: sqlite3.Connection) -> None:
    db.execute(
        "CREATE TABLE runs (id TEXT PRIMARY KEY, suite TEXT NOT NULL, plan TEXT NOT NULL, "
        "described TEXT NOT NULL, total INTEGER NOT NULL, created REAL NOT NULL, "
        "complete INTEGER NOT NULL DEFAULT 0)"
    )
    db.execute(
        "CREATE TABLE cells (run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, number INTEGER, "
        "model TEXT NOT NULL, prompt TEXT NOT NULL, prompt_hash TEXT NOT NULL, fingerprint TEXT, "
        "PRIMARY KEY (run, number)) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE rows (run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, number INTEGER, "
        "id TEXT NOT NULL, inputs TEXT NOT NULL, target TEXT NOT NULL, cluster TEXT, "
        "PRIMARY KEY (run, number)) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE records (run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, idx INTEGER, "
        "cell INTEGER NOT NULL, row INTEGER NOT NULL, repeat INTEGER NOT NULL, output TEXT, "
        "choices TEXT NOT NULL, scores TEXT NOT NULL, error TEXT, prompt_tokens INTEGER NOT NULL, "
        "completion_tokens INTEGER NOT NULL, seconds REAL NOT NULL, truncated INTEGER NOT NULL, "
        "PRIMARY KEY (run, idx)) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE totals (run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, cell INTEGER, "
        "metric TEXT, value REAL NOT NULL, PRIMARY KEY (run, cell, metric)) WITHOUT ROWID"
    )


MIGRATIONS = (_m001_initial,)


@dataclass(frozen=True, slots=True)
class Run:
    """A run as a list shows it. `described` is the suite as plain data; `done` counts records."""

    id: str
    suite: str
    plan: str
    described: Mapping[str, object]
    total: int
    done: int
    failed: int
    created: float
    complete: bool


@dataclass(frozen=True, slots=True)
class Mean:
    """A metric over the records that have it."""

    value: float
    n: int


@dataclass(frozen=True, slots=True)
class CellSummary:
    """What came out for one model and prompt.

    `failed` records have no result and are in no mean; `truncated` outputs were cut. `corpus` holds
    what only all records together have (BLEU, macro F1); it is empty until the run is complete.
    """

    cell: Cell
    prompt_hash: str
    fingerprint: str
    done: int
    failed: int
    truncated: int
    means: Mapping[str, Mean]
    corpus: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Summary:
    """A run and its cells, in the order of the matrix."""

    run: Run
    cells: tuple[CellSummary, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain data, without what depends on the clock."""
        return {
            "run": self.run.id,
            "suite": self.run.suite,
            "total": self.run.total,
            "done": self.run.done,
            "failed": self.run.failed,
            "complete": self.run.complete,
            "cells": [
                {"model": one.cell.model, "prompt": one.cell.prompt}
                | {name: getattr(one, name) for name in _PLAIN}
                | {"means": {key: asdict(mean) for key, mean in one.means.items()}}
                for one in self.cells
            ],
        }


_PLAIN = ("prompt_hash", "fingerprint", "done", "failed", "truncated", "corpus")


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A cell as it is stored; the fingerprint is known once its model has been loaded."""

    cell: Cell
    prompt_hash: str
    fingerprint: str | None = None


def default_file() -> Path:
    return home() / "runs" / "runs.db"


class Runs(Closing):
    """The store of all runs; many processes may read while one writes."""

    def __init__(self, file: Path | None = None) -> None:
        """Open `file`, or the user's own; it is created when it is not there.

        Raises:
            TriviumError: when it is damaged or cannot be written.
        """
        self.file = file or default_file()
        if not self.file.exists() and os.access(ensure(self.file.parent), os.W_OK):
            self.file.touch(mode=0o600)  # it holds what was asked, for its owner alone
        self._db = Database(self.file, MIGRATIONS, "its runs are lost; delete it to start again")

    def close(self) -> None:
        self._db.close()

    # -- reading ----------------------------------------------------------------------------------

    def all(self) -> list[Run]:
        """Every run, the newest first."""
        return self._runs("ORDER BY created DESC, id", ())

    def get(self, run_id: str) -> Run:
        """The run of that id, or the newest one of the suite of that name.

        Raises:
            UsageError: when there is none.
        """
        found = self._runs("WHERE id = ?", (run_id,))
        found = found or self._runs("WHERE suite = ? ORDER BY created DESC LIMIT 1", (run_id,))
        if not found:
            raise UsageError(f'there is no run "{run_id}"; see: trivium eval list')
        return found[0]

    def of_plan(self, plan: str) -> list[Run]:
        """Runs of this very plan, the newest first."""
        return self._runs("WHERE plan = ? ORDER BY created DESC, id DESC", (plan,))

    def cells(self, run_id: str) -> list[PlannedCell]:
        found = self._read(
            "SELECT model, prompt, prompt_hash, fingerprint FROM cells WHERE run = ? "
            "ORDER BY number",
            run_id,
        )
        return [PlannedCell(Cell(*names), digest, mark) for *names, digest, mark in found]

    def stored(self, run_id: str, *, failed: bool | None = None) -> set[int]:
        """The indices of all stored records, or of the failed (or the other) ones alone."""
        found = self._read("SELECT idx, error IS NOT NULL FROM records WHERE run = ?", run_id)
        return {index for index, has_error in found if failed in (None, bool(has_error))}

    def records(self, run_id: str) -> Iterator[Record]:
        """Every record in the order of its index, a page of memory at a time."""
        run = self.get(run_id).id
        cells = self.cells(run)
        last = -1
        while True:
            page = self._read(_PAGE, run, last, PAGE)
            for values in page:
                yield _record(run, cells, values)
            if len(page) < PAGE:
                return
            last = page[-1][0]

    def rows(self, run_id: str) -> Iterator[tuple[int, str, str | None, str, str]]:
        """Every row of a run: its number, id, cluster, and the JSON of its inputs and target."""
        for page in self._pages(_ROWS, run_id):
            yield from page

    def judged(self, run_id: str) -> Iterator[list[tuple[Any, ...]]]:
        """Every record without its texts, in order and in pages, for statistics: its index, the
        numbers of its cell and row, repeat, failed, truncated, the JSON of its scores, both counts
        of tokens, seconds."""
        return self._pages(_JUDGED, run_id)

    def _pages(self, sql: str, run_id: str) -> Iterator[list[tuple[Any, ...]]]:
        """A select whose first column orders it, a page of memory at a time."""
        last = -1
        while page := self._read(sql, run_id, last, PAGE):
            yield page
            last = page[-1][0]

    def corpus(self, run_id: str) -> dict[int, dict[str, float]]:
        """The corpus metrics of each cell, by its number; none until the run is complete."""
        found: dict[int, dict[str, float]] = {}
        for cell, metric, value in self._read(_TOTALS, run_id):
            found.setdefault(cell, {})[metric] = value
        return found

    def summary(self, run_id: str) -> Summary:
        """Means and counts of every cell, computed by SQLite from the records."""
        with self._db.snapshot():
            run = self.get(run_id)
            counts = {cell: rest for cell, *rest in self._read(_COUNTS, run.id)}
            means: dict[int, dict[str, Mean]] = {}
            for cell, metric, value, n in self._read(_MEANS, run.id):
                means.setdefault(cell, {})[metric] = Mean(value, n)
            corpus = self.corpus(run.id)
            cells = self.cells(run.id)
        summaries = []
        for number, one in enumerate(cells):
            done, failed, truncated = counts.get(number, (0, 0, 0))
            summaries.append(
                CellSummary(
                    one.cell,
                    one.prompt_hash,
                    one.fingerprint or "",
                    done,
                    failed,
                    truncated,
                    means.get(number, {}),
                    corpus.get(number, {}),
                )
            )
        return Summary(run, tuple(summaries))

    def _read(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows whose columns have the types of the schema."""
        return self._db.read(sql, values)

    def _runs(self, clause: str, values: Sequence[object]) -> list[Run]:
        return [
            Run(key, suite, plan, json.loads(text), total, done, failed, created, bool(complete))
            for key, suite, plan, text, total, done, failed, created, complete in self._read(
                _RUNS + clause, *values
            )
        ]

    # -- writing ----------------------------------------------------------------------------------

    def begin(
        self,
        name: str,
        plan: str,
        described: Mapping[str, object],
        cells: Sequence[PlannedCell],
        rows: Sequence[Row],
        total: int,
    ) -> str:
        """Store a new run before its first record; its id: the suite, the plan, and a number."""
        with self._db.write() as db:
            base = run_id = f"{name}-{plan[:8]}"
            number = 1
            while db.execute("SELECT 1 FROM runs WHERE id = ?", (run_id,)).fetchone():
                number += 1
                run_id = f"{base}.{number}"
            db.execute(
                "INSERT INTO runs (id, suite, plan, described, total, created) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (run_id, name, plan, _json(described), total, time.time()),
            )
            db.executemany(
                "INSERT INTO cells VALUES (?, ?, ?, ?, ?, NULL)",
                (
                    (run_id, number, one.cell.model, one.cell.prompt, one.prompt_hash)
                    for number, one in enumerate(cells)
                ),
            )
            db.executemany(
                "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (run_id, number, row.id, _json(row.inputs), _json(row.target), row.cluster)
                    for number, row in enumerate(rows)
                ),
            )
        return run_id

    def set_fingerprint(self, run_id: str, model: str, fingerprint: str) -> None:
        with self._db.write() as db:
            db.execute(
                "UPDATE cells SET fingerprint = ? WHERE run = ? AND model = ?",
                (fingerprint, run_id, model),
            )

    def commit(self, run_id: str, records: Iterable[tuple[int, int, Record]]) -> None:
        """Store a shard whole or not at all: each record with its cell's and its row's number.

        A record that stands there already (it had failed) is replaced.
        """
        values = [
            (
                run_id,
                one.index,
                cell,
                row,
                one.repeat,
                one.output,
                _json([asdict(choice) for choice in one.choices]),
                _json(one.scores),
                one.error,
                one.prompt_tokens,
                one.completion_tokens,
                one.seconds,
                one.truncated,
            )
            for cell, row, one in records
        ]
        with self._db.write() as db:
            db.executemany(_COMMIT, values)

    def finish(self, run_id: str, totals: Mapping[int, Mapping[str, float]]) -> None:
        """Mark a run as complete; `totals` are the corpus metrics of each cell, by its number."""
        with self._db.write() as db:
            db.execute("DELETE FROM totals WHERE run = ?", (run_id,))
            db.executemany(
                "INSERT INTO totals VALUES (?, ?, ?, ?)",
                (
                    (run_id, cell, metric, value)
                    for cell, values in totals.items()
                    for metric, value in values.items()
                ),
            )
            db.execute("UPDATE runs SET complete = 1 WHERE id = ?", (run_id,))

    def delete(self, run_id: str) -> None:
        """Delete a run with all its records.

        Raises:
            UsageError: when there is no run of that id.
        """
        with self._db.write() as db:
            if not db.execute("DELETE FROM runs WHERE id = ?", (run_id,)).rowcount:
                raise UsageError(f'there is no run "{run_id}"; see: trivium eval list')


_RUNS = (
    "SELECT id, suite, plan, described, total, "
    "(SELECT count(*) FROM records WHERE run = runs.id), "
    "(SELECT count(*) FROM records WHERE run = runs.id AND error IS NOT NULL), "
    "created, complete FROM runs "
)
_PAGE = (
    "SELECT r.idx, r.cell, r.repeat, r.output, r.choices, r.scores, r.error, r.prompt_tokens, "
    "r.completion_tokens, r.seconds, r.truncated, w.id, w.inputs, w.target, w.cluster "
    "FROM records r JOIN rows w ON w.run = r.run AND w.number = r.row "
    "WHERE r.run = ? AND r.idx > ? ORDER BY r.idx LIMIT ?"
)
_ROWS = (
    "SELECT number, id, cluster, inputs, target FROM rows WHERE run = ? AND number > ? "
    "ORDER BY number LIMIT ?"
)
_JUDGED = (
    "SELECT idx, cell, row, repeat, error IS NOT NULL, truncated, scores, prompt_tokens, "
    "completion_tokens, seconds FROM records WHERE run = ? AND idx > ? ORDER BY idx LIMIT ?"
)
_COUNTS = (
    "SELECT cell, count(*), sum(error IS NOT NULL), sum(truncated) FROM records WHERE run = ? "
    "GROUP BY cell"
)
_MEANS = (
    "SELECT cell, j.key, avg(j.value), count(*) FROM records, json_each(scores) j WHERE run = ? "
    "AND j.value IS NOT NULL GROUP BY cell, j.key ORDER BY cell, min(idx), min(j.id)"
)
_COMMIT = "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_TOTALS = "SELECT cell, metric, value FROM totals WHERE run = ? ORDER BY cell, metric"


def _record(run: str, cells: Sequence[PlannedCell], values: tuple[Any, ...]) -> Record:
    (index, cell, repeat, output, choices, scores, error, prompt_tokens, completion_tokens) = (
        values[:9]
    )
    seconds, truncated, row, inputs, target, cluster = values[9:]
    planned = cells[cell]
    return Record(
        run,
        index,
        row,
        repeat,
        planned.cell.model,
        planned.fingerprint or "",
        planned.cell.prompt,
        planned.prompt_hash,
        json.loads(inputs),
        json.loads(target),
        output,
        () if choices == "[]" else tuple(Choice(**one) for one in json.loads(choices)),
        json.loads(scores),
        error,
        cluster,
        prompt_tokens,
        completion_tokens,
        seconds,
        bool(truncated),
    )


def _json(value: object) -> str:
    """Compact JSON; what JSON has no form for (a Parquet date) becomes its text."""
    if isinstance(value, Mapping):
        value = dict(value)
    return json.dumps(value, separators=(",", ":"), default=str)
