"""Duplicates in four tiers: same bytes, same pixels, near, similar.

Every two pictures of a group meet its tier's threshold (complete linkage), so that a chain of small
changes never ties two pictures together that do not look alike.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from trivium.errors import UsageError
from trivium.images.align import NEAR, cells, verify
from trivium.images.base import Picture, Vectors
from trivium.images.hashes import Prints, suspicions

Tier = Literal["bytes", "pixels", "near", "similar"]
TIERS: tuple[Tier, ...] = get_args(Tier)

AGREES = 0.9
"""Embeddings agree that two pictures are near when their cosine is above this share of those of
unrelated pictures of the collection."""
_SAMPLE = 100_000  # pairs that stand for the unrelated ones
_ENOUGH = 100  # fewer say nothing of what is usual
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Link:
    """Two pictures that belong together. `score` is 1 of the first two tiers, the aligned
    correlation of a near pair, the embeddings' cosine of a similar one."""

    tier: Tier
    score: float


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures, by path, of which every two are linked; `tier` is that of the weakest link."""

    tier: Tier
    pictures: tuple[Picture, ...]
    links: Mapping[tuple[str, str], Link]

    def link(self, one: Picture, other: Picture) -> Link:
        if one.sha256 == other.sha256:
            return Link("bytes", 1.0)
        if one.pixels == other.pixels:
            return Link("pixels", 1.0)
        return self.links[_key(one, other)]


def find_duplicates(
    pictures: Sequence[Picture],
    prints: Prints,
    vectors: Vectors | None = None,
    *,
    tier: Tier = "near",
    cosine: float | None = None,
) -> list[Group]:
    """The groups of two or more among `pictures`, up to `tier`, by their first path.

    `prints` and `vectors` (unit vectors of any encoder) are of the pictures, in their order. Near
    pairs need hash and aligned correlation, and vectors that agree where there are any. Similar
    ones have a `cosine` of at least that; without one, of half-way from the 99th percentile of
    unrelated pictures to 1.

    Raises:
        UsageError: for "similar" without vectors.
    """
    if tier == "similar" and vectors is None:
        raise UsageError("similar pictures are found by a model's embeddings: name an index")
    order = sorted(range(len(pictures)), key=lambda row: _bytes(pictures[row].path))
    key = {"bytes": "sha256"}.get(tier, "pixels")
    same: dict[str, list[int]] = defaultdict(list)
    for row in order:
        same[getattr(pictures[row], key)].append(row)
    units = list(same.values())  # what is the same has one representative from here on
    firsts = np.array([unit[0] for unit in units], np.int64)
    links: dict[tuple[int, int], Link] = {}
    if tier in ("near", "similar") and len(units) > 1:
        seen = vectors[firsts] if vectors is not None else None
        links = _near(prints[firsts], seen)
        if tier == "similar" and seen is not None:
            links |= _similar(seen, cosine, links)
    return [
        _group(members, units, pictures, links)
        for members in cliques(len(units), _strongest_first(links))
        if sum(len(units[unit]) for unit in members) > 1
    ]


def cliques(count: int, links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Complete-linkage clusters of `count` items: `links`, each once, are the strongest first.

    Two clusters become one when the last link between their members has been seen, so every two of
    a cluster are linked, and no two clusters could be one. Linear in the links, but for merges.
    """
    cluster = list(range(count))
    members = {item: [item] for item in range(count)}
    seen: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))  # links between two
    for one, other in links:
        a, b = sorted((cluster[one], cluster[other]))
        seen[a][b] += 1
        seen[b][a] += 1
        if seen[a][b] < len(members[a]) * len(members[b]):
            continue
        for item in members[b]:
            cluster[item] = a
        members[a] += members.pop(b)
        for third, number in seen.pop(b).items():
            del seen[third][b]
            if third != a:
                seen[a][third] += number
                seen[third][a] += number
    return [sorted(found) for _, found in sorted(members.items())]


def _near(prints: Prints, vectors: Vectors | None) -> dict[tuple[int, int], Link]:
    scores: dict[tuple[int, int], float] = {}
    coarse = cells(prints)
    for block in suspicions(prints):
        found = verify(prints, block, coarse)
        for row in np.flatnonzero(found >= NEAR):
            one, other = sorted((int(block[row, 0]), int(block[row, 1])))
            scores[one, other] = max(scores.get((one, other), 0.0), float(found[row]))
    if vectors is not None and (usual := _unrelated(vectors, scores.keys())).size:
        least = float(np.quantile(usual, AGREES))
        scores = {
            pair: score
            for pair, score in scores.items()
            if float(vectors[pair[0]] @ vectors[pair[1]]) >= least
        }
    return {pair: Link("near", round(score, 4)) for pair, score in scores.items()}


def _similar(
    vectors: Vectors, cosine: float | None, near: Mapping[tuple[int, int], Link]
) -> dict[tuple[int, int], Link]:
    """Pairs of at least that cosine, beside those that are near."""
    if cosine is None:
        usual = _unrelated(vectors, near.keys())
        cosine = (float(np.quantile(usual, 0.99)) + 1) / 2 if usual.size else 0.95
    found = {}
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK] @ vectors[start:].T  # (b, n - start)
        for row, column in np.argwhere(block >= cosine):
            pair = start + int(row), start + int(column)
            if pair[0] < pair[1] and pair not in near:
                found[pair] = Link("similar", round(float(block[row, column]), 4))
    return found


def _unrelated(vectors: Vectors, related: Iterable[tuple[int, int]]) -> npt.NDArray[np.float32]:
    """Cosines of pairs drawn at random, always the same, without `related`; none if too few."""
    count, known = len(vectors), set(related)
    draw = np.random.default_rng(0)
    if count * (count - 1) // 2 <= _SAMPLE:
        pairs = np.stack(np.triu_indices(count, 1), axis=1)
    else:
        pairs = draw.integers(0, count, (_SAMPLE, 2))
        pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    pairs = pairs[[(int(a), int(b)) not in known for a, b in pairs]]
    if len(pairs) < _ENOUGH:
        return np.zeros(0, np.float32)
    cosines: npt.NDArray[np.float32] = np.einsum(
        "pe,pe->p", vectors[pairs[:, 0]], vectors[pairs[:, 1]]
    )
    return cosines


def _strongest_first(links: Mapping[tuple[int, int], Link]) -> list[tuple[int, int]]:
    return sorted(links, key=lambda pair: (TIERS.index(links[pair].tier), -links[pair].score, pair))


def _group(
    members: Sequence[int],
    units: Sequence[Sequence[int]],
    pictures: Sequence[Picture],
    links: Mapping[tuple[int, int], Link],
) -> Group:
    held = [pictures[row] for unit in members for row in units[unit]]
    inner = {
        _key(pictures[units[a][0]], pictures[units[b][0]]): links[a, b]
        for at, a in enumerate(members)
        for b in members[at + 1 :]
    }
    weakest: Tier = "bytes" if len({one.sha256 for one in held}) == 1 else "pixels"
    weakest = max((weakest, *(link.tier for link in inner.values())), key=TIERS.index)
    return Group(weakest, tuple(sorted(held, key=lambda one: _bytes(one.path))), inner)


def _key(one: Picture, other: Picture) -> tuple[str, str]:
    """What links are known by: copies of the same pixels share theirs."""
    first, second = sorted((one.pixels, other.pixels))
    return first, second


def _bytes(path: str) -> bytes:
    return path.encode(errors="surrogateescape")
