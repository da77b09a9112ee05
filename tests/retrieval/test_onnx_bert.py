"""The derived ONNX graph against the BERT of transformers, on small models with random weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from trivium.retrieval.onnx_bert import build

Hidden = npt.NDArray[np.float32]
IDS = [[2, 9, 14, 3], [2, 30, 31, 32, 33, 34, 35, 36, 7, 3], [2, 3]]


def bert(folder: Path, layers: int, **given: Any) -> Any:
    """A BERT whose weights are as large as trained ones, saved in `folder`."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=40,
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=24,
        initializer_range=0.3,
        **given,
    )
    model: Any = BertModel(config, add_pooling_layer=False)
    model.eval()
    for name, weight in model.named_parameters():
        if name.endswith("bias"):  # which begin at zero, where a wrong one would not show
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    return model


def by_torch(model: Any, ids: list[int]) -> Hidden:
    import torch

    with torch.no_grad():
        hidden: Hidden = model(torch.tensor([ids])).last_hidden_state[0].numpy()
    return hidden


def by_onnx(folder: Path, ids: list[int]) -> Hidden:
    import onnxruntime

    config = json.loads((folder / "config.json").read_text())
    session = onnxruntime.InferenceSession(
        build(config, folder / "model.safetensors"), providers=["CPUExecutionProvider"]
    )
    hidden: Hidden = session.run(None, {"input_ids": np.array([ids], np.int32)})[0][0]
    return hidden


@pytest.mark.parametrize("ids", IDS, ids=len)
def test_an_unquantised_layer_is_that_of_transformers(tmp_path: Path, ids: list[int]) -> None:
    model = bert(tmp_path, layers=1)
    np.testing.assert_allclose(by_onnx(tmp_path, ids), by_torch(model, ids), atol=2e-5)


@pytest.mark.parametrize("ids", IDS, ids=len)
def test_quantised_layers_stay_close(tmp_path: Path, ids: list[int]) -> None:
    model = bert(tmp_path, layers=4)
    mine, theirs = by_onnx(tmp_path, ids), by_torch(model, ids)
    lengths = np.linalg.norm(mine, axis=1) * np.linalg.norm(theirs, axis=1)
    assert ((mine * theirs).sum(axis=1) / lengths).min() > 0.995


def test_the_epsilon_of_the_configuration_counts(tmp_path: Path) -> None:
    model = bert(tmp_path, layers=1, layer_norm_eps=0.5)
    np.testing.assert_allclose(by_onnx(tmp_path, IDS[0]), by_torch(model, IDS[0]), atol=2e-5)


def test_names_with_a_prefix_are_found(tmp_path: Path) -> None:
    """A BERT saved as part of a larger model: `bert.embeddings...`."""
    from safetensors.numpy import load_file, save_file

    model = bert(tmp_path, layers=1)
    file = tmp_path / "model.safetensors"
    save_file({f"bert.{name}": weight for name, weight in load_file(file).items()}, file)
    np.testing.assert_allclose(by_onnx(tmp_path, IDS[0]), by_torch(model, IDS[0]), atol=2e-5)


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    bert(tmp_path, layers=2)
    config = json.loads((tmp_path / "config.json").read_text())
    file = tmp_path / "model.safetensors"
    assert build(config, file) == build(config, file)
