"""vLLM in this process, with prefix caching, for many requests at once.

Prompts are rendered and tokenized as for llama.cpp, and vLLM sees token ids alone. It finds no
prefix in its cache when the prompt's own log-probabilities are asked for. So a continuation of few
tokens is scored by asking, at each of its positions, how likely certain tokens are to come next:
what lies before is in the cache then, and the choices that follow a prompt share a request.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from math import prod
from pathlib import Path
from typing import Any

from trivium.engines.base import (
    Chunk,
    Completion,
    Fingerprint,
    Finish,
    Message,
    Request,
    Score,
    ScoreRequest,
    Timing,
    TokenLogprob,
    completions,
)
from trivium.engines.constrain import check_json, constrained
from trivium.engines.digest import folder_sha256
from trivium.engines.rendering import Prompt, Renderer
from trivium.engines.text import ThinkingStream
from trivium.engines.vllm_offline import IDS, Offline
from trivium.engines.vocabulary import HubVocabulary
from trivium.errors import ContextOverflow, TriviumError, UsageError

PREFIX = "vllm:"
COMMON = 1024  # continuations whose tokens are kept: choices come again

Tokens = tuple[int, ...]
Known = tuple[float, bool]
"""A token's log-probability at a position, and whether it was the likeliest there."""


@dataclass(frozen=True, slots=True)
class _Task:
    """A request, rendered, and how vLLM is to write its answer."""

    request: Request
    prompt: Prompt
    params: Any

    def thinking(self) -> ThinkingStream:
        return ThinkingStream(opened=self.prompt.thinking)

    @property
    def splits(self) -> bool:
        """Whether thinking may come before the answer; a schema leaves it no room."""
        return bool(self.request.messages) and self.request.schema is None


