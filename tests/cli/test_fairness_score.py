"""`trivium fairness score`: the paper's figures from the authors' files, and what goes wrong."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.evals.fairness.test_bbq import ANSWERS, item, write
from trivium.cli.fairness_score import percent
from trivium.cli.main import run

# Parrish et al. 2022, figure 3: sAMB and sDIS (disambiguated) of UnifiedQA, RACE and ARC format
PUBLISHED = {
    "Age": (("29.8", "1.2"), ("48.9", "3.3")),
    "Nationality": (("6.0", "1.2"), ("14.5", "-0.2")),
    "Religion": (("14.3", "0.2"), ("24.5", "3.5")),
}


@dataclass(frozen=True, slots=True)
class Result:
    code: int
    stdout: str
    stderr: str


@pytest.fixture
def score(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    def call(*args: object) -> Result:
        code = run(["fairness", "score", *map(str, args)])
        return Result(code, *capsys.readouterr())

    return call


@pytest.fixture
def failure(score: Callable[..., Result]) -> Callable[..., str]:
    """The sentence on stderr of a call that is refused."""

    def call(*args: object) -> str:
        result = score(*args)
        assert (result.code, result.stdout) == (2, "")
        return result.stderr

    return call


def test_the_figures_of_the_paper(data: Path, score: Callable[..., Result]) -> None:
    files = [data / "bbq" / f"unifiedqa_preds_{category}.jsonl" for category in PUBLISHED]
    result = score(*(part for file in files for part in ("-p", file)))
    assert result.code == 0
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    found = {(line[1], line[0].rpartition("_")[2]): (line[4], line[6]) for line in lines}
    assert {
        category: (found[category, "race"], found[category, "arc"]) for category in PUBLISHED
    } == PUBLISHED
    assert {group for group, _ in found} == {"all", *PUBLISHED}


def test_the_authors_answers_without_their_items(
    data: Path, tmp_path: Path, score: Callable[..., Result]
) -> None:
    """The simple layout, with the items beside it, prints the same."""
    rows = [
        json.loads(line)
        for line in (data / "bbq" / "unifiedqa_preds_Religion.jsonl").open(encoding="utf-8")
    ]
    column = "unifiedqa-t5-11b_pred_arc"
    lines = [f'{row["example_id"]},{row["category"]},"{row[column]}"' for row in rows]
    file = tmp_path / "p.csv"
    file.write_text("\n".join(["example_id,category,answer", *lines]))
    result = score("-p", file, "--data", data / "bbq" / "Religion.jsonl")
    assert result.code == 0
    (line,) = result.stdout.splitlines()
    assert line.split("\t")[:2] == ["answer", "Religion"]
    assert (line.split("\t")[4], line.split("\t")[6]) == PUBLISHED["Religion"][1]


def predictions(folder: Path, *answers: object) -> Path:
    """Predictions of the items of `items`, in the simple layout."""
    rows = [
        {"category": "Age", "example_id": number, "answer": answer}
        for number, answer in enumerate(answers)
    ]
    return write(folder / "p.jsonl", *rows)


@pytest.fixture
def items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two ambiguous items where the data sets lie."""
    (tmp_path / "data" / "bbq").mkdir(parents=True)
    monkeypatch.setenv("TRIVIUM_DATA", str(tmp_path / "data"))
    return write(tmp_path / "data" / "bbq" / "Age.jsonl", item(0), item(1, question_index="2"))


def test_numbers_and_texts_as_json(
    items: Path, tmp_path: Path, score: Callable[..., Result]
) -> None:
    result = score("-p", predictions(tmp_path, 0, ANSWERS[2]), "--json")
    (found,) = json.loads(result.stdout)
    assert (found["predictions"], found["items"]) == ("answer", 2)
    values = {(one["group"], one["measure"]): one["value"] for one in found["findings"]}
    assert values["Age", "accuracy_ambiguous"] == 0.5
    assert values["Age", "bias_ambiguous"] == 0.5
    assert values["Age", "lean_ambiguous"] == 1
    assert values["Age", "bias_disambiguated"] is None


