"""A prompt's hash covers what changes a rendering, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from trivium.prompts.base import Example, Prompt, Shots, Variable

PROMPT = Prompt(
    "p",
    "Say {{ text }}",
    system="Be brief.",
    variables=(Variable("text"), Variable("n", "integer", required=False, default=1)),
    examples=(Example({"text": "a"}, "A"), Example({"text": "b"}, "B")),
    schema={"type": "object", "properties": {"a": {}, "b": {}}},
)

Change = Callable[[Prompt], Prompt]
RENDERED: list[Change] = [
    lambda p: replace(p, user=p.user + "!"),
    lambda p: replace(p, system=""),
    lambda p: replace(p, variables=p.variables[:1]),
    lambda p: replace(p, variables=(p.variables[0], replace(p.variables[1], default=2))),
    lambda p: replace(p, variables=(replace(p.variables[0], choices=("a",)), p.variables[1])),
    lambda p: replace(p, variables=(replace(p.variables[0], type="list"), p.variables[1])),
    lambda p: replace(p, examples=p.examples[::-1]),
    lambda p: replace(p, examples=(replace(p.examples[0], output="a"), p.examples[1])),
    lambda p: replace(p, shots=Shots(k=1)),
    lambda p: replace(p, shots=Shots("random")),
    lambda p: replace(p, shots=Shots(seed=1)),
    lambda p: replace(p, shots=Shots(order="reversed")),
    lambda p: replace(p, schema=None),
    # a model writes its JSON in the schema's order
    lambda p: replace(p, schema={"type": "object", "properties": {"b": {}, "a": {}}}),
]
TOLD: list[Change] = [
    lambda p: replace(p, name="q"),
    lambda p: replace(p, description="d"),
    lambda p: replace(p, version=2),
    lambda p: replace(p, tags=("t",)),
    lambda p: replace(p, licence="MIT"),
    lambda p: replace(p, path=Path("x.yaml"), lines={"user": 3}),
    lambda p: replace(p, variables=p.variables[::-1]),
    lambda p: replace(
        p, variables=(replace(p.variables[0], description="d", input=True), p.variables[1])
    ),
]


def test_what_renders_otherwise_has_another_hash() -> None:
    hashes = {PROMPT.hash, *(change(PROMPT).hash for change in RENDERED)}
    assert len(hashes) == 1 + len(RENDERED)
    assert all(len(one) == 64 for one in hashes)


@pytest.mark.parametrize("change", TOLD)
def test_what_renders_the_same_has_the_same_hash(change: Change) -> None:
    assert change(PROMPT).hash == PROMPT.hash


def test_the_hash_is_the_same_from_run_to_run() -> None:
    content = (
        '{"system": "", "user": "x", "variables": [], "examples": [], '
        '"shots": ["fixed", null, 0, "chosen"], "schema": null}'
    )
    assert Prompt("p", "x").hash == sha256(content.encode()).hexdigest()


def test_input_is_what_is_marked_then_what_is_called_so() -> None:
    named, marked = Variable("input"), Variable("text", input=True)
    assert Prompt("p", "x", variables=(named, marked)).input == marked
    assert Prompt("p", "x", variables=(Variable("a"), named)).input == named
    assert Prompt("p", "x", variables=(Variable("a"),)).input is None


def test_a_place_has_a_line_only_in_a_file() -> None:
    assert PROMPT.where("user") == 'the prompt "p"'
    filed = replace(PROMPT, path=Path("p.yaml"), lines={"user": 7})
    assert filed.where("user") == "p.yaml, line 7"
    assert filed.where("system") == "p.yaml"
