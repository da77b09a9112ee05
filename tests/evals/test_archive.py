"""Archives: exact names alone, and nothing that an archive says becomes a path."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from trivium.errors import Unavailable
from trivium.evals import archive
from trivium.evals.archive import unpack

FILES = {"set/dev.tsv": b"rows", "../evil": b"evil", "/abs": b"evil", "set/big": b"x" * 3000}


@pytest.fixture(params=["zip", "tar", "tar.gz"])
def packed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The same files in each kind of archive; the tar ones with a link and a folder too."""
    file = tmp_path / f"set.{request.param}"
    if request.param == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
            for name, content in FILES.items():
                out.writestr(name, content)
            out.mkdir("folder")
        return file
    with tarfile.open(file, "w:gz" if file.suffix == ".gz" else "w") as out:
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        out.addfile(link)
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        out.addfile(folder)
    return file


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_members_are_taken_by_name_to_our_own_paths(packed: Path, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "target"
    unpack(packed, {"set/dev.tsv": "a/dev.tsv", "../evil": "odd"}, target)
    assert everything(target) == {"a/dev.tsv": b"rows", "odd": b"evil"}
    assert everything(tmp_path).keys() - {packed.name} == {
        "deep/target/a/dev.tsv",
        "deep/target/odd",
    }


@pytest.mark.parametrize("path", ["../out", "/tmp/out", "a/../../out"])
def test_no_path_leads_out(packed: Path, tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="leads out of"):
        unpack(packed, {"set/dev.tsv": path}, tmp_path / "target")
    assert everything(tmp_path).keys() == {packed.name}


def test_what_is_no_file_or_not_there_is_named(packed: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=rf"{packed.name} holds no set/DEV.tsv"):
        unpack(packed, {"set/DEV.tsv": "a"}, tmp_path / "target")
    name = "folder/" if packed.suffix == ".zip" else "folder"
    with pytest.raises(Unavailable, match=rf"{name} in {packed.name} is no plain file"):
        unpack(packed, {name: "a"}, tmp_path / "target")
    if packed.suffix != ".zip":
        with pytest.raises(Unavailable, match=r"link in set\.tar(\.gz)? is no plain file"):
            unpack(packed, {"link": "a"}, tmp_path / "target")
    assert everything(tmp_path).keys() == {packed.name}


def test_a_member_may_not_grow_without_end(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LARGEST", 2999)
    with pytest.raises(Unavailable, match="is larger than 2,999 bytes"):
        unpack(packed, {"set/big": "big"}, tmp_path / "target")
    assert everything(tmp_path).keys() == {packed.name}
    monkeypatch.setattr(archive, "LARGEST", 3000)
    unpack(packed, {"set/big": "big"}, tmp_path / "target")
    assert everything(tmp_path / "target") == {"big": b"x" * 3000}


def test_damage_is_a_sentence(packed: Path, tmp_path: Path) -> None:
    whole = packed.read_bytes()
    for content in (b"", b"PK\x03\x04 no", whole[: len(whole) // 2]):
        packed.write_bytes(content)
        with pytest.raises(Unavailable, match=r"is damaged|holds no"):
            unpack(packed, {"set/big": "big"}, tmp_path / "target")
