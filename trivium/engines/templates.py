"""Chat templates: messages to the exact text a model was trained on, in a sandbox.

A template is code from a file that somebody else made, so it runs in jinja's immutable sandbox.
Message contents are data: a user who types "<|im_end|>" must not end the turn, nor may a tool's
result or description. So every control token that they spell is swapped for a placeholder before
rendering; the rendering then comes apart into parts, of which only the template's own may be parsed
for control tokens.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from trivium.engines.base import Message, Tool
from trivium.engines.tools import ToolFormat, find_format
from trivium.engines.turns import described, hf_tools, hf_turns, one_at_a_time
from trivium.errors import UsageError

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import ImmutableSandboxedEnvironment


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a prompt; in a `special` one control tokens are written by their names."""

    text: str
    special: bool


Turn = dict[str, Any]
"""A message, or a tool, as Hugging Face's templates read it."""

ControlTokens = Callable[[str], Sequence[str]]
"""Finds the control tokens that a text spells, as `["<|im_end|>"]`."""


class ChatTemplate:
    """A compiled `tokenizer.chat_template`."""

    def __init__(self, source: str, *, model: str, bos: str = "", eos: str = "") -> None:
        self._source = source
        self._model = model
        self._bos = bos
        self._eos = eos

    @cached_property
    def _template(self) -> "Template":
        from jinja2 import TemplateError

        try:
            return _environment().from_string(self._source)
        except TemplateError as error:
            raise UsageError(f"{self._model} has a broken chat template: {error}") from error

    @cached_property
    def tool_format(self) -> ToolFormat | None:
        """How calls are written, where the template shows tools and we know its way; else None."""
        from jinja2 import TemplateError

        form = find_format(self._source)
        if form is None:
            return None
        probe = hf_tools([Tool("probe_tool", "", {"type": "object", "properties": {}})])
        try:
            shown = self._fill([{"role": "user", "content": "x"}], probe)
        except (TemplateError, TypeError, ValueError):
            return None
        return form if "probe_tool" in shown else None

    def render(
        self,
        messages: Sequence[Message],
        control_tokens: ControlTokens,
        tools: Sequence[Tool] = (),
    ) -> list[Part]:
        """The prompt up to where the answer begins.

        A template that knows no system role gets that text at the head of the first user turn. One
        that knows no tools is given them, their calls and results as text.

        Raises:
            UsageError: when the template refuses the conversation, in its own words.
        """
        from jinja2 import TemplateError

        form = self.tool_format
        if form is None:
            messages, tools = described(messages, tools), ()
        elif form.single:
            messages = one_at_a_time(messages)
        given = [hf_turns(messages), hf_tools(tools)]
        mark = _unused_mark(_strings(given))
        hidden: list[str] = []
        turns, offered = _mapped(given, lambda text: _hide(text, control_tokens, mark, hidden))
        try:
            try:
                text = self._fill(turns, offered)
            except TemplateError:
                if not turns or turns[0]["role"] != "system":
                    raise
                text = self._fill(_without_system(turns), offered)
        except (TemplateError, TypeError, ValueError, OverflowError) as error:
            raise UsageError(
                f"{self._model}'s chat template refuses this conversation: {error}"
            ) from error
        return _split(text, mark, hidden)

    def _fill(self, turns: list[Turn], tools: list[Turn]) -> str:
        return self._template.render(
            messages=turns,
            tools=tools or None,
            add_generation_prompt=True,
            bos_token=self._bos,
            eos_token=self._eos,
        )


def data_parts(text: str, control_tokens: ControlTokens) -> list[Part]:
    """`text` as data: parts in which nothing is parsed where it spells a control token."""
    mark = _unused_mark([text])
    hidden: list[str] = []
    return _split(_hide(text, control_tokens, mark, hidden), mark, hidden)


def _environment() -> "ImmutableSandboxedEnvironment":
    """jinja as Hugging Face's `apply_chat_template` sets it up; templates are written for that."""
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    return environment


def _to_json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> NoReturn:
    from jinja2 import TemplateError

    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


def _without_system(turns: Sequence[Turn]) -> list[Turn]:
    system, *rest = turns
    for at, turn in enumerate(rest):
        if turn["role"] == "user":
            rest[at] = turn | {"content": f"{system['content']}\n\n{turn['content']}"}
            return rest
    return [{"role": "user", "content": system["content"]}, *rest]


def _strings(value: Any) -> Iterator[str]:
    """Every string in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _strings(key)
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON value with every string, keys included, as `change` gives it."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_mapped(key, change): _mapped(inner, change) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(inner, change) for inner in value]
    return value


def _unused_mark(texts: Iterable[str]) -> str:
    """A private-use character that no text holds, to fence placeholders with."""
    used = set().union(*texts)
    for code in range(0xE000, 0xF8FF):
        if chr(code) not in used:
            return chr(code)
    raise UsageError("a message uses every private-use character of Unicode; remove some")


def _hide(text: str, control_tokens: ControlTokens, mark: str, hidden: list[str]) -> str:
    """`text` with each control token it spells replaced by a fenced number into `hidden`."""
    while found := [token for token in control_tokens(text) if token and token in text]:
        for token in sorted(set(found), key=len, reverse=True):
            while token in text:
                text = text.replace(token, f"{mark}{len(hidden)}{mark}", 1)
                hidden.append(token)
    return text


def _split(text: str, mark: str, hidden: Sequence[str]) -> list[Part]:
    pieces = re.split(f"{mark}(\\d+){mark}", text)
    parts = [
        Part(hidden[int(piece)], special=False) if at % 2 else Part(piece, special=True)
        for at, piece in enumerate(pieces)
    ]
    return [part for part in parts if part.text]