def test_what_is_left_out_is_said(
    items: Path, tmp_path: Path, score: Callable[..., Result]
) -> None:
    result = score("-p", predictions(tmp_path, "the driver"), "--data", items)
    assert result.stdout.split("\t")[2:] == ["undefined"] * 3 + ["", "undefined", "", "100.0\n"]
    assert "answer: 1 of 1 predictions are none of the three answers, and in no figure" in (
        result.stderr
    )
    assert "answer: 1 items of the data have no prediction" in result.stderr


def test_a_column_may_be_named(items: Path, tmp_path: Path, score: Callable[..., Result]) -> None:
    row = {"category": "Age", "example_id": 0, "mine": "2", "pred_a": 0, "pred_b": 1}
    file = write(tmp_path / "p.jsonl", row)
    assert [line.split("\t")[0] for line in score("-p", file).stdout.splitlines()] == [
        "pred_a",
        "pred_b",
    ]
    assert score("-p", file, "--column", "mine").stdout.split("\t")[:3] == ["mine", "Age", "100.0"]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"category": "Age", "example_id": 7, "answer": 0}, "there is no item Age/7 in the data"),
        ({"category": "Wealth", "example_id": 0, "answer": 0}, 'the category "Wealth" is none of'),
        ({"example_id": 0, "answer": 0}, 'has no column "category"; it has example_id, answer'),
        ({"category": "Age", "answer": 0}, 'has no column "example_id"; it has category, answer'),
        ({"category": "Age", "example_id": 1}, 'has no column "answer"; it has category, example'),
        ({"category": "Age", "example_id": 1, "answer": 3}, 'the prediction in "answer" is 3; a'),
        ({"category": "Age", "example_id": 1, "answer": "4"}, "is '4'; a text, or 0, 1 or 2"),
        ({"category": "Age", "example_id": 1, "answer": [0]}, "is [0]; a text, or 0, 1 or 2"),
        ({"category": "Age", "example_id": 0, "answer": 1}, "Age/0 was predicted already, in"),
    ],
)
def test_bad_rows_are_named(
    items: Path, tmp_path: Path, row: dict[str, object], expected: str, failure: Callable[..., str]
) -> None:
    good = {"category": "Age", "example_id": 0, "answer": 0}
    message = failure("-p", write(tmp_path / "p.jsonl", good, row))
    assert "p.jsonl, row 2" in message
    assert expected in message


def test_bad_files_are_named(items: Path, tmp_path: Path, failure: Callable[..., str]) -> None:
    empty = tmp_path / "empty.csv"
    for content in ("", "example_id,category,answer\n"):
        empty.write_text(content)
        assert "empty.csv has no predictions" in failure("-p", empty)
    mixed = tmp_path / "mixed.csv"
    mixed.write_bytes("category,example_id,answer\nAge,0,caf\xe9\n".encode("latin-1"))
    assert "mixed.csv, line 2 is not UTF-8: byte 0xe9" in failure("-p", mixed)
    none = write(tmp_path / "none.jsonl", {"category": "Age", "example_id": 0, "text": "x"})
    message = failure("-p", none)
    assert 'row 1 has no column "answer", nor one with "pred" in its name; name it with' in message
    assert "--column, of category, example_id, text" in message
    torn = tmp_path / "torn.jsonl"
    torn.write_text('{"category"')
    assert "torn.jsonl, line 1 is not JSON" in failure("-p", torn)


def test_no_items_to_score_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Callable[..., str]
) -> None:
    monkeypatch.delenv("TRIVIUM_DATA", raising=False)
    assert "there is no bbq at" in failure("-p", predictions(tmp_path, 0))


def test_percent() -> None:
    assert [percent(one) for one in (0.2984, -0.0004, None)] == ["29.8", "0.0", "undefined"]
