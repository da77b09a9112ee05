"""llama.cpp in this process: the embedded default engine.

Prompts are decoded in chunks at fixed positions and the KV cache is cut back only to the end of
such a chunk, so that an answer never depends on what the engine was asked before: the same tokens
always go through the same batches.
"""

import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from trivium.engines.base import (
    Chunk,
    Completion,
    Fingerprint,
    Finish,
    Request,
    Sampling,
    Score,
    ScoreRequest,
    Timing,
    TokenLogprob,
)
from trivium.engines.native import Context, Logits, Weights, version
from trivium.engines.sampler import Sampler
from trivium.engines.templates import ChatTemplate, Part
from trivium.engines.text import TextStream
from trivium.errors import ContextOverflow, TriviumError, UsageError

CHUNK = 256
FLASH_ATTENTION = True


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
    ) -> None:
        self._name = name or str(path)
        self._path = path
        self._gpu_layers = gpu_layers or 0
        self._weights = Weights(path, gpu_layers=self._gpu_layers)
        length = context_length or self._weights.trained_context
        self._context_length = length
        self._context = Context(
            self._weights,
            length=length,
            threads=threads or 2,
            chunk=CHUNK,
            flash_attention=FLASH_ATTENTION,
        )
        self._held: list[int] = []  # tokens whose keys and values are in the cache
        self._prefilled = 0  # how many of them were decoded in whole chunks
        self._turn = 0  # counts requests, so that an overtaken stream notices
        self._closed = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def context_length(self) -> int:
        return self._context_length

    @cached_property
    def fingerprint(self) -> Fingerprint:
        from hashlib import file_digest

        with self._path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        return Fingerprint(
            self._name,
            digest,
            version(),
            {
                "context_length": self._context_length,
                "gpu_layers": self._gpu_layers,
                "flash_attention": FLASH_ATTENTION,
            },
        )

    def count_tokens(self, request: Request) -> int:
        return len(self._prompt(request.messages, request.prompt))

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        answers = []
        for request in requests:
            *_, last = self.stream(request)
            assert last.completion is not None
            answers.append(last.completion)
        return answers

    def stream(self, request: Request) -> Iterator[Chunk]:
        tokens = self._fitting(self._prompt(request.messages, request.prompt))
        return self._answer(tokens, request)

    def _answer(self, tokens: list[int], request: Request) -> Iterator[Chunk]:
        self._turn += 1
        turn = self._turn
        sampler = Sampler(self._weights, request.sampling, None)
        text = TextStream(request.sampling.stop)
        start = time.perf_counter()
        self._prefill(tokens)
        prefilled = time.perf_counter()
        limit = self._limit(len(tokens), request.sampling)
        finish: Finish = "length"
        logprobs: list[TokenLogprob] = []
        count = 0
        try:
            while count < limit:
                token = sampler.choose(self._context)
                if self._weights.ends(token):
                    finish = "stop"
                    break
                count += 1
                if request.logprobs is not None:
                    logprobs.append(self._logprob(self._context.logits(), token, request.logprobs))
                shown = text.push(self._weights.piece(token))
                if text.stopped:
                    finish = "stop"
                if shown:
                    yield Chunk(shown)
                    if turn != self._turn:
                        raise TriviumError("this stream ended when another request began")
                if text.stopped or count == limit:
                    break
                self._context.decode([token])
                self._held.append(token)
            rest = text.finish()
        finally:
            sampler.close()
        yield Chunk(
            rest,
            Completion(
                text.text,
                finish,
                len(tokens),
                count,
                tuple(logprobs),
                Timing(prefilled - start, time.perf_counter() - prefilled),
            ),
        )

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        raise NotImplementedError

    def _prompt(self, messages: Sequence[object], prompt: str) -> list[int]:
        if messages:
            parts = self._template.render(messages, self._control_tokens)  # type: ignore[arg-type]
        else:
            parts = [Part(prompt, special=True)]
        return self._tokens(parts)

    def _tokens(self, parts: Sequence[Part]) -> list[int]:
        tokens = [t for p in parts for t in self._weights.tokenize(p.text, special=p.special)]
        if self._weights.adds_bos and tokens[:1] != [self._weights.bos]:
            tokens.insert(0, self._weights.bos)
        return tokens

    @cached_property
    def _template(self) -> ChatTemplate:
        source = self._weights.metadata("tokenizer.chat_template")
        if not source:
            raise UsageError(
                f"{self._name} is a base model without a chat template; "
                "give it a raw prompt, or choose a chat model (trivium models list)"
            )
        weights = self._weights
        return ChatTemplate(
            source,
            model=self._name,
            bos=weights.token_text(weights.bos),
            eos=weights.token_text(weights.eos),
        )

    def _control_tokens(self, text: str) -> list[str]:
        tokens = self._weights.tokenize(text, special=True)
        return [self._weights.token_text(t) for t in set(tokens) if self._weights.is_control(t)]

    def _fitting(self, tokens: list[int]) -> list[int]:
        if len(tokens) >= self._context_length:
            raise ContextOverflow(
                f"prompt needs {len(tokens)} tokens, but {self._name} holds "
                f"{self._context_length}; shorten it, raise context_length or choose a model "
                "with a longer context"
            )
        return tokens

    def _limit(self, used: int, sampling: Sampling) -> int:
        room = self._context_length - used
        return room if sampling.max_tokens is None else min(room, sampling.max_tokens)

    def _prefill(self, tokens: list[int]) -> None:
        """Bring the cache to exactly `tokens`, with the logits of the last one readable."""
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

    def _logprob(self, logits: Logits, token: int, top: int) -> TokenLogprob:
        values = logits.astype(np.float64)
        values -= values.max()
        values -= np.log(np.exp(values).sum())
        best = np.argsort(-values)[:top]
        return TokenLogprob(
            self._spelling(token),
            float(values[token]),
            tuple((self._spelling(int(i)), float(values[i])) for i in best),
        )

    def _spelling(self, token: int) -> str:
        return self._weights.piece(token).decode("utf-8", "replace")

    def close(self) -> None:
        self._context.close()
        self._weights.close()
