"""Log-probabilities of many continuations, by one walk over the tree of their prompts."""

from collections.abc import Sequence

import numpy as np

from trivium.engines.layout import layouts
from trivium.engines.native import Logits
from trivium.engines.prefix_tree import PrefixTree
from trivium.engines.sequences import MOST, Sequences

BATCH = 512  # tokens in a batch: 8 % faster than 256 where prefixes are long, and more gain nothing
BRANCHES = 64  # sequences in a batch; they cost llama.cpp a little each


class Scored:
    """The log-probabilities of many continuations, in one array, since there may be many indeed."""

    def __init__(self, continuations: Sequence[Sequence[int]]) -> None:
        self._tokens = continuations
        sizes = [len(tokens) for tokens in continuations]
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self._logprobs = np.zeros(sum(sizes))
        self._greedy = np.ones(len(sizes), dtype=np.bool_)

    def read(self, logits: Logits, asked: Sequence[tuple[int, int]]) -> None:
        """Note the next token of each pair of a continuation and a place in it.

        `logits`, shape (vocabulary,), are what all the pairs' tokens are read from.
        """
        likeliest = int(logits.argmax())
        top = float(logits[likeliest])
        total = float(np.log(np.exp(logits - logits[likeliest]).sum(dtype=np.float64)))
        for number, at in asked:
            token = self._tokens[number][at]
            self._logprobs[self._starts[number] + at] = float(logits[token]) - top - total
            if token != likeliest:
                self._greedy[number] = False

    def logprobs(self, number: int) -> list[float]:
        """The log-probability of each token of a continuation."""
        found: list[float] = self._logprobs[
            self._starts[number] : self._starts[number + 1]
        ].tolist()
        return found

    def greedy(self, number: int) -> bool:
        """Whether each of its tokens was the likeliest one."""
        return bool(self._greedy[number])


def score_tree(
    tree: PrefixTree, continuations: Sequence[Sequence[int]], sequences: Sequences
) -> Scored:
    """Decode `tree` in `sequences`, a unified cache; the scores of `continuations`.

    A request of the tree is the number of its continuation.

    Raises:
        TriviumError: when llama.cpp fails.
    """
    scored = Scored(continuations)
    sequences.clear()
    for layout in layouts(tree.walk(), BATCH, min(BRANCHES, MOST, sequences.count)):
        for branch, length in enumerate(layout.copies, start=1):
            if length:
                sequences.copy(0, branch, length)
        sequences.cut(0, layout.keep)
        sequences.decode(layout.batch)
        for row, asked in layout.reads.items():
            scored.read(sequences.logits(row), asked)
        for branch in range(1, len(layout.copies) + 1):
            sequences.cut(branch)
    return scored
