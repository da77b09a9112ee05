"""Which files a path stands for."""

import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from trivium.errors import UsageError
from trivium.retrieval.base import Skipped
from trivium.retrieval.walk import find_files


def make(root: Path, *names: str) -> None:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def names(root: Path, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> list[str]:
    found, skipped = find_files([root], include, exclude)
    assert skipped == []
    return [file.relative_to(root).as_posix() for file in found]


def test_a_folder_in_the_order_of_names_without_hidden_and_unknown_files(root: Path) -> None:
    make(root, "b.md", "a/z.txt", "a/README", "c.jpg", "d.PDF", ".e.md", "~$f.docx")
    make(root, ".git/x.md", ".venv/x.md", "node_modules/x.md", "a/__pycache__/x.py")
    assert names(root) == ["a/README", "a/z.txt", "b.md", "d.PDF"]


def test_gitignore_of_every_level_the_nearest_last(root: Path) -> None:
    make(root, "a.log", "keep.log", "build/x.md", "sub/b.log", "sub/c.md", "sub/build/y.md")
    (root / ".gitignore").write_text("*.log\n!keep.log\n/build/\n")
    (root / "sub" / ".gitignore").write_text("!b.log\nc.md\n")
    assert names(root) == ["keep.log", "sub/b.log", "sub/build/y.md"]


def test_gitignore_above_the_folder_counts_up_to_the_root_of_the_repository(root: Path) -> None:
    make(root, "repo/docs/a.md", "repo/docs/b.md", "repo/docs/c.md")
    (root / "repo/.git").mkdir()
    (root / ".gitignore").write_text("a.md\n")
    (root / "repo/.gitignore").write_text("b.md\n")
    assert names(root / "repo/docs") == ["a.md", "c.md"]


def test_an_ignored_folder_that_is_named_is_walked(root: Path) -> None:
    make(root, "build/a.md", "build/deep/b.md")
    (root / ".git").mkdir()
    (root / ".gitignore").write_text("build/\n")
    assert names(root) == []
    assert names(root / "build") == ["a.md", "deep/b.md"]
    assert names(root / "build/deep") == ["b.md"]


def test_patterns(root: Path) -> None:
    make(root, "a.md", "b.txt", "sub/c.md", "sub/d.unheard", "old/e.md")
    assert names(root, include=["*.md"], exclude=["old/"]) == ["a.md", "sub/c.md"]
    assert names(root, include=["sub/**"]) == ["sub/c.md", "sub/d.unheard"]


def test_a_named_file_is_always_taken_and_only_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(root, ".hidden.dat", "a.md", "b.md")
    (root / ".gitignore").write_text("a.md\n")
    (root / "link.md").symlink_to("b.md")
    monkeypatch.chdir(root)
    paths: list[str | Path] = ["a.md", root / ".hidden.dat", ".", "a.md", "../root/link.md"]
    assert find_files(paths, exclude=["a.md"]) == (
        [root / "a.md", root / ".hidden.dat", root / "b.md"],
        [],
    )


def test_what_does_not_exist_is_an_error_with_its_name(root: Path) -> None:
    with pytest.raises(UsageError, match=r"^nowhere/x\.md does not exist$"):
        find_files(["nowhere/x.md"])


def test_links_that_lead_in_circles_end(root: Path) -> None:
    make(root, "a/x.md")
    (root / "a/up").symlink_to(root, target_is_directory=True)
    (root / "twin").symlink_to("a", target_is_directory=True)
    (root / "self.md").symlink_to("self.md")
    (root / "gone.md").symlink_to("nothing.md")
    found, skipped = find_files([root])
    assert found == [root / "a/x.md"]
    assert skipped == [
        Skipped(str(root / "gone.md"), "is a link to nothing"),
        Skipped(str(root / "self.md"), "is a link that leads in a circle"),
    ]


def test_a_folder_of_links_is_followed_to_the_outside(tmp_path: Path, root: Path) -> None:
    make(tmp_path, "elsewhere/x.md")
    (root / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert names(root) == ["linked/x.md"]


def test_pipes_sockets_and_devices_are_passed_over_with_the_reason(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(root, "a.md")
    os.mkfifo(root / "pipe.md")
    monkeypatch.chdir(root)  # the name of a socket may have some hundred characters only
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        found, skipped = find_files([root, "/dev/null"])
    assert found == [root / "a.md"]
    assert skipped == [
        Skipped(str(root / "pipe.md"), "is a named pipe"),
        Skipped(str(root / "s"), "is a socket"),
        Skipped("/dev/null", "is a device"),
    ]


def test_a_folder_that_may_not_be_read_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(root, "a.md", "shut/b.md")
    real = os.scandir

    def scandir(path: Path) -> object:  # permissions do not bind the superuser
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found, skipped = find_files([root])
    assert found == [root / "a.md"]
    assert skipped == [Skipped(str(root / "shut"), "cannot be read: Permission denied")]


def test_what_vanishes_during_the_walk_is_let_go(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(root, "a.md", "b.md", "c/d.md")
    real = Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.name == "a.md":  # met first: the rest goes while it is looked at
            (root / "b.md").unlink(missing_ok=True)
            shutil.rmtree(root / "c", ignore_errors=True)
        return real(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat)
    assert find_files([root]) == ([root / "a.md"], [])
