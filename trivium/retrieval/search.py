"""BM25 and dense search, and their fusion by reciprocal rank.

BM25 is FTS5's (k1 1.2, b 0.75); the fusion is Cormack, Clarke & Büttcher 2009 with their k of 60.
Ties are broken by path and place, never by the order in which passages were stored.
"""

import re
from collections.abc import Iterable, Sequence

from trivium.retrieval.base import Hit, Mode, Passage, Reranker
from trivium.retrieval.store import Store
from trivium.retrieval.words import STOP_WORDS

DEPTH = 100
"""Passages that each half of the search puts forward."""
RANK_CONSTANT = 60
HEADING_WEIGHT = 0.5
"""A word in a heading counts half of one in the text."""

Ranked = Sequence[tuple[int, float]]
"""Passage ids with a score, best first."""

_WORD = re.compile(r"\w+")


def bm25(store: Store, query: str, count: int) -> list[tuple[int, float]]:
    """Passages that hold any content word of the query, by BM25, larger is better."""
    words = dict.fromkeys(_WORD.findall(query.lower()))
    wanted = [word for word in words if word not in STOP_WORDS] or list(words)
    if not wanted:
        return []
    match = " OR ".join(f'"{word}"' for word in wanted)
    limit = count + 1
    while True:
        rows = store.read(
            "SELECT t.rowid, -bm25(terms, 1.0, ?) AS score FROM terms t WHERE terms MATCH ? "
            "ORDER BY score DESC LIMIT ?",
            (HEADING_WEIGHT, match, limit),
        )
        found = [(int(str(key)), float(str(score))) for key, score in rows]
        if len(found) < limit or found[-1][1] < found[count - 1][1]:
            return in_place(store, found)[:count]
        limit *= 4  # equals stand on both sides of the cut: place decides, so all are needed


def in_place(store: Store, ranked: Ranked) -> list[tuple[int, float]]:
    """The same ranking, with equal scores ordered by path and place."""
    places = store.places([key for key, _ in ranked])
    return sorted(
        (one for one in ranked if one[0] in places),
        key=lambda one: (-one[1], places[one[0]]),
    )


def fuse(lexical: Ranked, dense: Ranked, mode: Mode) -> dict[int, float]:
    """Each passage's score under `mode`; for "hybrid" the sum of its reciprocal ranks."""
    if mode == "bm25":
        return dict(lexical)
    if mode == "dense":
        return dict(dense)
    scores: dict[int, float] = {}
    for ranked in (lexical, dense):
        for rank, (key, _) in enumerate(ranked, start=1):
            scores[key] = scores.get(key, 0.0) + 1 / (RANK_CONSTANT + rank)
    return scores


def hits(
    passages: Iterable[Passage], scores: dict[int, float], lexical: Ranked, dense: Ranked
) -> list[Hit]:
    """The passages as hits, best first, each with every figure that put it there."""
    by_bm25 = {key: (rank, score) for rank, (key, score) in enumerate(lexical, start=1)}
    by_cosine = {key: (rank, score) for rank, (key, score) in enumerate(dense, start=1)}
    found = []
    for passage in passages:
        bm25_rank, bm25_score = by_bm25.get(passage.id, (None, None))
        dense_rank, cosine = by_cosine.get(passage.id, (None, None))
        score = scores[passage.id]
        found.append(Hit(passage, score, bm25_score, bm25_rank, cosine, dense_rank))
    return sorted(found, key=_place)


def reranked(query: str, found: Sequence[Hit], reranker: Reranker) -> list[Hit]:
    """The hits in the order of a model that reads question and passage together."""
    from dataclasses import replace

    scores = reranker.score(query, [hit.passage.text for hit in found])
    again = [
        replace(hit, score=score, rerank=score) for hit, score in zip(found, scores, strict=True)
    ]
    return sorted(again, key=_place)


def _place(hit: Hit) -> tuple[float, str, int]:
    return -hit.score, hit.passage.path, hit.passage.start
