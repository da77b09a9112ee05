"""Which sentences of the passages found bear on the question, and whether any answers it.

A sentence's weight is its cosine to the question plus the idf-weighted share of the question's
words that it and its passage hold. `answerable` compares the strongest of both to a threshold; on
XQuAD-en it separates questions whose paragraph is in the index from those whose paragraph was
taken out with an area under the curve of 0.95 (`python -m benchmarks.xquad_answers`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trivium.retrieval.base import Embedder, Hit, Passage, Vectors
from trivium.retrieval.sentences import sentences
from trivium.retrieval.words import stems

# Below this no sentence meets the question. Chosen on the even-numbered questions of XQuAD-en,
# where it refuses 8 % of the answerable and 85 % of the unanswerable ones.
ANSWERABLE = 1.05


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage, `[start, end)` in the document's extracted text.

    `cosine` and `coverage` measure it against the question; `weight` joins them with the same
    figures of its passage. `stems` are its content words.
    """

    passage: Passage
    start: int
    end: int
    text: str
    stems: frozenset[str]
    cosine: float
    coverage: float
    weight: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Every sentence of the passages found, heaviest first, and how well the best one fits.

    `answerability` is in [-1, 2]: the best sentence's cosine plus the best passage's coverage.
    `idf` weighs the question's stems; `vectors` holds a unit row for each sentence.
    """

    question: str
    sentences: tuple[Sentence, ...]
    answerability: float
    idf: Mapping[str, float]
    vectors: Vectors

    @property
    def answerable(self) -> bool:
        return self.answerability >= ANSWERABLE


def coverage(idf: Mapping[str, float], present: frozenset[str] | set[str]) -> float:
    """The idf-weighted share of `idf`'s words that are `present`, in [0, 1]; 0 for no words."""
    total = sum(idf.values())
    return sum(weight for word, weight in idf.items() if word in present) / total if total else 0.0


def weigh(
    question: str, hits: Sequence[Hit], idf: Mapping[str, float], embedder: Embedder
) -> Evidence:
    """Weigh every sentence of the passages in `hits` against the question.

    `idf` maps the question's stems to their weight in the whole index.
    """
    spans = [(hit.passage, start, end) for hit in hits for start, end in _prose(hit.passage.text)]
    if not spans:
        return Evidence(question, (), -1.0, idf, np.empty((0, embedder.dimension), np.float32))
    texts = [passage.text[start:end] for passage, start, end in spans]
    vectors = embedder.encode(texts)
    cosines = (vectors @ embedder.encode([question], query=True)[0]).tolist()
    bags = [frozenset(words) for words in stems(texts)]

    # By passage, not by its id, which is the key of one index: the hits may be of several.
    held: dict[Passage, set[str]] = {}  # the stems of each whole passage
    best: dict[Passage, float] = {}  # the best sentence's cosine in each passage
    for (passage, _, _), bag, cosine in zip(spans, bags, cosines, strict=True):
        held.setdefault(passage, set()).update(bag)
        best[passage] = max(best.get(passage, -1.0), cosine)
    covered = {key: coverage(idf, words) for key, words in held.items()}

    weighed = []
    for (passage, start, end), text, bag, cosine in zip(spans, texts, bags, cosines, strict=True):
        own = coverage(idf, bag)
        weight = cosine + 0.5 * own + 0.3 * best[passage] + 0.3 * covered[passage]
        weighed.append(
            Sentence(
                passage, passage.start + start, passage.start + end, text, bag, cosine, own, weight
            )
        )
    order = sorted(
        range(len(weighed)),
        key=lambda i: (-weighed[i].weight, weighed[i].passage.path, weighed[i].start),
    )
    return Evidence(
        question,
        tuple(weighed[i] for i in order),
        max(cosines) + max(covered.values()),
        idf,
        vectors[order],
    )


# What announces text and says nothing itself, in Markdown and in what is extracted as such.
_HEADING = re.compile(r"#{1,6}\s")
_RULE = re.compile(r"[\s|:+=_*`~-]+")


def _prose(text: str) -> list[tuple[int, int]]:
    """The spans of the sentences that could answer something.

    Headings, rules and the header row of a table are left out, unless there is nothing else.
    """
    spans = sentences(text)
    kept = []
    for number, (start, end) in enumerate(spans):
        piece = text[start:end]
        following = text[slice(*spans[number + 1])] if number + 1 < len(spans) else ""
        header = piece.startswith("|") and following.startswith("|") and _RULE.fullmatch(following)
        if not header and not _HEADING.match(piece) and not _RULE.fullmatch(piece):
            kept.append((start, end))
    return kept or spans
