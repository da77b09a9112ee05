"""Columns to the table that every report shows: each cell's means with their intervals."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trivium.evals.base import Cell
from trivium.evals.columns import Columns
from trivium.evals.intervals import Floats, Interval, estimate, wilson


@dataclass(frozen=True, slots=True)
class Score:
    """A metric of a cell. `interval` is None where no record has a value; `missing` counts the
    records that came out well and have none."""

    metric: str
    interval: Interval | None
    missing: int


@dataclass(frozen=True, slots=True)
class CellScores:
    """One model and prompt.

    `failed` records are in no mean. `corpus` holds what only all records together have (BLEU,
    macro F1), which is no mean and has no interval. `seconds` are the engine's, summed.
    """

    cell: Cell
    records: int
    failed: int
    truncated: int
    scores: tuple[Score, ...]
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    corpus: Mapping[str, float] = field(default_factory=dict)

    def score(self, metric: str) -> Interval | None:
        """The interval of `metric`, where there is one; "failed" is the share that failed."""
        if metric == "failed":
            return wilson(self.failed, self.records) if self.records else None
        return next((one.interval for one in self.scores if one.metric == metric), None)


def summarise(
    columns: Columns, corpus: Mapping[Cell, Mapping[str, float]] | None = None
) -> tuple[CellScores, ...]:
    """A run's cells in the order of its matrix, with metrics in the order they were first seen."""
    return tuple(
        _cell(columns, number, (corpus or {}).get(cell, {}))
        for number, cell in enumerate(columns.cells)
    )


def metrics(table: tuple[CellScores, ...]) -> list[str]:
    """All metrics of a table, in order."""
    return list(dict.fromkeys(one.metric for cell in table for one in cell.scores))


def _cell(columns: Columns, number: int, corpus: Mapping[str, float]) -> CellScores:
    here = columns.cell == number
    well = here & ~columns.failed
    scores = [
        _score(columns, metric, values, well)
        for metric, values in columns.scores.items()
        if not np.isnan(values[here]).all()  # a metric of other cells is none of this one's
    ]
    return CellScores(
        columns.cells[number],
        int(here.sum()),
        int((here & columns.failed).sum()),
        int((here & columns.truncated).sum()),
        tuple(scores),
        int(columns.prompt_tokens[here].sum()),
        int(columns.completion_tokens[here].sum()),
        float(columns.seconds[here].sum()),
        corpus,
    )


def _score(columns: Columns, metric: str, values: Floats, well: NDArray[np.bool_]) -> Score:
    has = well & ~np.isnan(values)
    missing = int((well & ~has).sum())
    if not has.any():
        return Score(metric, None, missing)
    interval = estimate(values[has], columns.row[has], columns.cluster[has])
    return Score(metric, interval, missing)
