"""Two towers in Hugging Face layout: config.json and model.safetensors, in and out, no pickle.

The names of weights differ from ours by prefixes alone; the two exceptions are SigLIP's pooling
head, which holds three projections in one matrix, and numbers that it keeps in arrays of one.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trivium.errors import UsageError
from trivium.nn.block import Activation, Shape
from trivium.nn.published import (
    CONFIG,
    LEGACY_END,
    WEIGHTS,
    Config,
    complete,
    read_config,
    shared_width,
    weight_files,
)
from trivium.nn.towers import ImageShape, TextPool, TextShape
from trivium.nn.two_towers import Kind, TwoTowers, TwoTowersShape
from trivium.paths import atomic_write

_ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "quick_gelu": "quick_gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
}
_NAMES = (  # ours, theirs; of either kind, the longest that fits
    ("text.tokens", "text_model.embeddings.token_embedding"),
    ("text.positions", "text_model.embeddings.position_embedding.weight"),
    ("text.stack.blocks", "text_model.encoder.layers"),
    ("text.norm_after", "text_model.final_layer_norm"),
    ("image.patches", "vision_model.embeddings.patch_embedding"),
    ("image.positions", "vision_model.embeddings.position_embedding.weight"),
    ("image.class_token", "vision_model.embeddings.class_embedding"),
    ("image.norm_before", "vision_model.pre_layrnorm"),  # spelt so in every published file
    ("image.stack.blocks", "vision_model.encoder.layers"),
    ("image.norm_after", "vision_model.post_layernorm"),
    ("image.project", "visual_projection"),
    ("image.probe.query", "vision_model.head.probe"),
    ("image.probe.attention.out", "vision_model.head.attention.out_proj"),
    ("image.probe.norm", "vision_model.head.layernorm"),
    ("image.probe.mlp", "vision_model.head.mlp"),
    ("log_scale", "logit_scale"),
    ("bias", "logit_bias"),
)
_INSIDE = (  # of a block, or of the probe's MLP
    (".norm1.", ".layer_norm1."),
    (".norm2.", ".layer_norm2."),
    (".attention.query.", ".self_attn.q_proj."),
    (".attention.key.", ".self_attn.k_proj."),
    (".attention.value.", ".self_attn.v_proj."),
    (".attention.out.", ".self_attn.out_proj."),
    (".mlp.up.", ".mlp.fc1."),
    (".mlp.down.", ".mlp.fc2."),
)
_JOINED = "vision_model.head.attention.in_proj_"  # + weight (3C, C) and bias (3C)


def load_two_towers(folder: Path) -> TwoTowers:
    """The model in `folder`, in float32 on the CPU.

    Raises:
        UsageError: when it is not there, of a kind that is not known, or does not fit itself.
    """
    model = TwoTowers(read_shape(folder))
    theirs = read_weights(folder)
    own = model.state_dict()
    try:
        found = {name: _take(name, own[name], theirs, model.shape.kind) for name in own}
    except KeyError as error:
        raise UsageError(f"{folder} has no weights called {error.args[0]}") from error
    except RuntimeError as error:  # torch's word for another shape
        raise UsageError(f"{folder} does not fit its own {CONFIG}: {error}") from error
    model.load_state_dict(found)
    return model.eval()


def save_two_towers(model: TwoTowers, folder: Path) -> None:
    """Write config.json and model.safetensors, each whole or not at all."""
    from safetensors.torch import save

    own = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    kind = model.shape.kind
    theirs = {_theirs(name, kind): value for name, value in own.items() if ".probe." not in name}
    if kind == "siglip":
        theirs |= _probe_out(own)
        theirs |= {name: theirs[name].reshape(1) for name in ("logit_scale", "logit_bias")}
    with atomic_write(folder / WEIGHTS) as file:
        file.write(save(theirs, metadata={"format": "pt"}))
    with atomic_write(folder / CONFIG) as file:
        file.write(json.dumps(to_config(model.shape), indent=2).encode() + b"\n")


def read_shape(folder: Path) -> TwoTowersShape:
    """What config.json says.

    Raises:
        UsageError: when there is none that describes a CLIP or a SigLIP.
    """
    return from_config(*read_config(folder))


def from_config(config: Config, kind: Kind) -> TwoTowersShape:
    """A parsed config.json as the shape of both towers."""
    text, image = complete(config, kind)
    clip = kind == "clip"
    end = text["eos_token_id"]
    pool: TextPool = "last" if not clip else "highest" if end == LEGACY_END else "end"
    return TwoTowersShape(
        kind,
        ImageShape(
            _stack(image, causal=False),
            image["image_size"],
            image["patch_size"],
            "class" if clip else "attention",
            image["num_channels"],
        ),
        TextShape(
            _stack(text, causal=clip),
            text["vocab_size"],
            text["max_position_embeddings"],
            end,
            pool,
        ),
        shared_width(config, kind),
    )


def to_config(shape: TwoTowersShape) -> dict[str, Any]:
    """The config.json that `transformers` reads as the same model."""
    clip = shape.kind == "clip"
    text = _unstack(shape.text.stack) | {
        "model_type": f"{shape.kind}_text_model",
        "vocab_size": shape.text.vocabulary,
        "max_position_embeddings": shape.text.length,
        "eos_token_id": shape.text.end,
    }
    image = _unstack(shape.image.stack) | {
        "model_type": f"{shape.kind}_vision_model",
        "image_size": shape.image.size,
        "patch_size": shape.image.patch,
        "num_channels": shape.image.channels,
    }
    if clip:
        text["projection_dim"] = image["projection_dim"] = shape.width
    else:
        text["projection_size"] = shape.width
    return {
        "architectures": ["CLIPModel" if clip else "SiglipModel"],
        "model_type": shape.kind,
        **({"projection_dim": shape.width} if clip else {}),
        "text_config": text,
        "vision_config": image,
    }


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of model.safetensors, or of the parts that its index names, in float32.

    Raises:
        UsageError: when there is none, or one is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    found: dict[str, Tensor] = {}
    for file in weight_files(folder):
        try:
            found |= load_file(file)
        except SafetensorError as error:
            raise UsageError(f"{file} is damaged: {error}") from error
    return {name: value.float() for name, value in found.items() if value.is_floating_point()}


def _stack(config: Config, *, causal: bool) -> Shape:
    activation = _ACTIVATIONS.get(config["hidden_act"])
    if activation is None:
        raise UsageError(f'the activation "{config["hidden_act"]}" is not known in two towers')
    return Shape(
        config["hidden_size"],
        config["num_hidden_layers"],
        config["num_attention_heads"],
        config["intermediate_size"],
        norm_epsilon=config["layer_norm_eps"],
        activation=activation,
        scope="causal" if causal else "full",
    )


def _unstack(shape: Shape) -> dict[str, Any]:
    names = {ours: theirs for theirs, ours in _ACTIVATIONS.items() if theirs != "gelu_new"}
    return {
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.mlp_width,
        "layer_norm_eps": shape.norm_epsilon,
        "hidden_act": names[shape.activation],
    }


def _theirs(name: str, kind: Kind) -> str:
    """Our name of a weight as Hugging Face's."""
    if name.startswith("text.project"):
        prefix = "text_projection" if kind == "clip" else "text_model.head"
        return name.replace("text.project", prefix)
    fitting = [pair for pair in _NAMES if name.startswith(pair[0])]
    ours, theirs = max(fitting, key=lambda pair: len(pair[0]))
    name = theirs + name.removeprefix(ours)
    for inner, outer in _INSIDE:
        name = name.replace(inner, outer)
    return name


def _take(name: str, own: Tensor, theirs: Mapping[str, Tensor], kind: Kind) -> Tensor:
    """The weights for ours called `name`, out of theirs."""
    for at, part in enumerate(("query", "key", "value")):
        if name.startswith(f"image.probe.attention.{part}."):
            joined = theirs[_JOINED + name.rpartition(".")[2]]
            return joined.chunk(3)[at]
    return theirs[_theirs(name, kind)].reshape(own.shape)


def _probe_out(own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """SigLIP's pooling head under Hugging Face's names."""
    theirs = {
        _theirs(name, "siglip"): value
        for name, value in own.items()
        if name.startswith(("image.probe.attention.out", "image.probe.norm", "image.probe.mlp"))
    }
    for kind in ("weight", "bias"):
        parts = [own[f"image.probe.attention.{part}.{kind}"] for part in ("query", "key", "value")]
        theirs[_JOINED + kind] = torch.cat(parts)
    theirs["vision_model.head.probe"] = own["image.probe.query"].reshape(1, 1, -1)
    return theirs
