"""From a file to its text: one table from suffix to loader, and every failure as one sentence.

The libraries that read the formats are imported by the loader that needs them. A loader sees bytes
alone, so that nothing it finds in a file can lead it to another file or to the network.
"""

import hashlib
import os
import stat
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path, PurePath

from trivium.errors import TriviumError
from trivium.retrieval.base import Document
from trivium.retrieval.loaders.base import Declined, Extracted, size

MAX_BYTES = 64 * 1024 * 1024

# Suffix to module and function in trivium.retrieval.loaders.
_LOADERS: dict[str, tuple[str, str]] = {
    **dict.fromkeys([".txt", ".text", ".log", ".tex", ".org", ".adoc"], ("text", "plain")),
    **dict.fromkeys([".md", ".markdown", ".mdx", ".qmd"], ("text", "markdown")),
    ".rst": ("text", "rst"),
    **dict.fromkeys([".html", ".htm", ".xhtml"], ("web", "html")),
    ".pdf": ("pdf", "pdf"),
    ".docx": ("office", "docx"),
    ".pptx": ("office", "pptx"),
    **dict.fromkeys([".xlsx", ".xlsm"], ("tables", "xlsx")),
    ".csv": ("tables", "csv_text"),
    ".tsv": ("tables", "csv_text"),
    **dict.fromkeys([".json", ".geojson"], ("text", "json_text")),
    **dict.fromkeys([".jsonl", ".ndjson"], ("text", "jsonl")),
    ".ipynb": ("notebook", "notebook"),
}
_LANGUAGES = {
    f".{suffix}": language
    for language, suffixes in {
        "python": "py pyi pyx",
        "javascript": "js mjs cjs jsx",
        "typescript": "ts tsx",
        "java": "java",
        "kotlin": "kt kts",
        "scala": "scala",
        "c": "c h",
        "cpp": "cc cpp cxx hh hpp hxx cu",
        "csharp": "cs",
        "go": "go",
        "rust": "rs",
        "swift": "swift",
        "ruby": "rb",
        "php": "php",
        "perl": "pl pm",
        "lua": "lua",
        "r": "r",
        "julia": "jl",
        "haskell": "hs",
        "ocaml": "ml mli",
        "elixir": "ex exs",
        "erlang": "erl",
        "clojure": "clj cljs",
        "lisp": "el lisp scm",
        "fortran": "f90 f95",
        "matlab": "m",
        "shell": "sh bash zsh fish",
        "powershell": "ps1",
        "sql": "sql",
        "css": "css scss less",
        "vue": "vue",
        "xml": "xml xsd",
        "yaml": "yaml yml",
        "toml": "toml",
        "ini": "ini cfg conf",
        "proto": "proto",
        "cmake": "cmake",
        "zig": "zig",
        "nim": "nim",
        "dart": "dart",
    }.items()
    for suffix in suffixes.split()
}
_NAMES = {"makefile": "make", "dockerfile": "docker", "justfile": "make"}
_PROSE_NAMES = {"readme", "license", "licence", "copying", "notice", "authors", "changelog"}


class LoadError(TriviumError):
    """A file cannot be read; `reason` goes on from its name: "is encrypted"."""

    def __init__(self, name: str | Path, reason: str) -> None:
        super().__init__(f"{name} {reason}")
        self.reason = reason


def is_known(path: Path) -> bool:
    """True when a loader knows the file by its name."""
    name = path.name.lower()
    suffix = path.suffix.lower()
    return suffix in _LOADERS or suffix in _LANGUAGES or name in _NAMES or name in _PROSE_NAMES


def load(path: Path, max_bytes: int = MAX_BYTES) -> Document:
    """Read a file and extract its text.

    Raises:
        LoadError: when it cannot be read, is larger than `max_bytes`, or holds no text.
    """
    path = path.absolute()
    return load_bytes(str(path), read_bytes(path, max_bytes))


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file: a FIFO would block for ever, a device has no end.

    Raises:
        LoadError: when it cannot be read, or is larger than `max_bytes`.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(path, flags), "rb") as file:  # noqa: PTH123
            found = os.fstat(file.fileno())
            if stat.S_ISDIR(found.st_mode):
                raise LoadError(path, "is a folder")
            if not stat.S_ISREG(found.st_mode):
                raise LoadError(path, "is not a regular file")
            # Read past the limit by one, for the file may be growing.
            data = file.read(max_bytes + 1) if found.st_size <= max_bytes else b""
            held = max(found.st_size, len(data))
    except FileNotFoundError as error:
        raise LoadError(path, "has vanished") from error
    except IsADirectoryError as error:
        raise LoadError(path, "is a folder") from error
    except OSError as error:
        raise LoadError(path, f"cannot be read: {error.strerror}") from error
    if held > max_bytes:
        raise LoadError(path, f"holds {size(held)}, more than the limit of {size(max_bytes)}")
    return data


def load_bytes(name: str, data: bytes) -> Document:
    """Extract the text of bytes that go by `name`, whose suffix or else whose content says how.

    Raises:
        LoadError: when they are damaged, encrypted, binary or hold no text.
    """
    from trivium.retrieval.loaders.text import tidy

    if not data:
        raise LoadError(name, "is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            extracted = _loader(name, data)(data)
        parts = [tidy(part) for part in extracted.parts]
    except Declined as refusal:
        raise LoadError(name, str(refusal)) from refusal
    except Exception as error:  # whatever a library makes of bytes that it did not expect
        raise LoadError(name, f"is damaged: {_sentence(error)}") from error
    if not any(part.strip() for part in parts):
        raise LoadError(name, "holds no text")
    starts = [0]
    for part in parts[:-1]:
        starts.append(starts[-1] + len(part) + 2)
    return Document(
        path=name,
        kind=extracted.kind,
        text="\n\n".join(parts),
        sha256=hashlib.sha256(data).hexdigest(),
        pages=tuple(starts) if extracted.paged else (),
        language=extracted.language,
    )


def _loader(name: str, data: bytes) -> Callable[[bytes], Extracted]:
    path = PurePath(name)
    suffix = path.suffix.lower()
    language = _LANGUAGES.get(suffix) or _NAMES.get(path.name.lower())
    if language:
        return partial(_function("text", "code"), language=language)
    if suffix == ".tsv":
        return partial(_function("tables", "csv_text"), delimiter="\t")
    return _function(*_LOADERS.get(suffix) or _by_content(data))


def _function(module: str, function: str) -> Callable[..., Extracted]:
    found: Callable[..., Extracted] = getattr(
        import_module(f"trivium.retrieval.loaders.{module}"), function
    )
    return found


def _by_content(data: bytes) -> tuple[str, str]:
    """A loader for what has no telling suffix, standard input above all."""
    head = data[:1024].lstrip().lower()
    if head.startswith(b"%pdf-"):
        return "pdf", "pdf"
    if head.startswith(b"pk\x03\x04"):
        for folder, loader in (
            (b"word/", ("office", "docx")),
            (b"ppt/", ("office", "pptx")),
            (b"xl/", ("tables", "xlsx")),
        ):
            if folder in data:
                return loader
    if head.startswith((b"<!doctype html", b"<html")):
        return "web", "html"
    if b"\0" not in data and (head.startswith(b"# ") or b"\n\n# " in data or b"\n\n## " in data):
        return "text", "markdown"
    return "text", "unknown"


def _sentence(error: Exception) -> str:
    """A library's complaint on one short line."""
    text = " ".join(str(error).split()).rstrip(".")
    if not text:
        return type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."
