"""The records of a run as columns: what means, comparisons and reports are computed from.

200,000 records take some 15 MB so, and no text of a model is read at all.
"""

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from trivium.errors import UsageError
from trivium.evals.base import Cell, Record, Scores
from trivium.evals.intervals import Codes, Floats
from trivium.evals.store import Runs


@dataclass(frozen=True, slots=True)
class Columns:
    """Arrays of shape (records,), in the order of the run.

    `cell`, `row` and `cluster` are numbers: of `cells`, of `row_ids`, and of clusters; a row
    without a cluster is one by itself. `scores` has a NaN where a metric has no finite value.
    `contents` is a checksum of each row's inputs and target: rows of one id may still differ.
    """

    cells: tuple[Cell, ...]
    row_ids: tuple[str, ...]
    contents: tuple[int, ...]
    cell: Codes
    row: Codes
    repeat: Codes
    cluster: Codes
    failed: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    scores: Mapping[str, Floats]
    prompt_tokens: Codes
    completion_tokens: Codes
    seconds: Floats

    def number(self, cell: Cell) -> int:
        """The number of `cell`.

        Raises:
            UsageError: when the run does not have it.
        """
        if cell not in self.cells:
            known = ", ".join(label(one) for one in self.cells)
            raise UsageError(f"the run has no {label(cell)}; it has {known}")
        return self.cells.index(cell)


def label(cell: Cell) -> str:
    return f"{cell.model} · {cell.prompt}"


def of_records(records: Iterable[Record]) -> Columns:
    """Columns of any records."""
    builder = _Builder()
    cells: dict[Cell, int] = {}
    for one in records:
        row = builder.row(one.row, one.cluster)
        if row == len(builder.contents):
            text = json.dumps([dict(one.inputs), one.target], separators=(",", ":"), default=str)
            builder.contents.append(crc32(text.encode()))
        builder.extend(
            (cells.setdefault(one.cell, len(cells)),),
            (row,),
            (one.repeat,),
            (one.error is not None,),
            (one.truncated,),
            (tuple(one.scores.items()),),
            (one.prompt_tokens,),
            (one.completion_tokens,),
            (one.seconds,),
        )
    return builder.done(tuple(cells))


def of_run(runs: Runs, run_id: str) -> Columns:
    """Columns of a stored run, without building its records.

    Raises:
        UsageError: when there is no such run.
    """
    run = runs.get(run_id).id
    builder = _Builder()
    numbers: dict[int, int] = {}
    for number, key, cluster, inputs, target in runs.rows(run):
        numbers[number] = builder.row(key, cluster)
        builder.contents.append(crc32(f"[{inputs},{target}]".encode()))
    for page in runs.judged(run):
        _, cell, row, *rest = zip(*page, strict=True)
        builder.extend(cell, tuple(numbers[number] for number in row), *rest)
    return builder.done(tuple(one.cell for one in runs.cells(run)))


class _Builder:
    """Columns that grow; arrays of numbers take a tenth of the memory of lists."""

    def __init__(self) -> None:
        self.contents: list[int] = []
        self._rows: dict[str, int] = {}
        self._clusters: dict[str, int] = {}
        self._cluster_of: list[int] = []
        # scores repeat, as most are zeros and ones: each set of them is kept, and read, once
        self._known: dict[str | tuple[tuple[str, float | None], ...], int] = {}
        self._scores = array("q")
        self._cell, self._row, self._repeat = array("q"), array("q"), array("q")
        self._failed, self._truncated = array("b"), array("b")
        self._prompt_tokens, self._completion_tokens = array("q"), array("q")
        self._seconds = array("d")

    def row(self, key: str, cluster: str | None) -> int:
        """The number of the row `key`, which is new when it equals the number of rows so far."""
        number = self._rows.setdefault(key, len(self._rows))
        if number == len(self._cluster_of):
            known = self._clusters
            self._cluster_of.append(
                -1 if cluster is None else known.setdefault(cluster, len(known))
            )
        return number

    def extend(
        self,
        cell: Sequence[int],
        row: Sequence[int],
        repeat: Sequence[int],
        failed: Sequence[int],
        truncated: Sequence[int],
        scores: Sequence[str | tuple[tuple[str, float | None], ...]],
        prompt_tokens: Sequence[int],
        completion_tokens: Sequence[int],
        seconds: Sequence[float],
    ) -> None:
        """Add records; their scores are JSON, or items."""
        self._cell.extend(cell)
        self._row.extend(row)
        self._repeat.extend(repeat)
        self._failed.extend(failed)
        self._truncated.extend(truncated)
        known = self._known
        self._scores.extend([known.setdefault(one, len(known)) for one in scores])
        self._prompt_tokens.extend(prompt_tokens)
        self._completion_tokens.extend(completion_tokens)
        self._seconds.extend(seconds)

    def _metrics(self) -> dict[str, Floats]:
        """Each metric's values, in the order in which metrics were first seen."""
        known: list[Scores] = [
            json.loads(one) if isinstance(one, str) else dict(one) for one in self._known
        ]
        which = _array(self._scores)
        return {
            name: np.array([_number(one.get(name)) for one in known], np.float64)[which]
            for name in dict.fromkeys(name for one in known for name in one)
        }

    def done(self, cells: tuple[Cell, ...]) -> Columns:
        cluster_of = np.array(self._cluster_of, np.int64)
        alone = cluster_of < 0
        cluster_of[alone] = len(self._clusters) + np.flatnonzero(alone)
        row = _array(self._row)
        return Columns(
            cells,
            tuple(self._rows),
            tuple(self.contents),
            _array(self._cell),
            row,
            _array(self._repeat),
            cluster_of[row],
            np.array(self._failed, np.bool_),
            np.array(self._truncated, np.bool_),
            self._metrics(),
            _array(self._prompt_tokens),
            _array(self._completion_tokens),
            np.array(self._seconds, np.float64),
        )


def _array(numbers: "array[int]") -> Codes:
    return np.array(numbers, np.int64)


def _number(value: float | None) -> float:
    return nan if value is None or not isfinite(value) else value
