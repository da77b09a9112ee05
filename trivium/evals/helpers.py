"""The models of a run: those under test and those that judge, loaded once and closed."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trivium.closing import Closing
from trivium.engines.base import Completion, Engine, Request
from trivium.errors import TriviumError
from trivium.evals.cache import Cache

if TYPE_CHECKING:
    from trivium.retrieval.base import Embedder


class Helpers(Closing):
    """Engines by name, and the embedder; a judge is asked through the run's cache."""

    def __init__(self, load: Callable[[str], Engine], cache: Cache) -> None:
        self._load = load
        self._cache = cache
        self._engines: dict[str, Engine] = {}
        self._judges: set[str] = set()
        self._embedder: Embedder | None = None

    def close(self) -> None:
        """Free the models."""
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()

    def engine(self, name: str) -> Engine:
        """The model of that name, loaded when it is first wanted."""
        if name not in self._engines:
            self._engines[name] = self._load(name)
        return self._engines[name]

    def release(self, name: str) -> None:
        """Free a model under test, unless it judges too."""
        if name in self._engines and name not in self._judges:
            self._engines.pop(name).close()

    def generate(
        self, model: str, requests: Sequence[Request]
    ) -> Sequence[Completion | TriviumError]:
        self._judges.add(model)
        return self._cache.generate(self.engine(model), requests)

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Unit vectors of the default embedder, one a text."""
        if self._embedder is None:
            from trivium.config import load_settings
            from trivium.retrieval.embed import load_embedder

            self._embedder = load_embedder(load_settings().embedder)
        vectors: Sequence[Sequence[float]] = self._embedder.encode(texts).tolist()
        return vectors
