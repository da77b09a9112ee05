"""The values that every engine speaks: text in, text and log-probabilities out.

They are plain frozen data. Nothing above `engines/` knows which engine it talks to; nothing here
knows about prompts, documents or the terminal.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from trivium.errors import TriviumError

Role = Literal["system", "user", "assistant", "tool"]
Finish = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that a model may call: its name, what it is for, and a JSON Schema (an object)."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a tool run. `arguments` keep the tool's schema."""

    id: str
    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Image:
    """A picture inside a message: the encoded bytes and their media type ("image/png")."""

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    An assistant's turn may carry `tool_calls`; a turn of the role "tool" is the result of the call
    `tool_call_id`. `images` belong to a user's turn.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. The defaults are greedy, which is reproducible.

    `temperature` 0 is greedy, and `repeat_penalty` the only other knob that it heeds; `top_k` 0,
    `top_p` 1, `min_p` 0 and `repeat_penalty` 1 are "off". `max_tokens` None means "until the model
    stops or the context is full". A stop string ends the output and is not part of it.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    seed: int = 0
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """What to generate from: a conversation, or raw text when `messages` is empty.

    `schema` (JSON Schema) and `grammar` (GBNF) constrain the output and exclude each other.
    `logprobs` None asks for none; n >= 0 asks for the chosen token's and the n likeliest others.
    `tools` may be called instead of, or after, an answer: `tool_choice` "auto" leaves it to the
    model, "none" forbids it, "required" demands a call, and any other value is the name of the one
    tool that must be called. They exclude `schema` and `grammar`.
    """

    messages: tuple[Message, ...] = ()
    prompt: str = ""
    sampling: Sampling = Sampling()
    schema: Mapping[str, object] | None = None
    grammar: str | None = None
    logprobs: int | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token's text and its natural-log probability; `top` holds alternatives, likeliest first."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds spent on the prompt and on the new tokens."""

    prefill: float = 0.0
    decode: float = 0.0


@dataclass(frozen=True, slots=True)
class Completion:
    """A finished answer. `prompt_tokens` counts the rendered prompt, special tokens included.

    `reused_tokens` of them were in the KV cache already. `text` is what the model said to the user;
    its `tool_calls` are no part of it, and neither is `thinking`, what a reasoning model wrote
    before its answer.
    """

    text: str
    finish: Finish
    prompt_tokens: int
    completion_tokens: int
    logprobs: tuple[TokenLogprob, ...] = ()
    timing: Timing = Timing()
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: str = ""
    reused_tokens: int = 0


class PartialFailure(TriviumError):
    """Some of several requests failed; `results` has each one's answer or error, in order."""

    def __init__(self, results: Sequence[Completion | TriviumError]) -> None:
        failed = [one for one in results if isinstance(one, TriviumError)]
        super().__init__(f"{len(failed)} of {len(results)} requests failed; the first: {failed[0]}")
        self.results = tuple(results)
        self.exit_code = failed[0].exit_code


def completions(results: Sequence[Completion | TriviumError]) -> list[Completion]:
    """The results of `Engine.generate`, when there is no error among them.

    Raises:
        PartialFailure: when there is one; where there is nothing else, the error itself.
    """
    found = [one for one in results if isinstance(one, Completion)]
    if len(found) == len(results):
        return found
    if len(results) == 1 and isinstance(results[0], TriviumError):
        raise results[0]
    raise PartialFailure(results)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a stream. Only the last one carries the whole `completion`.

    The concatenated `text` of all chunks equals `completion.text`, and so for `thinking`.
    """

    text: str
    completion: Completion | None = None
    thinking: str = ""


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """How likely is `continuation` after the prompt? Neither adds special tokens of its own.

    An empty prompt is where a document begins; servers, which do not say what stands there, refuse
    it. With `messages`, the prompt is the chat template's rendering up to where the answer begins.
    """

    continuation: str
    messages: tuple[Message, ...] = ()
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """Log-probabilities of a continuation, natural log.

    `logprob` is the sum over `tokens`; `greedy` says whether every token was the likeliest one.
    """

    logprob: float
    tokens: tuple[TokenLogprob, ...]
    greedy: bool


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What produced an output: the weights, the library and the settings that can change it."""

    model: str
    weights_sha256: str
    library: str
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Sixteen hexadecimal digits that name this exact engine."""
        text = json.dumps(
            [self.model, self.weights_sha256, self.library, dict(self.settings)], sort_keys=True
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@runtime_checkable
class Engine(Protocol):
    """A loaded model. One request is a batch of one; `generate` and `score` schedule many.

    Every method that takes a prompt counts its tokens first and raises `ContextOverflow` with both
    numbers rather than cut it; an unreachable model raises `Unavailable`; constrained output that
    is not valid raises `SchemaViolation`.
    """

    @property
    def name(self) -> str:
        """The model's name as the user wrote it."""

    @property
    def context_length(self) -> int:
        """Tokens that prompt and answer may hold together."""

    @property
    def parameters(self) -> int | None:
        """How many weights the model has; None where a server does not say."""

    @property
    def sees_images(self) -> bool:
        """Whether messages may carry images; where not, they raise `UsageError`."""

    @property
    def fingerprint(self) -> Fingerprint: ...

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Yield the answer as it is written; the last chunk carries the completion."""

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer every request, in order.

        Raises:
            PartialFailure: when some of several fail by themselves, after the others are answered;
                engines that cannot tell raise the first error.
        """

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """Log-probabilities of every continuation, in order."""

    def count_tokens(self, request: Request) -> int:
        """Tokens of the rendered prompt, special tokens included."""

    def close(self) -> None:
        """Free the weights or the connection. Safe to call twice."""


@runtime_checkable
class Resumable(Protocol):
    """An engine whose KV cache can be kept on the disk, so that a long prompt is decoded once."""

    def save_state(self, file: Path) -> int:
        """Write the cache atomically, with the fingerprint; how many tokens it holds (0: no file).

        Raises:
            TriviumError: when it cannot be written.
        """

    def load_state(self, file: Path) -> int:
        """Take the cache from `file`; how many tokens it holds.

        What the next prompt shares with them is not decoded again; `Completion.reused_tokens`
        tells how much that was.

        Raises:
            StateMismatch: when the file is of other weights, another build or another context, or
                is damaged. The cache is then empty.
        """
