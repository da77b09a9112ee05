"""Files and folders beside a message."""

import os
from pathlib import Path

import pytest

from tests.embedder import WordEmbedder
from tests.retrieval.files import pdf
from tests.scripted import ScriptedEngine
from trivium.agent.attach import attach, picture
from trivium.agent.base import Attachment
from trivium.engines.base import Image
from trivium.errors import TriviumError, UsageError
from trivium.retrieval.base import Skipped
from trivium.retrieval.index import Index, names
from trivium.retrieval.load import LoadError

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


@pytest.fixture(autouse=True)
def embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trivium.retrieval.embed.load_embedder", WordEmbedder)


def put(path: str | Path, *, sees: bool = False, limit: int = 100) -> Attachment:
    engine = ScriptedEngine(sees_images=sees)
    return attach(path, engine=engine, embedder_name="words", limit_tokens=limit)


class TestText:
    def test_a_small_file_comes_whole(self, tmp_path: Path) -> None:
        (tmp_path / "nile.md").write_text("# Nile\n\nIt flows north.\n")
        got = put(tmp_path / "nile.md")
        assert got == Attachment(
            str(tmp_path / "nile.md"), "text", text="# Nile\n\nIt flows north.\n"
        )

    def test_its_name_is_the_one_that_the_user_gave(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "notes.txt").write_text("Short.")
        assert put("./notes.txt").name == "./notes.txt"

    def test_other_kinds_are_read_by_their_loaders(self, tmp_path: Path) -> None:
        (tmp_path / "a.pdf").write_bytes(pdf("Tides rise."))
        assert "Tides rise." in put(tmp_path / "a.pdf").text

    @pytest.mark.parametrize(("words", "kind"), [(10, "text"), (11, "index")])
    def test_the_limit_is_in_tokens(self, tmp_path: Path, words: int, kind: str) -> None:
        (tmp_path / "a.txt").write_text("word " * words)
        assert put(tmp_path / "a.txt", limit=10).kind == kind

    def test_a_very_long_text_is_large_without_being_counted(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("x" * 2000)  # one token of the scripted engine
        assert put(tmp_path / "a.txt", limit=100).kind == "index"


class TestIndex:
    def test_a_large_file_is_indexed_and_can_be_searched(self, tmp_path: Path) -> None:
        (tmp_path / "rivers.txt").write_text("The Nile flows north. " + "Filler goes on. " * 80)
        got = put(tmp_path / "rivers.txt", limit=20)
        assert (got.kind, got.text) == ("index", "")
        with Index.open(got.index, embedder=WordEmbedder()) as index:
            assert index.documents() == [str(tmp_path / "rivers.txt")]
            assert "Nile" in index.search("Nile", 1)[0].passage.text

    def test_a_folder_is_indexed_and_what_cannot_be_read_is_told(self, tmp_path: Path) -> None:
        folder = tmp_path / "docs"
        folder.mkdir()
        (folder / "nile.txt").write_text("The Nile flows north.")
        (folder / "empty.txt").touch()
        skipped: list[Skipped] = []
        steps: list[tuple[int, int]] = []
        got = attach(
            folder,
            engine=ScriptedEngine(),
            embedder_name="words",
            limit_tokens=100,
            on_progress=lambda done, total: steps.append((done, total)),
            on_skipped=skipped.append,
        )
        assert got.kind == "index"
        assert skipped == [Skipped(str(folder / "empty.txt"), "is empty")]
        assert steps[-1] == (2, 2)

    def test_the_same_file_has_the_same_index_brought_up_to_date(self, tmp_path: Path) -> None:
        file = tmp_path / "a.txt"
        file.write_text("old words " * 30)
        first = put(file, limit=5)
        file.write_text("new sentences " * 30)
        second = put(file, limit=5)
        assert first.index == second.index
        with Index.open(second.index, embedder=WordEmbedder()) as index:
            assert index.text(file).startswith("new")
        assert names() == []  # it is not one of the user's own

    def test_a_folder_with_nothing_to_read_is_an_error(self, tmp_path: Path) -> None:
        folder = tmp_path / "docs"
        folder.mkdir()
        with pytest.raises(TriviumError, match=r"nothing in .*docs can be read$"):
            put(folder)
        (folder / "empty.txt").touch()
        with pytest.raises(TriviumError, match=r"nothing in .*docs can be read: 1 skipped$"):
            put(folder)


class TestPictures:
    @pytest.mark.parametrize(
        ("head", "media_type"),
        [
            (PNG, "image/png"),
            (b"\xff\xd8\xff\xe0" + bytes(8), "image/jpeg"),
            (b"GIF89a" + bytes(8), "image/gif"),
            (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
            (b"RIFF\x00\x00\x00\x00WAVEfmt ", None),
            (b"%PDF-1.7", None),
            (b"", None),
        ],
    )
    def test_are_known_by_their_first_bytes(self, head: bytes, media_type: str | None) -> None:
        assert picture(head) == media_type

    def test_go_to_a_model_that_sees(self, tmp_path: Path) -> None:
        (tmp_path / "photo.txt").write_bytes(PNG)  # whatever its name says
        got = put(tmp_path / "photo.txt", sees=True)
        assert (got.kind, got.image) == ("image", Image(PNG, "image/png"))

    def test_are_an_error_with_one_that_does_not(self, tmp_path: Path) -> None:
        (tmp_path / "photo.png").write_bytes(PNG)
        with pytest.raises(UsageError, match=r"photo\.png is a picture, and scripted cannot see"):
            put(tmp_path / "photo.png")


class TestBadFiles:
    @pytest.mark.parametrize(
        ("name", "data", "reason"),
        [
            ("empty.txt", b"", "is empty"),
            ("blank.txt", b" \n\n ", "holds no text"),
            ("noise.bin", bytes(range(256)) * 8, "is binary"),
            ("locked.pdf", pdf("Secret.", password="x"), "is encrypted"),
            ("broken.docx", b"PK\x03\x04 nonsense", "is damaged"),
        ],
    )
    def test_are_named_with_the_reason(
        self, tmp_path: Path, name: str, data: bytes, reason: str
    ) -> None:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(LoadError, match=f"{name} .*{reason}"):
            put(tmp_path / name)

    def test_what_is_missing_is_a_usage_error(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"gone\.txt does not exist"):
            put(tmp_path / "gone.txt")

    def test_a_pipe_does_not_block(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(LoadError, match="is not a regular file"):
            put(tmp_path / "pipe")
