"""The classic tasks' own files: in miniature, broken, and the real ones where they are."""

import gzip
import json
from pathlib import Path

import pytest

from tests.scripted import ScriptedEngine
from trivium.errors import UsageError
from trivium.evals.asking import Asker
from trivium.evals.data import load_rows
from trivium.evals.plan import make_plan
from trivium.evals.suite import load_suite
from trivium.evals.tasks.loaders import LOADERS, PIECE


def test_mmlu_reads_a_folder_by_subject(tmp_path: Path) -> None:
    (tmp_path / "moral_disputes_test.csv").write_text('"Is it, so?",a,b,c,d,B\n')
    (tmp_path / "astronomy_test.csv").write_text("Where? ,1,2,3,4,A\n")
    first, second = LOADERS["mmlu"](tmp_path)
    assert first == {
        "id": "astronomy/0", "subject": "astronomy", "question": "Where?",
        "A": "1", "B": "2", "C": "3", "D": "4", "answer": "A",
    }  # fmt: skip
    assert (second["subject"], second["question"]) == ("moral disputes", "Is it, so?")


def test_gsm8k_takes_the_number_after_the_marks(tmp_path: Path) -> None:
    file = tmp_path / "g.jsonl"
    file.write_text(json.dumps({"question": "How many?", "answer": "2*500\n#### 1,000"}))
    (row,) = LOADERS["gsm8k"](file)
    assert row == {"question": "How many?", "solution": "2*500", "answer": "1000"}


def test_wikitext_is_cut_at_lines_and_nothing_is_lost(tmp_path: Path) -> None:
    lines = [f"line {n} " + "x" * 300 for n in range(20)]
    file = tmp_path / "w.txt"
    file.write_text(" \n" + "\n \n".join(lines) + "\n")
    rows = list(LOADERS["wikitext"](file))
    text = str(rows[0]["context"]) + "".join(str(row["text"]) for row in rows)
    assert text.split("\n") == lines
    assert all(len(str(row["text"])) >= PIECE for row in rows[:-1])
    assert [row["context"] for row in rows[1:]] == [str(row["text"]).strip() for row in rows[:-1]]


def test_multi30k_pairs_two_files(tmp_path: Path) -> None:
    for side, text in (("en", "A dog.\nTwo cats.\n"), ("de", "Ein Hund.\nZwei Katzen.\n")):
        with gzip.open(tmp_path / f"val.{side}.gz", "wt") as file:
            file.write(text)
    rows = list(LOADERS["multi30k"](tmp_path / "val.en.gz"))
    assert rows == [{"en": "A dog.", "de": "Ein Hund."}, {"en": "Two cats.", "de": "Zwei Katzen."}]
    with gzip.open(tmp_path / "val.de.gz", "wt") as file:
        file.write("Ein Hund.\n")
    with pytest.raises(UsageError, match="has 2 lines, but the German side 1"):
        list(LOADERS["multi30k"](tmp_path / "val.en.gz"))


@pytest.mark.parametrize(
    ("form", "content", "expected"),
    [
        ("mmlu", "a,b\n", "line 1 has 2 columns, not 6"),
        ("agnews", "1,a\n", "line 1 has 2 columns, not 3"),
        ("gsm8k", '{"question": "?"}', "line 1 is no problem of GSM8K"),
        ("gsm8k", '{"question": "?", "answer": "3"}', 'has no "####"'),
        ("xquad", "{}", "is not in the layout of SQuAD 1.1"),
        ("multi30k", "A dog.", "is not the English side"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, form: str, content: str, expected: str) -> None:
    file = tmp_path / "broken"
    file.write_text(content)
    with pytest.raises(UsageError) as error:
        list(LOADERS[form](file))
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("agnews", 7600),
        ("boolq", 3270),
        ("gsm8k", 1319),
        ("mmlu", 1457),
        ("multi30k", 1000),
        ("wikitext2", 650),
        ("xquad", 1190),
    ],
)
def test_shipped_suites_read_the_real_files(
    name: str, rows: int, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIVIUM_DATA", str(data))
    suite = load_suite(name)
    found = load_rows(suite.data, suite.folder)
    assert len(found) == rows
    assert all(row.target for row in found)
    targets = {str(row.target) for row in found}
    if isinstance(suite.choices, list):
        assert targets == set(suite.choices)


def test_mmlu_asks_as_the_original_does(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVIUM_DATA", str(data))
    suite = load_suite("mmlu")
    plan = make_plan(suite, ["m"])
    asked = Asker(suite, plan.prompts[0], plan.pool, ScriptedEngine()).asked(plan.rows[0]).prompt
    head = "The following are multiple choice questions (with answers) about abstract algebra.\n\n"
    assert asked.startswith(
        head + "Find all c in Z_3 such that Z_3[x]/(x^2 + c) is a field.\n"
        "A. 0\nB. 1\nC. 2\nD. 3\nAnswer: B\n\nStatement 1 |"
    )
    assert asked.endswith("over Q.\nA. 0\nB. 4\nC. 2\nD. 6\nAnswer:")
    assert asked.count("\nAnswer: ") == 5
