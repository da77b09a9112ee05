"""Tools in a prompt, calls under a grammar, calls out of a text.

Every family of models writes calls in its own way, which its chat template tells. A `ToolFormat` is
that way, in the literal pieces around a name and its arguments: a grammar is made of them and of
the tools' JSON Schemas, and the text that keeps the grammar is read back by them. A model without
a way of its own is told to use Hermes' (which Qwen and many others were trained on).
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from trivium.engines.base import Finish, Request, Tool, ToolCall
from trivium.engines.constrain import check_value, prefixed, schema_grammar, validator
from trivium.errors import SchemaViolation, UsageError

MOST_CALLS = 8
"""Calls in one answer; a small model that repeats itself would write them to the last token."""

_NAME = re.compile(r"[A-Za-z0-9_./:-]{1,128}")  # what every format can carry without escapes


@dataclass(frozen=True, slots=True)
class ToolFormat:
    """How a family of models writes calls.

    An answer's calls are `opening`, each call (`before` name `between` arguments `after`) with a
    `separator` between two, and `closing`. `mark` begins them and stands nowhere else; where it is
    empty, calls have no mark of their own and stand at the beginning of an answer or not at all.
    `single` formats have one call an answer.
    """

    before: str
    between: str
    after: str
    opening: str = ""
    separator: str = ""
    closing: str = ""
    mark: str = ""
    single: bool = False

    def triggers(self, tools: Sequence[Tool]) -> tuple[str, ...]:
        """Texts any of which begins a call."""
        if self.mark:
            return (self.mark,)
        return tuple(f"{self.before}{tool.name}{self.between.rstrip()}" for tool in tools)

    def grammar(self, tools: Sequence[Tool], *, most: int = MOST_CALLS) -> str:
        """GBNF for one to `most` calls of `tools`, their arguments by their schemas.

        Raises:
            UsageError: when a schema is none.
        """
        rules = [prefixed(_arguments_grammar(tool), f"t{at}-") for at, tool in enumerate(tools)]
        calls = [
            f"{_literal(self.before + tool.name + self.between)} t{at}-root {_literal(self.after)}"
            for at, tool in enumerate(tools)
        ]
        more = f" ({_literal(self.separator)} call){{0,{most - 1}}}"
        repeated = "" if self.single or most == 1 else more
        head = [
            f"root ::= {_literal(self.opening)} call{repeated} {_literal(self.closing)}",
            f"call ::= {' | '.join(calls)}",
        ]
        return "\n".join(head + rules)

    def write(self, calls: Sequence[ToolCall]) -> str:
        """`calls` as the model would have written them; empty without any."""
        if not calls:
            return ""
        each = [
            f"{self.before}{call.name}{self.between}"
            f"{json.dumps(dict(call.arguments), ensure_ascii=False)}{self.after}"
            for call in calls
        ]
        return f"{self.opening}{self.separator.join(each)}{self.closing}"

    def parse(self, text: str) -> list[tuple[str, dict[str, object]]]:
        """Names and arguments of the calls in `text`, which holds nothing else; or no `closing`.

        Raises:
            ValueError: when it is not written in this format, with what was expected where.
        """
        calls = []
        at = _expect(text, 0, self.opening)
        while True:
            at = _expect(text, at, self.before)
            end = text.find(self.between, at)
            if end < 0:
                raise ValueError(f"no {self.between!r} after character {at}")
            name, at = text[at:end], end + len(self.between)
            arguments, at = json.JSONDecoder().raw_decode(text, at)
            if not isinstance(arguments, dict):
                raise ValueError(f"the arguments of {name} are no object")
            calls.append((name, arguments))
            at = len(text) - len(text[at:].lstrip(" "))  # the grammar leaves room for one
            at = _expect(text, at, self.after)
            if text[at:].strip() in ("", self.closing.strip()):
                return calls
            at = _expect(text, at, self.separator)


HERMES = ToolFormat(
    before='<tool_call>\n{"name": "',
    between='", "arguments": ',
    after="}\n</tool_call>",
    separator="\n",
    mark="<tool_call>",
)
LLAMA = ToolFormat(before='{"name": "', between='", "parameters": ', after="}", single=True)
MISTRAL = ToolFormat(
    opening="[TOOL_CALLS] [",
    before='{"name": "',
    between='", "arguments": ',
    after="}",
    separator=", ",
    closing="]",
    mark="[TOOL_CALLS]",
)
MISTRAL_NAMED = ToolFormat(before="[TOOL_CALLS]", between="[ARGS]", after="", mark="[TOOL_CALLS]")


MARKS = (
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "[TOOL_CALLS]",
    "[ARGS]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
)
"""Texts around calls and results that are single tokens in some vocabularies."""


def find_format(template: str) -> ToolFormat | None:
    """The format that a chat template writes calls in; None when it is none that we know."""
    if "[TOOL_CALLS]" in template:
        if "[ARGS]" in template:
            return MISTRAL_NAMED
        tight = "[TOOL_CALLS][" in template
        return replace(MISTRAL, opening="[TOOL_CALLS][") if tight else MISTRAL
    if "<tool_call>" in template and "<function=" not in template:
        return HERMES
    if '{"name": ' in template and '"parameters": ' in template:
        return LLAMA
    return None


@dataclass(frozen=True, slots=True)
class Calls:
    """What a request lets a model call, in the model's format."""

    format: ToolFormat
    tools: tuple[Tool, ...]
    choice: str

    @property
    def required(self) -> bool:
        return self.choice not in ("auto", "none")

    @property
    def allowed(self) -> tuple[Tool, ...]:
        named = tuple(tool for tool in self.tools if tool.name == self.choice)
        return named or self.tools

    def triggers(self) -> tuple[str, ...]:
        return self.format.triggers(self.allowed)

    def grammar(self) -> str:
        named = self.choice in {tool.name for tool in self.tools}
        return self.format.grammar(self.allowed, most=1 if named else MOST_CALLS)

    def repeat(self, text: str) -> str | None:
        """`text` to the end of its last whole call, if that one stands in it twice.

        Small models write a call again and again; there is nothing new to wait for then.
        """
        end = text.rfind(self.format.after)
        whole = text[: end + len(self.format.after)] if end >= 0 else ""
        try:
            found = self.format.parse(whole)
        except (ValueError, RecursionError):
            return None
        return whole if found[-1] in found[:-1] else None

    def read(self, text: str, finish: Finish, tokens: int, seed: str) -> tuple[ToolCall, ...]:
        """The calls in `text`, each once and held against its schema.

        `seed` makes their ids unique.

        Raises:
            SchemaViolation: when the text was cut after `tokens` tokens or a call is not valid.
        """
        try:
            found = self.format.parse(text)
        except (ValueError, RecursionError) as error:
            if finish == "length":
                raise SchemaViolation(
                    f"the output stopped at {tokens} tokens inside a tool call; raise max_tokens"
                ) from error
            raise SchemaViolation(f"the tool call cannot be read: {error}") from error
        schemas = {tool.name: tool.parameters for tool in self.allowed}
        for name, arguments in found:
            if name not in schemas:
                raise SchemaViolation(f"the model called {name}, which is none of its tools")
            check_value(arguments, schemas[name], f"the call of {name}")
        return tuple(
            ToolCall(short_id(f"{seed} {at} {text}"), name, arguments)
            for at, (name, arguments) in enumerate(found)
            if (name, arguments) not in found[:at]
        )


