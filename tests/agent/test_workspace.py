"""Paths that stay inside: by name, through links, and when a folder changes under way."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trivium.agent.workspace import Refused, Workspace
from trivium.errors import TriviumError


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "sub" / "b.txt").write_text("b")
    return folder


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.txt", "a.txt"),
        ("./a.txt", "a.txt"),
        ("sub//b.txt", "sub/b.txt"),
        (".", "."),
        ("new/deep/file", "new/deep/file"),
        ("..a/b..", "..a/b.."),
        ("ümlaut – file.txt", "ümlaut – file.txt"),
    ],
)
def test_a_path_inside_is_resolved(root: Path, path: str, name: str) -> None:
    workspace = Workspace(root)
    assert workspace.name(workspace.resolve(path)) == name


def test_an_absolute_path_inside_is_resolved(root: Path) -> None:
    assert Workspace(root).resolve(str(root / "a.txt")) == root / "a.txt"


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../outside/secret.txt",
        "sub/../../outside/secret.txt",
        "sub/../a.txt",
        "/etc/passwd",
        "//etc/passwd",
        "/",
        "~/x",
        "~root/x",
        "",
        "  ",
        "a\0b",
        "a\nb",
        "a\x1b[2Jb",
        "\ud800",
    ],
)
def test_a_path_outside_or_that_is_none_is_refused(root: Path, path: str) -> None:
    with pytest.raises(Refused):
        Workspace(root).resolve(path)


def test_the_refusal_names_the_path_and_the_way_out(root: Path) -> None:
    with pytest.raises(Refused) as refusal:
        Workspace(root).resolve("sub/../a.txt")
    assert str(refusal.value) == (
        '"sub/../a.txt" contains "..": name the file from the workspace down'
    )


def test_a_sibling_whose_name_begins_the_same_is_outside(root: Path, tmp_path: Path) -> None:
    (tmp_path / "work2").mkdir()
    with pytest.raises(Refused, match="lies outside the workspace"):
        Workspace(root).resolve(str(tmp_path / "work2"))


@pytest.mark.parametrize("relative", [True, False])
def test_links_out_are_refused(root: Path, outside: Path, relative: bool) -> None:
    target = "../outside" if relative else str(outside)
    (root / "folder").symlink_to(target)
    (root / "file").symlink_to(f"{target}/secret.txt")
    (root / "chain").symlink_to("file")
    (root / "dangling").symlink_to(f"{target}/new.txt")
    workspace = Workspace(root)
    for path in ("folder", "folder/secret.txt", "folder/new.txt", "file", "chain", "dangling"):
        with pytest.raises(Refused, match="leads outside"):
            workspace.read(path)
        with pytest.raises(Refused, match="leads outside"):
            workspace.write(path, b"x")
    assert names(outside) == ["secret.txt"]
    assert (outside / "secret.txt").read_text() == "secret"


def test_links_that_stay_inside_are_followed(root: Path) -> None:
    (root / "link").symlink_to("sub")
    assert Workspace(root).read("link/b.txt") == b"b"


def test_a_link_in_a_circle_is_refused(root: Path) -> None:
    (root / "loop").symlink_to("loop")
    with pytest.raises(TriviumError):
        Workspace(root).read("loop")


def test_a_workspace_reached_by_a_link_is_its_real_folder(root: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(root)
    assert Workspace(tmp_path / "alias").read("a.txt") == b"a"


class Swapping(Workspace):
    """A workspace in which a folder turns into a link after it was looked at."""

    outside: Path

    def resolve(self, path: str) -> Path:
        real = super().resolve(path)
        victim = self.root / "sub"
        if not victim.is_symlink():
            victim.rename(self.root / "was")
            victim.symlink_to(self.outside)
        return real


def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(root: Path, outside: Path) -> None:
    workspace = Swapping(root)
    workspace.outside = outside
    with pytest.raises(TriviumError):
        workspace.write("sub/b.txt", b"evil")
    (root / "sub").unlink()
    (root / "was").rename(root / "sub")
    with pytest.raises(TriviumError):
        workspace.read("sub/secret.txt")
    assert names(outside) == ["secret.txt"]


def test_a_file_that_becomes_a_link_meanwhile_is_not_read(
    root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(root)
    real = workspace.resolve("a.txt")
    (root / "a.txt").unlink()
    (root / "a.txt").symlink_to(outside / "secret.txt")
    monkeypatch.setattr(workspace, "resolve", lambda path: real)
    with pytest.raises(Refused, match="became a link"):
        workspace.read("a.txt")
    with pytest.raises(Refused, match="not a regular file"):
        workspace.write("a.txt", b"evil")
    assert (outside / "secret.txt").read_text() == "secret"


def test_a_hard_link_is_replaced_not_written_through(root: Path, outside: Path) -> None:
    (root / "hard").hardlink_to(outside / "secret.txt")
    Workspace(root).write("hard", b"new")
    assert (root / "hard").read_bytes() == b"new"
    assert (outside / "secret.txt").read_text() == "secret"


def test_writing_makes_folders_keeps_permissions_and_leaves_nothing_behind(root: Path) -> None:
    workspace = Workspace(root)
    (root / "a.txt").chmod(0o754)
    workspace.write("a.txt", b"new")
    workspace.write("x/y/z.txt", b"z")
    assert (root / "a.txt").read_bytes() == b"new"
    assert stat.S_IMODE((root / "a.txt").stat().st_mode) == 0o754
    assert (root / "x/y/z.txt").read_bytes() == b"z"
    assert names(root) == ["a.txt", "sub", "x"]
    assert names(root / "x/y") == ["z.txt"]


def test_a_write_that_fails_leaves_the_old_file(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(TriviumError, match="No space left on device"):
        Workspace(root).write("a.txt", b"new")
    assert (root / "a.txt").read_bytes() == b"a"
    assert names(root) == ["a.txt", "sub"]


def test_what_is_no_regular_file_is_neither_read_nor_written(root: Path) -> None:
    workspace = Workspace(root)
    os.mkfifo(root / "pipe")
    for path in ("pipe", "sub", "."):
        with pytest.raises(TriviumError):
            workspace.read(path)
        with pytest.raises(TriviumError):
            workspace.write(path, b"x")


def test_a_large_or_missing_file_is_a_sentence(root: Path) -> None:
    with pytest.raises(TriviumError, match="holds more than 3 bytes"):
        (root / "big").write_text("four")
        Workspace(root).read("big", 3)
    with pytest.raises(TriviumError, match='"none" does not exist'):
        Workspace(root).read("none")
    with pytest.raises(TriviumError, match=r"a\.txt/x"):
        Workspace(root).read("a.txt/x")


def test_trivium_s_own_folder_is_never_inside(home: Path) -> None:
    home.mkdir(parents=True)
    (home / "approvals.toml").write_text("")
    with pytest.raises(Refused, match="own folder"):
        Workspace(home.parent).write("home/approvals.toml", b"[[allow]]")
    with pytest.raises(Refused, match="own folder"):
        Workspace(home).read("approvals.toml")
    below = home / "notes"
    below.mkdir()
    Workspace(below).write("a.txt", b"a")  # the user chose a folder in there
    assert (home / "approvals.toml").read_text() == ""


def test_a_workspace_is_a_folder(root: Path) -> None:
    with pytest.raises(TriviumError, match="is not a folder"):
        Workspace(root / "a.txt")


_PARTS = st.sampled_from(["..", ".", "sub", "link", "a.txt", "/", "", "~", "new", "\0", "etc"])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_PARTS, min_size=1, max_size=6), st.sampled_from(["/", "//", "/./"]))
def test_whatever_is_resolved_lies_inside(
    root: Path, outside: Path, parts: list[str], separator: str
) -> None:
    link = root / "sub" / "link"
    if not link.is_symlink():
        link.symlink_to(outside)
    try:
        real = Workspace(root).resolve(separator.join(parts))
    except Refused:
        return
    assert real.is_relative_to(root)
    assert os.path.realpath(real) == str(real)
