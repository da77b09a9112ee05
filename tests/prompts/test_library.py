"""The shipped prompts: each is clean, renders, and has a small suite of rows it was not shown."""

import json

import pytest

from tests.scripted import ScriptedEngine
from trivium.engines.base import Request
from trivium.evals.cache import Cache
from trivium.evals.plan import make_plan
from trivium.evals.runner import run
from trivium.evals.store import Runs
from trivium.evals.suite import load_suite
from trivium.prompts.base import Prompt
from trivium.prompts.files import LIBRARY, load_prompt
from trivium.prompts.lint import lint, sample_values
from trivium.prompts.lock import FILE_NAME, changes, read_lock

PROMPTS = [load_prompt(file) for file in sorted(LIBRARY.glob("*.yaml"))]
SUITES = LIBRARY / "suites"
each = pytest.mark.parametrize("prompt", PROMPTS, ids=[one.name for one in PROMPTS])


def rows(prompt: Prompt) -> list[dict[str, object]]:
    lines = (SUITES / f"{prompt.name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_there_is_a_library() -> None:
    assert len(PROMPTS) >= 25
    assert {one.name for one in PROMPTS} == {file.stem for file in SUITES.glob("*.yaml")}


@each
def test_it_says_what_it_is(prompt: Prompt) -> None:
    assert prompt.path is not None
    assert prompt.name == prompt.path.stem
    assert prompt.licence == "Apache-2.0"
    assert prompt.tags
    assert prompt.description.endswith(".")


@each
def test_it_is_clean_and_was_not_shown_its_own_test(prompt: Prompt) -> None:
    assert [str(one) for one in lint(prompt, rows(prompt))] == []


@each
def test_it_renders_with_the_least_and_with_all(prompt: Prompt) -> None:
    least = sample_values(prompt)
    short = prompt.render(least)
    assert [one.role for one in short.messages[1:]] == [
        *["user", "assistant"] * len(prompt.examples), "user",
    ]  # fmt: skip
    required = [str(value) for value in least.values() if isinstance(value, str)]
    assert all(value in short.messages[-1].content for value in required)
    everything = {one.name: f"«{one.name}»" for one in prompt.variables if one.type == "string"}
    everything = {
        one.name: everything[one.name]
        for one in prompt.variables
        if one.name in everything and not one.choices
    }
    whole = prompt.render({**least, **everything}, [])
    shown = "\n".join(message.content for message in whole.messages)
    assert all(value in shown for value in everything.values())
    assert "\n\n\n" not in shown
    assert "{{" not in shown
    assert "{%" not in shown


@each
def test_every_row_of_its_suite_fills_it(prompt: Prompt) -> None:
    known = {one.name for one in prompt.variables}
    given = rows(prompt)
    assert 3 <= len(given) <= 5
    for row in given:
        assert row.keys() - known <= {"target", "relevant"}
        prompt.render(row)


@each
def test_its_suite_rewards_the_right_answer(prompt: Prompt) -> None:
    """Every scorer works on every row, and those that compare texts agree with the target."""
    right = {
        prompt.render(row).messages[-1].content: row.get("target", "[]") for row in rows(prompt)
    }

    def answer(request: Request) -> str:
        target = right[request.messages[-1].content]
        return str(target[0] if isinstance(target, list) else target)

    plan = make_plan(load_suite(SUITES / f"{prompt.name}.yaml"), ["m"])
    with Cache() as cache:
        runs = Runs()
        made = run(plan, lambda name: ScriptedEngine(default=answer), runs=runs, cache=cache)
    records = list(runs.records(made))
    assert len(records) == len(right)
    for record in records:
        assert record.error is None
        assert record.scores
        for name in ("exact", "normalised", "contains", "numeric", "f1", "rouge1", "rougeL"):
            assert record.scores.get(name, 1.0) == 1.0, (record.row, name)


def test_the_lock_file_knows_every_version() -> None:
    """A prompt that renders otherwise gets a higher version; then lock trivium/prompts/library."""
    locked = read_lock(LIBRARY / FILE_NAME)
    assert [one for one in changes(locked, PROMPTS) if one.state != "same"] == []
