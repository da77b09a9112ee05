"""Records as columns, and the table of means: the same from records and from the store."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.evals.made import record, run_of
from trivium.errors import UsageError
from trivium.evals.base import Cell, Record, Row
from trivium.evals.columns import of_records, of_run
from trivium.evals.store import PlannedCell, Runs
from trivium.evals.summary import metrics, summarise


def stored(runs: Runs, records: list[Record], name: str = "one") -> str:
    """A run with these records, each cell and row numbered as it comes."""
    cells = list(dict.fromkeys(one.cell for one in records))
    rows = {one.row: Row(one.row, one.inputs, one.target, one.cluster) for one in records}
    numbers = {key: number for number, key in enumerate(rows)}
    planned = [PlannedCell(cell, "hash") for cell in cells]
    run = runs.begin(name, "0" * 64, {}, planned, list(rows.values()), len(records))
    runs.commit(
        run,
        [
            (cells.index(one.cell), numbers[one.row], replace(one, run=run, index=index))
            for index, one in enumerate(records)
        ],
    )
    runs.finish(run, {0: {"bleu": 31.5}})
    return run


def test_a_stored_run_has_the_columns_of_its_records(tmp_path: Path) -> None:
    records = [
        *run_of([1, 0, None]),
        record("r3", error="no"),
        record("r4", 0.5, metric="f1", cluster="c", repeat=1),
        record("r0", 1, model="other"),
    ]
    with Runs(tmp_path / "runs.db") as runs:
        run = stored(runs, records)
        found, direct = of_run(runs, run), of_records(runs.records(run))
        assert runs.corpus(run) == {0: {"bleu": 31.5}}
    for name in (
        "cells",
        "row_ids",
        "contents",
        "cell",
        "row",
        "repeat",
        "cluster",
        "failed",
        "truncated",
        "scores",
        "prompt_tokens",
        "completion_tokens",
        "seconds",
    ):
        one, other = getattr(found, name), getattr(direct, name)
        if name == "scores":
            assert list(one) == list(other) == ["exact", "f1"]
            for metric in one:
                np.testing.assert_array_equal(one[metric], other[metric])
        else:
            np.testing.assert_array_equal(np.array(one), np.array(other), err_msg=name)


def test_means_leave_out_what_failed_and_say_so() -> None:
    records = [*run_of([1, 1, 0, None, float("inf")]), record("x", error="no")]
    (cell,) = summarise(of_records(records), {Cell("m", "p"): {"bleu": 20.0}})
    assert (cell.records, cell.failed, cell.corpus) == (6, 1, {"bleu": 20.0})
    (score,) = cell.scores
    assert score.interval is not None
    assert (score.interval.mean, score.interval.n, score.missing) == (2 / 3, 3, 2)
    assert score.interval.method == "wilson"
    assert (cell.prompt_tokens, cell.completion_tokens, cell.seconds) == (60, 12, 3.0)


def test_a_metric_of_another_cell_is_none_of_this_one() -> None:
    records = [record("x", 1), record("x", 0.5, prompt="q", metric="f1")]
    table = summarise(of_records(records))
    assert [[one.metric for one in cell.scores] for cell in table] == [["exact"], ["f1"]]
    assert metrics(table) == ["exact", "f1"]


def test_a_cell_that_failed_altogether_has_no_mean() -> None:
    (cell,) = summarise(of_records([record("x", error="no")]))
    assert cell.scores == ()
    assert cell.score("exact") is None
    failed = cell.score("failed")
    assert failed is not None
    assert failed.mean == 1


def test_repeats_and_clusters_reach_the_interval() -> None:
    twice = [record(row, 1, repeat=n) for row in "abc" for n in (0, 1)]
    shared = [record(row, 1, cluster="doc") for row in "abc"]
    methods = [summarise(of_records(records))[0].scores[0].interval for records in (twice, shared)]
    assert [one.method for one in methods if one] == ["nested", "clustered"]


def test_no_records_have_no_cells() -> None:
    assert summarise(of_records([])) == ()
    with pytest.raises(UsageError, match="has no m · p"):
        of_records([]).number(Cell("m", "p"))
