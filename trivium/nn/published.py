"""What Hugging Face layout says of two towers, read without torch.

config.json with the values it leaves out, and the files of weights as NumPy arrays.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.nn.two_towers import Kind

Config = Mapping[str, Any]
Arrays = dict[str, npt.NDArray[np.float32]]

CONFIG, WEIGHTS, PARTS = "config.json", "model.safetensors", "model.safetensors.index.json"
LEGACY_END = 2
"""The `eos_token_id` of OpenAI's published configurations, which their text tower never used."""

# what a published config.json leaves out stands for the value of the first published model
_TEXT: dict["Kind", dict[str, Any]] = {
    "clip": {
        "vocab_size": 49408, "hidden_size": 512, "intermediate_size": 2048,
        "num_hidden_layers": 12, "num_attention_heads": 8, "max_position_embeddings": 77,
        "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "eos_token_id": 49407,
    },
    "siglip": {
        "vocab_size": 32000, "hidden_size": 768, "intermediate_size": 3072,
        "num_hidden_layers": 12, "num_attention_heads": 12, "max_position_embeddings": 64,
        "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6, "eos_token_id": 49407,
    },
}  # fmt: skip
_VISION: dict["Kind", dict[str, Any]] = {
    "clip": {
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "num_channels": 3, "image_size": 224, "patch_size": 32,
        "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
    },
    "siglip": {
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "num_channels": 3, "image_size": 224, "patch_size": 16,
        "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
    },
}  # fmt: skip


def read_config(folder: Path) -> tuple[Config, "Kind"]:
    """config.json of a CLIP or a SigLIP.

    Raises:
        UsageError: when there is none.
    """
    file = folder / CONFIG
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{folder} is no model folder: it has no {CONFIG}") from error
    except ValueError as error:
        raise UsageError(f"{file} is not JSON: {error}") from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in ("clip", "siglip"):
        raise UsageError(f'{file} describes "{kind}"; clip and siglip are known')
    return config, kind


def complete(config: Config, kind: "Kind") -> tuple[dict[str, Any], dict[str, Any]]:
    """The text tower's and the picture tower's part of a config.json, nothing left out."""
    text = _TEXT[kind] | (config.get("text_config") or {})
    return text, _VISION[kind] | (config.get("vision_config") or {})


def shared_width(config: Config, kind: "Kind") -> int:
    """The width of the space that both towers share."""
    if kind == "clip":
        return int(config.get("projection_dim", 512))
    text, _ = complete(config, kind)
    return int(text.get("projection_size") or text["hidden_size"])


def weight_files(folder: Path) -> Sequence[Path]:
    """model.safetensors, or the parts that its index names.

    Raises:
        UsageError: when one is not there.
    """
    names = [WEIGHTS]
    if not (folder / WEIGHTS).exists() and (folder / PARTS).exists():
        index = json.loads((folder / PARTS).read_text(encoding="utf-8"))
        names = sorted(set(index["weight_map"].values()))
    files = [folder / Path(name).name for name in names]  # an index may not lead out of its folder
    for file in files:
        if not file.exists():
            raise UsageError(
                f"{folder} has no {file.name}; weights in pickled files (.bin, .pt) are not read"
            )
    return files


def read_arrays(folder: Path, prefixes: tuple[str, ...]) -> Arrays:
    """The tensors of `weight_files` whose names begin with one of `prefixes`, in float32.

    Raises:
        UsageError: when a file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    found: Arrays = {}
    for file in weight_files(folder):
        try:
            with safe_open(file, "np") as opened:
                names = [name for name in list(opened.keys()) if name.startswith(prefixes)]
            found |= _read(file, names)
        except SafetensorError as error:
            raise UsageError(f"{file} is damaged: {error}") from error
    return found


def read_rows(folder: Path, name: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Some rows of one tensor, (rows, C): of a table of many words nothing else is read.

    Raises:
        UsageError: when there is no tensor of that name.
    """
    for file in weight_files(folder):
        header, data = _mapped(file)
        if name in header:
            said = header[name]
            start, end = said["data_offsets"]
            table = data[start:end].reshape(said["shape"][0], -1)
            return _floats(table[rows], said["dtype"])
    raise UsageError(f"the model has no weights called {name}")


def _read(file: Path, names: Collection[str]) -> Arrays:
    """Tensors of a file whose header has been checked; those that are no floats are left out."""
    header, data = _mapped(file)
    found: Arrays = {}
    for name in names:
        said = header[name]
        start, end = said["data_offsets"]
        if said["dtype"] in _FLOATS:  # others are tables of positions, and the like
            found[name] = _floats(data[start:end], said["dtype"]).reshape(said["shape"])
    return found


def _mapped(file: Path) -> tuple[dict[str, Any], npt.NDArray[np.uint8]]:
    """The header of a safetensors file, and what follows it, which is not read yet.

    Its own reader has no bfloat16 for NumPy. The layout: the header's size in 8 bytes, the header
    as JSON with each tensor's place, then the tensors, all of it little-endian.
    """
    with file.open("rb") as opened:
        size = int.from_bytes(opened.read(8), "little")
        header: dict[str, Any] = json.loads(opened.read(size))
    return header, np.memmap(file, np.uint8, "r", offset=8 + size)


def _floats(raw: npt.NDArray[np.uint8], kind: str) -> npt.NDArray[np.float32]:
    """Bytes along the last axis as float32."""
    values = raw.view(_FLOATS[kind])
    if kind == "BF16":
        values = (values.astype("<u4") << 16).view("<f4")
    return values.astype(np.float32)


_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
