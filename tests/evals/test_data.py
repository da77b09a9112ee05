"""Rows from files: three formats, filters and samples, and files that are wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.evals.suites import write_rows
from trivium.errors import UsageError
from trivium.evals.base import Row
from trivium.evals.data import load_rows
from trivium.evals.suite import Data

CITIES: list[dict[str, object]] = [
    {"id": "a", "city": "Paris", "land": "France", "target": "yes", "page": 1},
    {"id": "b", "city": "Lyon", "land": "France", "target": "no", "page": 1},
    {"id": "c", "city": "Rome", "land": "Italy", "target": "yes", "page": 2},
]


def load(folder: Path, **keys: Any) -> list[Row]:
    return load_rows(Data(**{"file": "rows.jsonl", **keys}), folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rows(tmp_path / "rows.jsonl", CITIES)
    return tmp_path


def test_columns_become_id_target_cluster_and_inputs(folder: Path) -> None:
    rows = load(folder, id="id", cluster="page")
    inputs = {"id": "a", "city": "Paris", "land": "France", "page": 1}
    assert rows[0] == Row("a", inputs, "yes", "1")
    assert [row.id for row in load(folder)] == ["0", "1", "2"]
    assert load(folder, target=None)[0].target is None


def test_csv_tsv_and_parquet_hold_the_same(folder: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    (folder / "rows.csv").write_text('id,city,target\na,"Paris, France",yes\n\nb,Ly\u00f6n,no\n')
    (folder / "rows.tsv").write_text("id\tcity\ttarget\na\tParis, France\tyes\nb\tLy\u00f6n\tno\n")
    table = {"id": ["a", "b"], "city": ["Paris, France", "Ly\u00f6n"], "target": ["yes", "no"]}
    parquet.write_table(pa.table(table), folder / "rows.parquet")
    expected = [
        Row("a", {"id": "a", "city": "Paris, France"}, "yes"),
        Row("b", {"id": "b", "city": "Ly\u00f6n"}, "no"),
    ]
    for ending in ("csv", "tsv", "parquet"):
        assert load(folder, file=f"rows.{ending}", id="id") == expected


def test_filters_keep_ids_and_positions(folder: Path) -> None:
    assert [row.id for row in load(folder, where={"land": "Italy"})] == ["2"]
    assert [row.id for row in load(folder, where={"page": [1], "target": "no"})] == ["1"]
    assert [row.id for row in load(folder, where={"land": ["Italy", "France"]}, limit=2)] == [
        "0", "1",
    ]  # fmt: skip


def test_a_sample_is_the_same_each_time_and_in_order(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"target": n} for n in range(100)])
    first = [int(row.id) for row in load(tmp_path, limit=10, seed=1)]
    assert first == [int(row.id) for row in load(tmp_path, limit=10, seed=1)]
    assert first == sorted(first)
    assert len(set(first)) == 10
    assert first != [int(row.id) for row in load(tmp_path, limit=10, seed=2)]


def test_labels_translate_targets(folder: Path) -> None:
    rows = load(folder, labels={"yes": "ja", "no": "nein"})
    assert [row.target for row in rows] == ["ja", "nein", "ja"]
    with pytest.raises(UsageError, match='row 2: the target "no" is none of yes'):
        load(folder, labels={"yes": "ja"})


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"target": "answer"}, 'row 1 has no column "answer"; it has id, city'),
        ({"id": "land"}, 'row 2: id "France" stands there already'),
        ({"where": {"cty": "Rome"}}, 'has no column "cty"; it has id, city'),
        ({"where": {"city": "Oslo"}}, "has no rows that match"),
        ({"file": "none.jsonl"}, "there is no none.jsonl at"),
        ({"file": "notes.txt"}, "say its format"),
    ],
)
def test_what_the_data_lack_is_named(folder: Path, keys: dict[str, Any], expected: str) -> None:
    (folder / "notes.txt").write_text("hello")
    with pytest.raises(UsageError) as error:
        load(folder, **keys)
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("r.jsonl", b'{"target": 1}\n{"target"\n', "r.jsonl, line 2 is not JSON"),
        ("r.jsonl", b"[1]\n", "r.jsonl, line 1 is not an object"),
        ("r.jsonl", b"\n", "has no rows"),
        ("r.jsonl", b"\xff\xfe", "is not UTF-8"),
        ("r.csv", b"a,b\n1\n", "r.csv, line 2 has 1 columns, but the header has 2"),
        ("r.csv", b'a,target\n"1,2\n', "is not CSV"),
        ("r.csv", b"", "has no rows"),
        ("r.parquet", b"PAR1 no", "is not Parquet that can be read"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError) as error:
        load(tmp_path, file=name)
    assert expected in str(error.value)


def test_data_may_lie_under_trivium_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "x.jsonl").write_text(json.dumps({"target": "there"}))
    monkeypatch.setenv("TRIVIUM_DATA", str(tmp_path / "shared"))
    assert load(tmp_path, file="x.jsonl")[0].target == "there"
    (tmp_path / "x.jsonl").write_text(json.dumps({"target": "beside"}))
    assert load(tmp_path, file="x.jsonl")[0].target == "beside"
