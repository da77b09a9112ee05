"""Choosing few-shot examples for a row; a row is never an example of its own.

A selector is built once for a pool and then asked for every row. What "fixed", "random" and
"balanced" choose is the same for all rows (but for the row itself), so that engines decode it once;
"nearest", "mmr" and "likelihood" choose for each row.
"""

import json
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, get_args

from trivium.engines.base import Engine, ScoreRequest
from trivium.errors import UsageError
from trivium.prompts.base import Example, Order, Prompt, SelectorName
from trivium.prompts.render import fill, parse
from trivium.prompts.values import as_text, same_row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Row = Mapping[str, object]
Selector = Callable[[Row], list[Example]]
_Ranking = Callable[[Row], Sequence[int]]

RELEVANCE = 0.5
"""What MMR gives to nearness; the rest goes to being unlike what was chosen before."""
CANDIDATES = 32
"""Examples that "likelihood" puts before the model for each row."""


class Embeds(Protocol):
    """What `trivium.retrieval.embed.load_embedder` returns, as far as it is needed here."""

    def encode(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Unit vectors, of shape (texts, dimension)."""


def selector(
    name: str,
    pool: Sequence[Example],
    k: int,
    seed: int = 0,
    embedder: Embeds | None = None,
    engine: Engine | None = None,
    *,
    order: Order = "chosen",
    on: Collection[str] | None = None,
) -> Selector:
    """A function from a row's inputs to at most `k` examples of `pool`.

    Names: "fixed" (the first ones), "random" (one seeded draw), "balanced" (a seeded draw with
    outputs in equal numbers), "nearest" (cosine of embeddings), "mmr" (nearest, yet unlike each
    other; Carbonell and Goldstein 1998), "likelihood" (those after which the engine finds the row's
    own text likeliest, token by token: conditional entropy, Peng et al. 2024).

    `on` are the inputs that make a row what it is: two rows alike in them are the same. By default
    all that example and row share; name them where rows have ids or notes as well.

    Raises:
        UsageError: for an unknown name, or when the embedder or engine that it needs is missing.
    """
    names = set(on) if on is not None else {key for one in pool for key in one.inputs}
    ranking = _ranking(name, pool, k, seed, embedder, engine, names)
    shuffle = random.Random(seed)  # noqa: S311 - repeatable, not secret

    def choose(row: Row) -> list[Example]:
        found: list[Example] = []
        for index in ranking(row):
            if len(found) == k:
                break
            if not same_row(pool[index], row, names):
                found.append(pool[index])
        if order == "reversed":
            found.reverse()
        elif order == "shuffled":
            shuffle.seed(seed)
            shuffle.shuffle(found)
        return found

    return choose


def own_selector(
    prompt: Prompt, embedder: Embeds | None = None, engine: Engine | None = None
) -> Selector:
    """The selector over the prompt's own examples that its `shots` describe.

    An example is only shown below the system part that it was made for: with other labels there, it
    would teach the wrong ones.

    Raises:
        UsageError: when it needs an embedder or an engine and there is none; for a row, when the
            row does not fill the prompt.
    """
    shots = prompt.shots
    if not prompt.examples or shots.k == 0:
        return lambda row: []
    heard = sorted(parse(prompt, "system").names)
    pools: dict[str, list[Example]] = {}
    for one in prompt.examples:
        pools.setdefault(_heard(fill(prompt, one.inputs), heard), []).append(one)
    made = {
        key: selector(
            shots.selector,
            pool,
            len(pool) if shots.k is None else shots.k,
            shots.seed,
            embedder,
            engine,
            order=shots.order,
            on=[one.name for one in prompt.variables],
        )
        for key, pool in pools.items()
    }

    def choose(row: Row) -> list[Example]:
        filled = fill(prompt, row)
        chosen = made.get(_heard(filled, heard))
        return chosen(filled) if chosen else []

    return choose


def _heard(filled: Row, names: Sequence[str]) -> str:
    return json.dumps([filled.get(name) for name in names])


def _ranking(
    name: str,
    pool: Sequence[Example],
    k: int,
    seed: int,
    embedder: Embeds | None,
    engine: Engine | None,
    names: Collection[str],
) -> _Ranking:
    """A function from a row to positions in the pool, best first."""
    if name not in get_args(SelectorName):
        known = ", ".join(get_args(SelectorName))
        raise UsageError(f'there is no selector "{name}"; there are {known}')
    if name in ("nearest", "mmr") and embedder is None:
        raise UsageError(f'the selector "{name}" needs an embedder, and none is given')
    if name == "likelihood" and engine is None:
        raise UsageError('the selector "likelihood" needs an engine, and none is given')
    dice = random.Random(seed)  # noqa: S311 - repeatable, not secret
    if name == "fixed":
        ranks: Sequence[int] = range(len(pool))
        return lambda row: ranks
    if name == "random":
        ranks = dice.sample(range(len(pool)), len(pool))
        return lambda row: ranks
    if name == "balanced":
        ranks = _balanced(pool, dice)
        return lambda row: ranks
    near = _Near(pool, embedder, names) if embedder is not None else None
    if name == "likelihood":
        assert engine is not None
        return _likelihood(pool, engine, near, dice, names)
    assert near is not None
    return near.ranks if name == "nearest" else lambda row: near.diverse(row, k)


def _balanced(pool: Sequence[Example], dice: random.Random) -> list[int]:
    """All positions: one of every output in turn, as long as there are some."""
    groups: dict[str, list[int]] = {}
    for index in dice.sample(range(len(pool)), len(pool)):
        groups.setdefault(pool[index].output, []).append(index)
    queues = list(groups.values())
    rounds = range(max(map(len, queues), default=0))
    return [queue[turn] for turn in rounds for queue in queues if turn < len(queue)]


class _Near:
    """Examples and rows by what they say; the pool is embedded when the first row comes."""

    def __init__(self, pool: Sequence[Example], embedder: Embeds, names: Collection[str]) -> None:
        self._pool = pool
        self._embedder = embedder
        self._names = names
        self._vectors: NDArray[np.float32] | None = None  # (pool, dimension)

    def ranks(self, row: Row) -> list[int]:
        import numpy as np

        return [int(index) for index in np.argsort(-self._similar(row), kind="stable")]

    def diverse(self, row: Row, count: int) -> list[int]:
        """At most `count` positions by maximal marginal relevance, the row's own left out."""
        import numpy as np

        relevance = self._similar(row)
        vectors = self._vectors
        assert vectors is not None
        closest = np.zeros(len(vectors), np.float32)  # to what is chosen already
        left = np.array([not same_row(one, row, self._names) for one in self._pool])
        chosen: list[int] = []
        for _ in range(min(count, int(left.sum()))):
            value = RELEVANCE * relevance - (1 - RELEVANCE) * closest
            best = int(np.argmax(np.where(left, value, -np.inf)))
            chosen.append(best)
            left[best] = False
            similar = vectors @ vectors[best]
            closest = similar if len(chosen) == 1 else np.maximum(closest, similar)
        return chosen

    def _similar(self, row: Row) -> "NDArray[np.float32]":
        """Cosines of the row with every example, of shape (pool,)."""
        if self._vectors is None:
            texts = [said(one.inputs, self._names) for one in self._pool]
            self._vectors = self._embedder.encode(texts)
        cosines: Any = self._vectors @ self._embedder.encode([said(row, self._names)])[0]
        similar: NDArray[np.float32] = cosines
        return similar


def _likelihood(
    pool: Sequence[Example],
    engine: Engine,
    near: _Near | None,
    dice: random.Random,
    names: Collection[str],
) -> _Ranking:
    drawn = dice.sample(range(len(pool)), min(CANDIDATES, len(pool)))

    def rank(row: Row) -> list[int]:
        candidates = near.ranks(row)[:CANDIDATES] if near else drawn
        candidates = [i for i in candidates if not same_row(pool[i], row, names)]
        text = said(row, names)
        if not candidates or not text:
            return candidates
        scores = engine.score(
            [
                ScoreRequest(text, prompt=f"{said(pool[i].inputs, names)}\n{pool[i].output}\n\n")
                for i in candidates
            ]
        )
        likely = {
            i: score.logprob / max(len(score.tokens), 1)
            for i, score in zip(candidates, scores, strict=True)
        }
        return sorted(candidates, key=lambda i: -likely[i])

    return rank


def said(inputs: Row, names: Collection[str]) -> str:
    """What a row says, in the order of its names, so that rows can be compared."""
    return "\n".join(as_text(inputs[name]) for name in sorted(names) if inputs.get(name))
