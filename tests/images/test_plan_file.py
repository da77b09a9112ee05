import json
import os
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.errors import TriviumError, UsageError
from trivium.images import trash as trash_module
from trivium.images.applying import Done, apply, undo
from trivium.images.plan_file import File, Plan, PlannedGroup, quoted, read_plan, write_plan
from trivium.images.scan import sha256_of
from trivium.images.trash import FolderTrash, in_system_trash


def plan_of(*groups: list[tuple[str, str]]) -> Plan:
    planned = [
        [File(path=p, action=a, sha256=sha256_of(p)) for p, a in group]  # type: ignore[arg-type]
        for group in groups
    ]
    return Plan(version=1, groups=[PlannedGroup(tier="bytes", files=files) for files in planned])


def write(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).write_bytes(b"picture")
    return [str(folder / name) for name in names]


@given(st.text())
def test_any_path_comes_back_from_the_file(name: str) -> None:
    path = "/" + os.fsdecode(name.encode("utf-8", "surrogatepass"))
    plan = Plan(
        version=1,
        groups=[
            PlannedGroup(
                tier="near",
                files=[
                    File(path=path, action="keep", sha256="0" * 64, why=name),
                    File(path=path + "2", action="trash", sha256="1" * 64),
                ],
            )
        ],
    )
    text = "".join(write_plan(plan, {path: 1, path + "2": 2_000_000}))
    assert read_plan(text, "p.yaml") == plan
    assert text.isprintable() or all(c.isprintable() or c == "\n" for c in text)
    assert "1 of 2 files to the trash, 2.0 MB" in text


def test_what_is_not_text_is_escaped() -> None:
    assert quoted('a"b\\\n\udcff\x7f😀') == '"a\\"b\\\\\\n\\udcff\\u007f😀"'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("groups: [", "not a plan"),
        ("version: 2\ngroups: []", "version"),
        ("version: 1\ngroups: []\nextra: 1", "extra"),
        ("just words", "not a plan"),
        ("!!python/object/apply:os.getcwd []", "not a plan"),
    ],
)
def test_what_is_no_plan_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_plan(text, "p.yaml")


def entry(path: str, action: str) -> str:
    return f'      - {{action: {action}, path: "{path}", sha256: "{"0" * 64}"}}\n'


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([("/a", "trash"), ("/b", "trash")], "group 1, would keep none of its 2 files"),
        ([("/a", "keep"), ("/a", "trash")], "/a stands in the plan twice"),
        ([("a", "keep")], "a is not an absolute path"),
        ([("/a", "delete")], "action"),
    ],
)
def test_a_dangerous_plan_is_refused(files: list[tuple[str, str]], said: str) -> None:
    rows = "".join(entry(*one) for one in files)
    with pytest.raises(UsageError, match=said):
        read_plan(f"version: 1\ngroups:\n  - tier: near\n    files:\n{rows}", "p.yaml")


def test_applied_and_undone(tmp_path: Path) -> None:
    a, b, c = write(tmp_path, "a", "b\n", os.fsdecode(b"c\xff"))
    plan, record = plan_of([(a, "keep"), (b, "trash"), (c, "trash")]), tmp_path / "p.undo"
    trash = FolderTrash(tmp_path / "trash")
    assert list(apply(plan, trash, record)) == [Done(b, True), Done(c, True)]
    assert Path(a).exists() and not Path(b).exists() and not Path(c).exists()
    assert list(undo(record)) == [Done(c, True), Done(b, True)]
    assert all(Path(one).read_bytes() == b"picture" for one in (a, b, c))
    assert not record.exists() and list((tmp_path / "trash").iterdir()) == []
    with pytest.raises(UsageError, match="nothing to undo"):
        list(undo(record))


def test_what_changed_stays(tmp_path: Path) -> None:
    a, b, c, d = write(tmp_path, "a", "b", "c", "d")
    plan = plan_of([(a, "keep"), (b, "trash")], [(c, "keep"), (d, "trash")])
    Path(a).write_bytes(b"another")
    Path(d).write_bytes(b"another")
    done = list(apply(plan, FolderTrash(tmp_path / "trash"), tmp_path / "p.undo"))
    assert [(one.path, one.moved) for one in done] == [(b, False), (d, False)]
    assert done[0].why == "no file that its group keeps is still as it was"
    assert done[1].why == "it has changed since the plan"
    assert not (tmp_path / "trash").exists() and not (tmp_path / "p.undo").exists()


