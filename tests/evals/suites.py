"""Small suites and rows for tests."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trivium.evals.suite import Suite, load_suite

ADDITION: dict[str, Any] = {
    "name": "addition",
    "prompts": [{"name": "plain", "user": "{{ question }}"}],
    "data": {"file": "rows.jsonl", "id": "id"},
    "scorers": ["exact"],
}


def write_rows(file: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def addition_rows(count: int) -> list[dict[str, object]]:
    """Rows "0+0", "1+1" and so on, with their sums as targets."""
    return [{"id": f"r{n}", "question": f"{n}+{n}", "target": str(2 * n)} for n in range(count)]


def write_suite(folder: Path, rows: int = 5, **keys: Any) -> Path:
    """ADDITION with `keys` in place of its own, and rows for it."""
    write_rows(folder / "rows.jsonl", addition_rows(rows))
    file = folder / "addition.yaml"
    file.write_text(yaml.safe_dump({**ADDITION, **keys}))
    return file


def suite(folder: Path, rows: int = 5, **keys: Any) -> Suite:
    return load_suite(write_suite(folder, rows, **keys))


def add(content: str) -> str:
    """What "2+2" comes to."""
    return str(sum(int(part) for part in content.split("+")))
