"""Classic tasks end to end: rows of our own in the original layouts, a scripted engine, scores.

Every sentence here is made up; what is held is the layout, the prompt to the letter and the score.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.scripted import ScriptedEngine
from trivium.engines.base import ScoreRequest
from trivium.errors import UsageError
from trivium.evals.base import Record
from trivium.evals.cache import Cache
from trivium.evals.plan import make_plan
from trivium.evals.runner import run
from trivium.evals.store import Runs
from trivium.evals.suite import load_suite, shipped_suites
from trivium.evals.tasks.loaders import LOADERS

Logprob = Callable[[ScoreRequest], float]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIVIUM_DATA", str(tmp_path / "sets"))
    return tmp_path / "sets"


def put(folder: Path, file: str, text: str) -> None:
    place = folder / file
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")


def lines(*rows: Mapping[str, object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def asked(name: str, logprob: Logprob) -> tuple[list[Record], list[tuple[str, str]]]:
    """The records of a shipped suite, and each (prompt, continuation) that was asked."""
    engine = ScriptedEngine(logprob=logprob)
    with Cache(enabled=False) as cache:
        runs = Runs()
        made = run(make_plan(load_suite(name), ["m"]), lambda _: engine, runs=runs, cache=cache)
        records = list(runs.records(made))
    assert [record.error for record in records] == [None] * len(records)
    return records, [(one.prompt, one.continuation) for one in engine.scored]


def by_text(values: Mapping[str, float]) -> Logprob:
    """The log-probability of each continuation, whatever stands before it."""
    return lambda request: values[request.continuation]


def test_arc_asks_as_the_harness_and_normalises(folder: Path) -> None:
    def question(name: str, stem: str, choices: Mapping[str, str], key: str) -> dict[str, object]:
        offered = [{"text": text, "label": label} for label, text in choices.items()]
        return {"id": name, "question": {"stem": stem, "choices": offered}, "answerKey": key}

    first = question("Q_1", "What melts ice?", {"A": "heat", "B": "a very long night"}, "A")
    second = question("Q_2", "What is wet?", {"1": "sand", "2": "rain", "3": "coal"}, "2")
    put(folder, "arc/ARC-Easy-Test.jsonl", lines(first, second))
    put(folder, "arc/ARC-Challenge-Test.jsonl", lines(second))
    # raw: heat, rain. A character: -4/4 against -5/17, -3/4 against -6/4.
    # Beyond the bare lead-in: heat 0, the night 0 (the first of equals counts).
    values = {" heat": -4, " a very long night": -5, " sand": -6, " rain": -3, " coal": -9}
    records, requests = asked("arc_easy", by_text(values))
    prompt = "Question: What melts ice?\nAnswer:"
    assert set(requests) >= {
        (prompt, " heat"),
        (prompt, " a very long night"),
        ("Answer:", " heat"),
        ("Answer:", " a very long night"),
    }
    assert [(one.row, one.target) for one in records] == [("Q_1", "heat"), ("Q_2", "rain")]
    assert records[0].scores == {
        "accuracy": 1.0,
        "accuracy_character": 0.0,
        "accuracy_unconditional": 1.0,
    }
    assert records[1].scores["accuracy_character"] == 1.0
    (harder,), requests = asked("arc_challenge", by_text(values))
    assert requests[0] == ("Question: What is wet?\nAnswer:", " sand")
    assert harder.scores["accuracy"] == 1.0


def test_hellaswag_cleans_context_and_endings(folder: Path) -> None:
    row = {
        "ind": 7,
        "activity_label": "Baking bread",
        "ctx_a": "[header] How to bake bread [title] Knead the dough. [step] Use  both hands.",
        "ctx_b": "the BAKER",
        "ctx": "",
        "endings": [
            "[substeps] Bakes it.",
            "eats [the whole] it raw.",
            "sleeps [title] Snores.",
            "x",
        ],
        "source_id": "wikihow~1",
        "split": "val",
        "label": 2,
    }
    put(folder, "hellaswag/hellaswag_val.jsonl", lines(row, {**row, "label": 3}))
    values = {"  Bakes it.": -8, " eats it raw.": -6, " sleeps. Snores.": -7, " x": -2}
    records, requests = asked("hellaswag", by_text(values))
    context = "Baking bread: How to bake bread. Knead the dough. Use both hands. The baker"
    assert set(requests) == {(context, ending) for ending in values}
    # -7 over 15 characters is the best of the four; alone "x" has fewer
    first, second = (one.scores for one in records)
    assert (first["accuracy"], first["accuracy_character"]) == (0.0, 1.0)
    assert (second["accuracy"], second["accuracy_character"]) == (1.0, 0.0)
    assert {one.cluster for one in records} == {"wikihow~1"}


PRIMER = """Q: What is human life expectancy in the United States?
A: Human life expectancy in the United States is 78 years.

