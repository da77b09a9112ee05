"""Whole searches with scripted models: a gain is found where there is one, and nowhere else."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.evals.optimize.parity import guesses, heeds, learns, plan, search
from tests.scripted import ScriptedEngine
from trivium.engines.base import Request, ScoreRequest
from trivium.errors import ContextOverflow, UsageError
from trivium.evals.optimize.base import Options
from trivium.evals.optimize.split import split
from trivium.prompts.lint import lint

LISTED = Options(proposals=0, shots=0, instructions=("{{ instruction }} COUNT first.",))


def test_an_instruction_that_helps_is_found_and_tested(tmp_path: Path) -> None:
    made = plan(tmp_path)
    result = search(made, ScriptedEngine(default=heeds("COUNT")), tmp_path, LISTED)
    assert result.best is not None
    assert result.best.prompt.system == 'Say {{ labels | join(" or ") }}. COUNT first.'
    assert result.best.origin == "an instruction of your list"
    parts = split(made.rows, ["number", "labels"])
    odd = sum(n % 2 for n in parts["test"]) / len(parts["test"])
    assert (result.metric, result.before, result.after) == ("exact", odd, 1.0)
    assert result.test is not None
    assert result.test.effect.mean == pytest.approx(1 - odd)
    assert (result.test.effect.method, result.test.effect.n) == ("mcnemar", len(parts["test"]))
    assert result.test.effect.low > 0


def test_what_the_model_proposes_is_tried_with_the_variables_put_back(tmp_path: Path) -> None:
    engine = ScriptedEngine(default=heeds("COUNT"))
    result = search(plan(tmp_path), engine, tmp_path, Options(proposals=3, shots=0))
    assert result.best is not None
    assert result.best.prompt.system == 'Say {{ labels | join(" or ") }}, and COUNT first.'
    assert result.best.origin == "an instruction of the model"
    asked = [one for one in engine.requests if "Solved cases" in one.messages[-1].content]
    assert len({one.messages for one in asked}) == 3
    assert "Say odd or even." in asked[0].messages[-1].content


def test_examples_that_help_are_found_and_come_from_the_training_rows(tmp_path: Path) -> None:
    made = plan(tmp_path)
    result = search(made, ScriptedEngine(default=learns), tmp_path)
    assert result.best is not None and result.best.own
    prompt = result.best.prompt
    assert len(prompt.examples) == 4
    assert "even" in [one.output for one in prompt.examples]
    parts = split(made.rows, ["number", "labels"])
    train = [made.rows[number].inputs["number"] for number in parts["train"]]
    assert all(one.inputs["number"] in train for one in prompt.examples)
    held_out = [made.rows[n].inputs for part in ("validation", "test") for n in parts[part]]
    assert lint(prompt, held_out) == []


@pytest.mark.parametrize("seed", range(3))
def test_where_nothing_helps_there_is_no_gain(tmp_path: Path, seed: int) -> None:
    options = Options(proposals=0, seed=seed)
    result = search(plan(tmp_path), ScriptedEngine(default=guesses), tmp_path, options)
    assert result.best is None
    assert result.tried > 20
    assert "not on the validation rows" in result.reason or "reaches 0" in result.reason


def test_a_model_that_heeds_nothing_is_not_even_validated(tmp_path: Path) -> None:
    result = search(plan(tmp_path), ScriptedEngine(default="odd"), tmp_path)
    assert (result.best, result.chosen, result.test) == (None, None, None)
    assert result.reason == "nothing was better on the training rows"


def test_tokens_are_those_of_all_prompts_and_answers(tmp_path: Path) -> None:
    engine = ScriptedEngine(default=heeds("COUNT"))
    result = search(plan(tmp_path), engine, tmp_path, Options(proposals=2, shots=0))
    asked = sum(engine.count_tokens(one) for one in engine.requests)
    proposals = [one for one in engine.requests if "Solved cases" in one.messages[-1].content]
    answered = len(engine.requests) + len(proposals) * 7  # "Instruction: Say ...": eight words
    assert result.spent == asked + answered


def test_the_budget_holds_and_a_larger_one_goes_on_from_there(tmp_path: Path) -> None:
    made, engine = plan(tmp_path), ScriptedEngine(default=learns)
    small = search(made, engine, tmp_path, Options(proposals=0, budget=6_000))
    assert small.exhausted
    assert small.spent <= 6_000
    before = len(engine.requests)
    large = search(made, engine, tmp_path, Options(proposals=0))
    fresh = ScriptedEngine(default=learns)
    (tmp_path / "anew").mkdir()
    assert search(made, fresh, tmp_path / "anew", Options(proposals=0)) == large
    assert len(engine.requests) - before < len(fresh.requests)


def test_the_same_search_again_asks_nothing_and_ends_the_same(tmp_path: Path) -> None:
    made, engine = plan(tmp_path), ScriptedEngine(default=learns)
    first = search(made, engine, tmp_path)
    asked = len(engine.requests)
    assert search(made, engine, tmp_path) == first
    assert len(engine.requests) == asked


def test_scored_prompts_count_and_choices_are_examples(tmp_path: Path) -> None:
    """Method choose: the likelier label; right once an example shows "even"."""

    def likely(request: ScoreRequest) -> float:
        said = " ".join(one.content for one in request.messages)
        number = int(request.messages[-1].content.split()[-1])
        right = "odd" if number % 2 or " even " not in f" {said} " else "even"
        return 0.0 if request.continuation == right else -1.0

    made = plan(
        tmp_path, method="choose", choices=["odd", "even"], scorers=["choice", "classification"]
    )
    engine = ScriptedEngine(logprob=likely)
    made = replace(made, prompts=(replace(made.prompts[0], system="Say it. {{ labels[0] }}"),))
    result = search(made, engine, tmp_path, Options(proposals=0, budget=60_000))
    assert result.best is not None
    assert (result.metric, result.after) == ("accuracy", 1.0)
    # each prompt once for both of its choices, and a token for each choice; two sets of examples
    # that differ in the very row that is asked ask the same, and count twice
    prompts = sum(
        sum(len(message.content.split()) for message in one.messages) for one in engine.scored
    )
    asked = prompts / 2 + len(engine.scored)
    assert asked <= result.spent <= 1.01 * asked


def test_less_of_some_metrics_is_better(tmp_path: Path) -> None:
    def reply(request: Request) -> str:
        few = "alone" in request.messages[0].content
        return "odd" if few else "odd it is"

    made = plan(tmp_path, scorers=["tokens"])
    options = Options(metric="completion_tokens", proposals=0, shots=0)
    result = search(made, ScriptedEngine(default=reply), tmp_path, options)
    assert result.best is not None and "alone" in result.best.prompt.system
    assert (result.less, result.before, result.after) == (True, 3.0, 1.0)
    assert result.test is not None and result.test.effect.mean == 2.0


def test_a_candidate_that_does_not_fit_the_context_never_wins(tmp_path: Path) -> None:
    """Examples would help, but a prompt with them is refused on some rows."""

    def reply(request: Request) -> str:
        if len(request.messages) > 2 and request.messages[-1].content.endswith("7"):
            raise ContextOverflow("too long")
        return learns(request)

    result = search(plan(tmp_path), ScriptedEngine(default=reply), tmp_path)
    assert result.best is None


def test_a_metric_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    options = Options(metric="acuracy", proposals=0)
    with pytest.raises(UsageError, match="give no acuracy; they give exact"):
        search(plan(tmp_path), ScriptedEngine(default="odd"), tmp_path, options)


def test_no_held_out_row_is_an_example_of_the_suite_s_section_either(tmp_path: Path) -> None:
    """Its pool is the very file of the rows."""
    made = plan(tmp_path, examples={"data": {"file": "rows.jsonl"}, "k": 3, "selector": "random"})
    engine = ScriptedEngine(default=heeds("COUNT"))
    result = search(made, engine, tmp_path, LISTED)
    assert result.best is not None and not result.best.own
    parts = split(made.rows, ["number", "labels"])
    train = {made.rows[number].inputs["number"] for number in parts["train"]}
    for request in engine.requests:
        assert len(request.messages) == 1 + 2 * 3 + 1
        assert {one.content for one in request.messages[1:-1:2]} <= train
