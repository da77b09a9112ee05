"""The sha256 of weights, computed once: large models take seconds to hash, at every start."""

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path

from trivium.errors import TriviumError
from trivium.paths import absolute, atomic_write, home


def weights_sha256(path: Path) -> str:
    """The file's sha256, remembered in `home()/cache/weights` by its path, size and mtime.

    Nothing is remembered where the folder cannot be written to.
    """
    status = path.stat()
    key = {"path": str(absolute(path)), "size": status.st_size, "mtime_ns": status.st_mtime_ns}
    # a file for each model, so that two processes never write over each other's entries
    name = hashlib.sha256(str(key["path"]).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    record = home() / "cache" / "weights" / f"{name}.json"
    known = _recorded(record, key)
    if known is not None:
        return known
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with suppress(TriviumError), atomic_write(record) as written:
        written.write(json.dumps(key | {"sha256": digest}).encode())
    return digest


def folder_sha256(folder: Path) -> str:
    """One sha256 of a model in Hugging Face layout: of its weights, tokenizer and settings."""
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in (".safetensors", ".json", ".txt", ".model", ".jinja"):
            digest.update(f"{file.name} {weights_sha256(file)}\n".encode())
    return digest.hexdigest()


def _recorded(record: Path, key: dict[str, object]) -> str | None:
    try:
        known = json.loads(record.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(known, dict):
        return None
    digest = known.pop("sha256", None)
    whole = isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest)
    return digest if whole and known == key else None
