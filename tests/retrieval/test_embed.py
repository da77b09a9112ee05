"""The embedders: the torch-free form against sentence-transformers, and what runs on which."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trivium.errors import Unavailable
from trivium.retrieval import embed
from trivium.retrieval.base import Embedder
from trivium.retrieval.embed import OnnxEmbedder, TorchEmbedder, load_embedder, runs_on_onnx
from trivium.retrieval.index import Index

NAME = "minilm-l6-v2"
TEXTS = [
    "The Nile flows north.",
    "",
    "Straße, naïve, 東京 and 🦜.",
    "one two three " * 300,
    "A" * 500,
    "def main() -> None:\n\treturn None",
]


@pytest.fixture(scope="module")
def onnx(model_cache: Path) -> Embedder:
    return OnnxEmbedder(model_cache / NAME, NAME)


@pytest.fixture(scope="module")
def torch(model_cache: Path) -> Embedder:
    return TorchEmbedder(model_cache / NAME, NAME)


@pytest.mark.model
class TestOnnx:
    def test_the_default_embedder_runs_on_onnx(self, real_models: Path) -> None:
        embedder = load_embedder(NAME)
        assert isinstance(embedder, OnnxEmbedder)
        assert (embedder.name, embedder.dimension, embedder.max_tokens) == (NAME, 384, 254)

    def test_vectors_are_unit_vectors_whatever_the_text(self, onnx: Embedder) -> None:
        vectors = onnx.encode(TEXTS)
        assert vectors.shape == (len(TEXTS), 384)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        assert onnx.encode([]).shape == (0, 384)

    def test_a_vector_does_not_depend_on_its_neighbours(self, onnx: Embedder) -> None:
        together = onnx.encode(TEXTS)
        for text, vector in zip(TEXTS, together, strict=True):
            assert onnx.encode([text])[0].tobytes() == vector.tobytes()
        backwards = onnx.encode(TEXTS[::-1])
        assert backwards[::-1].tobytes() == together.tobytes()

    def test_what_is_longer_than_the_model_sees_is_cut(self, onnx: Embedder) -> None:
        words = "word " * onnx.max_tokens
        assert onnx.encode([words]).tobytes() == onnx.encode([words + "more words"]).tobytes()
        assert onnx.encode([words]).tobytes() != onnx.encode([words[:-5]]).tobytes()

    @settings(
        max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(text=st.text(max_size=60))
    def test_token_offsets_are_spans_in_order(self, onnx: Embedder, text: str) -> None:
        ends = 0
        for start, end in onnx.token_offsets(text):
            assert 0 <= start < end <= len(text)
            assert end >= ends
            ends = end

    def test_offsets_are_never_cut(self, onnx: Embedder) -> None:
        text = "word " * 1000
        offsets = onnx.token_offsets(text)
        assert len(offsets) == 1000
        assert offsets[-1] == (4995, 4999)

    def test_the_graph_is_made_once_and_found_again(
        self, model_cache: Path, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = OnnxEmbedder(model_cache / NAME).encode(TEXTS[:1])
        (graph,) = (home / "cache").iterdir()
        monkeypatch.setattr("trivium.retrieval.onnx_bert.build", None)
        assert OnnxEmbedder(model_cache / NAME).encode(TEXTS[:1]).tobytes() == first.tobytes()
        assert graph.name == f"{embed.fingerprint(model_cache / NAME)}-1.onnx"

    def test_without_a_place_for_the_graph_it_runs_from_memory(
        self, model_cache: Path, home: Path, onnx: Embedder
    ) -> None:
        home.write_text("no folder can be made here")
        vectors = OnnxEmbedder(model_cache / NAME).encode(TEXTS[:1])
        assert vectors.tobytes() == onnx.encode(TEXTS[:1]).tobytes()


@pytest.mark.model
class TestAgainstSentenceTransformers:
    def test_both_forms_share_a_fingerprint_and_their_tokens(
        self, onnx: Embedder, torch: Embedder
    ) -> None:
        assert onnx.fingerprint == torch.fingerprint
        assert (onnx.dimension, onnx.max_tokens) == (torch.dimension, torch.max_tokens)
        for text in TEXTS:
            assert list(onnx.token_offsets(text)) == list(torch.token_offsets(text))

    def test_both_forms_find_the_same_paragraphs(
        self, onnx: Embedder, torch: Embedder, data: Path
    ) -> None:
        """Issue 2: the ten nearest overlap by at least 0.95 on real queries (XQuAD-en)."""
        articles = json.loads((data / "xquad" / "xquad.en.json").read_text("utf-8"))["data"]
        paragraphs = [p for article in articles for p in article["paragraphs"]]
        questions = [qa["question"] for p in paragraphs for qa in p["qas"]][::11][:100]
        texts = [p["context"] for p in paragraphs]
        assert (len(texts), len(questions)) == (240, 100)

        nearest = []
        vectors = []
        for embedder in (onnx, torch):
            asked, held = embedder.encode(questions, query=True), embedder.encode(texts)
            vectors.append(np.concatenate([asked, held]))
            nearest.append(np.argsort(-(asked @ held.T), axis=1, kind="stable")[:, :10])
        cosines = (vectors[0] * vectors[1]).sum(axis=1)
        overlaps = [
            len(np.intersect1d(mine, theirs)) / 10 for mine, theirs in zip(*nearest, strict=True)
        ]
        assert cosines.mean() >= 0.99
        assert np.mean(overlaps) >= 0.95


class TestWhichFormRuns:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A model by its configuration alone."""
        folder = tmp_path / "model"
        (folder / "1_Pooling").mkdir(parents=True)
        modules = [
            {"type": f"sentence_transformers.models.{n}"} for n in ("Transformer", "Pooling")
        ]
        self.write(folder, "modules.json", modules)
        self.write(folder, "config.json", {"model_type": "bert", "hidden_act": "gelu"})
        self.write(folder, "1_Pooling/config.json", {"pooling_mode_mean_tokens": True})
        (folder / "tokenizer.json").touch()
        (folder / "model.safetensors").touch()
        return folder

    def write(self, folder: Path, name: str, value: object) -> None:
        (folder / name).write_text(json.dumps(value))

    @pytest.mark.parametrize(
        "pooling",
        [
            {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False},
            {"pooling_mode_cls_token": True},
            {"pooling_mode": "mean"},
        ],
    )
    def test_a_bert_with_one_way_of_pooling(self, folder: Path, pooling: object) -> None:
        self.write(folder, "1_Pooling/config.json", pooling)
        assert runs_on_onnx(folder)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}),
            (
                "1_Pooling/config.json",
                {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True},
            ),
            ("config.json", {"model_type": "mpnet", "hidden_act": "gelu"}),
            ("config.json", {"model_type": "bert", "hidden_act": "relu"}),
            (
                "config.json",
                {
                    "model_type": "bert",
                    "hidden_act": "gelu",
                    "position_embedding_type": "relative_key",
                },
            ),
            (
                "modules.json",
                [{"type": "x.Transformer"}, {"type": "x.Pooling"}, {"type": "x.Dense"}],
            ),
            ("modules.json", "nonsense"),
        ],
    )
    def test_anything_else_is_for_sentence_transformers(
        self, folder: Path, name: str, value: object
    ) -> None:
        self.write(folder, name, value)
        assert not runs_on_onnx(folder)

    @pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors", "config.json"])
    def test_a_missing_file_too(self, folder: Path, name: str) -> None:
        (folder / name).unlink()
        assert not runs_on_onnx(folder)

    def test_what_is_no_embedder_is_named(self, folder: Path) -> None:
        (folder / "modules.json").unlink()
        with pytest.raises(Unavailable, match=r"is no embedder: .* has no modules\.json"):
            load_embedder(str(folder))

    def test_an_embedder_that_is_not_pulled_says_how(self) -> None:
        with pytest.raises(Unavailable, match=f"trivium models pull {NAME}"):
            load_embedder(NAME)


