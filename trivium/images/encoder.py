"""What sees pictures and reads words: any model in the layout of CLIP or SigLIP.

Texts run on onnxruntime, so that a query waits for no torch. Pictures do too on CPUs, one a run
and as many runs as there are cores; on a GPU they go through torch in batches of bfloat16.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from importlib.util import find_spec
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt

from trivium import paths
from trivium.errors import TriviumError, UsageError
from trivium.images.base import Encoder, Vectors
from trivium.images.onnx_towers import FORMAT, TABLE, build_images, build_texts
from trivium.nn.pixels import Pixels, load_pixels
from trivium.nn.published import (
    CONFIG,
    LEGACY_END,
    complete,
    read_arrays,
    read_config,
    read_rows,
    shared_width,
)
from trivium.nn.words import Words, load_words
from trivium.retrieval.embed import fingerprint

if TYPE_CHECKING:
    import onnxruntime
    from PIL.Image import Image
    from tokenizers import Tokenizer

Form = Literal["auto", "torch", "onnx", "int8"]

_BATCH = 64
_SAID = (CONFIG, "preprocessor_config.json", "tokenizer.json", "vocab.json", "merges.txt")
_TOWERS = {"texts": build_texts, "images": build_images}


def load_encoder(name: str, *, form: Form = "auto") -> Encoder:
    """The model that `name` means: of the catalogue, a folder, or a training run's folder.

    `form` "auto" is float32 for texts and for pictures on CPUs; "int8" is smaller and faster and
    agrees a little less; its vectors are not to be mixed with those of the others.

    Raises:
        Unavailable: when it is not pulled.
        UsageError: when the folder holds no model that can be run.
    """
    from trivium.models import store

    folder = store.resolve(name)
    if not (folder / CONFIG).is_file() and (folder / "model" / CONFIG).is_file():
        folder = folder / "model"
    return TwoTowerEncoder(folder, name, form)


class TwoTowerEncoder:
    """See `Encoder` and `load_encoder`."""

    def __init__(self, folder: Path, name: str | None = None, form: Form = "auto") -> None:
        """Raises UsageError when what the folder says does not fit together."""
        config, self._kind = read_config(folder)
        self._text, image = complete(config, self._kind)
        self._folder, self._form = folder, form
        self.name = name or str(folder)
        self.width = shared_width(config, self._kind)
        self._pixels: Pixels = load_pixels(folder)
        self.side = self._pixels.size
        if self.side != image["image_size"]:
            raise UsageError(
                f"{folder} reads pictures of {image['image_size']} pixels and prepares "
                f"{self.side}; correct preprocessor_config.json"
            )
        self._mark = fingerprint(folder, _SAID)
        self.fingerprint = f"{self._mark}-int8" if form == "int8" else self._mark
        numbers = read_arrays(folder, ("logit_scale", "logit_bias"))
        if "logit_scale" not in numbers:
            raise UsageError(f"{folder} has no learned scale; it is no whole CLIP or SigLIP")
        self.scale = exp(float(numbers["logit_scale"].reshape(())))
        bias = numbers.get("logit_bias")
        self.bias = None if bias is None else float(bias.reshape(()))

    def texts(self, texts: Sequence[str]) -> Vectors:
        """(n, E); a text that is too long is cut."""
        if not texts:
            return np.empty((0, self.width), np.float32)
        if self._kind == "siglip":  # it was trained on lower case; not every tokenizer.json says so
            texts = [text.lower() for text in texts]
        ids = self._words.encode(texts)
        if self._form == "torch":
            return self._by_torch("texts", ids)
        runs = [self._until_end(row) for row in ids]
        ends = np.cumsum([len(row) for row in runs])[:-1]
        words = np.split(read_rows(self._folder, TABLE, np.concatenate(runs)), ends)
        return _unit(np.stack(list(self._map(lambda some: self._run("texts", some[None]), words))))

    def images(self, pictures: "Sequence[Image]") -> Vectors:
        """(n, E)"""
        if not pictures:
            return np.empty((0, self.width), np.float32)
        if self._form == "torch" or (self._form == "auto" and self._gpu):
            batches = [
                self._by_torch("images", np.stack(list(self._map(self._pixels.prepare, some))))
                for at in range(0, len(pictures), _BATCH)
                if (some := pictures[at : at + _BATCH])
            ]
            return np.concatenate(batches)

        def see(picture: "Image") -> Vectors:
            return self._run("images", self._pixels.prepare(picture)[None])

        return _unit(np.stack(list(self._map(see, pictures))))

    def _map(self, function: Any, values: Sequence[Any]) -> Any:
        """In the calling thread for one value, else on all cores."""
        return map(function, values) if len(values) == 1 else self._pool.map(function, values)

    def _run(self, tower: Literal["texts", "images"], given: npt.NDArray[Any]) -> Vectors:
        session = self._texts_session if tower == "texts" else self._images_session
        vector: Vectors = session.run(None, {session.get_inputs()[0].name: given})[0][0]
        return vector

    def _until_end(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The ids whose last one stands for the text: in CLIP the first end token."""
        if self._kind == "siglip":
            return ids
        # a text is padded with its end token
        return ids[: int((ids == self._words.pad).argmax()) + 1]

    @cached_property
    def _words(self) -> Words:
        words = load_words(self._folder, int(self._text["max_position_embeddings"]), 0)
        tokenizer = words.tokenizer
        pad = self._pad(tokenizer) if self._kind == "siglip" else self._checked_end(tokenizer)
        return Words(tokenizer, words.length, pad)

    def _checked_end(self, tokenizer: "Tokenizer") -> int:
        """CLIP takes the state of the end token: the tokenizer must end texts with that very one.

        SigLIP takes the last token's, whatever its config says of an end.

        Raises UsageError when it does not.
        """
        said, ids = int(self._text["eos_token_id"]), tokenizer.encode("").ids
        if not ids:
            raise UsageError(f"the tokenizer in {self._folder} ends texts with no token at all")
        end = int(ids[-1])
        # a tower with the legacy id looks for the highest one
        wanted = max(tokenizer.get_vocab().values()) if said == LEGACY_END else said
        if end != wanted:
            raise UsageError(
                f"{self._folder / CONFIG} says that texts end with token {said} (eos_token_id), "
                f"and its tokenizer ends them with {end}: every text would give the wrong "
                "vector; correct eos_token_id"
            )
        return end

    def _pad(self, tokenizer: "Tokenizer") -> int:
        """SigLIP reads its padding: the tokenizer's own, else what its config says."""
        file = self._folder / "tokenizer_config.json"
        try:
            said = json.loads(file.read_text(encoding="utf-8")).get("pad_token")
        except (OSError, ValueError):
            said = None
        token = said.get("content") if isinstance(said, dict) else said
        found = tokenizer.token_to_id(token) if isinstance(token, str) else None
        return int(self._text.get("pad_token_id") or 1) if found is None else int(found)

    # -- onnxruntime ------------------------------------------------------------------------------

    @cached_property
    def _texts_session(self) -> "onnxruntime.InferenceSession":
        return self._session("texts")

    @cached_property
    def _images_session(self) -> "onnxruntime.InferenceSession":
        return self._session("images")

    def _session(self, tower: str) -> "onnxruntime.InferenceSession":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # runs are side by side
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(
            self._graph(tower), options, providers=["CPUExecutionProvider"]
        )

    def _graph(self, tower: str) -> str | bytes:
        """The derived graph's file: beside the weights, else in the user's folder, else nowhere."""
        width = "int8" if self._form == "int8" else "float"
        name = f"{tower}-{width}-{self._mark}-{FORMAT}.onnx"
        places = (self._folder / "onnx" / name, paths.home() / "cache" / name)
        for file in places:
            if file.is_file():
                return str(file)
        graph = _TOWERS[tower](self._folder, exact=width == "float")
        for file in places:
            try:
                with paths.atomic_write(file) as out:
                    out.write(graph)
                return str(file)
            except TriviumError:  # a place that is read-only or full
                continue
        return graph

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        from trivium.models.hardware import usable_cores

        return ThreadPoolExecutor(usable_cores())

    # -- torch ------------------------------------------------------------------------------------

    @cached_property
    def _gpu(self) -> bool:
        """Whether torch has a GPU; it is asked only where the machine has one."""
        from trivium.models.hardware import detect

        if not detect().gpus or find_spec("torch") is None:
            return False
        import torch

        return torch.cuda.is_available()

    @cached_property
    def _model(self) -> Any:
        from trivium.nn.layout import load_two_towers

        return load_two_towers(self._folder).to("cuda" if self._gpu else "cpu")

    def _by_torch(self, tower: str, values: npt.NDArray[Any]) -> Vectors:
        import torch

        embed = self._model.embed_texts if tower == "texts" else self._model.embed_images
        device = "cuda" if self._gpu else "cpu"
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=self._gpu):
            found = embed(torch.from_numpy(values).to(device))
        return _unit(cast(Vectors, found.float().cpu().numpy()))


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit
