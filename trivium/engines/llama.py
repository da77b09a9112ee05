"""llama.cpp in this process: the embedded default engine.

Prompts are decoded in chunks at fixed positions and the KV cache is cut back only to the end of
such a chunk, so that an answer never depends on what the engine was asked before: the same tokens
always go through the same batches.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from trivium.engines.base import (
    Chunk,
    Completion,
    Fingerprint,
    Request,
    Sampling,
    Score,
    ScoreRequest,
    Timing,
    TokenLogprob,
    completions,
)
from trivium.engines.constrain import constrained, schema_grammar
from trivium.engines.digest import weights_sha256
from trivium.engines.native import Context, Logits, Weights, build, repacks, supports_gpu, version
from trivium.engines.placement import Placement, place
from trivium.engines.rendering import Renderer
from trivium.engines.state import read_state, write_state
from trivium.engines.tools import Calls, check_tools
from trivium.engines.unpack import Choice, choose_form
from trivium.engines.writing import Task, Writer, log_softmax, logprob_of
from trivium.errors import (
    ContextOverflow,
    StateMismatch,
    TriviumError,
    Unavailable,
)

CHUNK = 256  # tokens of a prompt in one batch
SCORE_CHUNK = 64  # tokens of a long continuation in one batch, each with a row of logits
SINGLY = 16  # up to so many tokens are decoded one by one, as they would have been written: in a
# batch, llama.cpp's kernels for quantised weights round otherwise (0.01 to 0.05 in a logprob)


class LlamaEngine:
    """A GGUF file, loaded. It holds one KV cache and answers one request at a time."""

    def __init__(
        self,
        path: Path,
        *,
        name: str | None = None,
        context_length: int | None = None,
        gpu_layers: int | None = None,
        threads: int | None = None,
        weights: Choice = "native",
    ) -> None:
        """Load `path`; what is None is settled by the free memory and the cores of this machine.

        `weights` is the form to compute with, as `unpack.choose_form` takes it.

        Raises:
            Unavailable: when the file is no usable model or memory does not suffice.
            UsageError: when `context_length` is more than the model was trained on.
        """
        self._name = name or str(path)
        self._path = path
        file, self._form = choose_form(path, weights, gpu_layers)
        self._weights, self._placement = _load(file, context_length, gpu_layers, threads)
        self._context_length = self._placement.context_length
        try:
            if self._weights.has_encoder:
                raise Unavailable(
                    f"{self._name} is an encoder, which cannot write; name a chat model"
                )
            self._reserve()
        except BaseException:
            self._weights.close()
            raise
        self._renderer = Renderer(self._weights, self._name)
        self._held: list[int] = []  # tokens whose keys and values are in the cache
        self._prefilled = 0  # how many of them were decoded in whole chunks
        self._turn = 0  # counts requests, so that an overtaken stream notices

    @property
    def name(self) -> str:
        return self._name

    @property
    def context_length(self) -> int:
        return self._context_length

    @property
    def parameters(self) -> int | None:
        return self._weights.parameters

    @property
    def sees_images(self) -> bool:
        return False

    @cached_property
    def fingerprint(self) -> Fingerprint:
        settings = {
            "context_length": self._context_length,
            "gpu_layers": self._placement.gpu_layers,
            "flash_attention": self._placement.flash_attention,
            "repacked": repacks(),
            "weights": self._form,
        }
        return Fingerprint(self._name, weights_sha256(self._path), version(), settings)

    def count_tokens(self, request: Request) -> int:
        prompt = self._renderer.prompt(request.messages, request.prompt, request.tools)
        return len(prompt.tokens)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        results: list[Completion | TriviumError] = []
        for request in requests:
            try:
                *_, last = self.stream(request)
                assert last.completion is not None
                results.append(last.completion)
            except TriviumError as error:
                results.append(error)
        return completions(results)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Constrained output arrives in one chunk, after it has been checked; so do tool calls.

        The text before a call streams. Log-probabilities are the model's own: before temperature,
        penalties and constraints.
        """
        task = self._task(request)
        return self._checked(task) if task.constrained else self._answer(task)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """One pass a request; a prompt that the request before had too is not decoded again.

        Prompt and continuation are tokenized each by itself, so that a prompt's tokens do not
        depend on what is scored after it. A raw prompt begins as in `generate`: with the
        begin-of-sequence token where the model was trained with one.
        """
        answers = []
        seen: list[int] | None = None
        first: Logits | None = None
        for request in requests:
            tokens = self._renderer.scored_prompt(request.messages, request.prompt)
            after = self._weights.tokenize_inside(request.continuation, special=False)
            self._fitting(tokens, len(after))
            if tokens != seen or first is None or not self._context.keep(len(tokens)):
                self._turn += 1
                self._prefill(tokens)
                seen, first = tokens, self._context.logits()
            del self._held[len(tokens) :]
            answers.append(self._continuation(first, after))
        return answers

    def save_state(self, file: Path) -> int:
        """Whole chunks of the last prompt; what follows them has to be decoded again anyway."""
        self._turn += 1
        whole = min(self._prefilled, len(self._held)) // CHUNK * CHUNK
        if not self._context.keep(whole):
            whole = 0
        self._prefilled = whole
        del self._held[whole:]
        if whole:
            write_state(file, self._identity, self._held, self._context.state())
        return whole

    def load_state(self, file: Path) -> int:
        self._turn += 1
        self._context.keep(0)
        self._held, self._prefilled = [], 0
        tokens, state = read_state(file, self._identity)
        if not self._context.restore(state, len(tokens)):
            raise StateMismatch(f"llama.cpp refuses the KV state {file}, and it was not used")
        self._held, self._prefilled = tokens, len(tokens)
        return len(tokens)

    @property
    def _identity(self) -> dict[str, object]:
        """All that decides which bytes a KV cache holds for given tokens."""
        mine = self.fingerprint
        return {
            "weights": mine.weights_sha256,
            "library": mine.library,
            "build": build(),
            "chunk": CHUNK,
            **mine.settings,
        }

    def close(self) -> None:
        if "_context" in self.__dict__:
            self._context.close()
        self._weights.close()

    def _reserve(self) -> None:
        """Take the memory for the KV cache now, so that what does not fit is known at once."""
        _ = self._context

    @cached_property
    def _context(self) -> Context:
        return Context(
            self._weights,
            length=self._context_length,
            threads=self._placement.threads,
            chunk=CHUNK,
            flash_attention=self._placement.flash_attention,
        )

    def _task(self, request: Request) -> Task:
        """The request, checked and rendered; it fits the context."""
        whole = constrained(request)
        check_tools(request)
        prompt = self._renderer.prompt(request.messages, request.prompt, request.tools)
        self._fitting(prompt.tokens, 0)
        if whole:
            gbnf = request.grammar or schema_grammar(request.schema or {})
            return Task(prompt, request, gbnf, constrained=True)
        if not request.tools:
            return Task(prompt, request)
        calls = Calls(self._renderer.tool_format, request.tools, request.tool_choice)
        return Task(prompt, request, calls.grammar() if calls.required else None, calls)

    def _writer(self, task: Task) -> Writer:
        limit = self._limit(len(task.prompt.tokens), task.request.sampling)
        return Writer(self._weights, self._renderer, task, limit)

    def _checked(self, task: Task) -> Iterator[Chunk]:
        """The whole constrained answer, or an error instead of it."""
        *_, last = self._answer(task)
        done = last.completion
        assert done is not None
        task.check(self._weights, done)
        yield Chunk(done.text, done, done.thinking)

    def _answer(self, task: Task) -> Iterator[Chunk]:
        """The answer as it is written. While a call is, empty chunks tell that it goes on."""
        self._turn += 1
        turn = self._turn
        start = time.perf_counter()
        with closing(self._writer(task)) as writer:
            reused = self._prefill(task.prompt.tokens)
            prefilled = time.perf_counter()
            while writer.goes_on:
                shown = writer.step(self._context)
                if shown.text or shown.thinking or writer.output.call is not None:
                    yield shown
                    if turn != self._turn:
                        raise TriviumError("this stream ended when another request began")
                if writer.token is not None:
                    self._context.decode([writer.token])
                    self._held.append(writer.token)
        timing = Timing(prefilled - start, time.perf_counter() - prefilled)
        rest, done = writer.finish(timing, reused)
        yield replace(rest, completion=done)

    def _continuation(self, first: Logits, tokens: list[int]) -> Score:
        """Score `tokens` after the cache's contents, whose last logits are `first`."""
        rows = [first]
        scored: list[TokenLogprob] = []
        greedy = True
        size = 1 if len(tokens) <= SINGLY else SCORE_CHUNK
        for at in range(0, len(tokens), size):
            chunk = tokens[at : at + size]
            feed = chunk if at + size < len(tokens) else chunk[:-1]
            if feed:
                rows += list(self._context.decode_each(feed))
                self._held += feed
            for token, logits in zip(chunk, rows, strict=False):
                row = log_softmax(logits)
                greedy &= token == int(row.argmax())
                scored.append(logprob_of(self._weights, row, token, 0))
            rows = rows[len(chunk) :]
        return Score(sum(token.logprob for token in scored), tuple(scored), greedy)

    def _fitting(self, tokens: list[int], more: int) -> list[int]:
        """`tokens`, if they and `more` leave room for one token of an answer."""
        needed = len(tokens) + more
        if needed >= self._context_length:
            raise ContextOverflow(
                f"prompt needs {needed} tokens, but {self._name} holds {self._context_length}; "
                "shorten it, raise context_length or choose a model with a longer context"
            )
        return tokens

    def _limit(self, used: int, sampling: Sampling) -> int:
        room = self._context_length - used
        return room if sampling.max_tokens is None else min(room, sampling.max_tokens)

    def _prefill(self, tokens: list[int]) -> int:
        """Bring the cache to exactly `tokens`, with the logits of the last one readable.

        Returns how many tokens the cache held already.
        """
        shared = 0
        for ours, theirs in zip(self._held[: self._prefilled], tokens, strict=False):
            if ours != theirs:
                break
            shared += 1
        shared = min(shared, len(tokens) - 1) // CHUNK * CHUNK
        if not self._context.keep(shared):
            shared = 0
        del self._held[shared:]
        for at in range(shared, len(tokens), CHUNK):
            chunk = tokens[at : at + CHUNK]
            self._context.decode(chunk)
            self._held += chunk
        self._prefilled = len(tokens)
        return shared


def _load(
    path: Path, context_length: int | None, gpu_layers: int | None, threads: int | None
) -> tuple[Weights, Placement]:
    """The weights where they belong. Only a free choice of GPU layers takes a look beforehand."""
    size = path.stat().st_size if path.is_file() else 0
    settle = partial(
        place, file_bytes=size, chunk=CHUNK, context_length=context_length, threads=threads
    )
    if gpu_layers is None and supports_gpu():
        outline = Weights(path, vocabulary_only=True)
        try:
            gpu_layers = settle(outline).gpu_layers
        finally:
            outline.close()
    weights = Weights(path, gpu_layers=gpu_layers or 0)
    try:
        placement = settle(weights, gpu_layers=gpu_layers or 0)
    except BaseException:
        weights.close()
        raise
    return weights, placement
