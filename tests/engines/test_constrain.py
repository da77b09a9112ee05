import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.engines.base import Request
from trivium.engines.constrain import check_json, check_value, constrained, prefixed, schema_grammar
from trivium.errors import SchemaViolation, UsageError

POINT: dict[str, object] = {
    "type": "object",
    "properties": {"x": {"type": "integer", "minimum": 0}, "when": {"type": "string"}},
    "required": ["x"],
    "additionalProperties": False,
}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(values)
def test_every_json_document_keeps_the_empty_schema(value: object) -> None:
    check_json(json.dumps(value), {}, "stop", 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ('{"x": 1} and more', "not JSON"),
        ('{"x": NaN}', "NaN is no JSON number"),
        ('{"x": "\n"}', "not JSON"),
        ('{"x": -1}', r"at \$\.x: -1 is less than"),
        ('{"when": "now"}', r"at \$: 'x' is a required property"),
        ('{"x": 1, "y": 2}', "'y' was unexpected"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_breaks_the_schema_is_named(text: str, reason: str) -> None:
    with pytest.raises(SchemaViolation, match=reason):
        check_json(text, POINT, "stop", 5)


def test_a_cut_document_names_the_limit() -> None:
    with pytest.raises(SchemaViolation, match="stopped at 5 tokens inside the JSON"):
        check_json('{"x": 1', POINT, "length", 5)


def test_a_document_complete_at_the_limit_is_valid() -> None:
    check_json('{"x": 1}', POINT, "length", 5)


@pytest.mark.parametrize("ref", ["#/$defs/missing", "https://example.com/schema.json"])
def test_references_are_never_fetched(ref: str) -> None:
    with pytest.raises(UsageError, match="leads nowhere"):
        check_json("{}", {"$ref": ref}, "stop", 1)


def test_a_schema_must_be_one() -> None:
    with pytest.raises(UsageError, match=r"not valid at \$.type"):
        constrained(Request(schema={"type": "objekt"}))


def test_schema_and_grammar_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="not both"):
        constrained(Request(schema=POINT, grammar='root ::= "a"'))
    assert constrained(Request(schema=POINT))
    assert constrained(Request(grammar='root ::= "a"'))
    assert not constrained(Request())


def test_strings_of_the_grammar_hold_no_control_characters() -> None:
    assert r'char ::= [^"\\\x7F\x00-\x1F] |' in schema_grammar({"type": "string"})


def test_bounds_too_large_to_count_are_left_to_the_check() -> None:
    """llama.cpp's parser ends the process on 20,000 nested groups."""
    long = {"type": "string", "maxLength": 20_000}
    assert schema_grammar(long) == schema_grammar({"type": "string"})
    short = schema_grammar({"type": "string", "maxLength": 3})
    assert "(char (char (char)?)?)?" in short


def test_a_property_may_be_called_max_length() -> None:
    named = {"type": "object", "properties": {"maxLength": {"type": "integer"}}}
    assert "maxLength" in schema_grammar(named)
    assert "9999" in schema_grammar({"const": {"maxLength": 9999}})


def test_what_the_converter_cannot_say_is_the_users_to_change() -> None:
    with pytest.raises(UsageError, match="cannot be turned into a grammar"):
        schema_grammar({"$ref": "https://example.com/schema.json"})


def test_what_allows_every_value_is_not_taken_for_an_object() -> None:
    every = schema_grammar({"type": "object", "properties": {"x": {}, "y": {"title": "Y"}}})
    for kind in ("object", "array", "string", "number", "boolean", "null"):
        assert f"{kind} ::= " in every


def test_a_pattern_without_anchors_is_left_to_the_check() -> None:
    part = {"type": "string", "pattern": "a"}
    assert schema_grammar(part) == schema_grammar({"type": "string"})
    assert schema_grammar(part | {"pattern": "^a$"}) != schema_grammar(part)
    with pytest.raises(SchemaViolation, match="the name breaks its schema"):
        check_value("b", part, "the name")


names = st.from_regex(r"[a-z0-9-]{1,6}", fullmatch=True)
literals = st.text(alphabet='ab-"\\[]{} ', max_size=8)


@given(names, literals, names)
def test_a_prefix_reaches_names_alone(name: str, literal: str, other: str) -> None:
    spelt = json.dumps(literal)
    assert prefixed(f"{name} ::= {spelt} {other}+", "t0-") == f"t0-{name} ::= {spelt} t0-{other}+"
