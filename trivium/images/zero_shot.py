"""Classification by words alone: each label as the mean of its captions (Radford et al. 2021).

Each caption's vector is normalised, their mean is taken and normalised again (section 3.1.4).
CLIP's probabilities are a softmax over the labels by the model's own scale; SigLIP's are a sigmoid
by its scale and bias, for each label by itself, and need not add up to 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trivium.errors import UsageError
from trivium.images.base import Encoder, Vectors

Floats = npt.NDArray[np.float64]
Captions = Callable[[str], list[str]]
"""A label to the captions that a picture of it could have."""

PROMPT = "picture-captions"
"""The prompt of the library whose lines are the captions, unless another is named."""


@dataclass(frozen=True, slots=True)
class ZeroShot:
    """Labels in the model's own space. `vectors`: (L, E)."""

    labels: tuple[str, ...]
    vectors: Vectors
    scale: float
    bias: float | None

    def logits(self, images: Vectors) -> Floats:
        """scale · cosine (+ bias): (n, E) to (n, L)."""
        cosines = images.astype(np.float64) @ self.vectors.T.astype(np.float64)
        return self.scale * cosines + (self.bias or 0.0)

    def probabilities(self, images: Vectors) -> Floats:
        """(n, E) to (n, L)"""
        logits = self.logits(images)
        if self.bias is not None:
            return np.asarray(np.exp(-np.logaddexp(0, -logits)))  # the sigmoid, without overflow
        return softmax(logits)


def zero_shot(encoder: Encoder, labels: Sequence[str], captions: Captions) -> ZeroShot:
    """`labels` as `encoder` reads them.

    Raises:
        UsageError: for fewer than two labels, or one that is there twice.
    """
    if len(labels) < 2:
        raise UsageError("classifying takes two labels at least; give more after --labels")
    if twice := {one for one in labels if labels.count(one) > 1}:
        raise UsageError(f'the label "{sorted(twice)[0]}" is there twice')
    texts = [captions(label) for label in labels]
    vectors = encoder.texts([text for some in texts for text in some])
    ends = np.cumsum([len(some) for some in texts])[:-1]
    means = np.stack([part.mean(axis=0) for part in np.split(vectors, ends)])
    unit: Vectors = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
    return ZeroShot(tuple(labels), unit, encoder.scale, encoder.bias)


def by_templates(templates: Sequence[str]) -> Captions:
    """Captions by templates in which {} stands for the label.

    Raises:
        UsageError: for a template without {}.
    """
    for template in templates:
        if "{}" not in template:
            raise UsageError(f'the template "{template}" has no {{}} for the label to stand in')
    return lambda label: [template.replace("{}", label) for template in templates]


def by_prompt(name: str = PROMPT) -> Captions:
    """Captions by a prompt of the library: each line of what it asks is one.

    Raises:
        UsageError: when there is none, or it has no variable `label`.
    """
    from trivium.prompts.files import find_prompt

    prompt = find_prompt(name)
    if "label" not in {variable.name for variable in prompt.variables}:
        raise UsageError(f'the prompt "{name}" has no variable "label" to make captions with')

    def captions(label: str) -> list[str]:
        asked = prompt.render({"label": label}, []).messages[-1].content
        return [line.strip() for line in asked.splitlines() if line.strip()]

    return captions


def softmax(logits: Floats) -> Floats:
    """Over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
