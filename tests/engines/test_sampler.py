"""The sampler chain on the real model's logits: what each knob lets through."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from trivium.engines.base import Sampling
from trivium.engines.native import Context, Weights
from trivium.engines.sampler import Grammar, Sampler
from trivium.errors import UsageError

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def weights(model_cache: Path) -> Iterator[Weights]:
    weights = Weights(model_cache / "smollm2-135m" / "SmolLM2-135M-Instruct.Q4_1.gguf")
    yield weights
    weights.close()


@pytest.fixture(scope="module")
def context(weights: Weights) -> Iterator[Context]:
    """A cache that holds "My favourite colour is"."""
    context = Context(weights, length=256, threads=1, chunk=64, flash_attention=True)
    context.decode(weights.tokenize("My favourite colour is", special=False))
    yield context
    context.close()


def draws(weights: Weights, context: Context, sampling: Sampling, count: int = 40) -> set[int]:
    sampler = Sampler(weights, sampling, None)
    try:
        return {sampler.choose(context) for _ in range(count)}
    finally:
        sampler.close()


def test_greedy_takes_the_likeliest(weights: Weights, context: Context) -> None:
    likeliest = int(np.argmax(context.logits()))
    loud = Sampling(temperature=0.0, top_k=5, top_p=0.1, seed=1)
    assert draws(weights, context, loud) == {likeliest}


def test_top_k_keeps_the_k_likeliest(weights: Weights, context: Context) -> None:
    best = set(np.argsort(-context.logits())[:3].tolist())
    assert draws(weights, context, Sampling(temperature=2.0, top_k=3)) == best


def test_top_p_keeps_the_nucleus(weights: Weights, context: Context) -> None:
    logits = context.logits().astype(np.float64)
    p = np.exp(logits - logits.max())
    p /= p.sum()
    order = np.argsort(-p)
    nucleus = set(order[: int(np.searchsorted(np.cumsum(p[order]), 0.2)) + 1].tolist())
    drawn = draws(weights, context, Sampling(temperature=1.0, top_p=0.2))
    assert drawn <= nucleus
    assert len(drawn) > 1


def test_min_p_keeps_what_is_near_the_likeliest(weights: Weights, context: Context) -> None:
    logits = context.logits()
    near = set(np.flatnonzero(logits >= logits.max() + np.log(0.3)).tolist())
    assert draws(weights, context, Sampling(temperature=2.0, min_p=0.3)) <= near


def test_the_repeat_penalty_turns_away_from_what_was_said(
    weights: Weights, context: Context
) -> None:
    for temperature in (0.0, 0.01):
        sampling = Sampling(temperature=temperature, repeat_penalty=2.0, seed=0)
        assert len(draws(weights, context, sampling, count=5)) == 5


def test_grammar_masks_leave_only_what_may_follow(weights: Weights, context: Context) -> None:
    grammar = Grammar(weights, 'root ::= " green" | " grey"')
    sampler = Sampler(weights, Sampling(), grammar)
    try:
        text = b""
        while not weights.ends(token := sampler.choose(context)):
            text += weights.piece(token)
        assert text in (b" green", b" grey")
    finally:
        sampler.close()
        grammar.close()


@pytest.mark.parametrize(
    ("text", "complete"), [("ab", True), ("abab", True), ("", False), ("aba", False), ("ac", False)]
)
def test_a_grammar_admits_whole_sentences_only(weights: Weights, text: str, complete: bool) -> None:
    grammar = Grammar(weights, 'root ::= ("ab")+')
    try:
        assert grammar.admits(weights, text) is complete
    finally:
        grammar.close()


def test_a_grammar_may_come_later_and_begin_inside_its_text(
    weights: Weights, context: Context
) -> None:
    sampler = Sampler(weights, Sampling(), None)
    try:
        free = sampler.choose(context)
        grammar = Grammar(weights, 'root ::= "<call>" [0-9]')
        assert grammar.follow(weights, "<cal")
        sampler.constrain(grammar)
        text = b""
        while not weights.ends(token := sampler.choose(context)):
            text += weights.piece(token)
        assert text[:2] == b"l>"
        assert text[2:].isdigit()
        assert not weights.piece(free).startswith(b"l>")
    finally:
        sampler.close()


def test_a_grammar_does_not_follow_what_it_does_not_allow(weights: Weights) -> None:
    grammar = Grammar(weights, 'root ::= "ab"')
    try:
        assert not grammar.follow(weights, "ax")
    finally:
        grammar.close()


def test_a_grammar_needs_a_root(weights: Weights) -> None:
    with pytest.raises(UsageError, match="start rule `root`"):
        Grammar(weights, 'start ::= "a"')
