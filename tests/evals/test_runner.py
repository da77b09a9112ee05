"""The runner with a scripted engine: what is asked, stored, cached, retried and paused."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.evals.suites import add, suite, write_rows
from tests.scripted import ScriptedEngine
from trivium.engines.base import Completion, Request, ScoreRequest
from trivium.errors import ContextOverflow, Unavailable, UsageError
from trivium.evals.base import Record
from trivium.evals.cache import Cache
from trivium.evals.plan import Plan, make_plan
from trivium.evals.runner import Progress, run
from trivium.evals.store import Mean, Runs


def adder(request: Request) -> str:
    return add(request.messages[-1].content)


def carry_out(
    plan: Plan, load: Callable[[str], Any], **options: Any
) -> tuple[str, list[Record], Runs]:
    with Cache() as cache:
        runs = Runs()
        made = run(plan, load, runs=runs, cache=cache, **options)
    return made, list(runs.records(made)), runs


def test_the_thinnest_path(tmp_path: Path) -> None:
    engine = ScriptedEngine("0", "2", "5", "6", "8")
    plan = make_plan(suite(tmp_path), ["m"])
    made, records, runs = carry_out(plan, lambda name: engine)
    assert [record.output for record in records] == ["0", "2", "5", "6", "8"]
    assert [record.scores["exact"] for record in records] == [1, 1, 0, 1, 1]
    assert [record.row for record in records] == ["r0", "r1", "r2", "r3", "r4"]
    (cell,) = runs.summary(made).cells
    assert cell.means == {"exact": Mean(0.8, 5)}
    assert (cell.done, cell.failed) == (5, 0)
    assert cell.fingerprint == engine.fingerprint.id == records[0].fingerprint
    assert runs.get("addition").complete
    assert engine.closed


def test_a_suite_for_masked_models_asks_no_other(tmp_path: Path) -> None:
    engine = ScriptedEngine("0")
    plan = make_plan(suite(tmp_path, masked=True), ["m"])
    with pytest.raises(UsageError, match="for masked models, named mlm:FOLDER; m writes from left"):
        carry_out(plan, lambda name: engine)
    assert engine.closed


def test_a_shard_is_asked_at_once(tmp_path: Path) -> None:
    calls: list[int] = []

    class Counting(ScriptedEngine):
        def generate(self, requests: Sequence[Request]) -> list[Completion]:
            calls.append(len(requests))
            return super().generate(requests)

    plan = make_plan(suite(tmp_path, rows=10, shard=4), ["m"])
    carry_out(plan, lambda name: Counting(default=adder))
    assert calls == [4, 4, 2]


def test_models_prompts_and_repeats_are_a_matrix(tmp_path: Path) -> None:
    said = suite(
        tmp_path,
        rows=2,
        repeats=2,
        sampling={"temperature": 1.0, "seed": 7},
        prompts=[
            {"name": "plain", "user": "{{ question }}"},
            {"name": "polite", "system": "Be kind.", "user": "{{ question }}"},
        ],
    )
    engines = {name: ScriptedEngine(default=adder, name=name) for name in ("a", "b")}
    _, records, _ = carry_out(make_plan(said, ["a", "b"]), lambda name: engines[name])
    assert [(r.model, r.prompt, r.row, r.repeat) for r in records] == [
        (model, prompt, row, repeat)
        for model in ("a", "b")
        for prompt in ("plain", "polite")
        for row in ("r0", "r1")
        for repeat in (0, 1)
    ]
    assert [r.index for r in records] == list(range(16))
    assert {request.sampling.seed for request in engines["a"].requests} == {7, 8}


def test_a_second_run_asks_nothing(tmp_path: Path) -> None:
    plan = make_plan(suite(tmp_path), ["m"])
    first, records, _ = carry_out(plan, lambda name: ScriptedEngine(default=adder))
    silent = ScriptedEngine()  # fails the test when it is asked
    second, again, _ = carry_out(plan, lambda name: silent)
    assert second == f"{first}.2"
    assert [asdict(one) | {"run": ""} for one in again] == [
        asdict(one) | {"run": ""} for one in records
    ]


def test_another_model_is_not_answered_from_the_cache(tmp_path: Path) -> None:
    plan = make_plan(suite(tmp_path), ["m"])
    carry_out(plan, lambda name: ScriptedEngine(default="1", name="one"))
    other = ScriptedEngine(default="2", name="other")
    _, records, _ = carry_out(plan, lambda name: other)
    assert {record.output for record in records} == {"2"}


class Choosy(ScriptedEngine):
    """Refuses whatever holds one of `refused`, and answers the rest."""

    def __init__(self, *refused: str, error: type[Exception] = ContextOverflow) -> None:
        super().__init__(default=adder)
        self.refused, self.error = refused, error

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        for request in requests:
            if request.messages[-1].content in self.refused:
                raise self.error(f"{request.messages[-1].content} is too much")
        return super().generate(requests)


def test_a_failed_row_is_kept_counted_and_in_no_mean(tmp_path: Path) -> None:
    plan = make_plan(suite(tmp_path), ["m"])
    made, records, runs = carry_out(plan, lambda name: Choosy("3+3"))
    assert [record.error for record in records] == [None, None, None, "3+3 is too much", None]
    assert records[3].scores == {}
    assert records[3].output is None
    summary = runs.summary(made)
    assert summary.cells[0].means["exact"] == Mean(1.0, 4)
    assert (summary.run.done, summary.run.failed, summary.run.complete) == (5, 1, True)


def test_failed_rows_are_asked_again_on_request_alone(tmp_path: Path) -> None:
    plan = make_plan(suite(tmp_path), ["m"])
    made, _, _ = carry_out(plan, lambda name: Choosy("1+1", "3+3"))
    engine = ScriptedEngine(default=adder)
    again, records, runs = carry_out(plan, lambda name: engine, retry_failed=True)
    assert again == made
    assert [request.messages[-1].content for request in engine.requests] == ["1+1", "3+3"]
    assert [record.scores["exact"] for record in records] == [1.0] * 5
    assert runs.get(made).failed == 0
    with pytest.raises(UsageError, match="no run of this suite"):
        other = make_plan(suite(tmp_path, rows=2), ["m"])
        carry_out(other, lambda name: engine, retry_failed=True)


def test_an_odd_row_at_a_server_fails_but_a_dead_server_pauses(tmp_path: Path) -> None:
    plan = make_plan(suite(tmp_path, rows=6, shard=3), ["m"])
    _, records, _ = carry_out(plan, lambda name: Choosy("1+1", error=Unavailable))
    assert [record.row for record in records if record.error] == ["r1"]

    other = make_plan(suite(tmp_path, rows=7, shard=3), ["m"])
    dead = Choosy("3+3", "4+4", "5+5", error=Unavailable)
    runs = Runs()
    with Cache(enabled=False) as cache:
        with pytest.raises(Unavailable):
            run(other, lambda name: dead, runs=runs, cache=cache)
        (paused,) = runs.of_plan(other.hash)
        assert (paused.done, paused.complete) == (3, False)
        assert dead.closed
        made = run(other, lambda name: ScriptedEngine(default=adder), runs=runs, cache=cache)
    assert made == paused.id
    assert runs.get(made).complete


def test_ctrl_c_is_a_pause(tmp_path: Path) -> None:
    plan = make_plan(suite(tmp_path, rows=6, shard=2), ["m"])
    seen: list[Progress] = []

    def interrupt(now: Progress) -> None:
        seen.append(now)
        if now.done == 4:
            raise KeyboardInterrupt

    engine = ScriptedEngine(default=adder)
    with pytest.raises(KeyboardInterrupt):
        carry_out(plan, lambda name: engine, watch=interrupt)
    assert engine.closed
    made, records, _ = carry_out(plan, lambda name: engine, watch=seen.append)
    assert len(engine.requests) == len(records) == 6
    assert [(now.done, now.resumed) for now in seen] == [(0, 0), (2, 0), (4, 0), (4, 4), (6, 4)]
    assert seen[0].eta is None
    assert seen[-1].eta == 0.0
    assert seen[1].eta is not None
    assert seen[1].eta > 0
    assert made == "addition-" + plan.hash[:8]


def test_a_run_does_not_go_on_with_another_model(tmp_path: Path) -> None:
    plan = make_plan(suite(tmp_path, rows=4, shard=2), ["m"])

    def interrupt(now: Progress) -> None:
        if now.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(plan, lambda name: ScriptedEngine(default=adder), watch=interrupt)
    with pytest.raises(UsageError, match=r"m has changed since .* trivium eval rm addition-"):
        carry_out(plan, lambda name: ScriptedEngine(default=adder, name="swapped"))


def test_two_processes_do_not_run_the_same(tmp_path: Path) -> None:
    plan = make_plan(suite(tmp_path), ["m"])

    def meddle(now: Progress) -> None:
        with pytest.raises(UsageError, match="going on in another process"):
            carry_out(plan, lambda name: ScriptedEngine(default=adder))

    carry_out(plan, lambda name: ScriptedEngine(default=adder), watch=meddle)


def letter(request: ScoreRequest) -> float:
    """The choice "B" is likely after the prompt; "A" is likely by itself."""
    lead = request.messages[-1].content if request.messages else request.prompt
    wanted = " A" if lead == "Answer:" else " B"
    return -1.0 if request.continuation == wanted else -3.0


def test_choices_are_scored_in_one_call_and_chosen_by_likelihood(tmp_path: Path) -> None:
    said = suite(
        tmp_path,
        rows=1,
        chat=False,
        method="choose",
        choices=["A", "B"],
        scorers=[{"choice": {"normalise": ["raw", "unconditional"]}}, "classification"],
        data={"file": "abc.jsonl", "id": "id"},
    )
    rows: list[dict[str, object]] = [
        {"id": "x", "question": "?", "target": "B"},
        {"id": "y", "question": "!", "target": 0},
    ]
    write_rows(tmp_path / "abc.jsonl", rows)
    engine = ScriptedEngine(logprob=letter)
    made, records, runs = carry_out(make_plan(said, ["m"]), lambda name: engine)
    # in the order of the prompts' text: "!" comes before "?"
    assert [(one.prompt, one.continuation) for one in engine.scored] == [
        ("!", " A"), ("!", " B"), ("Answer:", " A"), ("Answer:", " B"), ("?", " A"), ("?", " B"),
    ]  # fmt: skip
    x, y = records
    assert [choice.text for choice in x.choices] == ["A", "B"]
    assert [choice.logprob for choice in x.choices] == [-3.0, -1.0]
    assert [choice.unconditional for choice in x.choices] == [-1.0, -3.0]
    assert (x.scores["accuracy"], x.scores["accuracy_unconditional"]) == (1.0, 1.0)
    assert (y.scores["accuracy"], y.scores["accuracy_unconditional"]) == (0.0, 0.0)
    corpus = runs.summary(made).cells[0].corpus
    assert corpus["recall:B"] == 1.0
    assert corpus["recall:A"] == 0.0


def test_a_target_that_is_no_choice_fails_its_row(tmp_path: Path) -> None:
    said = suite(tmp_path, rows=2, method="choose", choices=["0", "1"], scorers=["choice"])
    _, records, _ = carry_out(make_plan(said, ["m"]), lambda name: ScriptedEngine())
    assert records[0].scores == {"accuracy": 1.0}
    assert records[1].error == "the target '2' is none of the choices ['0', '1']"


def test_likelihood_measures_the_target_in_bits_a_byte(tmp_path: Path) -> None:
    said = suite(tmp_path, rows=2, method="likelihood", scorers=[], chat=False, delimiter="")
    engine = ScriptedEngine(logprob=lambda request: -3 * 0.6931471805599453)
    made, records, runs = carry_out(make_plan(said, ["m"]), lambda name: engine)
    assert [one.continuation for one in engine.scored] == ["0", "2"]
    assert records[0].scores["bits_per_byte"] == pytest.approx(3.0)
    assert runs.summary(made).cells[0].corpus["perplexity"] == pytest.approx(8.0)


def test_not_a_number_is_no_log_probability(tmp_path: Path) -> None:
    said = suite(tmp_path, rows=1, method="likelihood", scorers=[])
    engine = ScriptedEngine(logprob=lambda request: float("nan"))
    _, records, _ = carry_out(make_plan(said, ["m"]), lambda name: engine)
    assert records[0].error == "the model gave no number for a log-probability"


def test_cut_answers_are_counted(tmp_path: Path) -> None:
    cut = Completion("12", "length", 1, 1)
    plan = make_plan(suite(tmp_path, rows=2), ["m"])
    made, records, runs = carry_out(plan, lambda name: ScriptedEngine(cut, "2"))
    assert [record.truncated for record in records] == [True, False]
    assert runs.summary(made).cells[0].truncated == 1


def test_shards_do_not_change_what_a_run_holds(tmp_path: Path) -> None:
    def held(shard: int) -> str:
        plan = make_plan(suite(tmp_path, rows=7, shard=shard), ["m"])
        _, records, _ = carry_out(plan, lambda name: ScriptedEngine(default=adder))
        return json.dumps([asdict(one) | {"run": ""} for one in records])

    assert held(1) == held(3) == held(100)


def test_a_score_that_is_no_number_fails_its_row(tmp_path: Path) -> None:
    said = suite(tmp_path, rows=2, scorers=["exact", "odd"])
    custom = {"odd": lambda record: float("inf") if record.row == "r1" else 1}
    made, records, runs = carry_out(
        make_plan(said, ["m"]), lambda name: ScriptedEngine(default=adder), custom=custom
    )
    assert records[0].scores == {"exact": 1.0, "odd": 1.0}
    assert records[1].error == "odd came out as inf, which is no score"
    assert records[1].scores == {}
    assert runs.summary(made).cells[0].means["odd"] == Mean(1.0, 1)


def test_a_judge_is_another_model_asked_through_the_cache(tmp_path: Path) -> None:
    options = {"model": "judge", "criterion": "Is the sum right?"}
    plan = make_plan(suite(tmp_path, rows=2, scorers=[{"judge": options}]), ["m"])
    judge = ScriptedEngine('{"score": 5}', '{"score": 1}', name="judge")
    engines = {"m": ScriptedEngine(default=adder), "judge": judge}
    _, records, _ = carry_out(plan, lambda name: engines[name])
    assert [record.scores["judge"] for record in records] == [5.0, 1.0]
    assert all(engine.closed for engine in engines.values())
    carry_out(plan, lambda name: engines[name])
    assert len(judge.requests) == 2


def test_runs_and_answers_are_for_their_owner_alone(tmp_path: Path, home: Path) -> None:
    carry_out(make_plan(suite(tmp_path), ["m"]), lambda name: ScriptedEngine(default=adder))
    for file in (home / "runs" / "runs.db", home / "cache.db"):
        assert file.stat().st_mode & 0o077 == 0
    assert list((home / "runs").glob("*.lock")) == []
