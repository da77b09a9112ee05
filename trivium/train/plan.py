"""What a run will take, before it begins: a micro-batch is tried, the rest is arithmetic."""

import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import Tensor

from trivium.errors import UsageError
from trivium.nn.two_towers import TwoTowers
from trivium.train.contrastive import accumulate
from trivium.train.pairs import Reader, find_pairs
from trivium.train.recipe import ClipRecipe
from trivium.train.source import KEPT_BYTES

PROBED = 2  # steps that are timed, after one that is not


@dataclass(frozen=True, slots=True)
class Plan:
    """`seconds` and `memory` (bytes, of the whole process at its peak) are for this machine."""

    pairs: int
    weights: int
    epochs: float
    seconds: float
    memory: int


def plan(recipe: ClipRecipe) -> Plan:
    """Try a step of `recipe` on noise, and say what all of them take.

    Raises:
        UsageError: when the data is not there, or too small for a batch.
    """
    pairs = find_pairs(Path(recipe.data), recipe.templates)
    if len(pairs) < recipe.batch:
        raise UsageError(f"{len(pairs)} pairs do not fill a batch of {recipe.batch}")
    model = TwoTowers(recipe.shape(recipe.vocabulary))
    weights = sum(p.numel() for p in model.parameters())
    before = psutil.Process().memory_info().rss
    pixels, ids = _noise(model, recipe.batch, len(recipe.templates))
    groups = torch.arange(recipe.batch) % 10
    spent: list[float] = []
    for _ in range(1 + PROBED):
        begun = time.perf_counter()
        model.zero_grad(set_to_none=True)
        accumulate(model, pixels, ids, groups, recipe.micro_batch)
        spent.append(time.perf_counter() - begun)
    held = _saved(model, pixels[: recipe.micro_batch], ids[: recipe.micro_batch])
    moments = 3 * 4 * weights  # a gradient and AdamW's two, in float32
    first = Reader().image(pairs[0].entry)
    kept = min(KEPT_BYTES, len(pairs) * first.width * first.height * 3)
    batches = 3 * pixels.numel() * 4  # this one, the next one, and one in the making
    return Plan(
        len(pairs),
        weights,
        recipe.steps * recipe.batch / len(pairs),
        recipe.steps * min(spent[1:]),
        before + moments + held + kept + batches,
    )


def _noise(model: TwoTowers, batch: int, texts: int) -> tuple[Tensor, Tensor]:
    """Pictures and as many captions as differ in a batch of class folders with ten classes."""
    image, text = model.shape.image, model.shape.text
    ids = torch.randint(0, text.end, (min(batch, 10 * texts), text.length))
    ids[:, -1] = text.end
    pixels = torch.randn(batch, image.channels, image.size, image.size)
    return pixels, ids[torch.arange(batch) % len(ids)]


def _saved(model: TwoTowers, pixels: Tensor, ids: Tensor) -> int:
    """The bytes that a micro-batch keeps for its way back, counted by torch itself."""
    seen: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(pixels, ids)
    return sum(seen.values())
