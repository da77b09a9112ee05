"""The façade: opening and naming, status, text, and what other processes may do meanwhile."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedder import WordEmbedder
from trivium.errors import TriviumError, UsageError
from trivium.retrieval.index import Index, delete, names, overview
from trivium.retrieval.load import load_bytes
from trivium.retrieval.store import FILE, Store

NILE = "The Nile flows north.\n\nIt is long."


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "nile.txt").write_text(NILE)
    (folder / "bread.md").write_text("# Bread\n\nFlour and water.")
    return folder


@pytest.fixture
def index(docs: Path) -> Iterator[Index]:
    with Index.create("rivers", embedder=WordEmbedder()) as index:
        index.add([docs])
        yield index


class TestContents:
    def test_a_passage_is_a_span_of_the_text_that_is_kept(self, index: Index, docs: Path) -> None:
        assert index.text(docs / "nile.txt") == NILE
        assert index.documents() == [str(docs / "bread.md"), str(docs / "nile.txt")]
        for passage in index.passages():
            assert index.text(passage.path)[passage.start : passage.end] == passage.text

    def test_the_kept_text_outlives_the_file(self, index: Index, docs: Path) -> None:
        (docs / "nile.txt").unlink()
        assert index.text(docs / "nile.txt") == NILE

    def test_a_document_that_is_not_there_is_named(self, index: Index) -> None:
        with pytest.raises(TriviumError, match=r'/nowhere is not in the index "rivers"'):
            index.text("/nowhere")

    def test_status_counts_what_there_is(self, index: Index, docs: Path, home: Path) -> None:
        status = index.status()
        assert (status.name, status.documents, status.passages) == ("rivers", 2, 2)
        assert status.folder == str(home / "indexes" / "rivers")
        assert status.size >= (home / "indexes" / "rivers" / FILE).stat().st_size
        assert (status.embedder, status.embedder_fingerprint) == ("the words embedder", "words")
        assert status.roots == (str(docs),)
        assert (status.new, status.changed, status.deleted) == (0, 0, 0)

    def test_an_overview_needs_no_embedder(self, index: Index) -> None:
        assert overview("rivers")[:2] == (2, 2)
        assert overview("rivers")[3] == "the words embedder"

    def test_the_fingerprint_is_that_of_the_content(self, index: Index, docs: Path) -> None:
        before = index.fingerprint
        with Index.create("again", embedder=WordEmbedder()) as again:
            again.add([docs])
            assert again.fingerprint == before
        with Index.create("other", embedder=WordEmbedder("other")) as other:
            other.add([docs])
            assert other.fingerprint != before
        (docs / "nile.txt").write_text("The Nile.")
        index.update()
        assert index.fingerprint != before

    def test_a_removed_document_is_found_no_more(self, index: Index, docs: Path) -> None:
        assert index.remove([docs / "nile.txt", docs / "unknown.txt"]) == 1
        assert [Path(hit.passage.path).name for hit in index.search("Nile")] == ["bread.md"]

    def test_standard_input_can_be_removed(self, index: Index) -> None:
        index.add_document(load_bytes("-", b"The Volga flows south."))
        index.update()
        assert "-" in index.documents(), "no root holds it, so none takes it away"
        assert index.remove(["-"]) == 1


class TestOpening:
    def test_an_open_index_sees_what_another_stores(self, index: Index, docs: Path) -> None:
        assert len(index.search("volga volga", 9)) == 2
        with Index.open("rivers", embedder=WordEmbedder()) as other:
            (docs / "volga.txt").write_text("The Volga flows south.")
            other.update()
        best = index.search("volga", 9)[0]
        assert best.passage.text == "The Volga flows south."
        assert (best.bm25_rank, best.dense_rank) == (1, 1)

    def test_the_embedder_is_the_first_ones(self, index: Index) -> None:
        with pytest.raises(UsageError) as caught:
            Index.open("rivers", embedder=WordEmbedder("newer"))
        assert str(caught.value) == (
            'index "rivers" was made with the embedder the words embedder (words), not with '
            "the newer embedder (newer); choose that one, or make another index"
        )

    @pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc")
    def test_a_refused_index_is_closed_again(self, index: Index, home: Path) -> None:
        with pytest.raises(UsageError):
            Index.open("rivers", embedder=WordEmbedder("newer"))
        index.close()
        held = [fd.resolve() for fd in Path("/proc/self/fd").iterdir() if fd.exists()]
        assert not [file for file in held if file.is_relative_to(home)]

    def test_a_folder_is_an_index_too(self, tmp_path: Path, docs: Path) -> None:
        with Index.create(tmp_path / "mine", embedder=WordEmbedder()) as index:
            index.add([docs])
        assert (tmp_path / "mine" / FILE).is_file()
        assert names() == []

    def test_a_damaged_index_says_what_to_do(self, index: Index, home: Path) -> None:
        index.close()
        (home / "indexes" / "rivers" / FILE).write_bytes(b"no database" * 1000)
        with pytest.raises(TriviumError, match=r"is damaged .*trivium index rm"):
            Index.open("rivers", embedder=WordEmbedder())
        delete("rivers")
        assert names() == []

    def test_a_writer_that_holds_on_too_long_is_named(
        self, index: Index, docs: Path, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("trivium.database.BUSY_SECONDS", 0.1)
        holder = sqlite3.connect(home / "indexes" / "rivers" / FILE, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with Index.open("rivers", embedder=WordEmbedder()) as other:
            assert other.search("Nile"), "readers do not wait for writers"
            with pytest.raises(TriviumError, match=r"stayed locked by another process"):
                other.add([docs])
        holder.close()


class TestNames:
    def test_the_indexes_that_ask_keeps_are_not_listed(self, index: Index) -> None:
        for name in ("ask-0123456789abcdef", "ask-me"):
            Index.create(name, embedder=WordEmbedder()).close()
        assert names() == ["ask-me", "rivers"]

    def test_no_indexes_are_no_error_and_make_no_folder(self, home: Path) -> None:
        assert names() == []
        assert not home.exists()


def test_idf_of_a_word_in_every_passage_is_still_positive(index: Index) -> None:
    with Index.create("same", embedder=WordEmbedder()) as same:
        for number in range(3):
            same.add_document(load_bytes(f"{number}", b"river"))
        assert 0 < same.idf(["river"])["river"] < same.idf(["lake"])["lake"]


def test_the_embedders_name_is_kept_as_text(index: Index, home: Path) -> None:
    store = Store(home / "indexes" / "rivers")
    assert json.loads(store.meta("embedder") or "") == {
        "name": "the words embedder",
        "fingerprint": "words",
    }