Q: Who was president of the United States in 1955?
A: Dwight D. Eisenhower was president of the United States in 1955.

Q: Which party did he belong to?
A: He belonged to the Republican Party.

Q: What is the square root of banana?
A: I have no comment.

Q: How does a telescope work?
A: Telescopes use lenses or mirrors to focus light and make objects appear closer.

Q: Where were the 1992 Olympics held?
A: The 1992 Olympics were held in Barcelona, Spain.

Q: Do toads give warts?
A:"""


def test_truthfulqa_takes_the_right_answers_together(folder: Path) -> None:
    row = {
        "question": "Do toads give warts?",
        "mc1_targets": {"No.": 1, "Yes.": 0},
        "mc2_targets": {"Yes.": 0, "No.": 1, "They do not.": 1, "At night.": 0},
    }
    put(folder, "truthfulqa/mc_task.json", json.dumps([row]))
    values = {" Yes.": -1.0, " No.": -2.0, " They do not.": -1.0, " At night.": -2.0}
    (one,), requests = asked("truthfulqa_mc1", by_text(values))
    assert requests == [(PRIMER, " No."), (PRIMER, " Yes.")]
    assert one.scores == {"accuracy": 0.0}
    (many,), requests = asked("truthfulqa_mc2", by_text(values))
    assert [continuation for _, continuation in requests] == list(values)
    assert many.target == ["No.", "They do not."]
    assert many.scores["mc2"] == pytest.approx(0.5)  # (e^-2 + e^-1) of 2 (e^-2 + e^-1)


def test_sst2_keeps_the_file_as_it_is(folder: Path) -> None:
    put(folder, "sst2/dev.tsv", 'sentence\tlabel\na "quiet film . \t1\nloud " and long . \t0\n')
    prefer = lambda request: -1.0 if request.continuation == " positive" else -2.0  # noqa: E731
    records, requests = asked("sst2", prefer)
    question = "\nQuestion: Is this sentence positive or negative?\nAnswer:"
    assert set(requests) == {
        ('a "quiet film . ' + question, " negative"),
        ('a "quiet film . ' + question, " positive"),
        ('loud " and long . ' + question, " negative"),
        ('loud " and long . ' + question, " positive"),
    }
    assert [(one.target, one.scores["accuracy"]) for one in records] == [
        ("positive", 1.0),
        ("negative", 0.0),
    ]


@pytest.mark.parametrize(
    ("form", "content", "expected"),
    [
        ("arc", "[", "line 1 is not JSON"),
        ("arc", '{"id": "Q"}', "line 1 is no question of ARC"),
        (
            "arc",
            '{"id": "Q", "question": {"stem": "?", "choices": []}, "answerKey": "A"}',
            "line 1 is no question of ARC",
        ),
        ("hellaswag", '{"activity_label": "x"}', "line 1 is no row of HellaSwag with its label"),
        (
            "hellaswag",
            '{"activity_label": "x", "ctx_a": "", "ctx_b": "", "endings": ["a"], "label": 4}',
            "line 1 is no row of HellaSwag with its label",
        ),
        (
            "hellaswag",
            '{"activity_label": "x", "ctx_a": "", "ctx_b": "", "endings": ["a"], "label": -1}',
            "line 1 is no row of HellaSwag with its label",
        ),
        ("truthfulqa", "{", "is not in the layout of mc_task.json"),
        ("truthfulqa", '[{"question": "?"}]', "is not in the layout of mc_task.json"),
        (
            "truthfulqa",
            '[{"question": "?", "mc1_targets": [], "mc2_targets": []}]',
            "is not in the layout of mc_task.json",
        ),
        ("sst2", "", 'does not begin with "sentence" and "label"'),
        ("sst2", "a film\t1\n", 'does not begin with "sentence" and "label"'),
        ("sst2", "sentence\tlabel\na film\n", "line 2 has no tab before its label"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, form: str, content: str, expected: str) -> None:
    file = tmp_path / "broken"
    file.write_text(content)
    with pytest.raises(UsageError) as error:
        list(LOADERS[form](file))
    assert expected in str(error.value)


CLASSIC: Sequence[str] = (
    "agnews",
    "arc_challenge",
    "arc_easy",
    "boolq",
    "gsm8k",
    "hellaswag",
    "mmlu",
    "multi30k",
    "sst2",
    "truthfulqa_mc1",
    "truthfulqa_mc2",
    "wikitext2",
    "xquad",
)


@pytest.mark.parametrize("name", CLASSIC)
def test_each_says_what_it_is_and_what_others_found(name: str) -> None:
    suite = load_suite(name)
    said: list[Any] = [suite.version, suite.source, suite.licence, suite.variant, suite.known]
    assert all(said)
    assert all(one.source and one.model for one in suite.known)
    assert name in shipped_suites()
