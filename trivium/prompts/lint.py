"""What is wrong with a prompt that can be read: found before a model wastes time on it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from trivium.errors import UsageError
from trivium.prompts.base import Example, Prompt, Variable
from trivium.prompts.render import (
    UNDECLARED,
    Part,
    fill,
    fill_schema,
    parse,
    render,
    schema_names,
    undeclared,
)
from trivium.prompts.values import Key, row_key

LONG_EXAMPLE = 1_500
LONG_BLOCK = 6_000
"""Characters; the default model holds some 8,000 of English in all."""

_SAMPLES: Mapping[str, object] = {
    "string": "text",
    "integer": 1,
    "number": 0.5,
    "boolean": True,
    "list": ["one", "two"],
    "object": {"type": "object"},
}

Rule = Literal["undefined", "unused", "template", "long", "leak", "schema", "description", "same"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, which rule says so, and where it stands ("prompts/x.yaml, line 7")."""

    rule: Rule
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message} ({self.rule})"


def lint(prompt: Prompt, rows: Sequence[Mapping[str, object]] = ()) -> list[Finding]:
    """All that is wrong with a prompt. `rows` are test rows, none of which may be an example.

    A template that is broken hides what else would be found.
    """
    try:
        used = {name for part in get_args(Part) for name in parse(prompt, part).names}
    except UsageError as error:
        return [_told("template", error)]
    found = _names(prompt, used | schema_names(prompt.schema))
    if not found:
        found += _renders(prompt)
    return [*found, *_texts(prompt), *_long(prompt), *_leaks(prompt, rows)]


def sample_values(prompt: Prompt) -> dict[str, object]:
    """Something for every variable that has to be given."""
    return {one.name: _sample(one) for one in prompt.variables if one.required}


def _sample(variable: Variable) -> object:
    if variable.choices:
        return variable.choices[0]
    value = _SAMPLES[variable.type]
    return f"«{variable.name}»" if variable.type == "string" else value


def _names(prompt: Prompt, used: set[str]) -> list[Finding]:
    """Names that are used and not declared, and the other way round."""
    declared = {one.name for one in prompt.variables}
    strays = [one for part in get_args(Part) for one in undeclared(prompt, part, declared)]
    strays += [
        (name, prompt.where("schema")) for name in sorted(schema_names(prompt.schema) - declared)
    ]
    found = [Finding("undefined", where, f'"{name}" {UNDECLARED}') for name, where in strays]
    for name in sorted(declared - used):
        where = prompt.where(f"variables.{name}")
        found.append(Finding("unused", where, f'nothing uses the variable "{name}"'))
    return found


def _renders(prompt: Prompt) -> list[Finding]:
    """Whether it can be filled, and the schema is one that the examples keep."""
    try:
        render(replace(prompt, examples=()), sample_values(prompt))
        schemas = [
            fill_schema(prompt, fill(prompt, values))
            for values in (sample_values(prompt), *(one.inputs for one in prompt.examples))
        ]
    except UsageError as error:
        return [_told("template", error)]
    if prompt.schema is None:
        return []
    from jsonschema import Draft202012Validator, SchemaError

    try:
        for schema in schemas:
            Draft202012Validator.check_schema(schema or {})
    except SchemaError as error:
        return [Finding("schema", prompt.where("schema"), f"no JSON Schema: {error.message}")]
    found = []
    for number, (example, schema) in enumerate(zip(prompt.examples, schemas[1:], strict=True)):
        try:
            problem = Draft202012Validator(schema or {}).iter_errors(json.loads(example.output))
            broken = next((one.message for one in problem), None)
        except ValueError as error:
            broken = f"no JSON: {error}"
        if broken:
            message = f"the output of example {number + 1} breaks the schema: {broken}"
            found.append(Finding("schema", prompt.where(f"examples.{number}"), message))
    return found


def _texts(prompt: Prompt) -> list[Finding]:
    """What a reader of the library needs."""
    found = []
    if not prompt.description.strip():
        found.append(Finding("description", prompt.where(""), "it has no description"))
    for one in prompt.variables:
        if not one.description.strip():
            where = prompt.where(f"variables.{one.name}")
            found.append(Finding("description", where, f'"{one.name}" has no description'))
    return found


def _long(prompt: Prompt) -> list[Finding]:
    found = []
    sizes = [_size(example) for example in prompt.examples]
    for number, size in enumerate(sizes):
        if size > LONG_EXAMPLE:
            message = f"example {number + 1} has {size} characters, over {LONG_EXAMPLE}"
            found.append(Finding("long", prompt.where(f"examples.{number}"), message))
    k = len(sizes) if prompt.shots.k is None else prompt.shots.k
    block = sum(sorted(sizes, reverse=True)[:k])
    if block > LONG_BLOCK:
        message = f"{min(k, len(sizes))} examples may have {block} characters, over {LONG_BLOCK}"
        found.append(Finding("long", prompt.where("examples"), message))
    return found


def _size(example: Example) -> int:
    return len(example.output) + sum(map(len, example.inputs.values()))


def _leaks(prompt: Prompt, rows: Sequence[Mapping[str, object]]) -> list[Finding]:
    """Examples that are test rows, or each other."""
    declared = {one.name for one in prompt.variables}
    found = []
    first: dict[Key, int] = {}
    for number, example in enumerate(prompt.examples):
        key = row_key(example.inputs, declared & example.inputs.keys())
        if key in first:
            message = f"example {number + 1} is example {first[key] + 1} again"
            found.append(Finding("same", prompt.where(f"examples.{number}"), message))
        first.setdefault(key, number)
    tables: dict[frozenset[str], dict[Key, int]] = {}
    for row_number, row in enumerate(rows, start=1):
        given = frozenset(name for name in declared if row.get(name) is not None)
        if given not in tables:
            tables[given] = {
                row_key(one.inputs, given & one.inputs.keys()): number
                for number, one in enumerate(prompt.examples)
            }
        shapes = {tuple(name for name, _ in key) for key in tables[given]} - {()}
        for number in {tables[given].get(row_key(row, names), -1) for names in shapes} - {-1}:
            message = f"example {number + 1} is test row {row_number}"
            found.append(Finding("leak", prompt.where(f"examples.{number}"), message))
    return found


def _told(rule: Rule, error: UsageError) -> Finding:
    where, _, message = str(error).partition(": ")
    return Finding(rule, where, message)
