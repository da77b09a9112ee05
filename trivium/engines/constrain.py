"""Constrained output: JSON Schema to a grammar, and the proof that the output keeps it.

llama.cpp's grammars make broken output unlikely, not impossible: the converter leaves out what a
grammar cannot say (`pattern`s with look-ahead, `uniqueItems`, …), and a token limit can end the
text anywhere. So whatever wrote the text, it is checked again before anybody sees it.
"""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trivium.engines.base import Finish, Request
from trivium.errors import SchemaViolation, UsageError

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


_THEIR_CHAR = 'char ::= [^"\\\\] |'
_JSON_CHAR = 'char ::= [^"\\\\\\x7F\\x00-\\x1F] |'
"""Strings hold no raw control characters (RFC 8259, section 7); the converter lets them pass."""

_LONGEST_REPEAT = 500
"""Repetitions that the converter may spell out: it nests them, and thousands end the process."""


_GBNF_PARTS = re.compile(r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|\{[0-9,]*\}|([A-Za-z0-9-]+)')
"""Literals, character classes, counts; what else is spelt in letters names a rule."""


_ANY = ["object", "array", "string", "number", "boolean", "null"]
_SHAPING = frozenset(
    "type $ref anyOf oneOf allOf const enum properties additionalProperties items prefixItems "
    "pattern format".split()
)
"""Keywords that tell the converter what kind of value a schema allows."""


def constrained(request: Request) -> bool:
    """Whether the request's output must keep a schema or a grammar.

    Raises:
        UsageError: when it names both, or the schema is none.
    """
    if request.schema is not None and request.grammar is not None:
        raise UsageError("a request takes a JSON Schema or a grammar, not both")
    if request.schema is not None:
        validator(request.schema)
    return request.schema is not None or request.grammar is not None


def schema_grammar(schema: Mapping[str, object]) -> str:
    """GBNF for the JSON documents of `schema`, by llama-cpp-python's converter.

    Raises:
        UsageError: when the schema is invalid or uses what the converter cannot express.
    """
    from trivium.engines.native import library

    validator(schema)
    library()  # sets up how its threads wait, which the first import decides
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        gbnf = str(json_schema_to_gbnf(json.dumps(_within_reach(schema))))
    except RecursionError as error:
        raise UsageError("the JSON Schema is nested too deeply for a grammar") from error
    except Exception as error:  # the converter raises whatever it stumbles over
        raise UsageError(
            f"the JSON Schema cannot be turned into a grammar: {error or type(error).__name__}"
        ) from error
    return gbnf.replace(_THEIR_CHAR, _JSON_CHAR)


def prefixed(gbnf: str, prefix: str) -> str:
    """`gbnf` with `prefix` before the name of every rule, so that grammars can be joined."""
    return _GBNF_PARTS.sub(lambda part: f"{prefix}{part[1]}" if part[1] else part[0], gbnf)


def check_json(text: str, schema: Mapping[str, object], finish: Finish, tokens: int) -> None:
    """Prove that a finished text of `tokens` tokens is a JSON document of `schema`.

    Raises:
        SchemaViolation: naming the first place that breaks it.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        if finish == "length":
            raise SchemaViolation(
                f"the output stopped at {tokens} tokens inside the JSON; raise max_tokens"
            ) from error
        raise SchemaViolation(f"the output is not JSON: {error}") from error
    except RecursionError as error:
        raise SchemaViolation("the output is JSON nested too deeply to read") from error
    check_value(value, schema, "the output")


def check_value(value: Any, schema: Mapping[str, object], what: str) -> None:
    """Prove that `value`, which errors call `what`, keeps `schema`.

    Raises:
        SchemaViolation: naming the first place that breaks it.
    """
    from referencing.exceptions import Unresolvable

    try:
        problem = next(validator(schema).iter_errors(value), None)
    except Unresolvable as error:
        raise UsageError(f'the JSON Schema has a "$ref" that leads nowhere: {error}') from error
    if problem is not None:
        raise SchemaViolation(
            f"{what} breaks its schema at {problem.json_path}: {_short(problem.message)}"
        )


def validator(schema: Mapping[str, object]) -> "Validator":
    """A checker of values against `schema`.

    Raises:
        UsageError: when the schema is none.
    """
    from jsonschema import SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry

    kind = validator_for(schema)
    try:
        kind.check_schema(dict(schema))
    except SchemaError as error:
        raise UsageError(
            f"the JSON Schema is not valid at {error.json_path}: {_short(error.message)}"
        ) from error
    # an empty registry: a "$ref" to a URL must fail, not be fetched
    return kind(dict(schema), registry=Registry(), format_checker=kind.FORMAT_CHECKER)


def _within_reach(schema: Any) -> Any:
    """The schema as the converter can take it; what is left out here, `check_value` sees to.

    That is: upper bounds that no grammar should count to and patterns without both anchors. A
    schema that allows every value says so by its types, which the converter takes for an object.
    """
    if isinstance(schema, list):
        return [_within_reach(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    reached = {
        key: _reached(key, value) for key, value in schema.items() if not _beyond(key, value)
    }
    return reached if reached.keys() & _SHAPING else {**reached, "type": _ANY}


def _reached(key: str, value: Any) -> Any:
    if key in ("const", "enum", "default", "examples"):
        return value
    if key in ("properties", "$defs", "definitions") and isinstance(value, Mapping):
        return {name: _within_reach(part) for name, part in value.items()}
    return _within_reach(value)


def _beyond(key: str, value: Any) -> bool:
    if key in ("maxLength", "maxItems"):
        return isinstance(value, int) and value > _LONGEST_REPEAT
    if key == "pattern" and isinstance(value, str):
        return not (value.startswith("^") and value.endswith("$"))
    return False


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _short(message: str) -> str:
    return message if len(message) <= 200 else message[:199] + "…"
