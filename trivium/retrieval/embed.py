"""Texts to unit vectors: without torch where the model allows it, by sentence-transformers else."""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trivium import paths
from trivium.errors import TriviumError, Unavailable
from trivium.retrieval.base import Embedder, Vectors

if TYPE_CHECKING:
    import onnxruntime
    from tokenizers import Encoding, Tokenizer

_SAMPLE = 1 << 16


def load_embedder(name: str) -> Embedder:
    """The embedder that `name` means: of the catalogue, or a sentence-transformers folder.

    A BERT with mean or first-token pooling runs on onnxruntime and never imports torch.

    Raises:
        Unavailable: when it is not pulled.
    """
    from trivium.models import store

    folder = store.resolve(name)
    if not (folder / "modules.json").is_file():
        raise Unavailable(
            f'"{name}" is no embedder: {folder} has no modules.json of sentence-transformers; '
            "see trivium models list"
        )
    return OnnxEmbedder(folder, name) if runs_on_onnx(folder) else TorchEmbedder(folder, name)


def runs_on_onnx(folder: Path) -> bool:
    """Whether `OnnxEmbedder` can run the model in `folder` faithfully."""
    try:
        config = _json(folder, "config.json")
        pooling = _json(folder, "1_Pooling/config.json")
        modules = [str(module["type"]).rsplit(".", 1)[-1] for module in _modules(folder)]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return (
        modules in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
        and config.get("model_type") == "bert"
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and _pooling(pooling) is not None
        and (folder / "tokenizer.json").is_file()
        and (folder / "model.safetensors").is_file()
    )


def fingerprint(
    folder: Path, names: Sequence[str] = ("config.json", "modules.json", "tokenizer.json")
) -> str:
    """Sixteen hexadecimal digits for weights, tokenizer and pooling, whichever form runs them.

    Of each weights file its size and three samples are read: models differ in all of it. The files
    called `names` are read whole.
    """
    digest = hashlib.sha256()
    files = [folder / name for name in names]
    files += sorted(folder.glob("*_Pooling/config.json"))
    for file in files:
        if file.is_file():
            digest.update(file.read_bytes())
    for file in sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model.bin")]):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}".encode())
        with file.open("rb") as opened:
            for at in (0, size // 2, max(size - _SAMPLE, 0)):
                opened.seek(at)
                digest.update(opened.read(_SAMPLE))
    return digest.hexdigest()[:16]


class OnnxEmbedder:
    """A BERT on onnxruntime: one text a run, as many runs at once as there are cores.

    Its graph is derived from the safetensors on first use and kept in the user's folder.
    """

    def __init__(self, folder: Path, name: str | None = None) -> None:
        self._folder = folder
        self._name = name or str(folder)
        self._config = _json(folder, "config.json")
        self._mean = _pooling(_json(folder, "1_Pooling/config.json")) == "mean"
        self._query, self._document = _prompts(folder)

    @property
    def name(self) -> str:
        return self._name

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self._folder)

    @property
    def dimension(self) -> int:
        return int(self._config["hidden_size"])

    @cached_property
    def _length(self) -> int:
        """Tokens that one run takes, special ones included."""
        limit = int(self._config["max_position_embeddings"])
        file = self._folder / "sentence_bert_config.json"
        given = json.loads(file.read_text()).get("max_seq_length") if file.is_file() else None
        return min(limit, int(given)) if given else limit

    @property
    def max_tokens(self) -> int:
        return self._length - 2

    def token_offsets(self, text: str) -> Sequence[tuple[int, int]]:
        encoding = self._whole.encode(text, add_special_tokens=False)
        return encoding.offsets

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        prompt = self._query if query else self._document
        encodings = self._cut.encode_batch([prompt + text for text in texts])
        if len(encodings) == 1:
            return self._run(encodings[0])[None]
        # Longest first, so that no core is left with a long text at the end.
        order = sorted(range(len(texts)), key=lambda i: -len(encodings[i].ids))
        vectors = np.empty((len(texts), self.dimension), np.float32)
        rows = self._pool.map(self._run, (encodings[i] for i in order))
        for i, row in zip(order, rows, strict=True):
            vectors[i] = row
        return vectors

    def _run(self, encoding: "Encoding") -> Vectors:
        ids = np.array([encoding.ids], np.int32)
        hidden = self._session.run(None, {"input_ids": ids})[0][0]  # (tokens, dimension)
        vector = hidden.mean(axis=0) if self._mean else hidden[0]
        unit: Vectors = (vector / np.linalg.norm(vector)).astype(np.float32)
        return unit

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        from trivium.models.hardware import usable_cores

        return ThreadPoolExecutor(usable_cores())

    @cached_property
    def _whole(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    @cached_property
    def _cut(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self._length)
        return tokenizer

    @cached_property
    def _session(self) -> "onnxruntime.InferenceSession":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(
            self._graph(), options, providers=["CPUExecutionProvider"]
        )

    def _graph(self) -> str | bytes:
        """The derived graph's file, or the graph itself where no file can be written."""
        from trivium.retrieval.onnx_bert import FORMAT, build

        file = paths.home() / "cache" / f"{self.fingerprint}-{FORMAT}.onnx"
        if file.is_file():
            return str(file)
        graph = build(self._config, self._folder / "model.safetensors")
        try:
            with paths.atomic_write(file) as out:
                out.write(graph)
        except TriviumError:
            return graph
        return str(file)


class TorchEmbedder:
    """Any model that sentence-transformers knows, on the GPU where there is one."""

    def __init__(self, folder: Path, name: str | None = None) -> None:
        self._folder = folder
        self._name = name or str(folder)

    @property
    def name(self) -> str:
        return self._name

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self._folder)

    @cached_property
    def _model(self) -> Any:
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(str(self._folder), local_files_only=True)

    @property
    def dimension(self) -> int:
        return int(self._model.get_embedding_dimension())

    @property
    def max_tokens(self) -> int:
        return int(self._model.max_seq_length or 512) - 2

    def token_offsets(self, text: str) -> Sequence[tuple[int, int]]:
        found = self._model.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return [(int(start), int(end)) for start, end in found["offset_mapping"]]

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        prompts = self._model.prompts or {}
        wanted = "query" if query else "document"
        vectors: Vectors = self._model.encode(
            list(texts),
            prompt=prompts.get(wanted) or None,
            normalize_embeddings=True,
            show_progress_bar=False,
        ).astype(np.float32)
        return vectors


def _json(folder: Path, name: str) -> dict[str, Any]:
    value = json.loads((folder / name).read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"{folder / name} is not a JSON object")
    return value


def _modules(folder: Path) -> list[dict[str, Any]]:
    modules: list[dict[str, Any]] = json.loads((folder / "modules.json").read_text("utf-8"))
    return modules


def _pooling(config: dict[str, Any]) -> str | None:
    """The one way of pooling that is on, if it is "mean" or "cls"."""
    if config.get("pooling_mode") in ("mean", "cls"):
        return str(config["pooling_mode"])
    on = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    return {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}.get("".join(on))


def _prompts(folder: Path) -> tuple[str, str]:
    """What the model wants before a query and before a document, often nothing."""
    file = folder / "config_sentence_transformers.json"
    prompts = (json.loads(file.read_text("utf-8")) if file.is_file() else {}).get("prompts") or {}
    return prompts.get("query") or "", prompts.get("document") or ""
