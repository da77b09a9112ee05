"""Any OpenAI-compatible server as an engine: vLLM, llama.cpp's server, a company's gateway.

What a server cannot do is an error that says so. Where servers differ (counting tokens, naming
their context) vLLM's and llama.cpp's own end points are asked, and found out once, at the start.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

from trivium.engines.base import (
    Chunk,
    Completion,
    Fingerprint,
    Finish,
    Request,
    Score,
    ScoreRequest,
    Timing,
    TokenLogprob,
    completions,
)
from trivium.engines.constrain import check_json, constrained
from trivium.engines.openai_wire import CallReader, check_request, tool_fields, turns
from trivium.engines.server import Server, overflow
from trivium.engines.transport import BUSY, Event, Refused
from trivium.errors import ContextOverflow, TriviumError, Unavailable, UsageError

CONCURRENT = 8
"""Requests in flight at once; servers batch what arrives together."""


class OpenAIEngine:
    """A model behind an OpenAI-compatible server."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Reach "http://host:port/v1#model"; without "#model", the server's only one.

        `timeout` is in seconds between two pieces of an answer. `api_key` is TRIVIUM_API_KEY when
        not given; it is never part of a message.

        Raises:
            UsageError: when the URL is none, or the server has several models and none is named.
            Unavailable: when the server cannot be reached, lacks the model or refuses the key.
        """
        self._name = url
        self._server = Server(url, api_key=api_key, timeout=timeout, sleep=sleep)

    @property
    def name(self) -> str:
        return self._name

    @property
    def context_length(self) -> int:
        """The server's own figure, or `server.UNKNOWN_CONTEXT` where it gives none."""
        return self._server.context_length

    @property
    def parameters(self) -> int | None:
        return self._server.parameters

    @property
    def sees_images(self) -> bool:
        """What llama.cpp's server says of itself; others are believed to, until they refuse."""
        return self._server.sees_images

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """The weights' hash is empty: no server tells it."""
        server = self._server
        settings = {"url": server.base, "context_length": server.context_length}
        return Fingerprint(server.model, "", server.library, settings)

    def count_tokens(self, request: Request) -> int:
        """Exact with vLLM and llama.cpp's server; elsewhere an estimate that is rather too high."""
        count = self._server.count(request)
        return self._server.estimate(request) if count is None else count

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Constrained output arrives in one chunk and calls in the last, once they are checked."""
        whole = constrained(request)
        body = self._body(request)
        return self._answer(request, body, begun=(lambda _: False) if whole else _says_something)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """`CONCURRENT` at a time; when so many in a row found no server, the rest are not sent."""
        results = self._many(_Patient(self._generate).ask, requests)
        if requests and all(isinstance(one, Unavailable) for one in results):
            raise results[0]
        return completions(results)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """By echoed prompt log-probabilities, which vLLM offers and many servers do not."""
        return self._many(self._score, requests)

    def close(self) -> None:
        self._server.close()

    def _many(self, work: Callable[[Any], Any], requests: Sequence[Any]) -> list[Any]:
        if len(requests) < 2:
            return [work(request) for request in requests]
        with ThreadPoolExecutor(min(CONCURRENT, len(requests))) as pool:
            futures = [pool.submit(work, request) for request in requests]
            try:
                return [future.result() for future in futures]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _generate(self, request: Request) -> Completion:
        """Nothing is shown before the end, so a connection lost midway may be retried too."""
        constrained(request)
        *_, last = self._answer(request, self._body(request), begun=lambda _: False)
        assert last.completion is not None
        return last.completion

    def _body(self, request: Request) -> Event:
        if request.grammar is not None:
            raise UsageError(
                f"{self._name} takes no GBNF grammar; use a JSON Schema, or a model in this process"
            )
        check_request(request)
        server, sampling = self._server, request.sampling
        if any(message.images for message in request.messages) and not server.sees_images:
            raise UsageError(f"{self._name} takes no images; choose a model that sees")
        body: Event = {
            "model": server.model,
            "stream": True,
            "stream_options": {"include_usage": True},
            **server.sampling(sampling),
        }
        if request.messages:
            body |= {"messages": turns(request.messages), **tool_fields(request)}
        else:
            body["prompt"] = request.prompt
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        limit = self._limit(request)
        if limit is not None:
            body["max_tokens"] = limit
        if request.schema is not None:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": dict(request.schema), "strict": True},
            }
        if request.logprobs is not None and request.messages:
            body |= {"logprobs": True, "top_logprobs": request.logprobs}
        elif request.logprobs is not None:
            body["logprobs"] = request.logprobs
        return body

    def _limit(self, request: Request) -> int | None:
        """Tokens that may be written: what is asked for, as far as the context has room."""
        wanted = request.sampling.max_tokens
        count = self._server.count(request)
        if count is not None:
            room = self.context_length - count
            if room <= 0:
                raise ContextOverflow(overflow(count, self._name, self.context_length))
            return room if wanted is None else min(wanted, room)
        if wanted is None and not request.messages:
            # without it, /v1/completions stops after 16 tokens
            raise UsageError(f"{self._name} does not count tokens: set max_tokens")
        return wanted

    def _answer(
        self, request: Request, body: Event, begun: Callable[[Event], bool]
    ) -> Iterator[Chunk]:
        path = "/chat/completions" if request.messages else "/completions"
        reader = _Reader(request)
        start = time.perf_counter()
        first = start
        held = ""
        try:
            for event in self._server.events(path, body, begun):
                text, thinking = reader.take(event)
                if first == start and reader.begun:
                    first = time.perf_counter()
                if request.schema is not None:
                    held += text
                    text = ""
                if text or thinking:
                    yield Chunk(text, thinking=thinking)
        except Refused as refusal:
            self._server.translate(refusal, request)
        timing = Timing(first - start, time.perf_counter() - first)
        completion = reader.completion(timing, lambda: self.count_tokens(request))
        if request.logprobs is not None and completion.text and not completion.logprobs:
            raise Unavailable(f"{self._name} gives no log-probabilities")
        if request.schema is not None:
            check_json(
                completion.text, request.schema, completion.finish, completion.completion_tokens
            )
        yield Chunk(held, completion)

    def _score(self, request: ScoreRequest) -> Score:
        return self._server.score(request)


class _Patient:
    """Asks for answers, and goes on after a failure for as long as there is a server."""

    def __init__(self, ask: Callable[[Request], Completion]) -> None:
        self._ask = ask
        self._lost: list[Unavailable] = []  # since the last answer of any kind

    def ask(self, request: Request) -> Completion | TriviumError:
        """The answer or the error. It may be called from several threads."""
        if gone := self._lost[CONCURRENT - 1 :]:
            return gone[0]
        try:
            result: Completion | TriviumError = self._ask(request)
        except TriviumError as error:
            refused = isinstance(error, Refused) and error.status not in BUSY
            if isinstance(error, Unavailable) and not refused:
                self._lost.append(error)
                return error
            result = error
        self._lost.clear()
        return result


class _Reader:
    """Puts a completion together from the events of its stream."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls = CallReader()
        self._logprobs: list[TokenLogprob] = []
        self._reason: str | None = None
        self._usage: Mapping[str, Any] = {}
        self._pieces = 0

    @property
    def begun(self) -> bool:
        """Whether the model has written anything yet."""
        return self._pieces > 0

    def take(self, event: Event) -> tuple[str, str]:
        """Read one event; return the text and the thinking that it adds."""
        self._usage = event.get("usage") or self._usage
        choice = next(iter(event.get("choices") or []), None)
        if choice is None:
            return "", ""
        self._reason = choice.get("finish_reason") or self._reason
        text, thinking = _text_of(choice), _thinking_of(choice)
        calls = (choice.get("delta") or {}).get("tool_calls") or []
        self._text.append(text)
        self._thinking.append(thinking)
        self._calls.take(calls)
        self._pieces += bool(text or thinking or calls)
        found = choice.get("logprobs") or {}
        chat = bool(self._request.messages)
        self._logprobs += _chat_logprobs(found) if chat else _plain_logprobs(found)
        return text, thinking

    def completion(self, timing: Timing, count: Callable[[], int]) -> Completion:
        """The finished answer. `count` is asked where the server reports no usage."""
        if self._reason not in (None, "stop", "length", "tool_calls"):
            raise Unavailable(f"the server withheld its answer: {self._reason}")
        finish: Finish = "length" if self._reason == "length" else "stop"
        text = "".join(self._text)
        prompt = self._usage.get("prompt_tokens")
        written = self._usage.get("completion_tokens")
        tokens = len(self._logprobs) or self._pieces if written is None else int(written)
        return Completion(
            text,
            finish,
            count() if prompt is None else int(prompt),
            tokens,
            tuple(_without_end(self._logprobs, text)),
            timing,
            self._calls.calls(self._request, finish, tokens),
            "".join(self._thinking),
            int((self._usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0),
        )


def _says_something(event: Event) -> bool:
    """Whether an event has what a stream passes on at once; fragments of calls wait."""
    return any(_text_of(choice) or _thinking_of(choice) for choice in event.get("choices") or [])


def _text_of(choice: Mapping[str, Any]) -> str:
    return (choice.get("delta") or {}).get("content") or choice.get("text") or ""


def _thinking_of(choice: Mapping[str, Any]) -> str:
    """Newer servers call it `reasoning`, others `reasoning_content`, and some send both."""
    delta = choice.get("delta") or {}
    return delta.get("reasoning") or delta.get("reasoning_content") or ""


def _chat_logprobs(found: Mapping[str, Any]) -> list[TokenLogprob]:
    return [
        TokenLogprob(
            item["token"],
            float(item["logprob"]),
            tuple((t["token"], float(t["logprob"])) for t in item.get("top_logprobs") or []),
        )
        for item in found.get("content") or []
    ]


def _plain_logprobs(found: Mapping[str, Any]) -> list[TokenLogprob]:
    if "content" in found:  # llama.cpp's server answers here as it does in a chat
        return _chat_logprobs(found)
    tokens, values = found.get("tokens") or [], found.get("token_logprobs") or []
    tops = found.get("top_logprobs") or [None] * len(tokens)
    return [
        TokenLogprob(token, float(value), _ranked(top))
        for token, value, top in zip(tokens, values, tops, strict=True)
    ]


def _ranked(top: Mapping[str, float] | None) -> tuple[tuple[str, float], ...]:
    pairs = ((token, float(value)) for token, value in (top or {}).items())
    return tuple(sorted(pairs, key=lambda pair: -pair[1]))


def _without_end(logprobs: list[TokenLogprob], text: str) -> list[TokenLogprob]:
    """vLLM counts the end token in, which is no part of the text."""
    head = logprobs[:-1]
    return head if logprobs and "".join(token.token for token in head) == text else logprobs
