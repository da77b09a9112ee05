"""The models Trivium knows by name, read from `catalogue.toml` beside this file."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Kind = Literal["chat", "base", "embedder", "reranker", "clip", "speech"]


@dataclass(frozen=True, slots=True)
class File:
    """One file of a model.

    `path` is relative to the model's folder. `sources` are alternatives, tried in order; each is
    a tuple of parts that are joined (nearly always one). `size` (bytes) and `sha256` are None
    where they are not known for certain: the source's own metadata then decides.
    """

    path: str
    sources: tuple[tuple[str, ...], ...]
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A model: what it is, what it needs and where its files come from.

    `parameters` is the number of weights, `context_length` the longest context in tokens,
    `memory` the bytes needed to run it with a context of 4,096 tokens (or its own, if shorter).
    `accept_licence` says that the user must accept the licence before the model is pulled.
    """

    name: str
    kind: Kind
    parameters: int
    context_length: int
    licence: str
    memory: int
    files: tuple[File, ...]
    licence_url: str = ""
    accept_licence: bool = False
    note: str = ""

    @property
    def size(self) -> int | None:
        """Bytes to download, None when a file's size is not known beforehand."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size or 0 for size in sizes)

    @property
    def main(self) -> str:
        """What an engine opens: the GGUF file, or "." where the folder as a whole is the model."""
        weights = [file.path for file in self.files if file.path.endswith(".gguf")]
        return weights[0] if weights else "."


@cache
def catalogue() -> dict[str, Entry]:
    """Every entry by name, in the file's order (small to large within a family)."""
    text = files("trivium.models").joinpath("catalogue.toml").read_text(encoding="utf-8")
    entries = [_entry(raw) for raw in tomllib.loads(text)["model"]]
    return {entry.name: entry for entry in entries}


def close_to(name: str, known: Iterable[str]) -> list[str]:
    """At most three names of `known` that `name` may be a slip of, likeliest first."""
    return get_close_matches(name.lower(), list(known), n=3, cutoff=0.5)


def _entry(raw: dict[str, Any]) -> Entry:
    """Keys that a class does not have are a TypeError: the catalogue is ours and is tested."""
    parts = [_file(file) for file in raw.pop("files")]
    return Entry(**raw, files=tuple(parts))


def _file(raw: dict[str, Any]) -> File:
    sources = tuple((s,) if isinstance(s, str) else tuple(s) for s in raw.pop("sources"))
    return File(**raw, sources=sources)
