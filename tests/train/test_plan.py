"""A plan says what a run takes: counts by hand, memory against what torch really keeps."""

from pathlib import Path

import pytest
import torch

from tests.train.made import class_folders
from trivium.errors import UsageError
from trivium.nn.two_towers import TwoTowers
from trivium.train.plan import _saved, plan
from trivium.train.recipe import read_recipe


def test_counts_are_those_of_the_recipe(tmp_path: Path) -> None:
    recipe = read_recipe(
        {
            "data": class_folders(tmp_path),
            "steps": 9,
            "batch": 8,
            "micro_batch": 4,
            "vocabulary": 530,
        }
    )
    made = plan(recipe)
    assert made.pairs == 36
    assert made.epochs == pytest.approx(9 * 8 / 36)
    model = TwoTowers(recipe.shape(530))
    assert made.weights == sum(p.numel() for p in model.parameters())
    assert made.seconds > 0
    assert made.memory > 4 * 4 * made.weights


def test_what_a_batch_keeps_grows_with_it() -> None:
    recipe = read_recipe({"data": ".", "vocabulary": 530})
    model = TwoTowers(recipe.shape(530))
    ids = torch.full((8, model.shape.text.length), model.shape.text.end)
    pixels = torch.randn(8, 3, 32, 32)
    one, two = _saved(model, pixels[:4], ids[:4]), _saved(model, pixels, ids)
    weights = 4 * sum(p.numel() for p in model.parameters())
    assert one < two < 2 * one + weights
    assert two - one > 4 * 65 * 128 * 4 * 8  # some eight states of each of 65 tokens, at least


def test_too_little_data_is_refused(tmp_path: Path) -> None:
    recipe = read_recipe({"data": class_folders(tmp_path, 2), "batch": 8})
    with pytest.raises(UsageError, match="6 pairs do not fill a batch of 8"):
        plan(recipe)
