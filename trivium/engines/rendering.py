"""Messages to the tokens of a prompt, and tokens to the bytes they spell, for one model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from trivium.engines.base import Message, Tool
from trivium.engines.templates import ChatTemplate, Part
from trivium.engines.text import END_THINK, THINK
from trivium.engines.tools import HERMES, MARKS, ToolFormat
from trivium.errors import UsageError

_MARKUP = re.compile(r"<\|.+\|>")


class Vocabulary(Protocol):
    """A model's tokens and templates; -1 is a token that the vocabulary does not have."""

    @property
    def bos(self) -> int: ...

    @property
    def eos(self) -> int: ...

    @property
    def adds_bos(self) -> bool: ...

    def metadata(self, key: str) -> str | None: ...

    def is_control(self, token: int) -> bool: ...

    def is_user_defined(self, token: int) -> bool: ...

    def token_text(self, token: int) -> str: ...

    def tokenize(self, text: str, *, special: bool) -> list[int]: ...

    def tokenize_inside(self, text: str, *, special: bool) -> list[int]: ...

    def piece(self, token: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt; `thinking`: it ends inside `<think>`, opened by the template."""

    tokens: list[int]
    thinking: bool = False


class Renderer:
    """Renders conversations as the model of `weights`, called `name`, was trained on them."""

    def __init__(self, weights: Vocabulary, name: str) -> None:
        self._weights = weights
        self._name = name

    @property
    def tool_format(self) -> ToolFormat:
        """How this model writes calls, its template's way or ours.

        Raises:
            UsageError: for a base model, which has no template.
        """
        return self._tool_template.tool_format or HERMES

    def prompt(
        self, messages: Sequence[Message], prompt: str = "", tools: Sequence[Tool] = ()
    ) -> Prompt:
        """The tokens up to where the answer begins; of the raw `prompt` without messages.

        Raises:
            UsageError: when the model has no template, its template refuses the conversation, or
                there are images in it.
        """
        if not messages:
            return Prompt(self._tokens([Part(prompt, special=True)]))
        if any(message.images for message in messages):
            raise UsageError(f"{self._name} sees no images; choose a vision model")
        history = any(message.tool_calls or message.role == "tool" for message in messages)
        template = self._tool_template if tools or history else self._template
        parts = template.render(messages, self._control_tokens, tools)
        last = parts[-1] if parts else Part("", special=False)
        opened = last.special and last.text.rstrip().endswith(THINK)
        return Prompt(self._tokens(parts), opened)

    def scored_prompt(self, messages: Sequence[Message], prompt: str) -> list[int]:
        """The tokens after which a continuation is scored; there is always one.

        An empty prompt is where a document begins: the begin-of-sequence token, or the end of the
        document before it where the vocabulary has none, as lm-evaluation-harness does.
        """
        begin = self._weights.bos if self._weights.bos >= 0 else self._weights.eos
        return self.prompt(messages, prompt).tokens or [begin]

    def piece(self, token: int) -> bytes:
        """The bytes a token spells; those around calls and thinking spell their names."""
        return self._marks.get(token) or self._weights.piece(token)

    @cached_property
    def _marks(self) -> dict[int, bytes]:
        """Control tokens that mark calls and thinking, which otherwise spell nothing."""
        marks = {}
        for text in (THINK, END_THINK, *MARKS):
            tokens = self._weights.tokenize(text, special=True)
            if len(tokens) == 1 and self._weights.is_control(tokens[0]):
                marks[tokens[0]] = text.encode()
        return marks

    @cached_property
    def _template(self) -> ChatTemplate:
        source = self._weights.metadata("tokenizer.chat_template")
        if not source:
            raise UsageError(
                f"{self._name} is a base model without a chat template; "
                "give it a raw prompt, or choose a chat model (trivium models list)"
            )
        return self._compiled(source)

    @cached_property
    def _tool_template(self) -> ChatTemplate:
        """Some models have a template of its own for conversations with tools."""
        source = self._weights.metadata("tokenizer.chat_template.tool_use")
        return self._compiled(source) if source else self._template

    def _compiled(self, source: str) -> ChatTemplate:
        weights = self._weights
        return ChatTemplate(
            source,
            model=self._name,
            bos=weights.token_text(weights.bos),
            eos=weights.token_text(weights.eos),
        )

    def _tokens(self, parts: Sequence[Part]) -> list[int]:
        tokens: list[int] = []
        for part in parts:
            spell = self._weights.tokenize_inside if tokens else self._weights.tokenize
            piece = spell(part.text, special=part.special)
            if not part.special and any(self._steers(token) for token in piece):
                # some vocabularies take "<tool_call>" for one token wherever it stands
                piece = spell(part.text[:1], special=False)
                piece += self._weights.tokenize_inside(part.text[1:], special=False)
            tokens += piece
        if self._weights.adds_bos and tokens[:1] != [self._weights.bos]:
            tokens.insert(0, self._weights.bos)
        return tokens

    def _control_tokens(self, text: str) -> list[str]:
        tokens = set(self._weights.tokenize(text, special=True))
        return [self._weights.token_text(token) for token in tokens if self._steers(token)]

    def _steers(self, token: int) -> bool:
        """Whether the token means more to the model than its letters do."""
        if self._weights.is_control(token):
            return True
        if not self._weights.is_user_defined(token):
            return False
        text = self._weights.token_text(token)
        return text in (THINK, END_THINK, *MARKS) or bool(_MARKUP.fullmatch(text))
