"""Filling a prompt: jinja in a sandbox, values of the declared types, examples as earlier turns."""

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from trivium.engines.base import Message
from trivium.errors import UsageError
from trivium.prompts.base import Example, Prompt, Rendered
from trivium.prompts.values import coerce, same_row

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import ImmutableSandboxedEnvironment

Part = Literal["system", "user"]
UNDECLARED = "is none of the variables; declare it under variables:"
_LONGEST_PRODUCT = 100_000


def render(
    prompt: Prompt, values: Mapping[str, object], examples: Sequence[Example] | None = None
) -> Rendered:
    """See `Prompt.render`."""
    filled = fill(prompt, values)
    if examples is None:
        from trivium.prompts.select import own_selector

        examples = own_selector(prompt)(filled)
    names = {one.name for one in prompt.variables}
    messages = []
    if system := text(prompt, "system", filled):
        messages.append(Message("system", system))
    for number, example in enumerate(examples, start=1):
        if same_row(example, filled, names):
            raise UsageError(
                f'example {number} of "{prompt.name}" is the very row that is asked; '
                "choose examples with trivium.prompts.select, which leaves it out"
            )
        messages.append(Message("user", text(prompt, "user", fill(prompt, example.inputs))))
        messages.append(Message("assistant", example.output))
    messages.append(Message("user", text(prompt, "user", filled)))
    return Rendered(tuple(messages), fill_schema(prompt, filled))


def fill(prompt: Prompt, values: Mapping[str, object]) -> dict[str, object]:
    """A value for every variable; None counts as not given.

    Raises:
        UsageError: for a value that is missing or of the wrong type.
    """
    filled: dict[str, object] = {}
    for variable in prompt.variables:
        value = values.get(variable.name)
        place = f'{prompt.where(f"variables.{variable.name}")}: the variable "{variable.name}"'
        if value is None:
            if variable.required:
                raise UsageError(f"{place} has no value; give it one: --var {variable.name}=...")
            filled[variable.name] = variable.default
            continue
        try:
            filled[variable.name] = coerce(variable, value)
        except ValueError as error:
            raise UsageError(f"{place} {error}") from error
    return filled


def text(prompt: Prompt, part: Part, filled: Mapping[str, object]) -> str:
    """The part filled in, without newlines at its ends.

    Raises:
        UsageError: naming the line, when the template is broken or uses an undeclared variable.
    """
    for name, where in undeclared(prompt, part, filled):
        raise UsageError(f'{where}: "{name}" {UNDECLARED}')
    try:
        return parse(prompt, part).template.render(filled).strip("\n")
    except Exception as error:  # a template is a program: it may divide by zero
        line = _failing_line(error.__traceback__)
        raise UsageError(f"{_at(prompt, part, line)}: the template fails: {error}") from error


def undeclared(prompt: Prompt, part: Part, known: Container[str]) -> list[tuple[str, str]]:
    """The names that the part reads and that are not `known`, each with its place in the file."""
    names = parse(prompt, part).names.items()
    return [(name, _at(prompt, part, line)) for name, line in names if name not in known]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template and the names it reads, each with the first line (from 1) where it stands."""

    template: "Template"
    names: Mapping[str, int]


def parse(prompt: Prompt, part: Part) -> Compiled:
    """Compile the prompt's `part`.

    Raises:
        UsageError: when it is not jinja, naming the line.
    """
    from jinja2 import TemplateSyntaxError

    try:
        return _compile(prompt.system if part == "system" else prompt.user)
    except TemplateSyntaxError as error:
        raise UsageError(f"{_at(prompt, part, error.lineno)}: {error.message}") from error
    except RecursionError as error:
        raise UsageError(f"{_at(prompt, part, 1)}: the template is nested too deep") from error


@lru_cache(maxsize=256)
def _compile(source: str) -> Compiled:
    from jinja2 import meta, nodes

    environment = _environment()
    tree = environment.parse(source)
    free = meta.find_undeclared_variables(tree) - environment.globals.keys()
    lines: dict[str, int] = {}
    for node in tree.find_all(nodes.Name):
        if node.name in free:
            lines[node.name] = min(node.lineno, lines.get(node.name, node.lineno))
    return Compiled(environment.from_string(source), lines)


@cache
def _environment() -> "ImmutableSandboxedEnvironment":
    """jinja without what makes a rendering unsafe, huge or different from run to run."""
    from jinja2 import StrictUndefined
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset(["*", "**"])

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            sizes = [len(one) if hasattr(one, "__len__") else abs(one) for one in (left, right)]
            if operator == "**" or sizes[0] * sizes[1] > _LONGEST_PRODUCT:
                raise SecurityError(f"{operator} makes too much of too little")
            return super().call_binop(context, operator, left, right)

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    del environment.globals["lipsum"], environment.filters["random"]
    # jinja's own is for HTML: it writes < as \u003c
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(
        value, ensure_ascii=False, indent=indent
    )
    return environment


def fill_schema(prompt: Prompt, filled: Mapping[str, object]) -> Mapping[str, object] | None:
    """The prompt's schema with variables' values in place of {"$var": NAME}.

    Raises:
        UsageError: when NAME is no variable, or the whole is no object.
    """

    def put(value: Any) -> Any:
        if isinstance(value, Mapping):
            if value.keys() == {"$var"}:
                if value["$var"] not in filled:
                    raise UsageError(f'{prompt.where("schema")}: "{value["$var"]}" {UNDECLARED}')
                return filled[value["$var"]]
            return {key: put(one) for key, one in value.items()}
        return [put(one) for one in value] if isinstance(value, list) else value

    schema = put(prompt.schema)
    if schema is None or isinstance(schema, dict):
        return schema or None
    raise UsageError(f"{prompt.where('schema')}: the schema is {schema!r:.100}, not an object")


def schema_names(schema: object) -> set[str]:
    """The variables that a schema takes values of."""
    if isinstance(schema, Mapping):
        if schema.keys() == {"$var"}:
            return {str(schema["$var"])}
        return set().union(*(schema_names(one) for one in schema.values()))
    return (
        set().union(*(schema_names(one) for one in schema)) if isinstance(schema, list) else set()
    )


def _at(prompt: Prompt, part: Part, line: int) -> str:
    """Where line `line` of a part stands in the file."""
    first = prompt.lines.get(part)
    if prompt.path and first:
        return f"{prompt.path}, line {first + line - 1}"
    return f'{prompt.where("")}, line {line} of "{part}"'


def _failing_line(traceback: TracebackType | None) -> int:
    """The template's line that jinja put into the traceback."""
    line = 1
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == "<template>":
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
