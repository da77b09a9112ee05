"""The values that every engine speaks: text in, text and log-probabilities out.

They are plain frozen data. Nothing above `engines/` knows which engine it talks to; nothing here
knows about prompts, documents or the terminal.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

Role = Literal["system", "user", "assistant", "tool"]
Finish = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. The defaults are greedy, which is reproducible.

    `temperature` 0 is greedy and makes the other knobs idle; `top_k` 0, `top_p` 1, `min_p` 0 and
    `repeat_penalty` 1 are "off". `max_tokens` None means "until the model stops or the context is
    full". A stop string ends the output and is not part of it.
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
    """

    messages: tuple[Message, ...] = ()
    prompt: str = ""
    sampling: Sampling = Sampling()
    schema: Mapping[str, object] | None = None
    grammar: str | None = None
    logprobs: int | None = None


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
    """A finished answer. `prompt_tokens` counts the rendered prompt, special tokens included."""

    text: str
    finish: Finish
    prompt_tokens: int
    completion_tokens: int
    logprobs: tuple[TokenLogprob, ...] = ()
    timing: Timing = Timing()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a stream. Only the last one carries the whole `completion`.

    The concatenated `text` of all chunks equals `completion.text`.
    """

    text: str
    completion: Completion | None = None


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """How likely is `continuation` after the prompt? Neither adds special tokens of its own.

    With `messages`, the prompt is the chat template's rendering up to where the answer begins.
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
    def fingerprint(self) -> Fingerprint: ...

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Yield the answer as it is written; the last chunk carries the completion."""

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer every request, in order."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """Log-probabilities of every continuation, in order."""

    def count_tokens(self, request: Request) -> int:
        """Tokens of the rendered prompt, special tokens included."""

    def close(self) -> None:
        """Free the weights or the connection. Safe to call twice."""
