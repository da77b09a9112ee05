"""The model of a turn: an engine that reads the branch and writes its answer into the tree.

It stands before the real engine, under LangChain's loop or without it. Each call gets the branch as
its prompt, made to fit; what comes back is told as it is written, kept as it grows, and ended when
the user or a limit says so.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

from trivium.agent.base import Done, Event, Limits, Node, Note, State, TextDelta, ThinkingDelta
from trivium.agent.branch import Branch
from trivium.engines.base import Chunk, Completion, Fingerprint, Request, Score, ScoreRequest
from trivium.errors import ContextOverflow
from trivium.retrieval.base import Citation

WRITES = 0.25
"""Seconds between two writes of a growing answer."""


class Stopped(Exception):
    """The turn was ended: by the user (no message), or by a limit (the message says which)."""


class Recorder:
    """An `Engine` whose prompts are a branch and whose answers become nodes of it."""

    def __init__(self, branch: Branch, limits: Limits, post: Callable[[Event], object]) -> None:
        self.branch = branch
        self.cancel = threading.Event()
        self.answer: Node | None = None
        self.completion: Completion | None = None
        self.on_completion: Callable[[Completion], None] = lambda completion: None
        self.cite: Callable[[str], tuple[Citation, ...]] = lambda text: ()
        self._limits = limits
        self._post = post
        self._request = Request()
        self._steps = 0
        self._tokens = 0
        self._deadline = time.monotonic() + limits.seconds

    def wait(self, seconds: float) -> None:
        """The time that a user takes to decide is not the turn's."""
        self._deadline += seconds

    def check(self) -> None:
        """Raises:
        Stopped: when the user or the clock says so.
        """
        if self.cancel.is_set():
            raise Stopped
        if time.monotonic() > self._deadline:
            raise Stopped(f"the limit of {self._limits.seconds:g} seconds a turn is reached")

    def why_not(self, node: Node) -> str:
        """Why `node` cannot follow, even with all older turns summarised; "" when it can."""
        try:
            self.branch.to_cover(self._request, node)
        except ContextOverflow as error:
            return str(error)
        return ""

    def done(self) -> Done:
        """The end of the turn. An answer that never began is an empty, interrupted one."""
        if self.answer is None:
            self._end(self.branch.begin(Node("assistant", "")), None)
        assert self.answer is not None
        last = self.completion
        used = last.prompt_tokens + last.completion_tokens if last else self._used()
        return Done(self.answer, last, used)

    # Engine

    @property
    def name(self) -> str:
        return self.branch.engine.name

    @property
    def context_length(self) -> int:
        return self.branch.engine.context_length

    @property
    def parameters(self) -> int | None:
        return self.branch.engine.parameters

    @property
    def sees_images(self) -> bool:
        return self.branch.engine.sees_images

    @property
    def fingerprint(self) -> Fingerprint:
        return self.branch.engine.fingerprint

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Answer the branch, with the tools of `request`: messages and sampling are the branch's.

        Raises:
            Stopped: when the user or a limit ends the answer. What was written is kept.
            ContextOverflow: when the last turn alone does not fit.
        """
        request = self._prompt(request)
        draft = self.branch.begin(Node("assistant", ""))
        written = time.monotonic()
        try:
            for chunk in self._chunks(request):
                draft = replace(
                    draft,
                    content=draft.content + chunk.text,
                    thinking=draft.thinking + chunk.thinking,
                )
                if chunk.thinking:
                    self._post(ThinkingDelta(chunk.thinking))
                if chunk.text:
                    self._post(TextDelta(chunk.text))
                if chunk.completion:
                    self._end(draft, chunk.completion)
                elif time.monotonic() - written >= WRITES:
                    self.branch.sessions.write(draft.id, draft.content, draft.thinking)
                    written = time.monotonic()
                yield chunk
        finally:
            if self.branch.path[-1].state == "writing":  # stopped, failed or no longer read
                self._end(draft, None)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        return [
            chunk.completion
            for request in requests
            for chunk in self.stream(request)
            if chunk.completion
        ]

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        return self.branch.engine.score(requests)

    def count_tokens(self, request: Request) -> int:
        return self.branch.engine.count_tokens(request)

    def close(self) -> None:
        """The engine is not ours to close."""

    # The parts of a call

    def _prompt(self, request: Request) -> Request:
        """The branch as a request that keeps the limits and fits the context."""
        self.check()
        limits, sampling = self._limits, self.branch.sampling
        self._steps += 1
        left = limits.tokens - self._tokens
        if self._steps > limits.steps:
            raise Stopped(f"the limit of {limits.steps} model calls a turn is reached")
        if left <= 0:
            raise Stopped(f"the limit of {limits.tokens} new tokens a turn is reached")
        if request.tools and self._steps == limits.steps:
            self._post(Note(f"model call {self._steps} of {limits.steps}: no more tools this turn"))
            request = replace(request, tool_choice="none")
        self._request = request
        if old := self.branch.to_cover(request):
            self._post(Note(f"the context is full: summarising {len(old)} older messages"))
            self._post(self.branch.cover(old, request, self._summary))
        most = min(left, sampling.max_tokens or left)
        return replace(
            request, messages=self.branch.messages(), sampling=replace(sampling, max_tokens=most)
        )

    def _summary(self, request: Request) -> Completion:
        for chunk in self._chunks(request):
            if chunk.completion:
                return chunk.completion
        raise AssertionError("an engine's stream ends with its completion")

    def _chunks(self, request: Request) -> Iterator[Chunk]:
        """The engine's answer, until the user or the clock ends it."""
        with ExitStack() as stack:
            stream = self.branch.engine.stream(request)
            if close := getattr(stream, "close", None):
                stack.callback(close)  # an engine goes on writing until its stream is closed
            for chunk in stream:
                yield chunk
                if not chunk.completion:
                    self.check()

    def _end(self, draft: Node, completion: Completion | None) -> None:
        """Finish the draft: whole with its completion, interrupted without."""
        state: State = "complete" if completion else "interrupted"
        calls = completion.tool_calls if completion else ()
        citations = self.cite(draft.content) if completion and not calls else ()
        self.answer = self.branch.finish(
            replace(draft, state=state, tool_calls=calls, citations=citations)
        )
        self.completion = completion
        if completion is None:
            return
        self._tokens += completion.completion_tokens
        self.on_completion(completion)
        if completion.finish == "length" and not calls:
            tokens = completion.completion_tokens
            self._post(Note(f"the answer was ended at its limit of {tokens:,} tokens"))

    def _used(self) -> int:
        return self.branch.count(self._request)
