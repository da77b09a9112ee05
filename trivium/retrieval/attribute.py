"""Which source sentences support each sentence of an answer. Computed, never taken on trust.

The model is not asked to cite: a small one cannot, and a large one may invent. Each sentence of
the answer becomes a claim and is held against every sentence of the passages. A claim is supported
when the words it adds to the question are in the cited sentences, its numbers and names stand
there to the letter, it does not differ in negation, and it means about the same (cosine). Up to
three sentences may support a claim together. What this cannot see is who did what to whom: a claim
that swaps two names of one sentence passes; that limit is documented.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from trivium.retrieval.base import Citation, Claim, Embedder
from trivium.retrieval.evidence import Evidence, Sentence, coverage
from trivium.retrieval.sentences import sentences
from trivium.retrieval.words import stems

Weights = Callable[[Collection[str]], Mapping[str, float]]
"""Stems to their idf in the whole index."""

SUPPORTED = 0.7  # share of the claim's words, weighed by idf, that its sources must hold
MIN_COSINE = 0.25  # below this a claim of more than three words is about something else
GAIN = 0.15  # what a second or third sentence must add to the share to be cited too
MOST_SENTENCES = 3

# What an answer says about itself rather than about the world.
_FRAME = frozenset(stems(["answer question passage text document context according provided"])[0])
_NEGATION = re.compile(r"\b(?:not|never|no|none|neither|nor|cannot|without)\b|n['’]t\b", re.I)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NAME = re.compile(r"(?<!\w)[A-Z]\w+")


@dataclass(frozen=True, slots=True)
class _Fact:
    """What of a claim must be found in its sources. `weights` is idf by stem."""

    text: str
    weights: Mapping[str, float]
    new: Mapping[str, float]  # the part that the question did not already say
    numbers: frozenset[str]
    names: frozenset[str]


def attribute(
    answer: str, evidence: Evidence, weights: Weights, embedder: Embedder
) -> tuple[Claim, ...]:
    """Tie each sentence of `answer` to the source sentences that support it, or to none.

    Returns:
        Claims in order; their spans index into `answer`. Citations are verbatim spans of the
        documents, strongest first.
    """
    spans = sentences(answer)
    texts = [answer[start:end] for start, end in spans]
    if not texts or not evidence.sentences:
        return tuple(Claim(text, *span) for text, span in zip(texts, spans, strict=True))
    cosines = embedder.encode(texts) @ evidence.vectors.T  # (claims, sentences)
    facts = _facts(texts, evidence, weights)
    return tuple(
        Claim(text, start, end, tuple(_support(fact, evidence, row.tolist())))
        for text, (start, end), fact, row in zip(texts, spans, facts, cosines, strict=True)
    )


def quote(sentence: Sentence, score: float) -> Citation:
    """A citation of a whole source sentence."""
    passage = sentence.passage
    return Citation(
        path=passage.path,
        page=passage.page,
        start=sentence.start,
        end=sentence.end,
        text=sentence.text,
        sha256=passage.sha256,
        score=round(min(max(score, 0.0), 1.0), 4),
    )


def _facts(texts: list[str], evidence: Evidence, weights: Weights) -> Iterator[_Fact]:
    bags = [set(words) - _FRAME for words in stems(texts)]
    asked = set(evidence.idf)
    idf = weights(set().union(*bags))
    asked_names = _names(evidence.question) | set(_NAME.findall(evidence.question))
    for text, bag in zip(texts, bags, strict=True):
        # A word of the question is the asker's, not the model's: it proves half as much.
        weighed = {stem: idf[stem] * (0.5 if stem in asked else 1.0) for stem in bag}
        yield _Fact(
            text=text,
            weights=weighed,
            new={stem: weight for stem, weight in weighed.items() if stem not in asked},
            numbers=_numbers(text) - _numbers(evidence.question),
            names=_names(text) - asked_names,
        )


def _support(fact: _Fact, evidence: Evidence, cosines: list[float]) -> list[Citation]:
    """The fewest sentences that hold the claim together, or none."""
    if not fact.weights:
        return []
    pool = list(zip(evidence.sentences, cosines, strict=True))

    def fit(item: tuple[Sentence, float]) -> float:
        sentence, cosine = item
        return (
            coverage(fact.weights, sentence.stems)
            + 0.5 * coverage(fact.new, sentence.stems)
            + 0.5 * cosine
            + 0.25 * sentence.weight  # among equals, the one that is about the question
        )

    first = max(pool, key=fit)
    chosen = [first]
    held = set(first[0].stems)
    while len(chosen) < MOST_SENTENCES:
        share = coverage(fact.weights, held)
        # Sentences read together: only from the same document as the first.
        rest = [
            item
            for item in pool
            if item not in chosen and item[0].passage.path == first[0].passage.path
        ]
        if not rest or share == 1.0:
            break
        extra = max(
            rest, key=lambda item: (coverage(fact.weights, held | item[0].stems), fit(item))
        )
        if coverage(fact.weights, held | extra[0].stems) - share < GAIN:
            break
        chosen.append(extra)
        held |= extra[0].stems
    if not _holds(fact, [sentence for sentence, _ in chosen], held, max(c for _, c in chosen)):
        return []
    share = coverage(fact.weights, held)
    return [quote(sentence, (share + max(cosine, 0.0)) / 2) for sentence, cosine in chosen]


def _holds(fact: _Fact, sources: list[Sentence], held: set[str], cosine: float) -> bool:
    text = " ".join(source.text for source in sources)
    if not fact.numbers <= _numbers(text):
        return False
    if not fact.names <= set(_WORDS.findall(text)):
        return False
    if bool(_NEGATION.search(fact.text)) != bool(_NEGATION.search(text)) and fact.new:
        return False
    if len(fact.weights) > 3 and cosine < MIN_COSINE:
        return False
    if fact.new and coverage(fact.new, held) < SUPPORTED:
        return False
    return coverage(fact.weights, held) >= SUPPORTED


_WORDS = re.compile(r"\w+")


def _numbers(text: str) -> frozenset[str]:
    """Numbers as written, digit groups joined: "1,250" and "1250" are one."""
    return frozenset(found.replace(",", "") for found in _NUMBER.findall(text))


def _names(text: str) -> frozenset[str]:
    """Capitalised words that do not merely begin the text."""
    return frozenset(found.group() for found in _NAME.finditer(text) if found.start() > 0)
