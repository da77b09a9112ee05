"""Planning many requests: a hundred thousand, as a prefix tree and as batches.

    python -m benchmarks.plan_speed [--requests 100000]

Requests are shaped as MMLU's: eight few-shot blocks of 600 tokens, questions of 80, four choices
each; the tokens are random. Making them up is not timed. The bars are 5 s for 100,000 requests, and
memory that grows by what the questions themselves take, not by their prompts.
"""

import argparse
import resource
import time

import numpy as np

from trivium.engines.layout import layouts
from trivium.engines.prefix_tree import PrefixTree
from trivium.engines.scoring import BATCH, BRANCHES

BAR = 5.0  # seconds for 100,000 requests
VOCABULARY, SHOTS, QUESTION, CHOICES = 49_152, 600, 80, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=100_000)
    options = parser.parse_args()

    draw = np.random.default_rng(0)
    blocks = draw.integers(0, VOCABULARY, (8, SHOTS)).tolist()
    tree = PrefixTree()
    planning = 0.0
    before = _peak()
    for row in range(options.requests // CHOICES):
        prompt = blocks[row % 8] + draw.integers(0, VOCABULARY, QUESTION).tolist()
        start = time.perf_counter()
        for choice in range(CHOICES):
            tree.add(row * CHOICES + choice, prompt, [choice])
        planning += time.perf_counter() - start
    planted = _peak() - before
    start = time.perf_counter()
    batches = sum(1 for _ in layouts(tree.walk(), BATCH, BRANCHES))
    laid = time.perf_counter() - start

    print(f"{options.requests} requests, {tree.added} tokens, {tree.size} of them unique")
    bar = BAR * options.requests / 100_000
    print(f"tree      {planning:7.2f} s  (bar {bar}: {'holds' if planning <= bar else 'MISSED'})")
    print(f"batches   {laid:7.2f} s for {batches}, as they are needed")
    print(f"memory    {planted:7.1f} MB; the prompts' tokens alone {tree.added * 4 / 1e6:.0f} MB")


def _peak() -> float:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
