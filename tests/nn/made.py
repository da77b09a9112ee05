"""Small random models of `transformers`, the reference for ours."""

from typing import Any

import torch
from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

END = 98
SIZE = 24


def clip(activation: str = "quick_gelu", end: int = END) -> Any:
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config=_text(activation, end), vision_config=_vision(activation), projection_dim=16
    )
    return _shaken(CLIPModel(config))


def siglip(activation: str = "gelu_pytorch_tanh") -> Any:
    torch.manual_seed(0)
    text = _text(activation, END) | {"projection_size": 40}
    return _shaken(SiglipModel(SiglipConfig(text_config=text, vision_config=_vision(activation))))


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    """Three pictures and four texts; the texts end early, and end tokens fill the rest."""
    torch.manual_seed(1)
    ids = torch.randint(3, END - 1, (4, 12))
    for row, length in enumerate((7, 9, 11, 5)):
        ids[row, length:] = END
    return torch.randn(3, 3, SIZE, SIZE), ids


def _shaken(model: Any) -> Any:
    """Weights that are not close to zero, so that a part that is missing shows."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "logit" not in name:
                value.add_(torch.randn_like(value) * 0.1)
    return model.eval()


def _text(activation: str, end: int) -> dict[str, Any]:
    return {
        "vocab_size": 99, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 12, "hidden_act": activation,
        "bos_token_id": 1, "eos_token_id": end, "pad_token_id": 0,
    }  # fmt: skip


def _vision(activation: str) -> dict[str, Any]:
    return {
        "hidden_size": 40, "intermediate_size": 56, "num_hidden_layers": 3,
        "num_attention_heads": 5, "image_size": SIZE, "patch_size": 8, "hidden_act": activation,
    }  # fmt: skip
