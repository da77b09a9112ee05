"""Batches are a function of the seed and their number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.train import order


@given(rows=st.integers(1, 60), size=st.integers(1, 60), seed=st.integers(0, 9))
def test_an_epoch_has_each_row_at_most_once(rows: int, size: int, seed: int) -> None:
    if rows < size:
        with pytest.raises(ValueError, match="do not fill a batch"):
            order.batch(seed, 0, size, rows)
        return
    count = order.batches_in_epoch(rows, size)
    seen = np.concatenate([order.batch(seed, number, size, rows) for number in range(count)])
    assert len(set(seen.tolist())) == len(seen) == count * size
    assert set(seen.tolist()) <= set(range(rows))


def test_a_batch_does_not_depend_on_those_before() -> None:
    first = [order.batch(3, number, 4, 10).tolist() for number in range(5)]
    again = [order.batch(3, number, 4, 10).tolist() for number in reversed(range(5))]
    assert first == again[::-1]


def test_epochs_and_seeds_differ() -> None:
    whole = [tuple(order.batch(seed, epoch, 50, 50)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(whole)) == 4


def test_streams_of_randomness_are_apart() -> None:
    draws = {order.randomness(0, n, stream).integers(2**62) for n in (0, 1) for stream in (0, 1)}
    assert len(draws) == 4
    assert order.randomness(5, 6, 7).random() == order.randomness(5, 6, 7).random()
