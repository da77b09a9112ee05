"""An engine that says what a test tells it to, and remembers what it was asked."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from trivium.engines.base import (
    Chunk,
    Completion,
    Fingerprint,
    Request,
    Score,
    ScoreRequest,
    TokenLogprob,
)
from trivium.errors import ContextOverflow

Reply = str | Completion | Exception | Callable[[Request], str]


class ScriptedEngine:
    """Answers with the enqueued replies, in order; tokens are words separated by white space.

    A reply is text, a whole `Completion`, an exception to raise, or a function of the request. An
    empty queue answers with `default`, or fails the test when that is None. `requests` and
    `scored` record every call. Scores come from `logprob`, a function of the request; each word of
    the continuation gets an equal share.
    """

    def __init__(
        self,
        *replies: Reply,
        default: Reply | None = None,
        logprob: Callable[[ScoreRequest], float] = lambda request: 0.0,
        context_length: int = 4096,
        name: str = "scripted",
        parameters: int | None = None,
        sees_images: bool = False,
    ) -> None:
        self.requests: list[Request] = []
        self.scored: list[ScoreRequest] = []
        self.closed = False
        self._queue = list(replies)
        self._default = default
        self._logprob = logprob
        self._context_length = context_length
        self._name = name
        self._parameters = parameters
        self._sees_images = sees_images

    def enqueue(self, *replies: Reply) -> None:
        self._queue += replies

    @property
    def name(self) -> str:
        return self._name

    @property
    def context_length(self) -> int:
        return self._context_length

    @property
    def parameters(self) -> int | None:
        return self._parameters

    @property
    def sees_images(self) -> bool:
        return self._sees_images

    @property
    def fingerprint(self) -> Fingerprint:
        return Fingerprint(self._name, "0" * 64, "scripted", {})

    def stream(self, request: Request) -> Iterator[Chunk]:
        completion = self._answer(request)
        return self._pieces(completion)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        return [self._answer(request) for request in requests]

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        self.scored += requests
        return [self._score(request) for request in requests]

    def count_tokens(self, request: Request) -> int:
        texts = [message.content for message in request.messages] or [request.prompt]
        return sum(len(text.split()) for text in texts)

    def close(self) -> None:
        self.closed = True

    def _answer(self, request: Request) -> Completion:
        needed = self.count_tokens(request)
        if needed >= self._context_length:
            raise ContextOverflow(
                f"prompt needs {needed} tokens, but {self._name} holds {self._context_length}"
            )
        self.requests.append(request)
        reply = self._queue.pop(0) if self._queue else self._default
        if reply is None:
            raise AssertionError(f"no reply is enqueued for request {len(self.requests)}")
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Completion):
            return replace(reply, prompt_tokens=needed)
        text = reply if isinstance(reply, str) else reply(request)
        words = text.split()
        logprobs = (
            () if request.logprobs is None else tuple(TokenLogprob(word, 0.0) for word in words)
        )
        return Completion(text, "stop", needed, len(words), logprobs)

    def _pieces(self, completion: Completion) -> Iterator[Chunk]:
        """One chunk a word, white space kept with the word before it."""
        text, start = completion.text, 0
        for at in range(1, len(text)):
            if text[at - 1].isspace() and not text[at].isspace():
                yield Chunk(text[start:at])
                start = at
        yield Chunk(text[start:], completion)

    def _score(self, request: ScoreRequest) -> Score:
        words = request.continuation.split() or [request.continuation]
        total = self._logprob(request)
        tokens = tuple(TokenLogprob(word, total / len(words)) for word in words)
        return Score(total, tokens, greedy=total == 0.0)
