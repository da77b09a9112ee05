"""Bad days: each file that cannot be read gives one sentence, and nothing else on the screen."""

import os
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from tests.retrieval import files
from trivium.retrieval.load import LoadError, load, load_bytes

MIB = 1024 * 1024


def sentence(name: str, data: bytes) -> str:
    with pytest.raises(LoadError) as caught:
        load_bytes(name, data)
    message = str(caught.value)
    assert message == f"{name} {caught.value.reason}"
    assert "\n" not in message
    assert len(message) < 200
    return message


def test_empty() -> None:
    assert sentence("a.txt", b"") == "a.txt is empty"


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.csv", "a.jsonl"])
def test_blank(name: str) -> None:
    assert sentence(name, b" \n\0 ") == f"{name} holds no text"


def test_a_pdf_with_a_password() -> None:
    assert sentence("a.pdf", files.pdf("Secret.", password="key")) == "a.pdf is encrypted"


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        ("EncryptedPackage", "is encrypted"),
        ("WordDocument", "is in an old Office format: save it anew as .docx, .pptx or .xlsx"),
    ],
)
def test_an_office_file_with_a_password_or_of_old(stream: str, reason: str) -> None:
    data = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600) + stream.encode("utf-16-le")
    assert sentence("a.docx", data) == f"a.docx {reason}"


def test_a_pdf_of_images() -> None:
    assert sentence("a.pdf", files.scan()) == "a.pdf holds no text (a scan?)"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.pdf", b"%PDF-1.4 and then nothing"),
        ("a.pdf", b"no pdf at all"),
        ("a.docx", b"no zip at all"),
        ("a.docx", files.docx()[:3000]),
        ("a.docx", files.xlsx()),
        ("a.pptx", files.docx()),
        ("a.xlsx", files.pptx()),
        ("a.ipynb", b"{"),
        ("a.ipynb", b"[]"),
        ("a.ipynb", b'{"nbformat": 4, "cells": 7}'),
    ],
)
def test_damaged(name: str, data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    assert sentence(name, data).startswith(f"{name} is damaged: ")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "make"),
    [("a.pdf", lambda: files.pdf("Some words.")), ("a.docx", files.docx), ("a.xlsx", files.xlsx)],
)
def test_any_cut_and_any_broken_byte_is_read_or_named(
    name: str, make: Callable[[], bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    whole = make()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        for data in (whole[:place], whole[:place] + b"\xff\x00<" + whole[place + 3 :]):
            try:
                load_bytes(name, data)
            except LoadError as error:
                assert "\n" not in str(error)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx"])
def test_a_zip_bomb_is_not_unpacked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = files.zip_bomb()
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    said = sentence(name, bomb)
    assert said.startswith(f"{name} unpacks to 64.0 MiB from 6")
    assert said.endswith(" KiB (a zip bomb?)")


def test_a_zip_that_lies_about_its_size_yields_no_more_than_it_says() -> None:
    bomb = bytearray(files.zip_bomb("word/document.xml", 16 * MIB))
    true = (16 * MIB).to_bytes(4, "little")
    while (at := bomb.find(true)) >= 0:
        bomb[at : at + 4] = (1000).to_bytes(4, "little")
    assert sentence("a.docx", bytes(bomb)).startswith("a.docx is damaged: ")


def test_a_document_with_an_entity_bomb_does_not_swell() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    for new, old in zip("bcdefghi", "abcdefgh", strict=True):
        bomb += f'<!ENTITY {new} "{f"&{old};" * 10}">'.encode()
    bomb += b"]>"
    source = BytesIO(files.docx())
    out = BytesIO()
    with zipfile.ZipFile(source) as old_zip, zipfile.ZipFile(out, "w") as new_zip:
        for member in old_zip.namelist():
            data = old_zip.read(member)
            if member == "word/document.xml":
                head, tail = data.split(b"?>", 1)
                data = head + b"?>" + bomb + tail.replace(b"Read this", b"&i;")
            new_zip.writestr(member, data)
    try:
        assert len(load_bytes("a.docx", out.getvalue()).text) < 1000
    except LoadError as error:
        assert "is damaged" in str(error)


def test_broken_utf8_is_read_with_marks_in_its_place() -> None:
    data = "Tür und Tor\n".encode() * 3 + b"\xc3(\xf0\x9f" + " für Öl".encode()
    assert load_bytes("a.md", data).text == "Tür und Tor\n" * 3 + "\ufffd(\ufffd für Öl"


def test_a_file_of_200_mb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    path.touch()
    os.truncate(path, 200 * MIB)
    with pytest.raises(LoadError) as caught:
        load(path)
    assert caught.value.reason == "holds 200.0 MiB, more than the limit of 64.0 MiB"


def test_the_limit_itself_is_within_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x" * 10)
    assert load(path, max_bytes=10).text == "x" * 10
    with pytest.raises(LoadError, match="holds 10 bytes, more than the limit of 9 bytes"):
        load(path, max_bytes=9)


@pytest.mark.timeout(10)
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(LoadError) as caught:
        load(tmp_path / "pipe.txt")
    assert caught.value.reason == "is not a regular file"


def test_a_file_that_vanished_and_one_that_is_a_folder(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "a.txt", "has vanished"), (tmp_path, "is a folder")):
        with pytest.raises(LoadError) as caught:
            load(path)
        assert caught.value.reason == reason


def test_a_link_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.symlink_to(path)
    with pytest.raises(LoadError, match=r"a\.txt cannot be read: Too many levels of symbolic"):
        load(path)


def test_a_spreadsheet_cannot_hide_more_text_than_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trivium.retrieval.loaders.base.Budget.__init__.__defaults__", (20,))
    assert sentence("a.xlsx", files.xlsx()) == "a.xlsx holds more than 20 characters of text"
