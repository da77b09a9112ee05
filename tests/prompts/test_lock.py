"""The lock file: what changed, and whether the version said so."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from trivium.errors import UsageError
from trivium.prompts.base import Prompt
from trivium.prompts.lock import Change, Locked, changes, read_lock, write_lock

A, B = Prompt("a", "x"), Prompt("b", "y", version=2)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "prompts.lock"
    assert read_lock(file) == {}
    write_lock(file, [B, A])
    assert read_lock(file) == {"a": Locked(1, A.hash), "b": Locked(2, B.hash)}
    assert file.read_text().splitlines()[1] == f'  "a": {{"version": 1, "hash": "{A.hash}"}},'
    assert list(tmp_path.iterdir()) == [file]


def test_states() -> None:
    locked = {name: Locked(1, A.hash) for name in ("same", "changed", "raised", "bumped", "gone")}
    now = [
        replace(A, name="same", description="told otherwise"),
        replace(A, name="changed", user="z"),
        replace(A, name="raised", user="z", version=2),
        replace(A, name="bumped", version=2),
        replace(A, name="new"),
    ]
    assert changes(locked, now) == [
        Change("bumped", "raised"),
        Change("changed", "changed"),
        Change("gone", "gone"),
        Change("new", "new"),
        Change("raised", "raised"),
        Change("same", "same"),
    ]


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', '{"a": {"version": "x", "hash": ""}}'])
def test_what_is_no_lock_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "prompts.lock").write_text(text)
    with pytest.raises(UsageError, match=r"prompts.lock is not a lock file of prompts; delete it"):
        read_lock(tmp_path / "prompts.lock")
    with pytest.raises(UsageError, match="Is a directory"):
        read_lock(tmp_path)


def test_it_is_json(tmp_path: Path) -> None:
    write_lock(tmp_path / "prompts.lock", [A])
    assert json.loads((tmp_path / "prompts.lock").read_text()) == {
        "a": {"version": 1, "hash": A.hash}
    }
