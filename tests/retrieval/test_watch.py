"""Noticing that files changed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from watchfiles import Change

from trivium.retrieval.watch import changes


@pytest.mark.timeout(30)  # a change that is not noticed is waited for
def test_changes_below_a_folder_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    noticed = changes([tmp_path / "docs"])
    next(noticed)
    for name in ("new.txt", "deep/new.txt"):
        (tmp_path / "docs" / name).write_text("text")
        next(noticed)
    (tmp_path / "docs" / "new.txt").unlink()
    next(noticed)


@pytest.mark.timeout(30)
def test_a_named_file_is_noticed_when_it_is_written_replaced_gone_and_back(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("one")
    noticed = changes([file])
    next(noticed)
    file.write_text("two!")
    next(noticed)
    (tmp_path / "b.txt").write_text("three")
    (tmp_path / "b.txt").replace(file)
    next(noticed)
    file.unlink()
    next(noticed)
    file.write_text("four")
    next(noticed)


def test_what_trivium_writes_itself_is_no_change(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def watch(*folders: Path, **options: Any) -> Iterator[set[object]]:
        given.update(options)
        yield set()

    monkeypatch.setattr("trivium.retrieval.watch.watch", watch)
    assert len(list(changes([tmp_path]))) == 1
    wanted = given["watch_filter"]
    assert not wanted(Change.modified, str(home / "indexes" / "default" / "index.db-wal"))
    assert not wanted(Change.added, str(tmp_path / ".git" / "index"))
    assert wanted(Change.modified, str(tmp_path / "docs" / "a.txt"))
