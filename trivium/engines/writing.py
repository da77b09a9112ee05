"""One answer on its way, a token at a time: chosen, spelt, sorted, and checked at its end.

Where the logits come from is the caller's: the one sequence of a stream, or one of many that are
decoded together. The same writer serves both, so that they mean the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from trivium.engines.base import (
    Chunk,
    Completion,
    Finish,
    Request,
    Timing,
    TokenLogprob,
    ToolCall,
)
from trivium.engines.constrain import check_json
from trivium.engines.native import Logits, Weights
from trivium.engines.output import Output
from trivium.engines.rendering import Prompt, Renderer
from trivium.engines.sampler import Grammar, LogitsSource, Sampler
from trivium.engines.text import ThinkingStream
from trivium.engines.tools import Calls
from trivium.errors import SchemaViolation

Logprobs = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Task:
    """A request on its way: its rendered prompt, and what its answer has to keep.

    `gbnf` rules the answer from its beginning, `calls` from where one begins. `constrained`: the
    request has a schema or a grammar, and its answer is shown only once it is checked.
    """

    prompt: Prompt
    request: Request
    gbnf: str | None = None
    calls: Calls | None = None
    constrained: bool = False

    def output(self) -> Output:
        """Where the answer goes. A grammar leaves thinking only to a template that opened it."""
        splits = bool(self.request.messages) and (self.gbnf is None or self.prompt.thinking)
        thinking = ThinkingStream(opened=self.prompt.thinking) if splits else None
        return Output(self.request.sampling.stop, thinking=thinking, calls=self.calls)

    def repeats(self, output: Output) -> bool:
        """Whether the model has made a call a second time, with which its answer ends."""
        if self.calls is None or output.call is None:
            return False
        whole = self.calls.repeat(output.call)
        if whole is not None:
            output.end_call(whole)
        return whole is not None

    def read_calls(self, output: Output, written: "_Written") -> tuple[ToolCall, ...]:
        """The calls that were made, each valid; see `Calls.read`."""
        if self.calls is None or (output.call is None and self.gbnf is None):
            return ()
        seed = sha256(np.asarray(self.prompt.tokens).data).hexdigest()
        return self.calls.read(output.call or "", written.finish, written.tokens, seed)

    def check(self, weights: Weights, done: Completion) -> None:
        """Prove that a constrained answer keeps its schema or grammar.

        Raises:
            SchemaViolation: when it does not.
        """
        if self.request.schema is not None:
            check_json(done.text, self.request.schema, done.finish, done.completion_tokens)
        elif self.constrained:
            _check_grammar(weights, done, self.gbnf or "")


@dataclass(slots=True)
class _Written:
    """How far an answer has got."""

    tokens: int = 0
    finish: Finish = "length"
    logprobs: list[TokenLogprob] = field(default_factory=list)


class Writer:
    """Writes the answer to `task`: `step` once for each token, as long as there is a next one.

    `token` is what has to be decoded before the next step, None once the answer has ended.
    """

    def __init__(self, weights: Weights, renderer: Renderer, task: Task, limit: int) -> None:
        """At most `limit` tokens are written.

        Raises:
            UsageError: when the task's grammar is not valid.
        """
        self.task = task
        self.token: int | None = None
        self.goes_on = limit > 0
        self.output = task.output()
        self._weights, self._renderer, self._limit = weights, renderer, limit
        self._written = _Written()
        self._grammar = Grammar(weights, task.gbnf) if task.gbnf is not None else None
        self._sampler = Sampler(weights, task.request.sampling, None)

    def step(self, logits: LogitsSource) -> Chunk:
        """Choose the next token; what may be shown of it. A grammar rules what is no thinking."""
        task, output, written = self.task, self.output, self._written
        self.token, self.goes_on = None, False
        if self._grammar is not None and not output.thinks:
            self._sampler.constrain(self._grammar)
            self._grammar = None
            if task.calls is not None:
                output.begin_call()
        token = self._next(logits)
        if self._weights.ends(token):
            written.finish = "stop"
            return Chunk("")
        written.tokens += 1
        if task.request.logprobs is not None:
            row = log_softmax(logits.logits())
            written.logprobs.append(logprob_of(self._weights, row, token, task.request.logprobs))
        shown = output.push(self._renderer.piece(token))
        if output.stopped or task.repeats(output):
            written.finish = "stop"
        elif written.tokens < self._limit:
            self.token, self.goes_on = token, True
        return shown

    def finish(self, timing: Timing, reused: int) -> tuple[Chunk, Completion]:
        """The end of what may be shown, and the whole answer, which is not checked yet.

        Raises:
            SchemaViolation: when a call was cut or breaks its schema.
        """
        rest = self.output.finish()
        done = Completion(
            self.output.text,
            self._written.finish,
            len(self.task.prompt.tokens),
            self._written.tokens,
            tuple(self._written.logprobs),
            timing,
            tool_calls=self.task.read_calls(self.output, self._written),
            thinking=self.output.thinking,
            reused_tokens=reused,
        )
        return rest, done

    def check(self, done: Completion) -> None:
        """Prove that a constrained answer keeps its constraint; see `Task.check`."""
        self.task.check(self._weights, done)

    def close(self) -> None:
        self._sampler.close()
        if self._grammar is not None:
            self._grammar.close()

    def _next(self, logits: LogitsSource) -> int:
        """The next token. One that opens a call is chosen again, under the calls' grammar."""
        calls = self.task.calls
        token = self._sampler.choose(logits)
        opening = None if calls is None else self.output.opens(self._renderer.piece(token))
        if calls is None or opening is None:
            return token
        written, rest = opening
        grammar = Grammar(self._weights, calls.grammar())
        self._sampler.constrain(grammar)
        if not grammar.follow(self._weights, written):
            raise SchemaViolation(f"a tool call cannot begin with {written!r}")
        self.output.begin_call(written, rest)
        return self._sampler.choose(logits)


def logprob_of(weights: Weights, row: Logprobs, token: int, top: int) -> TokenLogprob:
    """`row` holds the log-probability of every token, shape (vocabulary,)."""
    best: Sequence[int] = []
    if top > 0:
        top = min(top, len(row))
        likeliest = np.argpartition(row, -top)[-top:]
        best = [int(i) for i in likeliest[np.argsort(-row[likeliest], kind="stable")]]
    others = tuple((spelling(weights, i), float(row[i])) for i in best)
    return TokenLogprob(spelling(weights, token), float(row[token]), others)


def spelling(weights: Weights, token: int) -> str:
    return weights.piece(token).decode("utf-8", "replace")


def log_softmax(logits: Logits) -> Logprobs:
    values = logits.astype(np.float64)
    values -= values.max()
    values -= np.log(np.exp(values).sum())
    return values


def _check_grammar(weights: Weights, done: Completion, gbnf: str) -> None:
    grammar = Grammar(weights, gbnf)
    try:
        if grammar.admits(weights, done.text):
            return
    finally:
        grammar.close()
    if done.finish == "length":
        raise SchemaViolation(
            f"the output stopped at {done.completion_tokens} tokens before the grammar was "
            "complete; raise max_tokens"
        )
    raise SchemaViolation("the output breaks its grammar; a stop string may have cut it")