def test_a_link_is_no_copy(tmp_path: Path) -> None:
    (a,) = write(tmp_path, "a")
    link = tmp_path / "link"
    link.symlink_to(a)
    trash = FolderTrash(tmp_path / "trash")
    # the kept one would point to nothing
    (done,) = apply(plan_of([(str(link), "keep"), (a, "trash")]), trash, tmp_path / "r")
    assert not done.moved and Path(a).exists()
    (done,) = apply(plan_of([(a, "keep"), (str(link), "trash")]), trash, tmp_path / "r")
    assert not done.moved and Path(a).exists()


def test_what_is_in_the_way_is_not_overwritten(tmp_path: Path) -> None:
    a, b = write(tmp_path, "a", "b")
    record = tmp_path / "r"
    list(apply(plan_of([(a, "keep"), (b, "trash")]), FolderTrash(tmp_path / "trash"), record))
    Path(b).write_bytes(b"new work")
    (done,) = undo(record)
    assert not done.moved and "another file is there now" in done.why
    assert Path(b).read_bytes() == b"new work" and record.exists()
    Path(b).unlink()
    assert list(undo(record)) == [Done(b, True)]


def test_names_in_the_trash_folder_do_not_collide(tmp_path: Path) -> None:
    for name in "xyz":
        (tmp_path / name).mkdir()
    paths = [write(tmp_path / name, "same.jpg")[0] for name in "xyz"]
    trash = FolderTrash(tmp_path / "trash")
    plan = plan_of([(paths[0], "keep"), (paths[1], "trash"), (paths[2], "trash")])
    list(apply(plan, trash, tmp_path / "r"))
    assert sorted(p.name for p in (tmp_path / "trash").iterdir()) == ["1 same.jpg", "same.jpg"]
    list(undo(tmp_path / "r"))
    assert all(Path(one).exists() for one in paths)


def test_kill_between_record_and_move_loses_nothing(tmp_path: Path) -> None:
    a, b = write(tmp_path, "a", "b")
    record = tmp_path / "r"

    class Killed(FolderTrash):
        def put(self, path: str, place: str | None) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(apply(plan_of([(a, "keep"), (b, "trash")]), Killed(tmp_path / "t"), record))
    with record.open("a") as file:
        file.write('{"path": "/cut sho')
    assert list(undo(record)) == [Done(b, False)]
    assert Path(b).exists() and not record.exists()


def test_a_trash_that_fails_leaves_the_file(tmp_path: Path) -> None:
    a, b = write(tmp_path, "a", "b")

    class Full(FolderTrash):
        def put(self, path: str, place: str | None) -> None:
            raise TriviumError("the disk is full")

    (done,) = apply(plan_of([(a, "keep"), (b, "trash")]), Full(tmp_path), tmp_path / "r")
    assert done == Done(b, False, "the disk is full")


def test_the_systems_trash_gives_back_by_its_trashinfo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    home = tmp_path / "data" / "Trash"
    for part in ("files", "info"):
        (home / part).mkdir(parents=True)
    path = str(tmp_path / os.fsdecode(b"photo %\xff.jpg"))
    for number, content in enumerate((b"older", b"picture", b"newest, another")):
        (home / "files" / f"{number}.jpg").write_bytes(content)
        (home / "info" / f"{number}.jpg.trashinfo").write_text(
            f"[Trash Info]\nPath={quote_from_bytes(os.fsencode(path))}\n"
            f"DeletionDate=2026-01-0{number + 1}T00:00:00\n"
        )
    record = tmp_path / "r"
    digest = sha256_of(str(home / "files" / "1.jpg"))
    assert in_system_trash(path, digest) is not None
    record.write_text(json.dumps({"path": path, "sha256": digest, "to": None}) + "\n")
    assert list(undo(record)) == [Done(path, True)]
    assert Path(path).read_bytes() == b"picture"
    assert sorted(p.name for p in (home / "info").iterdir()) == [
        "0.jpg.trashinfo",
        "2.jpg.trashinfo",
    ]
    Path(path).unlink()
    record.write_text(json.dumps({"path": path, "sha256": digest, "to": None}) + "\n")
    (done,) = undo(record)
    assert "look there by hand" in done.why and record.exists()


def test_trash_refuses_to_overwrite(tmp_path: Path) -> None:
    a, b = write(tmp_path, "a", "b")
    with pytest.raises(FileExistsError):
        trash_module.move(a, b)
    assert Path(a).exists()
