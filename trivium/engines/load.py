"""From a model's name to a loaded engine."""

from pathlib import Path
from typing import TYPE_CHECKING

from trivium.engines.base import Engine
from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.config import Settings


def load_engine(name: str, settings: "Settings | None" = None) -> Engine:
    """Load the model that `name` means: a catalogue name, a path, hf:…, vllm:… or a URL."""
    from trivium.config import load_settings

    settings = settings or load_settings()
    if name.startswith(("http://", "https://", "vllm:")):
        raise UsageError(f"{name}: servers are not supported yet")
    from trivium.engines.llama import LlamaEngine

    path = Path(name)
    if not path.is_file():
        from trivium.models import store

        path = store.resolve(name)
    return LlamaEngine(
        path,
        name=name,
        context_length=settings.context_length,
        gpu_layers=settings.gpu_layers,
        threads=settings.threads,
    )
