"""Rows to three parts that share nothing: to search on, to choose on, to test on."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence

from trivium.errors import UsageError
from trivium.evals.base import Row
from trivium.evals.optimize.base import Part
from trivium.prompts.base import Example
from trivium.prompts.values import Key, row_key

SHARES: Mapping[Part, float] = {"train": 0.4, "validation": 0.2, "test": 0.4}
LEAST = 8
"""Rows of a part; from fewer nothing can be concluded."""


def split(
    rows: Sequence[Row], names: Collection[str], seed: int = 0, shown: Sequence[Example] = ()
) -> dict[Part, tuple[int, ...]]:
    """The numbers of the rows of each part, in an order that is random but for `seed`.

    A row's part is decided by a hash of what it says under `names` (or of its cluster, which stays
    whole) and of nothing else: it keeps its part when rows are added or moved. A row that says the
    same as one of another part is left out, and one that is among the examples `shown` already
    goes to the training part.

    Raises:
        UsageError: when a part has fewer than `LEAST` rows.
    """
    known = _shapes(shown, names)
    parts: dict[Part, list[tuple[bytes, int]]] = {part: [] for part in SHARES}
    first: dict[Key, Part] = {}
    for number, row in enumerate(rows):
        key = _key(row, names)
        said = json.dumps(key)
        part = _part(_hash(seed, said if row.cluster is None else f"cluster {row.cluster}"))
        if any(row_key(row.inputs, shape) in keys for shape, keys in _fitting(known, row)):
            part = "train"
        if first.setdefault(key, part) == part:
            parts[part].append((_hash(seed, f"order {said} {row.id}"), number))
    for part, found in parts.items():
        if len(found) < LEAST:
            raise UsageError(
                f"of {len(rows)} rows {len(found)} fall to the {part} part, which needs {LEAST}; "
                f"give more with --data FILE, some {LEAST * 8} at least"
            )
    return {part: tuple(number for _, number in sorted(found)) for part, found in parts.items()}


def unlike(pool: Sequence[Row], held_out: Sequence[Row], names: Collection[str]) -> tuple[Row, ...]:
    """The rows of `pool` that say the same as none of `held_out`: those may be examples."""
    keys = {_key(row, names) for row in held_out}
    return tuple(row for row in pool if _key(row, names) not in keys)


def _key(row: Row, names: Collection[str]) -> Key:
    return row_key(row.inputs, [one for one in names if row.inputs.get(one) is not None])


def _hash(seed: int, text: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{text}".encode("utf-8", "surrogatepass")).digest()


def _part(digest: bytes) -> Part:
    at = int.from_bytes(digest[:8], "big") / 2**64
    for part, share in SHARES.items():
        at -= share
        if at < 0:
            return part
    return "test"


def _shapes(shown: Sequence[Example], names: Collection[str]) -> dict[frozenset[str], set[Key]]:
    """What examples say, by the names under which they say something."""
    found: dict[frozenset[str], set[Key]] = {}
    for one in shown:
        shape = frozenset(one.inputs.keys() & set(names))
        if shape:
            found.setdefault(shape, set()).add(row_key(one.inputs, shape))
    return found


def _fitting(
    known: Mapping[frozenset[str], set[Key]], row: Row
) -> list[tuple[frozenset[str], set[Key]]]:
    return [
        (shape, keys)
        for shape, keys in known.items()
        if all(row.inputs.get(name) is not None for name in shape)
    ]
