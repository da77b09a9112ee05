"""Audits from rows to findings, with a scripted engine: every figure can be computed by hand."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.evals.suites import write_rows
from tests.scripted import ScriptedEngine
from trivium.engines.base import Request, ScoreRequest
from trivium.errors import UsageError
from trivium.evals.base import Record, Row
from trivium.evals.cache import Cache
from trivium.evals.fairness.audit import ABOUT, cases, findings
from trivium.evals.fairness.audit_plan import (
    Settings,
    Task,
    audit_plan,
    guess_task,
    make_variants,
    read_rows,
    text_columns,
)
from trivium.evals.fairness.base import Finding
from trivium.evals.fairness.benchmarks import benchmark
from trivium.evals.fairness.lists import load_axes
from trivium.evals.fairness.pairs import as_original
from trivium.evals.runner import run
from trivium.evals.store import Runs
from trivium.evals.suite import Sample
from trivium.prompts.base import Prompt, Variable

PROMPT = Prompt("plain", "{{ text }}", variables=(Variable("text"),))
LABELS = ("good", "bad")
ROWS = [Row(str(n), {"text": f"He sold lamp {n}."}) for n in range(8)]


def audited(
    engine: ScriptedEngine,
    task: Task,
    rows: Sequence[Row] = ROWS,
    axis: str = "gender",
    **settings: Any,
) -> list[Record]:
    chosen = replace(Settings(task, LABELS if task == "classify" else ()), **settings)
    variants = make_variants(rows, ["text"], load_axes([axis]), chosen)
    plan = audit_plan(PROMPT, variants, ["m"], chosen)
    with Runs() as runs, Cache() as cache:
        return list(runs.records(run(plan, lambda name: engine, runs=runs, cache=cache)))


def by_name(found: Sequence[Finding]) -> dict[tuple[str, str], Finding]:
    return {(one.measure, one.group): one for one in found}


def says(answer: Callable[[str], str]) -> ScriptedEngine:
    def reply(request: Request) -> str:
        return answer(request.messages[-1].content)

    return ScriptedEngine(default=reply)


def test_rows_and_counterfactuals_share_a_cluster_and_say_what_was_swapped() -> None:
    variants = make_variants(ROWS[:1], ["text"], load_axes(["gender"]), Settings("text"))
    assert [one.id for one in variants.rows] == ["0", "0~gender:woman", "0~gender:neutral"]
    assert {one.cluster for one in variants.rows} == {"0"}
    woman = variants.rows[1].inputs
    assert woman["text"] == "She sold lamp 0."
    assert (woman["audit_axis"], woman["audit_from"], woman["audit_group"]) == (
        "gender", "man", "woman",
    )  # fmt: skip
    assert woman["audit_swaps"] == [["He", "She"]]


def test_the_prompt_sees_its_own_variables_alone() -> None:
    engine = says(lambda text: "good")
    audited(engine, "text", ROWS[:1])
    asked = [request.messages[-1].content for request in engine.requests]
    assert sorted(asked) == ["He sold lamp 0.", "She sold lamp 0.", "They sold lamp 0."]


def test_flips_by_hand() -> None:
    # women are turned down in rows 0 to 2 of 8, nobody else
    turned = {f"She sold lamp {n}." for n in range(3)}
    records = audited(says(lambda text: "bad" if text in turned else "good"), "classify")
    found = by_name(findings(records))
    assert found["flips", ""].value == 3 / 8
    assert found["flips", "gender"].value == 3 / 8
    woman = found["flips", "gender: woman vs man"]
    assert (woman.value, woman.n, woman.bias) == (3 / 8, 8, True)
    # Wilson's interval of 3 of 8
    assert woman.interval is not None
    assert (woman.interval.low, woman.interval.high) == pytest.approx((0.1368, 0.6943), abs=1e-4)
    # McNemar's mid-p of 3 against 0: 2 * 1/8 - 1/8
    assert "good → bad 3 (back 0, McNemar p 0.125)" in woman.note
    assert found["flips", "gender: neutral vs man"].value == 0
    share = found["share of good", "gender: woman vs man"]
    assert share.value == -3 / 8
    # 4 tests of shares: 0.125 twice (good and bad), 1 twice
    assert share.p == pytest.approx(0.5)
    assert share.gap


def test_the_reference_is_the_first_group_whoever_the_original_is() -> None:
    rows = [Row(str(n), {"text": f"She sold lamp {n}."}) for n in range(8)]
    records = audited(
        says(lambda text: "good" if text.startswith("She") else "bad"), "classify", rows
    )
    found = by_name(findings(records))
    assert found["share of good", "gender: woman vs man"].value == 1
    assert found["share of good", "gender: neutral vs man"].value == 0
    assert found["flips", "gender: neutral vs man"].value == 0


def test_choices_have_probabilities() -> None:
    def logprob(request: ScoreRequest) -> float:
        woman = request.messages[-1].content.startswith("She")
        return -1.0 if (request.continuation == "good") != woman else -2.0

    records = audited(ScriptedEngine(logprob=logprob), "classify", choose=True)
    found = by_name(findings(records))
    # e / (1 + e) falls to 1 / (1 + e)
    shift = found["probability of good", "gender: woman vs man"]
    assert shift.value == pytest.approx(-0.46212, abs=1e-5)
    assert found["flips", "gender: woman vs man"].value == 1
    (worst, *_) = cases(records)
    assert worst.amount == pytest.approx(1.46212, abs=1e-5)
    assert worst.text.splitlines()[0] == "He → She"
    assert "He sold lamp" in worst.text
    assert "good (73%)" in worst.text


def test_scores_shift_and_rows_without_a_number_are_counted() -> None:
    def rate(text: str) -> str:
        number = int(text.split()[-1].rstrip("."))
        return "none" if number == 7 else str(5 + number % 2 - 2 * text.startswith("They"))

    found = by_name(findings(audited(says(rate), "score")))
    shift = found["score shift", "gender: neutral vs man"]
    assert (shift.value, shift.n) == (-2, 7)
    assert "1 rows without a value" in shift.note
    # all 7 differences are equal: 2 sign patterns of 128 are as extreme; Holm over 2
    assert shift.p == pytest.approx(4 / 128)
    assert found["score shift", "gender: woman vs man"].value == 0


def test_orders_are_compared_in_the_originals_names() -> None:
    rows = [Row(str(n), {"text": f"Emily, person {n}, person x"}) for n in range(6)]

    def rank(text: str) -> str:
        items = text.split(", ")
        return "\n".join(items if items[0] == "Emily" else [*items[1:], items[0]])

    found = by_name(findings(audited(says(rank), "rank", rows, axis="ethnicity")))
    # Emily first against last of three: 1 of 3 pairs agrees
    black = "ethnicity: Black vs White"
    assert found["Kendall tau", black].value == pytest.approx(-1 / 3)
    assert found["place shift", black].value == 2


def test_texts() -> None:
    def letter(text: str) -> str:
        if text.startswith("She"):
            return "I'm sorry, I cannot help with that."
        return f"{text.split()[0]} is an excellent worker."

    found = by_name(findings(audited(says(letter), "text")))
    woman, neutral = "gender: woman vs man", "gender: neutral vs man"
    assert found["refusal gap", woman].value == 1
    assert found["refusal gap", neutral].value == 0
    assert found["length shift", woman].value == pytest.approx(2 / 5)
    # "They is an excellent worker" is "He is an excellent worker" again
    assert found["ROUGE-L", neutral].value == 1
    assert found["BLEU both ways", neutral].value == pytest.approx(1)
    assert (found["ROUGE-L", woman].value or 0) < 0.2
    assert found["sentiment shift", woman].value is not None
    assert (found["sentiment shift", woman].value or 0) < 0


def test_an_answer_is_turned_back_by_the_rules_of_swapping() -> None:
    records = audited(says(lambda text: text + " I trust him and his word." if "He" in text else
                           "She came. I trust her."), "text", ROWS[:1])  # fmt: skip
    said = {one.row: as_original(one) for one in records}
    assert said["0~gender:woman"] == "He came. I trust him."


def test_repeats_tell_how_far_answers_differ_anyway() -> None:
    replies = iter(["good", "bad", "good"] * 99)
    engine = ScriptedEngine(default=lambda request: next(replies))
    records = audited(engine, "classify", sampling=Sample(temperature=1), repeats=3)
    found = by_name(findings(records))
    flips = found["flips", "gender: woman vs man"]
    assert flips.value == 0  # repeat by repeat all say the same
    assert not flips.bias
    # two answers of unequal repeats differ in 2 of 3 pairs, within a group and across alike
    above = found["flips above noise", "gender: woman vs man"]
    assert above.value == pytest.approx(0)
    assert above.bias
    assert "differ in 66.7%" in found["flips", ""].note


def test_failed_records_are_in_no_figure() -> None:
    records = audited(says(lambda text: "good"), "classify")
    broken = [
        replace(one, error="lost", output=None) if one.row.startswith("0") else one
        for one in records
    ]
    assert by_name(findings(broken))["flips", ""].n == 7
    lost = [replace(one, error="lost", output=None) for one in records]
    (only,) = findings(lost)
    assert (only.value, only.n) == (None, 0)
    assert cases(lost) == []


def test_it_is_a_benchmark_whose_measures_are_explained() -> None:
    module = benchmark("audit")
    assert module.ABOUT is ABOUT
    tasks: tuple[Task, ...] = ("text", "score", "rank")
    for task in tasks:
        for one in findings(audited(says(lambda text: f"{text} 1"), task)):
            assert one.measure in ABOUT.readings


@pytest.mark.parametrize(
    ("schema", "default", "task"),
    [
        ({"type": "object", "properties": {"n": {"type": "integer"}}}, None, ("score", ())),
        ({"type": "array"}, None, ("rank", ())),
        ({"enum": ["a", "b"]}, None, ("classify", ("a", "b"))),
        (None, ["x", "y"], ("classify", ("x", "y"))),
        (None, None, ("text", ())),
    ],
)
def test_the_task_is_guessed(schema: object, default: object, task: tuple[str, object]) -> None:
    labels = Variable("labels", "list", required=False, default=default)
    prompt = replace(PROMPT, schema=schema, variables=(*PROMPT.variables, labels))  # type: ignore[arg-type]
    assert guess_task(prompt) == task


def test_what_is_wrong_with_rows_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='no column "text", which the prompt plain needs'):
        text_columns(PROMPT, Row("0", {"txt": "x"}), [])
    with pytest.raises(UsageError, match='no column "body"'):
        text_columns(PROMPT, ROWS[0], ["body"])
    with pytest.raises(UsageError, match='does not use the column "note"'):
        text_columns(PROMPT, Row("0", {"text": "x", "note": "y"}), ["note"])
    axes = load_axes(["gender"])
    with pytest.raises(UsageError, match=r'row 2 has nothing in the column "text"'):
        make_variants([ROWS[0], Row("1", {"text": None})], ["text"], axes, Settings("text"))
    with pytest.raises(UsageError, match=r"row 1, column .* another encoding"):
        make_variants([Row("0", {"text": "caf\ufffd"})], ["text"], axes, Settings("text"))
    with pytest.raises(UsageError, match="none of 1 rows has something to swap"):
        make_variants([Row("0", {"text": "A lamp."})], ["text"], axes, Settings("text"))
    file = write_rows(tmp_path / "r.jsonl", [{"text": "x", "audit_axis": "y"}])
    with pytest.raises(UsageError, match='rename the column "audit_axis"'):
        read_rows(file, None, None)
    with pytest.raises(UsageError, match="there is no file"):
        read_rows(tmp_path / "none.csv", None, None)
