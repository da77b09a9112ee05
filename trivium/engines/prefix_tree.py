"""Requests as a prefix tree over token ids: what they share stands once, and is decoded once.

Token ids are compared, not texts: a tokenizer merges letters across a seam, so that texts with a
common beginning need not have their first tokens in common, nor the other way round.

Nothing here knows a model. A tree is filled with `add` and read with `walk`, depth first, so that
one path from the root is all that ever has to be held in a KV cache.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring positions of an edge whose logits a request wants.

    After the edge's token `offset` + i comes, in that request, the token `first` + i of its
    continuation, for each i in range(`count`).
    """

    offset: int
    request: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Edge:
    """A step of the walk: go back to the first `depth` tokens of the path, then append `tokens`."""

    depth: int
    tokens: Tokens
    runs: Sequence[Run]


@dataclass(slots=True)
class _Node:
    """The tokens from its parent to where paths part, and who wants logits on the way."""

    tokens: Tokens
    runs: list[Run] = field(default_factory=list)
    children: "dict[int, _Node] | None" = None

    def split(self, at: int) -> None:
        """Keep the first `at` tokens; what came after them becomes the only child."""
        lower = _Node(self.tokens[at:].copy(), children=self.children)
        upper = []
        for run in self.runs:
            before = min(max(at - run.offset, 0), run.count)
            if before:
                upper.append(Run(run.offset, run.request, run.first, before))
            if before < run.count:
                start = max(run.offset - at, 0)
                rest = run.count - before
                lower.runs.append(Run(start, run.request, run.first + before, rest))
        self.tokens, self.runs = self.tokens[:at].copy(), upper
        self.children = {int(lower.tokens[0]): lower}


class PrefixTree:
    """Token sequences, merged where they begin alike.

    `size` counts its unique tokens, `added` those of all requests, `longest` those of the longest.
    """

    def __init__(self) -> None:
        self._root = _Node(np.empty(0, dtype=np.int32))
        self.size = 0
        self.added = 0
        self.longest = 0

    def add(self, request: int, prompt: Sequence[int], continuation: Sequence[int]) -> None:
        """Take in a request, which wants the log-probability of each token of `continuation`.

        `prompt` has at least one token. The last token of the continuation is only predicted, and
        so is no part of the tree: one-token continuations of a prompt share a single position.
        """
        count = len(continuation)
        if count == 0:
            return
        path = np.array([*prompt, *continuation[:-1]], dtype=np.int32)
        self.added += len(path)
        self.longest = max(self.longest, len(path))
        wanted = len(prompt) - 1
        for node, start in self._insert(path):
            stop = start + len(node.tokens)
            begin = max(wanted, start)
            if begin < stop:
                run = Run(begin - start, request, begin - wanted, stop - begin)
                node.runs.append(run)

    def walk(self) -> Iterator[Edge]:
        """All edges, depth first, children in the order in which they came."""
        stack = [(0, self._root)]
        while stack:
            depth, node = stack.pop()
            if len(node.tokens):
                yield Edge(depth, node.tokens, node.runs)
            below = depth + len(node.tokens)
            children = node.children.values() if node.children else ()
            stack += [(below, child) for child in reversed(children)]

    def _insert(self, path: Tokens) -> Iterator[tuple[_Node, int]]:
        """The nodes that make up `path`, each with the position of its first token."""
        node, at = self._root, 0
        while at < len(path):
            if node.children is None:
                node.children = {}
            child = node.children.get(int(path[at]))
            if child is None:
                child = node.children[int(path[at])] = _Node(path[at:].copy())
                self.size += len(child.tokens)
            shared = _common(child.tokens, path[at:])
            if shared < len(child.tokens):
                child.split(shared)
            yield child, at
            node, at = child, at + shared


def _common(ours: Tokens, theirs: Tokens) -> int:
    """How many tokens two sequences have in common from their beginning on."""
    count = min(len(ours), len(theirs))
    differ = ours[:count] != theirs[:count]
    first = int(differ.argmax())
    return first if differ[first] else count
