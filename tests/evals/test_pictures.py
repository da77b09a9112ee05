"""Classified pictures as a run: its records, its figures, and how it compares."""

import math
from pathlib import Path

import pytest

from trivium.errors import UsageError
from trivium.evals.columns import of_run
from trivium.evals.compare import compare_columns
from trivium.evals.gates import judge as judge_gates
from trivium.evals.gates import parse_gates
from trivium.evals.pictures import By, Target, better, of_folders, of_table, store
from trivium.evals.store import Runs
from trivium.evals.summary import summarise
from trivium.images.classify import Classified

LABELS = ("cat", "dog")
TARGETS = [
    Target(f"{name}.png", label, {"light": light})
    for name, label, light in (
        ("a", "cat", "day"), ("b", "cat", "night"), ("c", "dog", "day"), ("d", "dog", "night"),
    )
]  # fmt: skip
SAID = [
    Classified("a.png", (0.9, 0.1)),
    Classified("b.png", (0.2, 0.8)),
    Classified("c.png", (0.0, 1.0)),
    Classified("d.png", (), "empty: holds no bytes"),
]


def _by(prompt: str) -> By:
    return By("m", "print", prompt, f"hash of {prompt}")


def test_a_run_holds_a_record_for_each_picture(tmp_path: Path) -> None:
    with Runs(tmp_path / "runs.db") as runs:
        made = store(runs, _by("p"), LABELS, TARGETS, SAID)
        records = list(runs.records(made))
        summary = runs.summary(made)
        (cell,) = summarise(of_run(runs, made))
    assert [one.output for one in records] == ["cat", "dog", "dog", None]
    assert records[3].error == "empty: holds no bytes"
    assert records[1].inputs == {"image": "b.png", "light": "night"}
    assert records[0].choices[0].logprob == pytest.approx(math.log(0.9))
    assert records[0].fingerprint == "print"
    assert [one.scores.get("accuracy") for one in records] == [1.0, 0.0, 1.0, None]
    assert summary.run.complete and summary.run.failed == 1
    assert "macro_f1" in summary.cells[0].corpus
    accuracy = cell.score("accuracy")
    assert accuracy is not None
    assert accuracy.mean == pytest.approx(2 / 3)
    assert (accuracy.n, accuracy.method) == (3, "wilson")


def test_two_runs_compare_and_gates_judge_them(tmp_path: Path) -> None:
    better_said = [SAID[0], Classified("b.png", (0.7, 0.3)), *SAID[2:]]
    with Runs(tmp_path / "runs.db") as runs:
        one = store(runs, _by("p"), LABELS, TARGETS, SAID)
        other = store(runs, _by("q"), LABELS, TARGETS, better_said)
        assert one != other
        columns = of_run(runs, one), of_run(runs, other)
        found = compare_columns(*columns, metrics=["accuracy"])
        verdicts = judge_gates(
            parse_gates([{"metric": "accuracy", "min": 0.1}, {"metric": "accuracy", "min": 0.9}]),
            summarise(columns[0]),
            columns[0],
        )
    (effect,) = found.effects
    assert effect.interval.mean == pytest.approx(1 / 3)
    assert (effect.gains, effect.losses, effect.ties) == (1, 0, 2)
    assert [one.passed for one in verdicts] == [True, False]


def test_a_label_that_is_not_offered_is_a_failed_row(tmp_path: Path) -> None:
    with Runs(tmp_path / "runs.db") as runs:
        made = store(runs, _by("p"), LABELS, [Target("a.png", "bird", {})], SAID[:1])
        (record,) = runs.records(made)
    assert record.error is not None and "bird" in record.error


def test_targets_of_folders_and_tables(tmp_path: Path) -> None:
    (folder,) = of_folders([tmp_path / "polar_bear" / "1.png"])
    assert folder.label == "polar bear"
    table = tmp_path / "t.csv"
    table.write_text("image,label,group\nx/1.png,cat,day\n")
    (row,) = of_table(table)
    assert (row.path, row.label, row.columns) == (
        str(tmp_path / "x/1.png"),
        "cat",
        {"group": "day"},
    )
    table.write_text("image,kind\n1.png,cat\n")
    with pytest.raises(
        UsageError, match="row 1 has no image and label; its columns are image, kind"
    ):
        of_table(table)
    table.write_text("image,label\n")
    with pytest.raises(UsageError, match="no rows"):
        of_table(table)


def test_names_that_are_no_text_are_stored(tmp_path: Path) -> None:
    path = b"bad\xff.png".decode("utf-8", "surrogateescape")
    with Runs(tmp_path / "runs.db") as runs:
        made = store(runs, _by("p"), LABELS, [Target(path, "cat", {})], [Classified(path, (1, 0))])
        (record,) = runs.records(made)
    assert record.row == "bad\\xff.png"


def test_better_is_paired() -> None:
    before, after = [True] * 10 + [False] * 10, [True] * 20
    found = better(before, after)
    assert found.effect.mean == 0.5
    assert found.effect.low > 0
    assert found.effect.method == "mcnemar"
