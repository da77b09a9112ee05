"""Records packed for a page: numbers as columns, texts in pieces that are opened when looked at.

A browser unpacks gzip by itself, and nothing is unpacked before it is needed: 200,000 records cost
a page some megabytes of text in memory and no object for any of them.
"""

import base64
import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trivium.evals.base import Record
from trivium.evals.columns import Columns

PIECE = 500
"""Records, or rows, in one piece of text."""
LEVEL = 6


@dataclass(frozen=True, slots=True)
class Side:
    """A run: its columns, and its records in the same order, read once."""

    name: str
    columns: Columns
    records: Iterable[Record]


@dataclass(frozen=True, slots=True)
class Packed:
    """`layout` is plain data for the page's script; `blocks` are (id, base64 of gzip)."""

    layout: dict[str, Any]
    blocks: list[tuple[str, str]]


def pack(sides: Sequence[Side], pairs: Sequence[int]) -> Packed:
    """The records of all sides, one after the other.

    Args:
        pairs: for each record the number of its counterpart, or -1.
    """
    metrics = list(dict.fromkeys(name for side in sides for name in side.columns.scores))
    blocks: list[tuple[str, str]] = []
    rows: list[list[object]] = []
    ids: list[str] = []
    numbers: list[int] = []
    known: dict[tuple[str, int], int] = {}
    piece: list[list[object]] = []
    count = 0
    for side in sides:
        columns = side.columns
        for one, code in zip(side.records, columns.row.tolist(), strict=True):
            key = (columns.row_ids[code], columns.contents[code])
            number = known.setdefault(key, len(known))
            if number == len(ids):
                ids.append(one.row)
                rows.append([dict(one.inputs), one.target])
                if len(rows) == PIECE:
                    blocks.append((f"r{number // PIECE}", _text(rows)))
                    rows = []
            numbers.append(number)
            choices = [[c.text, c.logprob, c.tokens, c.unconditional] for c in one.choices]
            piece.append([one.output, one.error, choices])
            count += 1
            if len(piece) == PIECE:
                blocks.append((f"t{(count - 1) // PIECE}", _text(piece)))
                piece = []
    if rows:
        blocks.append((f"r{(len(ids) - 1) // PIECE}", _text(rows)))
    if piece:
        blocks.append((f"t{(count - 1) // PIECE}", _text(piece)))
    blocks.append(("ids", _text(ids)))
    fields, data = _numbers(sides, metrics, numbers, pairs)
    blocks.append(("numbers", _encode(data)))
    layout = {
        "count": count,
        "rows": len(ids),
        "piece": PIECE,
        "metrics": metrics,
        "fields": fields,
        "runs": [side.name for side in sides],
        "cells": [[[cell.model, cell.prompt] for cell in side.columns.cells] for side in sides],
    }
    return Packed(layout, blocks)


def _numbers(
    sides: Sequence[Side], metrics: Sequence[str], rows: Sequence[int], pairs: Sequence[int]
) -> tuple[list[list[str]], bytes]:
    """Columns of little-endian numbers, the widest first so that each is aligned."""
    every = [side.columns for side in sides]
    lengths = [columns.cell.size for columns in every]

    def joined(name: str, kind: str) -> tuple[str, str, bytes]:
        return (
            name,
            kind,
            np.concatenate([getattr(one, name) for one in every]).astype(kind).tobytes(),
        )

    flags = np.concatenate([one.failed + 2 * one.truncated.astype(np.int64) for one in every])
    found = [
        ("row", "<u4", np.array(rows, "<u4").tobytes()),
        ("pair", "<i4", np.array(pairs, "<i4").tobytes()),
        joined("prompt_tokens", "<u4"),
        joined("completion_tokens", "<u4"),
        joined("seconds", "<f4"),
        *((f"m{number}", "<f4", _metric(every, metric)) for number, metric in enumerate(metrics)),
        joined("cell", "<u2"),
        joined("repeat", "<u2"),
        ("run", "<u1", np.repeat(np.arange(len(sides)), lengths).astype("<u1").tobytes()),
        ("flags", "<u1", flags.astype("<u1").tobytes()),
    ]
    return [[name, kind[1:]] for name, kind, _ in found], b"".join(data for *_, data in found)


def _metric(every: Sequence[Columns], metric: str) -> bytes:
    return (
        np.concatenate([one.scores.get(metric, np.full(one.cell.size, np.nan)) for one in every])
        .astype("<f4")
        .tobytes()
    )


def _text(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    # half a surrogate pair, which a model may well write, has no UTF-8
    return _encode(text.encode("utf-8", "replace"))


def _encode(data: bytes) -> str:
    # no time stamp: equal records make an equal page
    return base64.b64encode(gzip.compress(data, LEVEL, mtime=0)).decode()
