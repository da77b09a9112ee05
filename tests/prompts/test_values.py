"""What people type becomes what a variable holds, or is refused with its value."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.prompts.base import Example, Variable, VariableType
from trivium.prompts.values import coerce, same_row


@pytest.mark.parametrize(
    ("kind", "said", "value"),
    [
        ("string", "a", "a"),
        ("string", 3, "3"),
        ("string", 0.5, "0.5"),
        ("string", True, "true"),
        ("integer", "3", 3),
        ("integer", " -3 ", -3),
        ("integer", 3.0, 3),
        ("number", "3", 3),
        ("number", "2.5e1", 25.0),
        ("number", 0.25, 0.25),
        ("boolean", "yes", True),
        ("boolean", "FALSE", False),
        ("boolean", "0", False),
        ("boolean", True, True),
        ("list", "a, b,,c ", ["a", "b", "c"]),
        ("list", '["a, b", 1]', ["a, b", 1]),
        ("list", ("a",), ["a"]),
        ("list", "", []),
        ("object", '{"a": [1]}', {"a": [1]}),
        ("object", {"a": 1}, {"a": 1}),
    ],
)
def test_read(kind: VariableType, said: object, value: object) -> None:
    found = coerce(Variable("v", kind), said)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("string", ["a"]),
        ("string", {}),
        ("integer", "three"),
        ("integer", "3.5"),
        ("integer", "nan"),
        ("integer", "inf"),
        ("integer", True),
        ("integer", ""),
        ("number", "nan"),
        ("number", "-inf"),
        ("number", False),
        ("boolean", "maybe"),
        ("boolean", 1),
        ("list", '["a"'),
        ("list", 3),
        ("object", "[1]"),
        ("object", "{"),
        ("object", "{" * 100_000),
        ("list", "[" * 100_000),
    ],
)
def test_refused(kind: VariableType, said: object) -> None:
    with pytest.raises(ValueError, match=r"^is .*, not (a|an|true) ?"):
        coerce(Variable("v", kind), said)


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(ValueError, match="…") as told:
        coerce(Variable("v", "integer"), "x" * 10_000)
    assert len(str(told.value)) < 150


def test_choices_are_all_there_is() -> None:
    tone = Variable("tone", choices=("formal", "plain"))
    assert coerce(tone, "plain") == "plain"
    with pytest.raises(ValueError, match='is "loud", none of formal, plain'):
        coerce(tone, "loud")


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_integers_survive_being_typed(number: int) -> None:
    assert coerce(Variable("v", "integer"), str(number)) == number


@pytest.mark.parametrize(
    ("row", "same"),
    [
        ({"q": "Who?", "a": "me"}, True),
        ({"q": " who?\n", "a": "ME"}, True),
        ({"q": "Who?"}, True),
        ({"q": "Who?", "a": None}, True),
        ({"q": "Who?", "a": "you"}, False),
        ({"q": "What?", "a": "me"}, False),
        ({"other": "Who?"}, False),
        ({}, False),
    ],
)
def test_rows_are_the_same_in_what_they_share(row: dict[str, Any], same: bool) -> None:
    assert same_row(Example({"q": "Who?", "a": "me", "id": "7"}, ""), row, ["q", "a"]) is same
