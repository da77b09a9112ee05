"""Log-probabilities read from logits, against values worked out by hand."""

import numpy as np
import pytest

from trivium.engines.scoring import Scored

LOGITS = np.log(np.array([1.0, 2.0, 5.0], dtype=np.float32))  # of 8: probabilities 1/8, 1/4, 5/8


def test_each_place_of_each_continuation_has_its_own_number() -> None:
    scored = Scored([[2, 1], [], [0]])
    scored.read(LOGITS, [(0, 0), (2, 0)])
    scored.read(LOGITS + 100, [(0, 1)])  # a softmax does not change by a constant
    assert scored.logprobs(0) == pytest.approx([np.log(5 / 8), np.log(1 / 4)], abs=1e-5)
    assert scored.logprobs(1) == []
    assert scored.logprobs(2) == pytest.approx([np.log(1 / 8)], abs=1e-6)


def test_greedy_means_that_every_token_was_the_likeliest() -> None:
    scored = Scored([[2, 2], [2, 1], []])
    scored.read(LOGITS, [(0, 0), (1, 0), (0, 1), (1, 1)])
    assert [scored.greedy(number) for number in range(3)] == [True, False, True]


def test_large_logits_do_not_overflow() -> None:
    scored = Scored([[0], [1]])
    scored.read(np.array([3e4, -3e4], dtype=np.float32), [(0, 0), (1, 0)])
    assert scored.logprobs(0) == [0.0]
    assert scored.logprobs(1) == [-6e4]
