"""A KV cache on the disk: a header that says what it is of, the tokens it holds, and its bytes.

    {"format": 1, "engine": {…}, "tokens": 7936, "bytes": 182878496, "sha256": "…"}\\n
    tokens as little-endian 32-bit integers, then the state as llama.cpp lays it out

llama.cpp trusts what it is given, so nothing reaches it before the header has been found equal to
this engine's and the sha256, which covers tokens and state, has been found true.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trivium.errors import StateMismatch
from trivium.paths import atomic_write

Bytes = npt.NDArray[np.uint8]

_FORMAT = 1
_LONGEST_HEADER = 1 << 16  # bytes; ours has a few hundred


def write_state(
    file: Path, engine: Mapping[str, object], tokens: Sequence[int], state: Bytes
) -> None:
    """Write `tokens` and the `state` (raw bytes) that `engine` computed for them, atomically.

    Raises:
        TriviumError: when the file cannot be written.
    """
    ids = np.asarray(tokens, dtype="<i4")
    header = {
        "format": _FORMAT,
        "engine": engine,
        "tokens": len(ids),
        "bytes": state.nbytes,
        "sha256": _digest(ids.view(np.uint8), state),
    }
    with atomic_write(file) as target:
        target.write(json.dumps(header).encode() + b"\n")
        target.write(ids.data)
        target.write(state.data)


def read_state(file: Path, engine: Mapping[str, object]) -> tuple[list[int], Bytes]:
    """The tokens and the state in `file`, which `engine` wrote.

    Raises:
        StateMismatch: when another engine wrote it, or it is not whole, or not readable.
    """
    try:
        with file.open("rb") as source:
            header = _header(file, source.readline(_LONGEST_HEADER))
            _compare(file, header, engine)
            count, size = _size(header["tokens"]), _size(header["bytes"])
            # before memory is taken for what the header claims
            if file.stat().st_size != source.tell() + 4 * count + size:
                raise StateMismatch(f"the KV state {file} is not whole, and was not used")
            payload = np.empty(4 * count + size, dtype=np.uint8)
            read = source.readinto(payload.data)
    except OSError as error:
        raise StateMismatch(f"cannot read the KV state {file}: {error.strerror}") from error
    ids, state = payload[: 4 * count], payload[4 * count :]
    if read != len(payload) or _digest(ids, state) != header["sha256"]:
        raise StateMismatch(f"the KV state {file} is damaged, and was not used")
    return ids.view("<i4").tolist(), state


def _header(file: Path, line: bytes) -> dict[str, object]:
    try:
        header = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise StateMismatch(f"{file} is no KV state, and was not used") from error
    names = {"format", "engine", "tokens", "bytes", "sha256"}
    if not isinstance(header, dict) or not line.endswith(b"\n") or set(header) != names:
        raise StateMismatch(f"{file} is no KV state, and was not used")
    if header["format"] != _FORMAT:
        raise StateMismatch(
            f"the KV state {file} has format {header['format']} instead of {_FORMAT}, "
            "and was not used"
        )
    return header


def _compare(file: Path, header: Mapping[str, object], engine: Mapping[str, object]) -> None:
    theirs = header["engine"]
    ours = json.loads(json.dumps(engine))  # as it reads once it was written
    if theirs == ours:
        return
    known = theirs if isinstance(theirs, dict) else {}
    differing = [name for name in ours if known.get(name) != ours[name]] or ["engine"]
    raise StateMismatch(
        f"the KV state {file} is of another engine (its {', '.join(differing)} differ), "
        "and was not used"
    )


def _size(value: object) -> int:
    """A size that a header claims; one that can only be wrong where it claims none."""
    return value if type(value) is int and value >= 0 else 1 << 62


def _digest(ids: Bytes, state: Bytes) -> str:
    digest = hashlib.sha256(ids.data)
    digest.update(state.data)
    return digest.hexdigest()
