"""Choosing by log-likelihood, and how well a model predicts a text."""

import math
from collections.abc import Callable, Sequence

from trivium.evals.base import Choice

LN2 = math.log(2.0)


def raw(choice: Choice) -> float:
    return choice.logprob


def per_character(choice: Choice) -> float:
    """Log-probability a character, as `acc_norm` of lm-evaluation-harness."""
    return choice.logprob / max(1, len(choice.text))


def per_byte(choice: Choice) -> float:
    """Log-probability a UTF-8 byte."""
    return choice.logprob / max(1, len(choice.text.encode()))


def per_token(choice: Choice) -> float:
    """Log-probability a token (Brown et al. 2020)."""
    return choice.logprob / max(1, choice.tokens)


def unconditional(choice: Choice) -> float:
    """How much likelier the prompt makes the choice than a bare lead-in does (Brown et al. 2020).

    Raises:
        ValueError: when the choice was not scored after the bare lead-in.
    """
    if choice.unconditional is None:
        raise ValueError("the choice has no unconditional log-probability")
    return choice.logprob - choice.unconditional


NORMALISATIONS: dict[str, Callable[[Choice], float]] = {
    "raw": raw,
    "character": per_character,
    "byte": per_byte,
    "token": per_token,
    "unconditional": unconditional,
}


def chosen(choices: Sequence[Choice], measure: Callable[[Choice], float]) -> int:
    """The position of the choice with the highest measure, the first one of equals."""
    return max(range(len(choices)), key=lambda at: measure(choices[at]))


def probabilities(choices: Sequence[Choice], measure: Callable[[Choice], float]) -> list[float]:
    """The measures as a distribution over the choices (softmax); they add up to 1."""
    values = [measure(choice) for choice in choices]
    highest = max(values)
    weights = [math.exp(value - highest) for value in values]
    return [weight / sum(weights) for weight in weights]


def bits(logprob: float) -> float:
    """Natural log-probability -> bits of surprise."""
    return -logprob / LN2


def perplexity(logprob: float, tokens: int) -> float:
    """exp of the mean negative log-probability of a token; infinite beyond what a float holds."""
    try:
        return math.exp(-logprob / tokens)
    except OverflowError:
        return math.inf