class VllmEngine:
    """A model in Hugging Face layout on vLLM's offline engine."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str | None = None,
        context_length: int | None = None,
        dtype: str | None = None,
    ) -> None:
        """Load the model in `folder`, from safetensors alone; nothing is downloaded.

        `context_length` None is the model's own, or as much as the memory for keys and values
        holds. `dtype` None computes in the type that the weights are stored in.

        Raises:
            Unavailable: when vLLM is not installed or cannot load the model.
        """
        self._name = name or f"{PREFIX}{folder}"
        self._folder = folder
        self._offline = Offline(folder, name=self._name, context_length=context_length, dtype=dtype)
        try:
            self._vocabulary = HubVocabulary(folder, self._name)
        except BaseException:
            self._offline.close()
            raise
        self._renderer = Renderer(self._vocabulary, self._name)

    @property
    def name(self) -> str:
        return self._name

    @property
    def context_length(self) -> int:
        return self._offline.context_length

    @cached_property
    def parameters(self) -> int | None:
        """None where the weights are quantised: their files do not say how many they were."""
        if self._offline.config.get("quantization_config"):
            return None
        from safetensors import safe_open

        total = 0
        for file in self._folder.glob("*.safetensors"):
            with safe_open(file, framework="numpy") as tensors:
                total += sum(prod(tensors.get_slice(key).get_shape()) for key in tensors.keys())  # noqa: SIM118
        return total

    @property
    def sees_images(self) -> bool:
        return False

    @property
    def decoded_tokens(self) -> int:
        """Tokens that were decoded so far: those of prompts that no cache held, and answers'."""
        return self._offline.decoded

    @cached_property
    def fingerprint(self) -> Fingerprint:
        offline = self._offline
        settings = {
            "context_length": offline.context_length,
            "dtype": offline.dtype,
            "device": offline.device,
        }
        digest = folder_sha256(self._folder)
        return Fingerprint(self._name, digest, f"vllm {offline.version}", settings)

    def count_tokens(self, request: Request) -> int:
        return len(self._renderer.prompt(request.messages, request.prompt, request.tools).tokens)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """All at once, scheduled by vLLM. Repetition is penalised over the prompt too."""
        results: dict[int, Completion | TriviumError] = {}
        tasks: dict[int, _Task] = {}
        for number, request in enumerate(requests):
            try:
                tasks[number] = self._task(request)
            except TriviumError as error:
                results[number] = error
        outputs = self._offline.run(
            [task.prompt.tokens for task in tasks.values()],
            [task.params for task in tasks.values()],
        )
        for (number, task), output in zip(tasks.items(), outputs, strict=True):
            try:
                results[number] = self._completion(task, output)
            except TriviumError as error:
                results[number] = error
        return completions([results[number] for number in range(len(requests))])

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Constrained output arrives in one chunk, after it has been checked."""
        return self._answer(self._task(request))

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """Prompt and continuation are tokenized each by itself, as by the other engines.

        A continuation that is short beside its prompt is read position by position; a long one
        from a pass over both, which decodes the prompt anew.
        """
        tokenize = lru_cache(COMMON)(partial(self._vocabulary.tokenize_inside, special=False))
        seen: tuple[tuple[Message, ...], str] | None = None
        prompt: Tokens = ()
        texts: list[tuple[Tokens, Tokens]] = []
        for request in requests:
            if seen != (request.messages, request.prompt):
                seen = request.messages, request.prompt
                prompt = tuple(self._renderer.scored_prompt(*seen))
            after = tuple(tokenize(request.continuation))
            self._fit(len(prompt) + len(after))
            texts.append((prompt, after))
        positions = self._positions([text for text in texts if self._is_short(*text)])
        passes = self._passes([text for text in texts if not self._is_short(*text)])
        return [
            self._score(
                after,
                [positions[prompt + after[:at]][token] for at, token in enumerate(after)]
                if self._is_short(prompt, after)
                else passes[prompt, after],
            )
            for prompt, after in texts
        ]

    def close(self) -> None:
        self._offline.close()

    def _is_short(self, prompt: Tokens, after: Tokens) -> bool:
        """Whether its positions, with less than a block to decode for each, cost less than a pass.

        What precedes a position is in the cache up to a whole block.
        """
        return len(after) < 2 or len(after) * self._offline.block <= len(prompt)

    def _positions(self, texts: Sequence[tuple[Tokens, Tokens]]) -> dict[Tokens, dict[int, Known]]:
        """At each position, what is known of the tokens that some text goes on with."""
        wanted: dict[Tokens, dict[int, None]] = {}  # in place of a set, for its order
        for prompt, after in texts:
            for at, token in enumerate(after):
                wanted.setdefault(prompt + after[:at], {})[token] = None
        asked = [
            (position, list(tokens)[start : start + IDS])
            for position, tokens in wanted.items()
            for start in range(0, len(tokens), IDS)
        ]
        outputs = self._offline.run(
            [position for position, _ in asked],
            [
                self._offline.params(temperature=0.0, max_tokens=1, logprob_token_ids=tokens)
                for _, tokens in asked
            ],
        )
        known: dict[Tokens, dict[int, Known]] = {position: {} for position in wanted}
        for (position, tokens), output in zip(asked, outputs, strict=True):
            (written,) = output.outputs
            (likeliest,), (row,) = written.token_ids, written.logprobs
            known[position] |= {
                token: (float(row[token].logprob), token == likeliest) for token in tokens
            }
        return known

    def _passes(
        self, texts: Sequence[tuple[Tokens, Tokens]]
    ) -> dict[tuple[Tokens, Tokens], list[Known]]:
        """What is known of each token of the continuations."""
        unique = list(dict.fromkeys(texts))
        params = self._offline.params(temperature=0.0, max_tokens=1, prompt_logprobs=0)
        outputs = self._offline.run([p + after for p, after in unique], [params] * len(unique))
        known = {}
        for (prompt, after), output in zip(unique, outputs, strict=True):
            rows = output.prompt_logprobs[len(prompt) :]
            found = [row[token] for row, token in zip(rows, after, strict=True)]
            known[prompt, after] = [(float(one.logprob), one.rank == 1) for one in found]
        return known

    def _score(self, tokens: Tokens, known: Sequence[Known]) -> Score:
        scored = tuple(
            TokenLogprob(self._spelling(token), logprob)
            for token, (logprob, _) in zip(tokens, known, strict=True)
        )
        return Score(sum(one.logprob for one in scored), scored, all(likely for _, likely in known))

    def _task(self, request: Request) -> _Task:
        """The request, checked and rendered; it fits the context."""
        constrained(request)
        if request.grammar is not None or request.tools:
            what = "tools" if request.tools else "GBNF grammar"
            raise UsageError(
                f"{self._name} takes no {what} in this process; "
                "choose a GGUF file, or for tools a server (vllm serve)"
            )
        prompt = self._renderer.prompt(request.messages, request.prompt)
        self._fit(len(prompt.tokens))
        sampling, room = request.sampling, self.context_length - len(prompt.tokens)
        params = self._offline.params(
            schema=request.schema,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            repetition_penalty=sampling.repeat_penalty,
            seed=sampling.seed,
            stop=[text for text in sampling.stop if text],
            max_tokens=room if sampling.max_tokens is None else min(room, sampling.max_tokens),
            logprobs=request.logprobs,
        )
        return _Task(request, prompt, params)

    def _fit(self, needed: int) -> None:
        """Raise unless `needed` tokens leave room for one of an answer."""
        if needed >= self.context_length:
            raise ContextOverflow(
                f"prompt needs {needed} tokens, but {self._name} holds {self.context_length}; "
                "shorten it, raise context_length or choose a model with a longer context"
            )

    def _answer(self, task: _Task) -> Iterator[Chunk]:
        """The answer as it is written; every output holds all the text so far."""
        shown, held, splitter = 0, "", task.thinking()
        for output in self._offline.stream(task.prompt.tokens, task.params):
            (written,) = output.outputs
            new, shown = written.text[shown:], len(written.text)
            thinking, text = splitter.push(new) if task.splits else ("", new)
            if output.finished:
                done = self._completion(task, output)
                rest = splitter.finish()
                yield Chunk(held + text + rest[1], done, thinking + rest[0])
            elif task.request.schema is not None:
                held += text
            elif text or thinking:
                yield Chunk(text, thinking=thinking)

    def _completion(self, task: _Task, output: Any) -> Completion:
        """vLLM's output as a checked answer. The token that ends it is no part of it."""
        (written,) = output.outputs
        if written.finish_reason not in ("stop", "length"):
            raise TriviumError(f"vLLM ended the answer early: {written.finish_reason}")
        finish: Finish = written.finish_reason
        ended = finish == "stop" and not isinstance(written.stop_reason, str)
        tokens = list(written.token_ids)[: -1 if ended else None]
        thinking, text = "", written.text
        if task.splits:
            splitter = task.thinking()
            thinking, text = map("".join, zip(splitter.push(text), splitter.finish(), strict=True))
        if task.request.schema is not None:
            check_json(text, task.request.schema, finish, len(tokens))
        return Completion(
            text,
            finish,
            len(task.prompt.tokens),
            len(tokens),
            self._logprobs(tokens, written.logprobs, task.request.logprobs),
            _timing(output.metrics),
            thinking=thinking,
            reused_tokens=output.num_cached_tokens or 0,
        )

    def _logprobs(
        self, tokens: Sequence[int], rows: Any, top: int | None
    ) -> tuple[TokenLogprob, ...]:
        """The model's own, before temperature and penalties, as vLLM gives them by default."""
        if top is None:
            return ()
        found = []
        for token, row in zip(tokens, rows, strict=False):
            best = sorted(row, key=lambda other: -row[other].logprob)[:top]
            others = tuple((self._spelling(one), float(row[one].logprob)) for one in best)
            found.append(TokenLogprob(self._spelling(token), float(row[token].logprob), others))
        return tuple(found)

    def _spelling(self, token: int) -> str:
        return self._vocabulary.piece(token).decode()


def _timing(metrics: Any) -> Timing:
    """Seconds from being scheduled to the first token, and from there to the last."""
    if metrics is None:
        return Timing()
    first = metrics.first_token_ts
    return Timing(first - metrics.scheduled_ts, metrics.last_token_ts - first)
