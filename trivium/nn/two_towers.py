"""A picture tower and a text tower that meet in one space, and the two losses that train them."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from trivium.nn.block import Stack
from trivium.nn.towers import ImageShape, ImageTower, TextShape, TextTower

Kind = Literal["clip", "siglip"]
LARGEST_SCALE = 100.0
"""CLIP clamps its learned scale here, "to prevent training instability" (section 2.5)."""


@dataclass(frozen=True, slots=True)
class TwoTowersShape:
    """Both towers, and the width of the space they share. `kind` decides the loss."""

    kind: Kind
    image: ImageShape
    text: TextShape
    width: int


class Logits(NamedTuple):
    """How well pictures and texts go together, and the unit vectors behind it.

    logits: (pictures, texts); image: (pictures, E); text: (texts, E).
    """

    logits: Tensor
    image: Tensor
    text: Tensor


class TwoTowers(nn.Module):
    """CLIP (Radford et al. 2021, arXiv:2103.00020) or SigLIP (Zhai et al. 2023, arXiv:2303.15343).

    A logit is scale · cosine, to which SigLIP adds a learned bias; the scale is learned as its
    logarithm.
    """

    def __init__(self, shape: TwoTowersShape) -> None:
        super().__init__()
        self.shape = shape
        self.image = ImageTower(shape.image, shape.width)
        self.text = TextTower(shape.text, shape.width, bias=shape.kind == "siglip")
        # the papers' first values: a temperature of 0.07; a scale of 10 and a bias of -10
        clip = shape.kind == "clip"
        self.log_scale = nn.Parameter(torch.tensor(1 / 0.07 if clip else 10.0).log())
        self.bias = None if clip else nn.Parameter(torch.tensor(-10.0))
        initialise(self)

    def embed_images(self, pixels: Tensor) -> Tensor:
        """(B, 3, size, size) to unit vectors, (B, E)."""
        return functional.normalize(self.image(pixels), dim=-1)

    def embed_texts(self, ids: Tensor) -> Tensor:
        """(B, T) to unit vectors, (B, E)."""
        return functional.normalize(self.text(ids), dim=-1)

    def forward(self, pixels: Tensor, ids: Tensor) -> Logits:
        image, text = self.embed_images(pixels), self.embed_texts(ids)
        return Logits(self.compare(image, text), image, text)

    def compare(self, image: Tensor, text: Tensor) -> Tensor:
        """Unit vectors (I, E) and (T, E) to logits (I, T)."""
        logits = self.log_scale.exp() * image @ text.T
        return logits if self.bias is None else logits + self.bias

    def clamp(self) -> None:
        """Keep the scale at most `LARGEST_SCALE`; to be called after each step."""
        with torch.no_grad():
            self.log_scale.clamp_(max=torch.tensor(LARGEST_SCALE).log())


def clip_loss(logits: Tensor) -> Tensor:
    """The mean of the cross-entropies by row and by column; pair i is on the diagonal.

    (CE(L, 0..n-1) + CE(Lᵀ, 0..n-1)) / 2, CLIP, figure 3. `logits`: (n, n).
    """
    at = torch.arange(len(logits), device=logits.device)
    by_image = functional.cross_entropy(logits, at)
    by_text = functional.cross_entropy(logits.T, at)
    return (by_image + by_text) / 2


def siglip_loss(logits: Tensor) -> Tensor:
    """-1/n Σᵢⱼ log σ(zᵢⱼ Lᵢⱼ) with z = 1 on the diagonal and -1 elsewhere; SigLIP, equation 1."""
    signs = 2 * torch.eye(len(logits), device=logits.device, dtype=logits.dtype) - 1
    return -functional.logsigmoid(signs * logits).sum() / len(logits)


LOSSES = {"clip": clip_loss, "siglip": siglip_loss}


def initialise(model: TwoTowers) -> None:
    """First weights as in CLIP's code: small normal ones, residual outputs smaller with depth."""
    with torch.no_grad():
        for tower in (model.image, model.text):
            width = tower.shape.stack.width
            nn.init.normal_(tower.positions, std=0.01 if tower is model.text else width**-0.5)
            _initialise_stack(tower.stack, width)
            if isinstance(tower.project, nn.Linear):
                nn.init.normal_(tower.project.weight, std=width**-0.5)
        nn.init.normal_(model.text.tokens.weight, std=0.02)
        image = model.image
        width = image.shape.stack.width
        if image.class_token is not None:
            nn.init.normal_(image.class_token, std=width**-0.5)
        if image.probe is not None:
            nn.init.normal_(image.probe.query, std=width**-0.5)


def _initialise_stack(stack: Stack, width: int) -> None:
    layers = len(stack.blocks)
    for block in stack.blocks:
        attention, mlp = block.attention, block.mlp
        assert isinstance(attention, nn.Module) and isinstance(mlp, nn.Module)
        for name, std in (
            ("query", width**-0.5),
            ("key", width**-0.5),
            ("value", width**-0.5),
            ("out", width**-0.5 * (2 * layers) ** -0.5),
        ):
            _normal(attention, name, std)
        _normal(mlp, "up", (2 * width) ** -0.5)
        _normal(mlp, "down", width**-0.5 * (2 * layers) ** -0.5)


def _normal(module: nn.Module, name: str, std: float) -> None:
    linear = getattr(module, name)
    nn.init.normal_(linear.weight, std=std)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
