"""The store of runs: whole shards, ids, summaries, and speed on many records."""

import time
from pathlib import Path

import pytest

from trivium.errors import TriviumError, UsageError
from trivium.evals.base import Cell, Choice, Record, Row
from trivium.evals.store import Mean, PlannedCell, Runs

CELLS = [PlannedCell(Cell("m", "p"), "h" * 64), PlannedCell(Cell("m", "q"), "i" * 64)]
ROWS = [Row("a", {"text": "\U0001f600 <b>", "n": [1, None]}, ["x", "y"], "c"), Row("b", {}, 3)]


def begun(runs: Runs, name: str = "suite", plan: str = "0123456789abcdef") -> str:
    return runs.begin(name, plan, {"name": name}, CELLS, ROWS, 4)


def record(run: str, index: int, **keys: object) -> Record:
    row, cell = ROWS[index % 2], CELLS[index // 2]
    base = {"fingerprint": "f", "inputs": row.inputs, "target": row.target, "cluster": row.cluster}
    names = {"model": cell.cell.model, "prompt": cell.cell.prompt, "prompt_hash": cell.prompt_hash}
    return Record(run=run, index=index, row=row.id, repeat=0, **base | names | keys)  # type: ignore[arg-type]


def test_records_come_back_as_they_were_in_the_order_of_their_index() -> None:
    with Runs() as runs:
        run = begun(runs)
        runs.set_fingerprint(run, "m", "f")
        kept = [
            record(run, 2, error="too long"),
            record(
                run, 0, output="say\n\x1b[31m", scores={"exact": 1.0, "rest": None},
                prompt_tokens=3, completion_tokens=2, seconds=0.25, truncated=True,
            ),
            record(run, 1, choices=(Choice("A", -1.5, 1, -2.0), Choice("B", -2.5, 2))),
        ]  # fmt: skip
        runs.commit(run, [(one.index // 2, one.index % 2, one) for one in kept])
        assert list(runs.records(run)) == [kept[1], kept[2], kept[0]]
        assert runs.stored(run) == {0, 1, 2}
        assert (runs.stored(run, failed=True), runs.stored(run, failed=False)) == ({2}, {0, 1})


def test_a_shard_is_stored_whole_or_not_at_all() -> None:
    with Runs() as runs:
        run = begun(runs)
        broken = record(run, 1, prompt_tokens=None)
        with pytest.raises(TriviumError):
            runs.commit(run, [(0, 0, record(run, 0)), (0, 1, broken)])
        assert runs.stored(run) == set()


def test_means_leave_out_what_has_no_value() -> None:
    with Runs() as runs:
        run = begun(runs)
        scores = [{"a": 1.0, "b": None}, {"a": 0.0, "b": 0.5}, {"a": 0.25}]
        runs.commit(
            run, [(at // 2, at % 2, record(run, at, scores=one)) for at, one in enumerate(scores)]
        )
        runs.finish(run, {1: {"bleu": 30.5}})
        first, second = runs.summary(run).cells
        assert first.means == {"a": Mean(0.5, 2), "b": Mean(0.5, 1)}
        assert second.means == {"a": Mean(0.25, 1)}
        assert (dict(first.corpus), dict(second.corpus)) == ({}, {"bleu": 30.5})


def test_runs_are_found_by_id_or_by_their_suite_and_deleted_whole() -> None:
    with Runs() as runs:
        one, two = begun(runs), begun(runs)
        assert (one, two) == ("suite-01234567", "suite-01234567.2")
        assert runs.get("suite").id == two
        runs.commit(two, [(0, 0, record(two, 0))])
        runs.delete(two)
        assert [run.id for run in runs.all()] == [one]
        assert runs.stored(two) == set()
        for name in (two, "other"):
            with pytest.raises(UsageError, match="there is no run"):
                runs.get(name)
            with pytest.raises(UsageError, match="there is no run"):
                runs.delete(name)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    file.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(TriviumError, match=r"runs.db is damaged"):
        Runs(file)


def test_many_records_are_read_a_page_at_a_time() -> None:
    rows = [Row(str(n), {"q": "x" * 50}, "y") for n in range(5000)]
    with Runs() as runs:
        run = runs.begin("many", "0" * 64, {}, CELLS[:1], rows, 5000)
        runs.commit(
            run,
            (
                (
                    0,
                    n,
                    Record(run, n, str(n), 0, "m", "", "p", "h" * 64, {}, "y", scores={"e": 1.0}),
                )
                for n in range(5000)
            ),
        )
        began = time.monotonic()
        assert [one.index for one in runs.records(run)] == list(range(5000))
        assert time.monotonic() - began < 1.0
