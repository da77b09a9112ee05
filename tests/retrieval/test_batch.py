"""Batches: every line answered once, whatever happens in between."""

import json
from pathlib import Path

import pytest

from trivium.errors import TriviumError, UsageError
from trivium.retrieval.answer import Answer
from trivium.retrieval.batch import Question, read_questions, run


def answered(question: str) -> Answer:
    return Answer(question, found=question != "lost", confidence=1.5, hits=())


def questions(*texts: str) -> list[Question]:
    return [Question(f"q{n}", text, n) for n, text in enumerate(texts, start=1)]


def rows(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


class TestReading:
    def test_ids_are_the_users_or_the_hash_of_the_question(self, tmp_path: Path) -> None:
        file = tmp_path / "q.jsonl"
        file.write_text('{"question": "Who?", "id": 7}\n\n{"question": "Where?"}\n')
        # sha256("Where?") begins with these sixteen digits
        assert read_questions(file) == [
            Question("7", "Who?", 1),
            Question("91f45115c34f7dcf", "Where?", 3),
        ]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "holds no questions"),
            ("not json\n", "line 1 is not JSON"),
            ('{"question": "a"}\n["b"]\n', 'line 2 has no "question"'),
            ('{"question": "  "}\n', 'line 1 has no "question"'),
            ('{"question": "a", "id": 1}\n{"question": "b", "id": "1"}\n', "stands already in"),
            ('{"question": "a"}\n{"question": "a"}\n', "stands already in line 1"),
        ],
    )
    def test_a_bad_file_is_named(self, tmp_path: Path, content: str, message: str) -> None:
        file = tmp_path / "q.jsonl"
        file.write_text(content)
        with pytest.raises(UsageError, match=message):
            read_questions(file)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"nowhere\.jsonl"):
            read_questions(tmp_path / "nowhere.jsonl")


class TestRunning:
    def test_every_question_has_a_line(self, tmp_path: Path) -> None:
        out = tmp_path / "out.jsonl"
        states = list(run(questions("a", "lost"), out, answered, "run1"))
        assert [(s.done, s.total, s.resumed, s.not_found) for s in states] == [
            (0, 2, 0, 0),
            (1, 2, 0, 0),
            (2, 2, 0, 1),
        ]
        assert [(r["id"], r["run"], r["found"]) for r in rows(out)] == [
            ("q1", "run1", True),
            ("q2", "run1", False),
        ]

    def test_a_broken_run_is_continued_and_a_torn_line_is_asked_again(self, tmp_path: Path) -> None:
        out = tmp_path / "out.jsonl"
        list(run(questions("a", "b"), out, answered, "run1"))
        whole = out.read_bytes()
        out.write_bytes(whole[:-10])  # kill -9 in the middle of the second line
        asked: list[str] = []

        def ask(question: str) -> Answer:
            asked.append(question)
            return answered(question)

        last = list(run(questions("a", "b", "c"), out, ask, "run1"))[-1]
        assert asked == ["b", "c"]
        assert (last.done, last.resumed) == (3, 1)
        assert out.read_bytes().startswith(whole)
        assert [r["id"] for r in rows(out)] == ["q1", "q2", "q3"]

    def test_another_run_is_not_continued(self, tmp_path: Path) -> None:
        out = tmp_path / "out.jsonl"
        list(run(questions("a"), out, answered, "run1"))
        before = out.read_bytes()
        with pytest.raises(UsageError, match="begun with another model"):
            list(run(questions("a", "b"), out, answered, "run2"))
        assert out.read_bytes() == before

    def test_a_foreign_file_is_left_alone(self, tmp_path: Path) -> None:
        out = tmp_path / "out.jsonl"
        out.write_text("my notes\n")
        with pytest.raises(UsageError, match="not an answer file"):
            list(run(questions("a"), out, answered, "run1"))
        assert out.read_text() == "my notes\n"

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        with pytest.raises(TriviumError, match="cannot write"):
            list(run(questions("a"), tmp_path / "no" / "out.jsonl", answered, "run1"))
