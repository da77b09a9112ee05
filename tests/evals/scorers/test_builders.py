"""Scorers by name: their options, what they say of a record, and judges."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from trivium.engines.base import Completion, Request
from trivium.errors import TriviumError, UsageError
from trivium.evals.base import Choice, Record
from trivium.evals.scorers import build

RECORD = Record("r", 0, "x", 0, "m", "f", "p", "h", {"question": "Where?"}, "Paris", "It is Paris.")


class Judge:
    """Answers from a list, and remembers what it was asked; embeds by length."""

    def __init__(self, *verdicts: Mapping[str, object] | str) -> None:
        self.verdicts = list(verdicts)
        self.asked: list[Request] = []

    def generate(
        self, model: str, requests: Sequence[Request]
    ) -> Sequence[Completion | TriviumError]:
        self.asked += requests
        said = [self.verdicts.pop(0) for _ in requests]
        texts = [one if isinstance(one, str) else json.dumps(one) for one in said]
        return [Completion(text, "stop", 1, 1) for text in texts]

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return [(1.0, 0.0) if len(text) > 5 else (0.6, 0.8) for text in texts]


def scored(spec: Any, record: Record = RECORD, means: Judge | None = None) -> Any:
    (built,) = build([spec], means or Judge())
    (result,) = built.many([record])
    return result


@pytest.mark.parametrize(
    ("spec", "scores"),
    [
        ("exact", {"exact": 0.0}),
        ("contains", {"contains": 1.0}),
        ("f1", {"f1": 0.5}),
        ("normalised", {"normalised": 0.0}),
        ({"regex": {"pattern": "Par.s"}}, {"regex": 1.0}),
        ({"regex": {"pattern": "is (\\w+)", "group": 1}}, {"regex": 1.0}),
        ({"regex": {"pattern": "is (\\w+) then", "group": 1}}, {"regex": 0.0}),
        ({"schema": {"schema": {"type": "object"}}}, {"schema": 0.0}),
        ("latency", {"seconds": 0.0}),
        ("similarity", {"similarity": 0.6}),
    ],
)
def test_scorers_by_name(spec: Any, scores: Mapping[str, float]) -> None:
    assert scored(spec) == scores


def test_costs_and_tokens() -> None:
    record = replace(RECORD, prompt_tokens=2000, completion_tokens=500, seconds=1.5)
    assert scored({"cost": {"prompt": 1, "completion": 4}}, record) == {"cost": 0.004}
    assert scored("tokens", record) == {"prompt_tokens": 2000, "completion_tokens": 500}
    assert scored("latency", record) == {"seconds": 1.5}


def test_schema_judges_json() -> None:
    spec = {"schema": {"schema": {"type": "object", "required": ["city"]}}}
    assert scored(spec, replace(RECORD, output='{"city": 1}')) == {"schema": 1.0}
    assert scored(spec, replace(RECORD, output="{}")) == {"schema": 0.0}


def test_a_slow_pattern_fails_its_row_in_a_second() -> None:
    spec = {"regex": {"pattern": "(a|a)*$"}}
    result = scored(spec, replace(RECORD, output="a" * 40 + "b"))
    assert isinstance(result, TriviumError)
    assert "took over 1 s" in str(result)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("exakt", 'there is no scorer "exakt"; there are choice'),
        ({"numeric": {"tolerance": -1}}, "tolerance is not valid"),
        ({"numeric": {"tol": 1}}, "its options are tolerance"),
        ({"exact": {"case": True}}, "it has no options"),
        ({"regex": {"pattern": "("}}, "is no pattern"),
        ({"schema": {"schema": {"type": "thing"}}}, "is not valid"),
        ({"choice": {"normalise": ["loud"]}}, "normalise.0 is not valid"),
        ({"judge": {"model": "m", "criterion": "c", "low": 5, "high": 1}}, "is not below"),
        ({"exact": {}, "f1": {}}, "one name with its options"),
    ],
)
def test_what_is_wrong_with_a_scorer_is_named(spec: Any, expected: str) -> None:
    with pytest.raises(UsageError) as error:
        build([spec], Judge())
    assert expected in str(error.value)


def test_a_scorer_of_texts_needs_an_output_and_a_target() -> None:
    assert "method: generate" in str(scored("exact", replace(RECORD, output=None)))
    assert "row x has no target" in str(scored("exact", replace(RECORD, target=None)))


def test_the_users_own_scorers() -> None:
    def length(record: Record, unit: int = 1) -> float:
        return len(record.output or "") / unit

    def broken(record: Record) -> float:
        return 1 / 0

    custom = {"length": length, "broken": broken, "text": lambda record: "long"}
    ours = build([{"length": {"unit": 2}}, "broken", "text"], Judge(), custom)
    results = [one.many([RECORD])[0] for one in ours]
    assert results[0] == {"length": 6.0}
    assert str(results[1]) == "the scorer broken failed: ZeroDivisionError: division by zero"
    assert str(results[2]) == "the scorer text returned 'long', no number"


def test_translation_is_sacrebleus() -> None:
    (built,) = build(["translation"], Judge())
    right = replace(RECORD, output="the cat sat on the mat", target="the cat sat on the mat")
    assert built.many([right]) == [{"chrf": 100.0}]
    assert built.summarise is not None
    both = [right, replace(right, output="a dog", target=["the dog ran", "a dog"])]
    assert built.summarise(both)["bleu"] == pytest.approx(100.0)
    assert built.summarise([right, replace(right, output="no")])["bleu"] < 100


def test_sources() -> None:
    row = replace(
        RECORD,
        inputs={"contexts": ["Paris is in France."], "relevant": [1]},
        output="It is Paris [1][2].",
    )
    assert scored("rag", row) == {"refusal": 1.0, "context_recall": 1.0, "citation_precision": 0.5}
    unanswerable = replace(row, target=None, output="I don't know.")
    assert scored("rag", unanswerable) == {"refusal": 1.0, "citation_precision": None}
    assert scored("rag", replace(unanswerable, output="Paris"))["refusal"] == 0.0


def test_classification_of_written_labels() -> None:
    spec = {"classification": {"labels": ["good", "bad"]}}
    (built,) = build([spec], Judge())
    rows = [
        replace(RECORD, output="Very good, not bad.", target="good"),
        replace(RECORD, output="BAD", target="good"),
        replace(RECORD, output="unclear", target="bad"),
    ]
    assert built.many(rows) == [{"accuracy": 1.0}, {"accuracy": 0.0}, {"accuracy": 0.0}]
    assert built.summarise is not None
    report = built.summarise(rows)
    assert (report["recall:good"], report["precision:bad"]) == (0.5, 0.0)


def test_mc2_is_the_share_of_the_true_answers() -> None:
    choices = (Choice("a", 0.0, 1), Choice("b", 0.0, 1), Choice("c", 0.0, 1), Choice("d", 0.0, 1))
    record = replace(RECORD, choices=choices, target=["a", "d"])
    assert scored("mc2", record) == {"mc2": pytest.approx(0.5)}


def test_a_judge_is_held_to_a_schema_and_agrees_with_gold() -> None:
    judge = Judge({"score": 4}, {"score": 2}, "nonsense")
    options = {"model": "j", "criterion": "Is it right?", "gold": "human"}
    (built,) = build([{"judge": options}], judge)
    rows = [replace(RECORD, inputs={"q": "?", "human": mark}) for mark in (4, 1, 3)]
    four, two, broken = built.many(rows)
    assert (four, two) == ({"judge": 4.0}, {"judge": 2.0})
    assert "gave no verdict but 'nonsense'" in str(broken)
    schema: Any = judge.asked[0].schema
    assert schema["properties"]["score"]["enum"] == [1, 2, 3, 4, 5]
    assert "It is Paris." in judge.asked[0].messages[0].content
    assert built.summarise is not None
    judged = [
        replace(row, scores={"judge": mark}) for row, mark in zip(rows, (4.0, 1.0), strict=False)
    ]
    assert built.summarise(judged) == {"judge_kappa": 1.0}


@pytest.mark.parametrize(
    ("first", "second", "wins", "steady"),
    [("A", "B", 1.0, 1.0), ("B", "A", 0.0, 1.0), ("tie", "tie", 0.5, 1.0), ("A", "A", 0.5, 0.0)],
)
def test_pairs_are_judged_in_both_orders(
    first: str, second: str, wins: float, steady: float
) -> None:
    judge = Judge({"better": first}, {"better": second})
    spec = {"judge_pair": {"model": "j", "criterion": "Which is right?"}}
    assert scored(spec, means=judge) == {"judge_wins": wins, "judge_steady": steady}
    one, other = (request.messages[0].content for request in judge.asked)
    assert one.index("It is Paris.") < one.index("Answer B:") < one.rindex("Paris")
    assert other.index("Answer B:") < other.index("It is Paris.")
