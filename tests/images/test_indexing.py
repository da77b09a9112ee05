"""After any change of the disk the index equals the disk, and every file is accounted for."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.images.made import COLOURS, ColourEncoder, encoded, picture, save
from trivium.errors import UsageError
from trivium.images import indexing
from trivium.images.decode import Refused, decode, is_picture
from trivium.images.index import PictureIndex


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number, colour in enumerate(COLOURS):
        save(folder / f"{number % 2}" / f"{colour}.png", colour)
    return folder


def held(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Path -> pixels and vector, of all that is indexed."""
    with PictureIndex.open(folder, encoder=ColourEncoder()) as index:
        vectors = index.store.embeddings()[1]
        pictures = index.store.pictures()
    return {
        one.path: (one.pixels, row.tobytes()) for one, row in zip(pictures, vectors, strict=True)
    }


def disk(folder: Path) -> dict[str, tuple[str, bytes]]:
    """The same, read anew."""
    encoder = ColourEncoder()
    found = {}
    for file in folder.rglob("*"):
        if not file.is_file() or not is_picture(file):
            continue
        try:
            one = decode(file.read_bytes(), file, encoder.side)
        except Refused:
            continue
        found[str(file)] = (one.pixels, encoder.images([one.image])[0].tobytes())
    return found


def add(tmp_path: Path, *folders: Path, prune: bool = False) -> indexing.Report:
    with PictureIndex.create(tmp_path / "index", encoder=ColourEncoder()) as index:
        return index.add(folders, prune=prune)


def test_each_file_is_indexed_or_has_a_reason(tmp_path: Path, photos: Path) -> None:
    (photos / "empty.jpg").touch()
    (photos / "half.png").write_bytes(encoded(picture())[:200])
    (photos / "png.jpg").write_bytes(encoded(picture()))
    (photos / "text.gif").write_text("hello")
    (photos / "notes.txt").write_text("hello")
    (photos / "loop.png").symlink_to(photos / "loop.png")
    (photos / "around").symlink_to(photos)
    report = add(tmp_path, photos)
    assert (report.added, report.pictures, report.others, report.embedded) == (6, 6, 1, 6)
    assert {Path(one.path).name: one.reason for one in report.refused} == {
        "empty.jpg": "empty",
        "half.png": "truncated",
        "png.jpg": "wrong extension",
        "text.gif": "unreadable",
        "loop.png": "unreadable",
    }
    with PictureIndex.open(tmp_path / "index", encoder=ColourEncoder()) as index:
        counted = index.status()
        assert counted.pictures == 6
        assert sum(counted.refused.values()) == 4  # the loop is no file


def test_a_copy_or_a_new_name_is_not_embedded_again(tmp_path: Path, photos: Path) -> None:
    add(tmp_path, photos)
    (photos / "0" / "red.png").rename(photos / "1" / "rouge.png")
    (photos / "copy.png").write_bytes((photos / "1" / "green.png").read_bytes())
    report = add(tmp_path, photos)
    assert (report.added, report.removed, report.embedded, report.unchanged) == (2, 1, 0, 5)
    assert held(tmp_path / "index") == disk(photos)


def test_a_copy_under_a_wrong_extension_is_refused(tmp_path: Path, photos: Path) -> None:
    add(tmp_path, photos)
    (photos / "copy.jpg").write_bytes((photos / "1" / "green.png").read_bytes())
    assert [one.reason for one in add(tmp_path, photos).refused] == ["wrong extension"]


def test_the_same_size_and_second_do_not_hide_an_edit(tmp_path: Path, photos: Path) -> None:
    file = photos / "a.bmp"
    save(file, "red")
    add(tmp_path, photos)
    stat = file.stat()
    save(file, "blue")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file.stat().st_size == stat.st_size
    assert add(tmp_path, photos).changed == 1
    assert held(tmp_path / "index") == disk(photos)


def test_what_was_refused_is_read_again_by_other_decoders(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = photos / "half.png"
    file.write_bytes(encoded(picture())[:200])
    os.utime(file, (1e9, 1e9))
    assert len(add(tmp_path, photos).refused) == 1
    monkeypatch.setattr(indexing, "decode", lambda *_: pytest.fail("it was read again"))
    assert len(add(tmp_path, photos).refused) == 1
    monkeypatch.setattr(indexing, "decoders", lambda: "better ones")
    monkeypatch.setattr(indexing, "decode", lambda *_: decode(encoded(picture()), "a.png"))
    report = add(tmp_path, photos)
    assert (report.changed, report.refused) == (1, ())


def test_a_missing_folder_deletes_nothing_unless_told(tmp_path: Path, photos: Path) -> None:
    add(tmp_path, photos)
    photos.rename(tmp_path / "away")
    report = add(tmp_path, photos)
    assert (report.removed, report.kept, report.missing) == (0, 6, (str(photos),))
    photos.mkdir()  # a mount point without its disk
    assert add(tmp_path, photos).kept == 6
    photos.rmdir()
    (tmp_path / "away").rename(photos)
    report = add(tmp_path, photos)
    assert (report.unchanged, report.embedded, report.missing) == (6, 0, ())
    photos.rename(tmp_path / "away")
    report = add(tmp_path, photos, prune=True)
    assert (report.removed, report.pictures) == (6, 0)
    with pytest.raises(UsageError, match="does not exist"):
        add(tmp_path, photos)


def test_a_disk_below_that_is_mounted_no_more(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_below = str(photos / "1")
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path) == disk_below)
    add(tmp_path, photos)
    (photos / "1").rename(tmp_path / "away")
    (photos / "1").mkdir()
    (photos / "0" / "red.png").unlink()
    monkeypatch.setattr(os.path, "ismount", lambda path: False)
    report = add(tmp_path, photos)
    assert (report.removed, report.kept, report.missing) == (1, 3, (disk_below,))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_keeps_its_pictures(tmp_path: Path, photos: Path) -> None:
    add(tmp_path, photos)
    (photos / "1").chmod(0)
    try:
        report = add(tmp_path, photos)
    finally:
        (photos / "1").chmod(0o755)
    assert (report.removed, report.kept) == (0, 3)


