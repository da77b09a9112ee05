"""llama.cpp for many requests at once: what they share is decoded once, and they decode together.

This is the engine of evaluations and of batches of prompts. Its numbers depend, in the last bits,
on what is decoded beside what; `LlamaEngine` is the one whose answers depend on nothing else.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

from trivium.engines.base import (
    Completion,
    Message,
    Request,
    Score,
    ScoreRequest,
    TokenLogprob,
    completions,
)
from trivium.engines.llama import LlamaEngine
from trivium.engines.placement import shape_of
from trivium.engines.prefix_tree import PrefixTree
from trivium.engines.scoring import BATCH, BRANCHES, Scored, score_tree
from trivium.engines.sequences import Sequences
from trivium.engines.slots import Slots
from trivium.engines.unpack import Choice
from trivium.engines.writing import spelling
from trivium.errors import TriviumError

SLOTS = 64  # answers that are written at once
SLOT_BATCH = 512  # tokens in a batch of theirs; prompts take what the answers leave
LEAST_CELLS = 256  # of a slot
COMMON = 1024  # continuations and tokens whose tokens and spelling are kept: choices come again
CACHE_BYTES = 1 << 30  # that the slots' keys and values may take; fixed, so that it changes nothing


class BatchEngine(LlamaEngine):
    """A GGUF file, loaded for batch work; `stream` and single requests work as ever."""

    def __init__(
        self,
        path: Path,
        *,
        name: str | None = None,
        context_length: int | None = None,
        gpu_layers: int | None = None,
        threads: int | None = None,
        weights: Choice = "auto",
    ) -> None:
        """Load `path`; see `LlamaEngine`. The KV caches are taken when they are needed."""
        super().__init__(
            path,
            name=name,
            context_length=context_length,
            gpu_layers=gpu_layers,
            threads=threads,
            weights=weights,
        )
        self.decoded_tokens = 0
        """Tokens that batches have decoded so far."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """Each token of the prefix tree of all requests is decoded once; see `prefix_tree`.

        Models that keep no keys and values of each token are scored one request at a time.
        """
        if not self._weights.is_attention:
            return super().score(requests)
        tree = PrefixTree()
        continuations: list[Sequence[int]] = []
        spell = lru_cache(COMMON)(partial(spelling, self._weights))
        tokenize = lru_cache(COMMON)(partial(self._weights.tokenize_inside, special=False))
        seen: tuple[tuple[Message, ...], str] | None = None
        prompt: list[int] = []
        for number, request in enumerate(requests):
            if seen != (request.messages, request.prompt):
                seen = request.messages, request.prompt
                prompt = self._renderer.scored_prompt(*seen)
            tokens = tokenize(request.continuation)
            self._fitting(prompt, len(tokens))
            tree.add(number, prompt, tokens)
            continuations.append(tokens)
        scored = self._walk(tree, continuations)
        return [
            _score(list(map(spell, tokens)), scored.logprobs(number), scored.greedy(number))
            for number, tokens in enumerate(continuations)
        ]

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """All live answers are decoded together; see `slots`.

        Requests that need about as many cells share a cache, the smallest first. One request alone
        is written as a stream would be.
        """
        if len(requests) < 2 or not self._weights.is_attention:
            return super().generate(requests)
        results: dict[int, Completion | TriviumError] = {}
        sizes: dict[int, deque[int]] = {}
        for number, request in enumerate(requests):
            try:
                sizes.setdefault(self._cells(request), deque()).append(number)
            except TriviumError as error:
                results[number] = error
        for cells, numbers in sorted(sizes.items()):
            results.update(self._answers(requests, cells, numbers))
        return completions([results[number] for number in range(len(requests))])

    def _cells(self, request: Request) -> int:
        """The cells that prompt and answer may take, as a power of two."""
        prompt = len(self._task(request).prompt.tokens)
        needed = prompt + self._limit(prompt, request.sampling)
        return min(1 << max(needed - 1, LEAST_CELLS - 1).bit_length(), self._context_length)

    def _answers(
        self, requests: Sequence[Request], cells: int, numbers: deque[int]
    ) -> Iterator[tuple[int, Completion | TriviumError]]:
        affordable = max(CACHE_BYTES // shape_of(self._weights, 0).cache_bytes_per_token, cells)
        sequences = Sequences(
            self._weights,
            cells=cells,
            count=min(SLOTS, len(numbers), affordable // cells),
            unified=False,
            batch=SLOT_BATCH,
            threads=self._placement.threads,
            flash_attention=True,
        )
        try:
            slots = Slots(sequences, SLOT_BATCH)
            yield from slots.run(numbers, lambda number: self._writer(self._task(requests[number])))
        finally:
            self.decoded_tokens += sequences.decoded
            sequences.close()

    def _walk(self, tree: PrefixTree, continuations: list[Sequence[int]]) -> Scored:
        sequences = Sequences(
            self._weights,
            cells=tree.longest + BATCH,
            count=BRANCHES,
            unified=True,
            batch=BATCH,
            threads=self._placement.threads,
            flash_attention=True,
        )
        try:
            return score_tree(tree, continuations, sequences)
        finally:
            self.decoded_tokens += sequences.decoded
            sequences.close()

    def _reserve(self) -> None:
        """The KV cache for one conversation waits until one is asked for."""


def _score(spelt: Sequence[str], logprobs: Sequence[float], greedy: bool) -> Score:
    return Score(sum(logprobs), tuple(map(TokenLogprob, spelt, logprobs)), greedy)
