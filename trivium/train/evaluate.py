"""How well a model in training classifies pictures that it has never been told the names of."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trivium.nn.pixels import Pixels
from trivium.nn.two_towers import TwoTowers
from trivium.nn.words import Words
from trivium.train.pairs import Pair, Reader

AT_ONCE = 256


def zero_shot(
    model: TwoTowers, words: Words, pixels: Pixels, pairs: Sequence[Pair], templates: Sequence[str]
) -> list[bool]:
    """Whether each picture is nearest to the name of its own class.

    A class is the mean of its prompts' unit vectors (Radford et al. 2021, section 3.1.4). Pairs
    without a class are left out.
    """
    held = [pair for pair in pairs if pair.group is not None]
    names = sorted({pair.group for pair in held if pair.group is not None})
    reader, right = Reader(), []
    was = model.training
    model.eval()
    with torch.inference_mode():
        classes = class_vectors(model, words, names, templates)
        for start in range(0, len(held), AT_ONCE):
            some = held[start : start + AT_ONCE]
            pictures = np.stack([pixels.prepare(reader.image(pair.entry)) for pair in some])
            nearest = (model.embed_images(torch.from_numpy(pictures)) @ classes.T).argmax(dim=1)
            right += [names[at] == pair.group for at, pair in zip(nearest, some, strict=True)]
    model.train(was)
    return right


def class_vectors(
    model: TwoTowers, words: Words, names: Sequence[str], templates: Sequence[str]
) -> Tensor:
    """(classes, E): each prompt normalised, their mean normalised again."""
    prompts = [template.format(name) for name in names for template in templates]
    vectors = model.embed_texts(torch.from_numpy(words.encode(prompts)))
    means = vectors.unflatten(0, (len(names), len(templates))).mean(dim=1)
    return functional.normalize(means, dim=-1)