class TestFingerprint:
    def test_weights_pooling_and_tokenizer_change_it_and_a_copy_does_not(
        self, tmp_path: Path
    ) -> None:
        folder = tmp_path / "a"
        (folder / "1_Pooling").mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(bytes(1000))
        seen = {embed.fingerprint(folder)}
        for name, content in (
            ("model.safetensors", bytes(999) + b"\1"),
            ("1_Pooling/config.json", b"{}"),
            ("tokenizer.json", b"{}"),
        ):
            (folder / name).write_bytes(content)
            seen.add(embed.fingerprint(folder))
        assert len(seen) == 4
        shutil.copytree(folder, tmp_path / "b")
        assert embed.fingerprint(tmp_path / "b") in seen


@pytest.mark.model
def test_a_search_imports_neither_torch_nor_langchain(real_models: Path, tmp_path: Path) -> None:
    (tmp_path / "nile.txt").write_text("The Nile flows north.")
    with Index.create("rivers", embedder=load_embedder(NAME)) as index:
        index.add([tmp_path / "nile.txt"])
    code = (
        "import json, sys\n"
        "from trivium.retrieval.embed import load_embedder\n"
        "from trivium.retrieval.index import Index\n"
        f"with Index.open('rivers', embedder=load_embedder('{NAME}')) as index:\n"
        "    assert index.search('Which river flows north?')\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    imported = set(json.loads(result.stdout))
    assert {"faiss", "onnxruntime", "tokenizers"} <= imported
    unwanted = {"torch", "transformers", "sentence_transformers", "onnx", "pydantic", "llama_cpp"}
    assert {name for name in imported if name.startswith("lang")} | (imported & unwanted) == set()