def test_names_with_newlines_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    odd = [os.fsencode(folder) + b"/" + name for name in (b"a\nb.png", b"caf\xe9.png", b"\xff.png")]
    folder.mkdir()
    for number, path in enumerate(odd):
        Path(os.fsdecode(path)).write_bytes(encoded(picture(seed=number)))
    assert add(tmp_path, folder).added == 3
    assert {os.fsencode(path) for path in held(tmp_path / "index")} == set(odd)
    assert add(tmp_path, folder).unchanged == 3


def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes
    restless = photos / "0" / "red.png"

    def reading(path: Path) -> bytes:
        data = read(path)
        if path == restless:
            path.write_bytes(data + b"\0")
        return data

    monkeypatch.setattr(Path, "read_bytes", reading)
    report = add(tmp_path, photos)
    assert [(one.path, one.detail) for one in report.refused] == [
        (str(restless), "changes while it is read")
    ]
    monkeypatch.undo()
    assert add(tmp_path, photos).changed == 1


def test_a_content_that_another_process_swept_is_decoded_after_all(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, photos)
    (photos / "0").rename(photos / "2")
    with PictureIndex.open(tmp_path / "index", encoder=ColourEncoder()) as index:
        contents = index.store.contents()
        index.forget([photos])
        monkeypatch.setattr(index.store, "contents", lambda: dict(contents))
        report = index.add([photos])
    assert (report.added, report.pictures) == (6, 6)
    assert held(tmp_path / "index") == disk(photos)


def test_another_model_is_refused_and_both_are_named(tmp_path: Path, photos: Path) -> None:
    add(tmp_path, photos)
    with pytest.raises(UsageError, match=r"colours \(colours-1\), not with colours \(another\)"):
        PictureIndex.open(tmp_path / "index", encoder=ColourEncoder("another"))


def test_forgetting(tmp_path: Path, photos: Path) -> None:
    add(tmp_path, photos)
    with PictureIndex.open(tmp_path / "index", encoder=ColourEncoder()) as index:
        assert index.forget([photos / "0"]) == 3
        assert index.forget([photos / "0"]) == 0
        assert index.store.count() == 3
        assert index.status().new == 3
        assert index.forget([photos]) == 3
        assert index.store.roots() == []


NAMES = ("a.png", "b.png", "sub/c.png", "sub/d.jpg", "e.bmp")
CHANGES = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(NAMES), st.sampled_from(sorted(COLOURS))),
    st.tuples(st.just("delete"), st.sampled_from(NAMES), st.just("")),
    st.tuples(st.just("rename"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("break"), st.sampled_from(NAMES), st.just("")),
    st.tuples(st.just("index"), st.just(""), st.just("")),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(CHANGES, max_size=12))
def test_the_index_equals_the_disk(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, str, str]]
) -> None:
    tmp_path = tmp_path_factory.mktemp("property")
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    (folder / "notes.txt").touch()
    for what, name, other in [*changes, ("index", "", "")]:
        file = folder / name
        if what == "write":
            save(file, other)
        elif what == "index":
            add(tmp_path, folder)
        elif file.is_file() and what == "delete":
            file.unlink()
        elif file.is_file() and what == "rename":
            file.rename(folder / other)
        elif file.is_file():
            file.write_bytes(file.read_bytes()[:60])
    assert held(tmp_path / "index") == disk(folder)


KILLED = """
import sys
from pathlib import Path
from tests.images.made import ColourEncoder
from trivium.images import indexing
from trivium.images.index import PictureIndex
indexing.BATCH = 4
with PictureIndex.create(Path(sys.argv[1]), encoder=ColourEncoder()) as index:
    print("ready", flush=True)
    index.add([sys.argv[2]], on_progress=lambda done, total: print(done, flush=True))
"""


def test_kill_9_loses_at_most_one_batch(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for number in range(80):
        save(folder / f"{number:03}.png", seed=number)
    least = 0
    for kill in range(5):
        command = [sys.executable, "-c", KILLED, str(tmp_path / "index"), str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip().isdigit():
                    least = max(least, int(line))
                if line.strip().isdigit() and int(line) >= 12 * (kill + 1):
                    break
            time.sleep(0.001 * kill)
            process.send_signal(signal.SIGKILL)
        kept = held(tmp_path / "index")
        assert len(kept) >= least  # what was told as done is there
    assert add(tmp_path, folder).pictures == 80
    assert held(tmp_path / "index") == disk(folder)
