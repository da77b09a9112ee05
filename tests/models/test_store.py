import json
import subprocess
import sys
from pathlib import Path

import pytest

from trivium import paths
from trivium.errors import TriviumError, Unavailable, UsageError
from trivium.models import store
from trivium.models.pull import pull


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    file = tmp_path / "Tiny.gguf"
    file.write_bytes(b"GGUF" + bytes(1000))
    return file


def test_resolve_gives_the_file_of_a_pulled_model(tiny: Path) -> None:
    assert pull(str(tiny)) == paths.models() / "tiny" / "Tiny.gguf"
    assert store.resolve("tiny").read_bytes() == tiny.read_bytes()


def test_an_existing_path_is_its_own_answer(tiny: Path) -> None:
    assert store.resolve(str(tiny)) == tiny


@pytest.mark.parametrize("name", ["smollm2-135m", "hf:org/repo/a.gguf", "https://x.test/a.gguf"])
def test_what_is_known_but_not_pulled_says_how_to_pull_it(name: str) -> None:
    with pytest.raises(Unavailable) as caught:
        store.resolve(name)
    assert str(caught.value) == f'"{name}" is not pulled; run: trivium models pull {name}'


def test_an_unknown_name_suggests_close_ones() -> None:
    with pytest.raises(UsageError, match=r"did you mean smollm2-135m"):
        store.resolve("smollm-135m")
    with pytest.raises(UsageError, match=r'there is no file "\./none\.gguf"'):
        store.resolve("./none.gguf")


@pytest.mark.parametrize("name", ["../secrets", "/", "..", "", ".partial"])
def test_a_name_never_leaves_the_models_folder(name: str, home: Path) -> None:
    assert store.pulled(name) is None
    with pytest.raises((UsageError, Unavailable)):
        store.remove(name)


def test_a_file_cut_short_by_hand_is_noticed(tiny: Path) -> None:
    path = pull(str(tiny))
    path.write_bytes(b"GGUF")
    with pytest.raises(Unavailable, match="has 4 of 1004 bytes; run: trivium models rm tiny"):
        store.resolve("tiny")


def test_a_damaged_manifest_is_named(tiny: Path) -> None:
    folder = pull(str(tiny)).parent
    (folder / store.MANIFEST).write_text("{")
    with pytest.raises(Unavailable, match=r"pulled\.json is damaged"):
        store.resolve("tiny")


def test_the_manifest_tells_hash_and_source(tiny: Path) -> None:
    folder = pull(str(tiny)).parent
    manifest = json.loads((folder / store.MANIFEST).read_text())
    assert manifest["main"] == "Tiny.gguf"
    (file,) = manifest["files"]
    assert file["source"] == str(tiny)
    assert file["size"] == 1004
    assert len(file["sha256"]) == 64


def test_remove_frees_the_disk_and_forgets_the_model(tiny: Path) -> None:
    folder = pull(str(tiny)).parent
    assert store.remove("tiny") >= 1004
    assert not folder.exists()
    assert store.all_pulled() == []
    with pytest.raises(Unavailable, match="not pulled"):
        store.remove("tiny")


def test_reading_writes_nothing(home: Path) -> None:
    assert store.all_pulled() == []
    assert not home.exists()


def test_two_references_to_files_of_one_name_have_folders_of_their_own() -> None:
    one, other = "hf:a/b/m.gguf", "hf:a/b/m.gguf@v2"
    assert store.folder_name(one) != store.folder_name(other)
    assert store.folder_name(one).startswith("m-")


def test_a_home_that_cannot_be_written_is_a_sentence(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocker = tmp_path / "file"
    blocker.touch()
    monkeypatch.setenv("TRIVIUM_HOME", str(blocker / "home"))
    with pytest.raises(TriviumError, match=r"cannot (create|read) .* TRIVIUM_HOME|Not a directory"):
        pull(str(tiny))


def test_with_everything_pulled_no_socket_is_opened(tiny: Path) -> None:
    pull(str(tiny))
    program = (
        "import os, sys\n"
        "sys.addaudithook(lambda event, args: os._exit(9) if event.startswith('socket.') else 0)\n"
        "from trivium.models import store\n"
        "from trivium.models.pull import pull\n"
        "assert store.resolve('tiny') == pull('tiny') == store.all_pulled()[0].path\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == 0
