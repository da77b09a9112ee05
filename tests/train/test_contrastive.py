"""Cached gradients are those of the whole batch, and groups share their targets."""

import math

import pytest
import torch

from tests.train.made import model
from trivium.nn.two_towers import Kind, clip_loss, siglip_loss
from trivium.train.contrastive import accumulate, loss_of


def _inputs() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    ids = torch.randint(0, 19, (8, 6))
    ids[:, -1] = 19
    ids[5] = ids[2]  # an equal caption
    return torch.randn(8, 3, 8, 8), ids


@pytest.mark.parametrize("kind", ["clip", "siglip"])
@pytest.mark.parametrize("micro", [1, 3, 8, 64])
def test_micro_batches_give_the_gradient_of_the_whole_batch(kind: Kind, micro: int) -> None:
    pixels, ids = _inputs()
    groups = torch.tensor([0, 1, 2, 3, 4, 2, 6, 0])
    whole, parts = model(kind), model(kind)
    expected = loss_of(whole, whole(pixels, ids).logits, groups)
    expected.backward()
    assert accumulate(parts, pixels, ids, groups, micro) == pytest.approx(expected.item(), abs=1e-5)
    for (name, one), other in zip(whole.named_parameters(), parts.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None, name
        torch.testing.assert_close(other.grad, one.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_pairs_of_their_own_have_the_loss_of_the_paper(kind: Kind) -> None:
    torch.manual_seed(2)
    logits = torch.randn(5, 5)
    plain = clip_loss if kind == "clip" else siglip_loss
    torch.testing.assert_close(loss_of(model(kind), logits, torch.arange(5)), plain(logits))


def test_a_group_shares_its_target() -> None:
    """Two pairs of one class: the target is (1/2, 1/2), so equal logits are the best: ln 2."""
    groups = torch.tensor([4, 4])
    best = loss_of(model("clip"), torch.zeros(2, 2), groups).item()
    assert best == pytest.approx(math.log(2))
    assert loss_of(model("clip"), torch.eye(2), groups).item() > best
    # by the sigmoid each of the four fits: 4 ln 2 over two pairs at 0, less where they are higher
    assert loss_of(model("siglip"), torch.zeros(2, 2), groups).item() == pytest.approx(
        2 * math.log(2)
    )
    assert loss_of(model("siglip"), torch.ones(2, 2), groups) < 2 * math.log(2)
