"""The losses by hand, the scale's clamp, and first weights."""

import math

import pytest
import torch

from tests.nn import made
from trivium.nn.block import Shape
from trivium.nn.layout import from_config
from trivium.nn.towers import ImageShape, TextShape
from trivium.nn.two_towers import TwoTowers, TwoTowersShape, clip_loss, siglip_loss


def _small(length: int = 12) -> TwoTowers:
    stack = Shape(16, 2, 2, 32)
    return TwoTowers(
        TwoTowersShape("clip", ImageShape(stack, 8, 4), TextShape(stack, 20, length, 19), 8)
    )


def test_clip_loss_by_hand() -> None:
    """Rows: softmax of (ln 3, 0) is 3/4; columns: (ln 3, 0) and (0, ln 3) too: -ln(3/4)."""
    logits = math.log(3.0) * torch.eye(2)
    assert clip_loss(logits).item() == pytest.approx(math.log(4 / 3))


def test_clip_loss_of_no_knowledge_is_the_log_of_the_batch() -> None:
    assert clip_loss(torch.zeros(7, 7)).item() == pytest.approx(math.log(7))


def test_siglip_loss_by_hand() -> None:
    """All logits 0: four times ln 2, over two pairs."""
    assert siglip_loss(torch.zeros(2, 2)).item() == pytest.approx(2 * math.log(2))


def test_the_scale_is_clamped() -> None:
    model = _small()
    with torch.no_grad():
        model.log_scale.fill_(9.0)
    model.clamp()
    assert model.log_scale.exp().item() == pytest.approx(100.0)


def test_the_scale_begins_at_a_temperature_of_0_07() -> None:
    assert _small().log_scale.item() == pytest.approx(2.6592, abs=1e-4)


def test_vectors_are_unit_vectors() -> None:
    found = _small()(torch.randn(3, 3, 8, 8), torch.randint(0, 20, (2, 5)))
    assert found.logits.shape == (3, 2)
    torch.testing.assert_close(found.image.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(found.text.norm(dim=1), torch.ones(2))


def test_a_text_longer_than_the_tower_is_refused() -> None:
    with pytest.raises(ValueError, match="6 tokens; the tower reads 5"):
        _small(length=5).embed_texts(torch.zeros(1, 6, dtype=torch.int64))


def test_what_follows_the_end_of_a_text_changes_nothing() -> None:
    shape = from_config(made.clip().config.to_dict(), "clip")
    model = TwoTowers(shape).eval()
    ids = torch.tensor([[5, 6, made.END, 7, 8], [5, 6, made.END, 9, made.END]])
    one, other = model.embed_texts(ids)
    torch.testing.assert_close(one, other)


def test_no_weight_is_left_unset() -> None:
    torch.manual_seed(0)
    assert all(torch.isfinite(value).all() for value in _small().parameters())
    assert all(value.abs().max() < 5 for value in _small().parameters())
