"""Log-probabilities of many continuations, by one walk over the tree of their prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trivium.engines.layout import layouts
from trivium.engines.native import Logits
from trivium.engines.prefix_tree import PrefixTree
from trivium.engines.sequences import MOST, Sequences

BATCH = 512  # tokens in a batch: 8 % faster than 256 where prefixes are long, and more gain nothing
BRANCHES = 64  # sequences in a batch; they cost llama.cpp a little each


@dataclass(slots=True)
class Scored:
    """A continuation's log-probabilities, shape (tokens,), and whether all were the likeliest."""

    tokens: Sequence[int]
    logprobs: npt.NDArray[np.float64]
    greedy: bool = True


def score_tree(
    tree: PrefixTree, continuations: Mapping[int, Sequence[int]], sequences: Sequences
) -> dict[int, Scored]:
    """Decode `tree` in `sequences`, a unified cache; the scores of `continuations`, by request.

    Raises:
        TriviumError: when llama.cpp fails.
    """
    scored = {
        request: Scored(tokens, np.zeros(len(tokens))) for request, tokens in continuations.items()
    }
    sequences.clear()
    for layout in layouts(tree.walk(), BATCH, min(BRANCHES, MOST, sequences.count)):
        for branch, length in enumerate(layout.copies, start=1):
            if length:
                sequences.copy(0, branch, length)
        sequences.cut(0, layout.keep)
        sequences.decode(layout.batch)
        for row, asked in layout.reads.items():
            _read(sequences.logits(row), asked, scored)
        for branch in range(1, len(layout.copies) + 1):
            sequences.cut(branch)
    return scored


def _read(logits: Logits, asked: Sequence[tuple[int, int]], scored: Mapping[int, Scored]) -> None:
    """Give each request its token's log-probability; `logits` has the shape (vocabulary,)."""
    likeliest = int(logits.argmax())
    top = float(logits[likeliest])
    total = float(np.log(np.exp(logits - logits[likeliest]).sum(dtype=np.float64)))
    for request, at in asked:
        answer = scored[request]
        token = answer.tokens[at]
        answer.logprobs[at] = float(logits[token]) - top - total
        answer.greedy &= token == likeliest
