"""The one transformer block, whose parts are chosen by name.

Pre-norm of GPT-2, CLIP and Llama, or post-norm of BERT; LayerNorm or RMSNorm; a plain or a gated
MLP. Shapes as in `attention`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from trivium.nn.attention import Attention, Position, Scope

Norm = Literal["layer", "rms"]
Activation = Literal["gelu", "gelu_tanh", "quick_gelu", "relu", "silu"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a stack of blocks is made of.

    `norm`: LayerNorm (Ba et al. 2016, arXiv:1607.06450) or RMSNorm (Zhang & Sennrich 2019,
    arXiv:1910.07467). `gated`: the MLP is W₃(f(W₁x) · W₂x) (Shazeer 2020, arXiv:2002.05202).
    """

    width: int
    layers: int
    heads: int
    mlp_width: int
    norm: Norm = "layer"
    norm_first: bool = True
    norm_epsilon: float = 1e-5
    position: Position = "none"
    scope: Scope = "full"
    key_heads: int | None = None
    activation: Activation = "gelu"
    gated: bool = False
    bias: bool = True


def quick_gelu(states: Tensor) -> Tensor:
    """x σ(1.702 x), the approximation that OpenAI's CLIP was trained with."""
    return states * torch.sigmoid(1.702 * states)


def gelu_tanh(states: Tensor) -> Tensor:
    """GELU by its tanh approximation (Hendrycks & Gimpel 2016, arXiv:1606.08415)."""
    return functional.gelu(states, approximate="tanh")


ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_tanh": gelu_tanh,
    "quick_gelu": quick_gelu,
    "relu": functional.relu,
    "silu": functional.silu,
}


def make_norm(shape: Shape) -> nn.Module:
    kind = nn.LayerNorm if shape.norm == "layer" else nn.RMSNorm
    return kind(shape.width, eps=shape.norm_epsilon)


class MLP(nn.Module):
    """Up, bend, down: (B, T, C) to (B, T, C)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[shape.activation]
        self.up = nn.Linear(shape.width, shape.mlp_width, shape.bias)
        self.gate = nn.Linear(shape.width, shape.mlp_width, shape.bias) if shape.gated else None
        self.down = nn.Linear(shape.mlp_width, shape.width, shape.bias)

    def forward(self, states: Tensor) -> Tensor:
        if self.gate is None:
            inner = self.activation(self.up(states))  # (B, T, M)
        else:
            inner = self.activation(self.gate(states)) * self.up(states)
        lowered: Tensor = self.down(inner)
        return lowered


class Block(nn.Module):
    """Attention and MLP, each around a residual: (B, T, C) to (B, T, C)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm_first = shape.norm_first
        self.norm1 = make_norm(shape)
        self.attention = Attention(
            shape.width,
            shape.heads,
            key_heads=shape.key_heads,
            bias=shape.bias,
            scope=shape.scope,
            position=shape.position,
        )
        self.norm2 = make_norm(shape)
        self.mlp = MLP(shape)

    def forward(self, states: Tensor, bias: Tensor | None = None) -> Tensor:
        """`bias` is added to the attention's logits: the mask of padding, say."""
        if self.norm_first:
            states = states + self.attention(self.norm1(states), bias=bias)
            states = states + self.mlp(self.norm2(states))
        else:
            states = self.norm1(states + self.attention(states, bias=bias))
            states = self.norm2(states + self.mlp(states))
        return states


class Stack(nn.Module):
    """Blocks one after the other: (B, T, C) to (B, T, C)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))

    def forward(self, states: Tensor, bias: Tensor | None = None) -> Tensor:
        for block in self.blocks:
            states = block(states, bias)
        return states
