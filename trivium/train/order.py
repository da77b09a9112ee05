"""Which rows a batch has, and its randomness: functions of a seed and the batch's number alone.

So a run that goes on after a crash sees what it would have seen, with any number of workers or
processes.
"""

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


def batches_in_epoch(rows: int, size: int) -> int:
    """Whole batches; the rows that are left over are others in the next epoch."""
    return rows // size


def batch(seed: int, number: int, size: int, rows: int) -> Indices:
    """The rows of batch `number`, shape (size,), each once in an epoch.

    Raises ValueError when there are fewer rows than a batch takes.
    """
    if rows < size:
        raise ValueError(f"{rows} rows do not fill a batch of {size}")
    epoch, at = divmod(number, batches_in_epoch(rows, size))
    order = randomness(seed, epoch, 0).permutation(rows)
    chosen: Indices = order[at * size : (at + 1) * size]
    return chosen


def randomness(seed: int, number: int, stream: int) -> np.random.Generator:
    """A generator of its own for the `stream`-th use of randomness in step `number`.

    Philox is keyed, not stepped (Salmon et al. 2011): no state needs to be kept.
    """
    key = np.random.SeedSequence((seed, stream, number)).generate_state(2, np.uint64)
    return np.random.Generator(np.random.Philox(key=key))
