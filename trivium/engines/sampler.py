"""The choice of the next token: llama.cpp's sampler chain, and a grammar beside it.

The grammar is asked about the chosen token first and about the whole vocabulary only when that
token is refused, as llama.cpp's own tools do: the distribution is the same and a 150k-token
vocabulary is checked rarely.
"""

import ctypes
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from trivium.engines.base import Sampling
from trivium.engines.native import (
    Logits,
    Weights,
    captured_stderr,
    last_complaint,
    library,
    pointer,
)
from trivium.errors import SchemaViolation, UsageError

_PENALTY_WINDOW = 256  # tokens that repeat_penalty looks back on
_TOKEN_DATA = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])

Candidates = npt.NDArray[np.void]
"""Tokens with their logits, laid out as llama.cpp's `llama_token_data`."""


class LogitsSource(Protocol):
    """Where a sampler finds logits: a `llama_context`, and a row of its last batch (-1: the last).

    `logits` gives them raw, shape (vocabulary,).
    """

    @property
    def context(self) -> Any: ...

    @property
    def row(self) -> int: ...

    def logits(self) -> Logits: ...


class Grammar:
    """A GBNF grammar as llama.cpp runs it, advanced token by token."""

    def __init__(self, weights: Weights, gbnf: str) -> None:
        """Compile `gbnf`, whose start rule is `root`.

        Raises:
            UsageError: when llama.cpp does not accept the grammar.
        """
        self._lib = library()
        with captured_stderr() as printed:
            self._sampler = self._lib.llama_sampler_init_grammar(
                weights.vocab, gbnf.encode(), b"root"
            )
        if not self._sampler:
            reason = " ".join(printed().split()) or last_complaint()
            raise UsageError(
                f"the grammar is not valid GBNF with a start rule `root`: {reason[:200]}"
            )

    def admits(self, weights: Weights, text: str) -> bool:
        """Whether `text`, from the beginning, is a complete sentence of the grammar.

        It uses the grammar up: nothing else can be asked of it afterwards.
        """
        return self.follow(weights, text) and self.allows(weights.eos)

    def follow(self, weights: Weights, text: str) -> bool:
        """Advance over `text`; False as soon as the grammar does not allow it."""
        for token in weights.tokenize_inside(text, special=False):
            if not self.allows(token):
                return False
            self.accept(token)
        return True

    def allows(self, token: int) -> bool:
        """Whether the token may come next; an end token may when the text is complete."""
        data = np.array([(token, 1.0, 0.0)], dtype=_TOKEN_DATA)
        self._lib.llama_sampler_apply(self._sampler, pointer(_array(data)))
        return bool(np.isfinite(data["logit"][0]))

    def mask(self, candidates: Candidates) -> None:
        """Set the logit of every token that may not come next to minus infinity."""
        self._lib.llama_sampler_apply(self._sampler, pointer(_array(candidates)))

    def accept(self, token: int) -> None:
        """Advance; only for a token that is allowed."""
        self._lib.llama_sampler_accept(self._sampler, token)

    def close(self) -> None:
        if self._sampler:
            self._lib.llama_sampler_free(self._sampler)
            self._sampler = None


class Sampler:
    """Chooses tokens for one completion."""

    def __init__(self, weights: Weights, sampling: Sampling, grammar: Grammar | None) -> None:
        self._lib = library()
        self._grammar = grammar
        self._chain = self._lib.llama_sampler_chain_init(
            self._lib.llama_sampler_chain_default_params()
        )
        for link in self._links(weights, sampling):
            self._lib.llama_sampler_chain_add(self._chain, link)

    def _links(self, weights: Weights, sampling: Sampling) -> list[object]:
        """llama.cpp's own order: penalties, top-k, top-p, min-p, temperature, draw."""
        lib = self._lib
        links: list[object] = []
        if sampling.repeat_penalty != 1:
            links.append(
                lib.llama_sampler_init_penalties(
                    weights.vocabulary_size, _PENALTY_WINDOW, sampling.repeat_penalty, 0.0, 0.0
                )
            )
        if sampling.temperature == 0:
            return [*links, lib.llama_sampler_init_greedy()]
        if sampling.top_k > 0:
            links.append(lib.llama_sampler_init_top_k(sampling.top_k))
        if sampling.top_p < 1:
            links.append(lib.llama_sampler_init_top_p(sampling.top_p, 1))
        if sampling.min_p > 0:
            links.append(lib.llama_sampler_init_min_p(sampling.min_p, 1))
        links.append(lib.llama_sampler_init_temp(sampling.temperature))
        links.append(lib.llama_sampler_init_dist(sampling.seed & 0xFFFFFFFF))
        return links

    def constrain(self, grammar: Grammar) -> None:
        """From the next token on, `grammar` decides what may come. It is closed with this."""
        self._grammar = grammar

    def choose(self, context: LogitsSource) -> int:
        """The next token after the one whose logits these are."""
        if self._grammar is None:
            return int(self._lib.llama_sampler_sample(self._chain, context.context, context.row))
        logits = context.logits()
        token = self._draw(_candidates(logits))
        if not self._grammar.allows(token):
            candidates = _candidates(logits)
            self._grammar.mask(candidates)
            if not np.isfinite(candidates["logit"]).any():
                raise SchemaViolation("no token of the model can continue the grammar; loosen it")
            token = self._draw(candidates)
        self._grammar.accept(token)
        self._lib.llama_sampler_accept(self._chain, token)
        return token

    def _draw(self, candidates: Candidates) -> int:
        array = _array(candidates)
        self._lib.llama_sampler_apply(self._chain, pointer(array))
        return int(array.data[array.selected].id)

    def close(self) -> None:
        if self._chain:
            self._lib.llama_sampler_free(self._chain)
            self._chain = None
        if self._grammar is not None:
            self._grammar.close()


def _candidates(logits: Logits) -> Candidates:
    data = np.zeros(len(logits), dtype=_TOKEN_DATA)
    data["id"] = np.arange(len(logits), dtype=np.int32)
    data["logit"] = logits
    return data


def _array(candidates: Candidates) -> Any:
    """llama.cpp's view of the candidates, which must outlive it."""
    lib = library()
    return lib.llama_token_data_array(
        data=candidates.ctypes.data_as(ctypes.POINTER(lib.llama_token_data)),
        size=len(candidates),
        selected=-1,
        sorted=False,
    )
