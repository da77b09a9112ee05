"""Answers from sources: was the evidence found, are the citations right, was a refusal due."""

import re
from collections.abc import Sequence

from trivium.evals.scorers.text import contains, normalise

_CITATION = re.compile(r"\[(\d+(?:\s*,\s*\d+)*)\]")
_REFUSALS = (
    "cannot answer",
    "can't answer",
    "could not find",
    "do not know",
    "don't know",
    "not in documents",
    "not found",
    "no answer",
    "unanswerable",
    "not enough information",
    "do not mention",
    "does not mention",
    "does not say",
)


def context_recall(contexts: Sequence[str], target: Sequence[str]) -> float:
    """Share of the accepted answers that some context holds word for word, normalised.

    Raises:
        ValueError: when there are no answers to look for.
    """
    if not target:
        raise ValueError("there are no answers to look for")
    held = [any(contains(context, answer) for context in contexts) for answer in target]
    return sum(held) / len(held)


def cited(output: str) -> list[int]:
    """The numbers in square brackets, "[1]" or "[1, 3]", each once, in order."""
    numbers = (int(n) for group in _CITATION.findall(output) for n in group.split(","))
    return list(dict.fromkeys(numbers))


def citation_precision(output: str, relevant: Sequence[int]) -> float | None:
    """Share of the cited sources that are relevant; None when nothing is cited."""
    numbers = cited(output)
    return sum(n in relevant for n in numbers) / len(numbers) if numbers else None


def refuses(output: str) -> bool:
    """Whether the output declines to answer, by the usual phrases; an empty output does."""
    said = normalise(output)
    return not said or any(normalise(phrase) in said for phrase in _REFUSALS)
