"""Lint: every rule finds what it is for, at the right line, and nothing in a good prompt."""

from pathlib import Path

import pytest

from trivium.prompts.files import parse_prompt
from trivium.prompts.lint import LONG_BLOCK, LONG_EXAMPLE, lint

GOOD = """\
name: p
description: d
variables:
  text: {description: t}
user: |
  {{ text }}
"""


def found(text: str, rows: list[dict[str, object]] | None = None) -> list[str]:
    return [str(one) for one in lint(parse_prompt(text, Path("p.yaml")), rows or [])]


def test_a_good_prompt_is_fine() -> None:
    assert found(GOOD) == []


def test_undefined_and_unused() -> None:
    text = GOOD.replace("{{ text }}", "a\n  {{ txt }}") + "schema: {enum: {$var: labels}}\n"
    stray = "is none of the variables; declare it under variables: (undefined)"
    assert found(text) == [
        f'p.yaml, line 7: "txt" {stray}',
        f'p.yaml, line 8: "labels" {stray}',
        'p.yaml, line 4: nothing uses the variable "text" (unused)',
    ]


def test_a_variable_may_be_used_by_the_schema_alone() -> None:
    text = GOOD.replace("{{ text }}", "x") + "schema: {const: {$var: text}}\n"
    assert found(text) == []


def test_a_broken_template() -> None:
    (told,) = found(GOOD.replace("{{ text }}", "{{ text"))
    assert told.startswith("p.yaml, line 6: ")
    assert told.endswith("(template)")
    (told,) = found(GOOD.replace("{{ text }}", "{{ text.x.y }}"))
    assert told.startswith("p.yaml, line 6: the template fails")


def test_descriptions() -> None:
    text = GOOD.replace("description: d\n", "").replace("{description: t}", "")
    assert found(text) == [
        "p.yaml: it has no description (description)",
        'p.yaml, line 3: "text" has no description (description)',
    ]


def test_schemas() -> None:
    (told,) = found(GOOD + "schema: {type: nonsense}\n")
    assert told.startswith("p.yaml, line 7: no JSON Schema")
    examples = "examples:\n- {inputs: {text: a}, output: '3'}\n- {inputs: {text: b}, output: x}\n"
    assert found(GOOD + examples + "schema: {type: string}\n") == [
        "p.yaml, line 8: the output of example 1 breaks the schema: "
        "3 is not of type 'string' (schema)",
        "p.yaml, line 9: the output of example 2 breaks the schema: "
        "no JSON: Expecting value: line 1 column 1 (char 0) (schema)",
    ]
    assert found(GOOD + examples.replace("x}", "4}") + "schema: {type: integer}\n") == []


def test_long_examples() -> None:
    row = "- {inputs: {text: %s}, output: y}\n"
    text = GOOD + "examples:\n" + row % "a" + row % ("b" * LONG_EXAMPLE)
    assert found(text) == [
        f"p.yaml, line 9: example 2 has {LONG_EXAMPLE + 1} characters, over {LONG_EXAMPLE} (long)"
    ]
    size = LONG_BLOCK // 5
    many = GOOD + "examples:\n" + "".join(row % (letter * size) for letter in "abcde")
    assert found(many) == [
        f"p.yaml, line 7: 5 examples may have {5 * size + 5} characters, over {LONG_BLOCK} (long)"
    ]
    assert found(many + "shots: {selector: random, k: 4}\n") == []


def test_leaked_rows() -> None:
    examples = "examples:\n- {inputs: {text: Who}, output: me}\n- {inputs: {text: b}, output: x}\n"
    rows: list[dict[str, object]] = [{"text": "a"}, {"text": "who ", "id": 4}, {"other": "b"}]
    assert found(GOOD + examples, rows) == ["p.yaml, line 8: example 1 is test row 2 (leak)"]


def test_the_same_example_twice() -> None:
    row = "- {inputs: {text: a}, output: x}\n"
    assert found(GOOD + "examples:\n" + row + row) == [
        "p.yaml, line 9: example 2 is example 1 again (same)"
    ]


@pytest.mark.parametrize("kind", ["integer", "number", "boolean", "list", "object"])
def test_every_type_has_a_sample(kind: str) -> None:
    assert found(GOOD.replace("{description: t}", f"{{description: t, type: {kind}}}")) == []
