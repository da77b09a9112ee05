"""From a model's name to a loaded engine."""

from pathlib import Path
from typing import TYPE_CHECKING

from trivium.engines.base import Engine
from trivium.errors import Unavailable, UsageError

if TYPE_CHECKING:
    from trivium.config import Settings

_URL = ("http://", "https://")


def load_engine(name: str, settings: "Settings | None" = None, *, batch: bool = False) -> Engine:
    """Load the model that `name` means: a catalogue name, a path, hf:…, mlm:…, vllm:… or a URL.

    With `batch` a model in this process is loaded for many requests at once: `score` and
    `generate` share work between them, on weights unpacked to F16 where memory allows. Without it
    each request is decoded by itself, and its answer depends on nothing else. Servers schedule by
    themselves and are the same either way.

    Raises:
        Unavailable: when the file, the pulled model or the server is not there.
        UsageError: when the name cannot be meant.
    """
    from trivium.config import load_settings

    settings = settings or load_settings()
    if is_server(name):
        from trivium.engines.openai import OpenAIEngine

        return OpenAIEngine(name, timeout=settings.timeout)
    if name.startswith("vllm:"):
        from trivium.engines.masked import find_folder
        from trivium.engines.vllm import VllmEngine

        return VllmEngine(
            find_folder(name.removeprefix("vllm:")),
            name=name,
            context_length=settings.context_length,
            dtype="float16" if settings.weights == "f16" else None,
        )
    if name.startswith("mlm:"):
        from trivium.engines.masked import MaskedEngine, find_folder

        return MaskedEngine(find_folder(name), name=name, threads=settings.threads)
    if batch:
        from trivium.engines.batch import BatchEngine as Loaded
    else:
        from trivium.engines.llama import LlamaEngine as Loaded  # type: ignore[assignment]

    return Loaded(
        _file(name),
        name=name,
        context_length=settings.context_length,
        gpu_layers=settings.gpu_layers,
        threads=settings.threads,
        weights="native" if settings.weights == "auto" and not batch else settings.weights,
    )


def is_server(name: str) -> bool:
    """Whether a model is behind a server: its name is a URL, and not that of a .gguf file."""
    return name.startswith(_URL) and not name.partition("#")[0].endswith(".gguf")


def _file(name: str) -> Path:
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise UsageError(f"{name} is a folder; name the .gguf file in it")
    looks_like_a_path = name.endswith(".gguf") or name.startswith((".", "/", "~"))
    if looks_like_a_path and not name.startswith(("hf:", *_URL)):
        raise Unavailable(f"there is no file {name}; check the path, or see trivium models list")
    from trivium.models import store

    return store.resolve(name)
