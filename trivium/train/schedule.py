"""The learning rate of a step."""

import math


def cosine(step: int, steps: int, warmup: int, least: float = 0.0) -> float:
    """The share of the peak: up in a line over `warmup` steps, then down half a cosine.

    Loshchilov & Hutter 2016, arXiv:1608.03983, without restarts. `least` is the share at the end.
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return least + (1 - least) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
