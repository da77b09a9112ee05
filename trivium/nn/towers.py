"""The two towers of CLIP and SigLIP: a picture, or a text, to one vector each.

B: batch, P: patches, T: tokens, C: width of the tower, E: width of the shared space.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from trivium.nn.attention import Attention
from trivium.nn.block import MLP, Shape, Stack, make_norm

ImagePool = Literal["class", "attention"]
TextPool = Literal["end", "highest", "last"]


@dataclass(frozen=True, slots=True)
class ImageShape:
    """`pool`: the state of a class token (CLIP), or attention by a learned probe (SigLIP)."""

    stack: Shape
    size: int
    patch: int
    pool: ImagePool = "class"
    channels: int = 3


@dataclass(frozen=True, slots=True)
class TextShape:
    """`pool` takes the state of the first `end` token, of the highest id, or of the last token.

    The highest id is what OpenAI's CLIP takes, whose end token has the highest; its published
    configurations carry an `eos_token_id` of 2 that is wrong.
    """

    stack: Shape
    vocabulary: int
    length: int
    end: int
    pool: TextPool = "end"


class ImageTower(nn.Module):
    """A vision transformer (Dosovitskiy et al. 2020, arXiv:2010.11929)."""

    def __init__(self, shape: ImageShape, out: int) -> None:
        super().__init__()
        stack = shape.stack
        self.shape = shape
        has_class = shape.pool == "class"
        self.patches = nn.Conv2d(
            shape.channels, stack.width, shape.patch, stride=shape.patch, bias=not has_class
        )
        count = (shape.size // shape.patch) ** 2
        self.class_token = nn.Parameter(torch.empty(stack.width)) if has_class else None
        self.positions = nn.Parameter(torch.empty(count + has_class, stack.width))
        self.norm_before = make_norm(stack) if has_class else nn.Identity()
        self.stack = Stack(stack)
        self.norm_after = make_norm(stack)
        self.probe = None if has_class else Probe(stack)
        self.project = nn.Linear(stack.width, out, bias=False) if has_class else nn.Identity()

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, size, size) to (B, E), not normalised."""
        states = self.patches(pixels).flatten(2).transpose(1, 2)  # (B, P, C)
        if self.class_token is not None:
            first = self.class_token.expand(len(states), 1, -1)
            states = torch.cat([first, states], dim=1)  # (B, 1 + P, C)
        states = self.stack(self.norm_before(states + self.positions))
        if self.probe is None:
            pooled = self.norm_after(states[:, 0])  # (B, C)
        else:
            pooled = self.probe(self.norm_after(states))
        projected: Tensor = self.project(pooled)
        return projected


class Probe(nn.Module):
    """Attention pooling: one learned query looks at all patches (Zhai et al. 2022)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.empty(shape.width))
        self.attention = Attention(shape.width, shape.heads)
        self.norm = make_norm(shape)
        self.mlp = MLP(shape)

    def forward(self, states: Tensor) -> Tensor:
        """(B, P, C) to (B, C)."""
        query = self.query.expand(len(states), 1, -1)
        pooled = self.attention(query, states)  # (B, 1, C)
        pooled = pooled + self.mlp(self.norm(pooled))
        only: Tensor = pooled[:, 0]
        return only


class TextTower(nn.Module):
    """A transformer over token ids: causal in CLIP, looking both ways in SigLIP."""

    def __init__(self, shape: TextShape, out: int, *, bias: bool = False) -> None:
        super().__init__()
        self.shape = shape
        width = shape.stack.width
        self.tokens = nn.Embedding(shape.vocabulary, width)
        self.positions = nn.Parameter(torch.empty(shape.length, width))
        self.stack = Stack(shape.stack)
        self.norm_after = make_norm(shape.stack)
        self.project = nn.Linear(width, out, bias=bias)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) to (B, E), not normalised. What follows the end token changes nothing in CLIP.

        Raises ValueError for more tokens than the tower has positions.
        """
        if ids.shape[1] > self.shape.length:
            raise ValueError(f"{ids.shape[1]} tokens; the tower reads {self.shape.length}")
        states = self.tokens(ids) + self.positions[: ids.shape[1]]  # (B, T, C)
        states = self.norm_after(self.stack(states))
        pooled = states[torch.arange(len(ids), device=ids.device), self._at(ids)]  # (B, C)
        projected: Tensor = self.project(pooled)
        return projected

    def _at(self, ids: Tensor) -> Tensor:
        """Which token's state stands for the text: (B,)."""
        if self.shape.pool == "end":
            return (ids == self.shape.end).int().argmax(dim=1)  # the first one
        if self.shape.pool == "highest":
            return ids.argmax(dim=1)
        return torch.full((len(ids),), ids.shape[1] - 1, device=ids.device)
