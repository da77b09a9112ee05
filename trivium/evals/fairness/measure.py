"""A stored run measured: the figures of each of its cells, and what they were measured on."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trivium.errors import UsageError
from trivium.evals.base import Cell, Record
from trivium.evals.fairness.base import About, Benchmark, Case, Finding
from trivium.evals.store import Run, Runs

WORST = 10
"""So many rows of each cell are shown."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One model and prompt.

    `failed` of its `records` have no result and are in no figure.
    """

    cell: Cell
    fingerprint: str
    prompt_hash: str
    records: int
    failed: int
    findings: tuple[Finding, ...]
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class RunMeasures:
    """A run by one benchmark. `data_hash` is the SHA-256 of its rows, and `rows` counts them."""

    run: Run
    about: About
    rows: int
    data_hash: str
    cells: tuple[Measured, ...]


def measure(runs: Runs, run: Run, benchmark: Benchmark) -> RunMeasures:
    """The figures of every cell of a stored run.

    Raises:
        UsageError: when the run has no records yet.
    """
    planned = {one.cell: one for one in runs.cells(run.id)}
    cells = []
    for cell, records in by_cell(runs, run.id).items():
        cells.append(
            Measured(
                cell,
                planned[cell].fingerprint or "",
                planned[cell].prompt_hash,
                len(records),
                sum(one.error is not None for one in records),
                tuple(benchmark.findings(records)),
                tuple(benchmark.cases(records, WORST)),
            )
        )
    digest, rows = hashlib.sha256(), 0
    for _, key, cluster, inputs, target in runs.rows(run.id):
        digest.update(repr((key, cluster, inputs, target)).encode())
        rows += 1
    return RunMeasures(run, benchmark.ABOUT, rows, digest.hexdigest(), tuple(cells))


def by_cell(runs: Runs, name: str) -> Mapping[Cell, Sequence[Record]]:
    """A run's records, cell by cell in the order of its matrix.

    Raises:
        UsageError: when there are none.
    """
    found: dict[Cell, list[Record]] = {}
    for one in runs.records(name):
        found.setdefault(one.cell, []).append(one)
    if not found:
        raise UsageError(f"the run {name} has no records yet; let it run first")
    return found
