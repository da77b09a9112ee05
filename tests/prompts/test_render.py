"""Filling a prompt: exact texts, and errors that name the file's line."""

import time
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.engines.base import Message
from trivium.errors import UsageError
from trivium.prompts.base import Example, Prompt, Rendered, Shots, Variable
from trivium.prompts.files import load_prompt, parse_prompt

TEXT = Variable("text")


def prompt(text: str) -> Prompt:
    return parse_prompt(dedent(text), Path("p.yaml"))


def said(user: str, **values: object) -> str:
    variables = tuple(Variable(name, _kind(value)) for name, value in values.items())
    return Prompt("p", user, variables=variables).render(values).messages[-1].content


def _kind(value: object) -> Any:
    return {str: "string", int: "integer", list: "list", dict: "object"}[type(value)]


def test_system_examples_and_question_in_order() -> None:
    one = Prompt(
        "p",
        "Q: {{ text }}\n",
        system="Answer in {{ n }} words.\n",
        variables=(TEXT, Variable("n", "integer", required=False, default=2)),
        examples=(Example({"text": "a"}, "A"), Example({"text": "b"}, "B")),
        schema={"enum": {"$var": "n"}, "anyOf": [{"const": {"$var": "text"}}, 1]},
    )
    assert one.render({"text": "c", "column": "of a row"}) == Rendered(
        (
            Message("system", "Answer in 2 words."),
            Message("user", "Q: a"),
            Message("assistant", "A"),
            Message("user", "Q: b"),
            Message("assistant", "B"),
            Message("user", "Q: c"),
        ),
        {"enum": 2, "anyOf": [{"const": "c"}, 1]},
    )
    other = one.render({"text": "c"}, [Example({"text": "x"}, "X")])
    assert [message.content for message in other.messages] == [
        "Answer in 2 words.", "Q: x", "X", "Q: c",
    ]  # fmt: skip
    assert len(one.render({"text": "c"}, []).messages) == 2


def test_an_example_that_is_the_row_is_left_out_or_refused() -> None:
    mine = Example({"text": "a"}, "A")
    one = Prompt("p", "{{ text }}", variables=(TEXT,), examples=(mine, Example({"text": "b"}, "B")))
    assert [m.content for m in one.render({"text": " A"}).messages] == ["b", "B", " A"]
    with pytest.raises(UsageError, match='example 1 of "p" is the very row that is asked'):
        one.render({"text": "a"}, [mine])


def test_examples_stand_only_below_the_system_part_they_were_made_for() -> None:
    one = Prompt(
        "p",
        "{{ text }}",
        system="One of {{ labels | join(', ') }}.",
        variables=(TEXT, Variable("labels", "list", required=False, default=["good", "bad"])),
        examples=(Example({"text": "a"}, "good"), Example({"text": "b", "labels": "x, y"}, "x")),
    )
    assert [m.content for m in one.render({"text": "c"}).messages[1:-1]] == ["a", "good"]
    own = one.render({"text": "c", "labels": ["x", "y"]}).messages
    assert [m.content for m in own] == ["One of x, y.", "b", "x", "c"]
    assert len(one.render({"text": "c", "labels": ["z"]}).messages) == 2


def test_blocks_leave_no_empty_lines() -> None:
    text = "{% if a %}\nA: {{ a }}\n{% endif %}\n{% for one in b %}\n- {{ one }}\n{% endfor %}\n"
    assert said(text, a="x", b=["y", "z"]) == "A: x\n- y\n- z"
    assert said(text, a="", b=[]) == ""


def test_values_are_data() -> None:
    assert said("{{ a }}", a="{{ 7 * 7 }} {% raw %} <b>&amp;") == "{{ 7 * 7 }} {% raw %} <b>&amp;"


@given(st.text(alphabet=st.characters(exclude_characters="\n\r")))
def test_any_text_comes_through_as_it_is(text: str) -> None:
    assert said("[{{ a }}]", a=text) == f"[{text}]"


def test_json_is_written_for_models_not_for_html() -> None:
    assert said("{{ a | tojson }}", a={"k": "<é> 'x'"}) == '{"k": "<é> \'x\'"}'
    assert said("{{ a | tojson(indent=1) }}", a=["b"]) == '[\n "b"\n]'