def check_tools(request: Request) -> None:
    """Raise unless the request's tools can be offered.

    Raises:
        UsageError: for tools beside a schema or grammar or without messages, a name that is used
            twice or cannot be written, an invalid schema, or a `tool_choice` that is no tool.
    """
    if not request.tools:
        if request.tool_choice not in ("auto", "none"):
            raise UsageError(f"tool_choice is {request.tool_choice}, but there are no tools")
        return
    if request.schema is not None or request.grammar is not None:
        raise UsageError("a request takes tools, or a JSON Schema or grammar, not both")
    if not request.messages:
        raise UsageError("tools need a conversation, not a raw prompt")
    names = [tool.name for tool in request.tools]
    for tool in request.tools:
        if not _NAME.fullmatch(tool.name):
            raise UsageError(
                f"{tool.name!r} cannot be a tool's name; use letters, digits and _ - . / :"
            )
        if names.count(tool.name) > 1:
            raise UsageError(f"two tools are called {tool.name}; rename one")
        try:
            validator(tool.parameters)
        except UsageError as error:
            raise UsageError(f"the tool {tool.name} has unusable parameters: {error}") from error
    if request.tool_choice not in ("auto", "none", "required", *names):
        raise UsageError(
            f"tool_choice is {request.tool_choice}, which is none of {', '.join(names)}"
        )


def _arguments_grammar(tool: Tool) -> str:
    validator(tool.parameters)
    try:
        return schema_grammar({"type": "object", **tool.parameters})
    except UsageError:  # beyond the converter: any object, which the schema is held against later
        return schema_grammar({"type": "object"})


def _literal(text: str) -> str:
    """`text` as GBNF spells a terminal; an empty one is a terminal too."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _expect(text: str, at: int, literal: str) -> int:
    if not text.startswith(literal, at):
        raise ValueError(f"{literal!r} was expected at character {at}")
    return at + len(literal)


def short_id(seed: str) -> str:
    """Nine letters and digits that follow from `seed`: Mistral's templates take no other ids."""
    return hashlib.sha256(seed.encode("utf-8", "replace")).hexdigest()[:9]
