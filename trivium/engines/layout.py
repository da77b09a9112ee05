"""The walk over a prefix tree, laid out in full batches for a KV cache with shared cells.

Between two batches sequence 0 holds one path of the tree, and nothing else is held. A batch takes
the next tokens of the walk, whatever edges they are on. Where the walk goes back and takes another
way, a branch begins: a sequence of its own, which shares the path's cells up to there, and the
tokens on the way that are in the same batch. The last branch is the path that the next batch goes
on with.

So each token is decoded once, and the cache needs no more cells than the longest request and one
batch, however many requests there are.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from trivium.engines.prefix_tree import Edge, Tokens
from trivium.engines.sequences import Batch


@dataclass(frozen=True, slots=True)
class Layout:
    """A batch, and what goes on around it.

    Before: sequence i + 1 becomes the first `copies[i]` tokens of sequence 0, which then is cut to
    `keep` tokens. After: all sequences but 0 are emptied. `reads` says who wants the logits of a
    row: pairs of a request and the token of its continuation that comes next.
    """

    batch: Batch
    copies: list[int]
    keep: int
    reads: dict[int, list[tuple[int, int]]]


def layouts(edges: Iterable[Edge], size: int, branches: int) -> Iterator[Layout]:
    """Batches of at most `size` tokens and `branches` sequences that decode all `edges` in order.

    All but the last are full, of tokens or of branches.
    """
    draft = _Draft(0)
    for edge in edges:
        # a branch begins only where a token of it still fits
        crowded = edge.depth < draft.length and len(draft.bases) == branches
        if draft.rows == size or (draft.rows and crowded):
            yield draft.finish()
            draft = _Draft(draft.length)
        draft.go_back(edge.depth)
        for start, stop in _pieces(len(edge.tokens), size - draft.rows, size):
            if draft.rows == size:
                yield draft.finish()
                draft = _Draft(draft.length)
            draft.append(edge, start, stop)
    if draft.rows:
        yield draft.finish()


def _pieces(count: int, room: int, size: int) -> Iterator[tuple[int, int]]:
    """`count` tokens in slices: the first of at most `room`, the others of at most `size`."""
    start = 0
    while start < count:
        stop = min(count, start + room)
        yield start, stop
        start, room = stop, size


class _Draft:
    """A batch in the making. `length` tokens lie on the path that the walk is on."""

    def __init__(self, held: int) -> None:
        self.length = held
        self.rows = 0
        self.bases = [held]  # for each branch, how much of it is in the cache already
        self._tokens: list[Tokens] = []
        self._positions: list[Tokens] = []
        self._first: list[int] = []  # for each row, the branches that it belongs to
        self._last: list[int] = []
        self._path: list[int] = []  # rows on the path
        self._reads: dict[int, list[tuple[int, int]]] = {}

    def go_back(self, depth: int) -> None:
        """The walk is at the first `depth` tokens of the path; more of it belongs to no branch."""
        if depth == self.length:
            return
        base = min(self.bases[-1], depth)
        if self.rows:
            del self._path[max(len(self._path) - (self.length - depth), 0) :]
            self.bases.append(base)
        else:
            self.bases[-1] = base
        self.length = depth

    def append(self, edge: Edge, start: int, stop: int) -> None:
        """Take in the tokens `start` to `stop` of an edge on the path's end."""
        count = stop - start
        branch = len(self.bases) - 1
        for row in self._path:
            self._last[row] = branch
        self._path += range(self.rows, self.rows + count)
        self._first += [branch] * count
        self._last += [branch] * count
        self._tokens.append(edge.tokens[start:stop])
        self._positions.append(np.arange(self.length, self.length + count, dtype=np.int32))
        for run in edge.runs:
            for at in range(max(run.offset, start), min(run.offset + run.count, stop)):
                asked = self._reads.setdefault(self.rows + at - start, [])
                asked.append((run.request, run.first + at - run.offset))
        self.rows += count
        self.length += count

    def finish(self) -> Layout:
        branches = len(self.bases)
        first = np.array(self._first, dtype=np.int32)
        wanted = np.zeros(self.rows, dtype=np.int8)
        wanted[list(self._reads)] = 1
        batch = Batch(
            np.concatenate(self._tokens),
            np.concatenate(self._positions),
            first,
            np.array(self._last, dtype=np.int32) - first + 1,
            np.array([*range(1, branches), 0], dtype=np.int32),
            wanted,
        )
        return Layout(batch, self.bases[:-1], self.bases[-1], self._reads)
