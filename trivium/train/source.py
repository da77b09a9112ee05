"""Batches of pictures and captions for a recipe, each a function of the seed and its number."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from trivium.nn.pixels import Pixels
from trivium.nn.words import Words
from trivium.train import order, processes
from trivium.train.augment import normalised, random_part
from trivium.train.pairs import Pair, Reader
from trivium.train.recipe import ClipRecipe

if TYPE_CHECKING:
    from PIL.Image import Image

KEPT_BYTES = 1 << 30  # decoded pictures that are kept in memory


class Source:
    """What batch `number` holds, for this process."""

    def __init__(
        self, recipe: ClipRecipe, pairs: Sequence[Pair], pixels: Pixels, words: Words
    ) -> None:
        self._recipe, self._pairs, self._pixels, self._words = recipe, pairs, pixels, words
        names = {name: number for number, name in enumerate(sorted(map(_group, pairs)))}
        self._groups = np.array([names[_group(pair)] for pair in pairs])
        self._reader = Reader()
        self._kept: dict[int, Image] = {}
        self._room = KEPT_BYTES
        self._ahead = ThreadPoolExecutor(1)
        self._next: tuple[int, Future[tuple[Tensor, ...]]] | None = None

    def batch(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (b, 3, size, size), captions (b, T) and groups (b,) of this process.

        The next batch is made in a thread while this one is learned from.
        """
        if self._next is not None and self._next[0] == number:
            made = self._next[1].result()
        else:
            made = self._make(number)
        self._next = (number + 1, self._ahead.submit(self._make, number + 1))
        pictures, ids, groups = made
        return pictures, ids, groups

    def close(self) -> None:
        self._ahead.shutdown(cancel_futures=True)

    def _make(self, number: int) -> tuple[Tensor, ...]:
        recipe = self._recipe
        chosen = order.batch(recipe.seed, number, recipe.batch, len(self._pairs))
        rng = order.randomness(recipe.seed, number, 1)
        keys = rng.integers(0, 2**63, recipe.batch)  # a row's own randomness, in every process
        mine = processes.part(recipe.batch)
        pictures, captions = [], []
        for row, key in zip(chosen[mine], keys[mine], strict=True):
            own = np.random.default_rng(int(key))
            pair = self._pairs[row]
            captions.append(pair.captions[own.integers(len(pair.captions))])
            image = self._image(int(row))
            pictures.append(random_part(image, self._pixels, own, recipe.least_area, recipe.mirror))
        return (
            torch.from_numpy(normalised(np.stack(pictures), self._pixels)),
            torch.from_numpy(self._words.encode(captions)),
            torch.from_numpy(self._groups[chosen[mine]]),
        )

    def _image(self, row: int) -> "Image":
        if row in self._kept:
            return self._kept[row]
        image = self._reader.image(self._pairs[row].entry)
        size = image.width * image.height * 3
        if size <= self._room:
            self._room -= size
            self._kept[row] = image
        return image


def digest(pairs: Sequence[Pair]) -> str:
    """Which data a run learns from: names, sizes and captions, not the pictures' bytes."""
    found = hashlib.sha256()
    for pair in pairs:
        entry = pair.entry
        size = entry.size or entry.file.stat().st_size
        found.update(f"{entry.name}\0{size}\0{pair.captions}\n".encode())
    return found.hexdigest()


def _group(pair: Pair) -> str:
    """What pairs share that fit each other: their class, or all their captions."""
    return pair.group if pair.group is not None else "\0".join(pair.captions)
