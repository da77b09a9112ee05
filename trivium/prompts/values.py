"""Values for variables: what people type, turned into what a variable holds."""

import json
import math
from collections.abc import Callable, Collection, Mapping
from typing import cast

from trivium.prompts.base import Example, Variable, VariableType

Key = tuple[tuple[str, str], ...]
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def coerce(variable: Variable, value: object) -> object:
    """`value` as the variable's type. Text is read: "3" is an integer, "a, b" and "[1, 2]" lists.

    Raises:
        ValueError: when it cannot be; the message goes on after the variable's name.
    """
    found = _READERS[variable.type](value)
    if found is None:
        raise ValueError(f"is {_shown(value)}, not {_ARTICLES[variable.type]}")
    if variable.choices and str(found) not in variable.choices:
        raise ValueError(f"is {_shown(found)}, none of {', '.join(variable.choices)}")
    return found


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:79] + "…"


def _string(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None


def _integer(value: object) -> int | None:
    try:
        number = float(cast(float, value)) if not isinstance(value, bool) else 0.5
        return int(cast(int, value)) if number == int(number) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _number(value: object) -> float | int | None:
    if (whole := _integer(value)) is not None:
        return whole
    try:
        number = float(cast(float, value))
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and not isinstance(value, bool) else None


def _boolean(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return _WORDS.get(value.strip().lower()) if isinstance(value, str) else None


def _list(value: object) -> list[object] | None:
    """A list; JSON's, where text begins like one, else what commas set apart."""
    if isinstance(value, list | tuple):
        return list(value)
    if not isinstance(value, str):
        return None
    if value.lstrip().startswith("["):
        return cast("list[object] | None", _json(value, list))
    return [part.strip() for part in value.split(",") if part.strip()]


def _object(value: object) -> Mapping[str, object] | None:
    if isinstance(value, Mapping):
        return dict(value)
    return cast("dict[str, object] | None", _json(value, dict)) if isinstance(value, str) else None


def _json(text: str, kind: type) -> object:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, kind) else None


_READERS: Mapping[VariableType, Callable[[object], object]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "list": _list,
    "object": _object,
}
_ARTICLES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list",
    "object": "an object",
}


def as_text(value: object) -> str:
    """How a value stands in an example: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def same_row(example: Example, row: Mapping[str, object], names: Collection[str]) -> bool:
    """Whether `example` is `row`: equal in all of `names` that both have, but for case and space.

    Rows that share no name are not the same.
    """
    shared = {name for name in example.inputs if name in names and row.get(name) is not None}
    return bool(shared) and row_key(example.inputs, shared) == row_key(row, shared)


def row_key(row: Mapping[str, object], names: Collection[str]) -> Key:
    """What `row` says under `names`, equal for rows that are the same."""
    return tuple((name, _folded(as_text(row[name]))) for name in sorted(names))


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