class TestErrors:
    FILE = """\
        name: p
        variables:
          text:
          n: {type: integer, default: 1}
        system: |

          {{ n }}
          {{ 1 // n }}
        user: "{{ text }}"
        """

    def test_a_missing_variable_names_itself_and_its_line(self) -> None:
        for values in ({}, {"text": None}):
            with pytest.raises(UsageError) as told:
                prompt(self.FILE).render(values)
            assert str(told.value) == (
                'p.yaml, line 3: the variable "text" has no value; give it one: --var text=...'
            )

    def test_a_wrong_value_names_its_variable(self) -> None:
        with pytest.raises(UsageError) as told:
            prompt(self.FILE).render({"text": "x", "n": "many"})
        assert str(told.value) == 'p.yaml, line 4: the variable "n" is "many", not an integer'

    def test_a_template_that_fails_names_its_line(self) -> None:
        with pytest.raises(UsageError, match=r"p.yaml, line 8: the template fails: .* by zero"):
            prompt(self.FILE).render({"text": "x", "n": 0})

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("name: p\nuser: |\n  a\n  {{ b }}\n", r'p.yaml, line 4: "b" is none of the variables'),
            ("name: p\nuser: '{{ b }}'\n", r'p.yaml, line 2: "b" is none of the variables'),
            ("name: p\nuser: |\n  a\n  {% if 1 %}{{ b }}{% endif %}", r'line 4: "b" is none'),
            ("name: p\nuser: |\n  a\n  {% if %}\n", r"p.yaml, line 4: Expected an expression"),
            ("name: p\nuser: |\n  {{ 'a\n", r"p.yaml, line 3: "),
            ("name: p\nuser: |\n\n  {% include 'x' %}\n", r"p.yaml, line 4: the template fails"),
            ("name: p\nuser: |\n  {{ {}.x.y }}\n", r"line 3: the template fails: .* no attribute"),
            ("name: p\nuser: x\nschema: {enum: {$var: b}}", r'p.yaml, line 3: "b" is none of the'),
        ],
    )
    def test_a_broken_template_names_its_line(self, text: str, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            prompt(text).render({})

    def test_a_schema_is_an_object(self) -> None:
        one = Prompt("p", "x", variables=(TEXT,), schema={"$var": "text"})
        with pytest.raises(UsageError, match="the schema is 'a', not an object"):
            one.render({"text": "a"})


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ a.append(1) }}",
        "{{ 'x' * 10**9 }}",
        "{{ 10**10**10 }}",
        "{{ ['x' * 1000] * 1000 * 1000 }}",
        "{% for i in range(10**7) %}{% endfor %}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ lipsum() }}",
        "{{ [1, 2] | random }}",
    ],
)
def test_a_template_cannot_reach_out_or_run_away(attack: str) -> None:
    start = time.perf_counter()
    with pytest.raises(UsageError):
        said(attack, a=["y"])
    assert time.perf_counter() - start < 2


def test_multiplication_still_works() -> None:
    assert said("{{ a * 2 }} {{ '-' * 3 }}", a=21) == "42 ---"


def test_a_selector_that_needs_a_model_says_so() -> None:
    examples = (Example({"text": "a"}, "A"),)
    one = Prompt("p", "{{ text }}", variables=(TEXT,), examples=examples, shots=Shots("nearest"))
    with pytest.raises(UsageError, match='the selector "nearest" needs an embedder'):
        one.render({"text": "b"})
    assert len(replace(one, shots=Shots("nearest", k=0)).render({"text": "b"}).messages) == 1


def test_a_rendering_takes_under_a_millisecond(tmp_path: Path) -> None:
    """So that the runner's own share of a row stays small."""
    file = Path("trivium/prompts/library/sentiment.yaml").absolute()
    sentiment = load_prompt(file)
    sentiment.render({"text": "warm"})
    start = time.perf_counter()
    for number in range(100):
        sentiment.render({"text": f"row {number}"})
    assert (time.perf_counter() - start) / 100 < 0.001
