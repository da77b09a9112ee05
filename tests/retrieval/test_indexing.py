"""Incremental indexing: what changed is read, what is new is embedded, what is gone leaves."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.embedder import WordEmbedder
from tests.retrieval.contents import contents
from trivium.errors import UsageError
from trivium.retrieval.base import Report, Skipped
from trivium.retrieval.index import Index
from trivium.retrieval.store import Store


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "nile.txt").write_text("The Nile flows north.")
    (folder / "amazon.txt").write_text("The Amazon flows east.")
    return folder


@pytest.fixture
def index(tmp_path: Path, embedder: WordEmbedder) -> Iterator[Index]:
    with Index.create(tmp_path / "index", embedder=embedder) as index:
        yield index


class TestIncremental:
    def test_the_first_run_adds_everything(self, index: Index, docs: Path) -> None:
        assert index.add([docs]) == Report(2, 0, 0, 0, 2, 2)

    def test_the_second_run_embeds_nothing(
        self, index: Index, docs: Path, embedder: WordEmbedder
    ) -> None:
        index.add([docs])
        embedder.seen.clear()
        assert index.add([docs]) == Report(0, 0, 2, 0, 2, 0)
        assert embedder.seen == []

    def test_of_a_changed_file_only_new_passages_are_embedded(
        self, index: Index, docs: Path, embedder: WordEmbedder
    ) -> None:
        kept, old, new = ("word " * 40 + f"{end}." for end in ("kept", "old", "new"))
        (docs / "nile.txt").write_text(f"{kept}\n\n{old}\n")
        index.add([docs])
        embedder.seen.clear()
        (docs / "nile.txt").write_text(f"{kept}\n\n{new}\n")
        assert index.update() == Report(0, 1, 1, 0, 3, 1)
        assert embedder.seen == [new]

    def test_a_moved_file_embeds_nothing(
        self, index: Index, docs: Path, embedder: WordEmbedder
    ) -> None:
        index.add([docs])
        embedder.seen.clear()
        (docs / "nile.txt").rename(docs / "river.txt")
        report = index.update()
        assert (report.added, report.removed, report.embedded) == (1, 1, 0)
        assert embedder.seen == []
        assert index.documents() == [str(docs / "amazon.txt"), str(docs / "river.txt")]

    def test_a_deleted_file_leaves(self, index: Index, docs: Path, tmp_path: Path) -> None:
        index.add([docs])
        (docs / "nile.txt").unlink()
        assert index.update() == Report(0, 0, 1, 1, 1, 0)
        assert [hit.passage.text for hit in index.search("Nile")] == ["The Amazon flows east."]

    def test_a_deleted_folder_leaves(self, index: Index, docs: Path) -> None:
        index.add([docs])
        for file in docs.iterdir():
            file.unlink()
        docs.rmdir()
        assert index.update() == Report(0, 0, 0, 2, 0, 0)

    def test_a_file_that_breaks_is_reported_and_can_no_longer_be_cited(
        self, index: Index, docs: Path
    ) -> None:
        index.add([docs])
        (docs / "nile.txt").write_bytes(b"")
        report = index.update()
        assert report.skipped == (Skipped(str(docs / "nile.txt"), "is empty"),)
        assert (report.removed, report.passages) == (1, 1)

    def test_what_another_root_holds_stays(self, index: Index, docs: Path) -> None:
        (docs / "deep").mkdir()
        (docs / "deep" / "volga.txt").write_text("The Volga flows south.")
        index.add([docs / "deep"])
        index.add([docs], exclude=["deep/"])
        assert str(docs / "deep" / "volga.txt") in index.documents()

    def test_a_file_under_two_roots_is_one_document(self, index: Index, docs: Path) -> None:
        index.add([docs, docs / "nile.txt", docs / ".." / "docs"])
        assert index.documents() == [str(docs / "amazon.txt"), str(docs / "nile.txt")]
        (docs / "nile.txt").unlink()
        assert index.update() == Report(0, 0, 1, 1, 1, 0)

    def test_patterns_are_remembered_and_can_be_changed(self, index: Index, docs: Path) -> None:
        (docs / "notes.md").write_text("# Notes")
        index.add([docs], include=["*.txt"], exclude=["nile*"])
        (docs / "volga.txt").write_text("The Volga flows south.")
        index.update()
        names = [Path(path).name for path in index.documents()]
        assert names == ["amazon.txt", "volga.txt"]
        index.add([docs], include=["*.md"])
        assert [Path(path).name for path in index.documents()] == ["notes.md"]

    def test_a_larger_limit_lets_a_file_in(self, index: Index, docs: Path) -> None:
        assert [s.path for s in index.add([docs], max_bytes=21).skipped] == [
            str(docs / "amazon.txt")
        ]
        assert index.add([docs]).added == 1

    def test_a_change_within_the_same_tick_is_seen(self, index: Index, docs: Path) -> None:
        """Same size and time, other content: a file read right after a change is read again."""
        index.add([docs])
        stat = (docs / "nile.txt").stat()
        (docs / "nile.txt").write_text("The Nile flows NORTH.")
        os.utime(docs / "nile.txt", ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert index.update().changed == 1

    def test_an_old_file_is_not_read_again(
        self, index: Index, docs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for file in docs.iterdir():
            os.utime(file, (1, 1))
        index.add([docs])
        monkeypatch.setattr("trivium.retrieval.indexing.load", None)
        assert index.update() == Report(0, 0, 2, 0, 2, 0)

    def test_a_touched_file_is_read_once(
        self, index: Index, docs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index.add([docs])
        for file in docs.iterdir():
            os.utime(file, (1, 1))
        assert index.update() == Report(0, 0, 2, 0, 2, 0)
        monkeypatch.setattr("trivium.retrieval.indexing.load", None)
        assert index.update() == Report(0, 0, 2, 0, 2, 0)

    def test_a_time_in_the_future_is_no_pending_change(self, index: Index, docs: Path) -> None:
        os.utime(docs / "nile.txt", (4_000_000_000, 4_000_000_000))
        index.add([docs])
        assert index.status().changed == 0

    def test_a_name_that_is_no_text_is_skipped(self, index: Index, docs: Path) -> None:
        (docs / os.fsdecode(b"\xffle.txt")).write_text("text")
        assert index.add([docs]).skipped == (
            Skipped(f"{docs}/\ufffdle.txt", "has a name that is not UTF-8"),
        )

    def test_a_file_that_vanishes_during_the_walk_is_reported(
        self, index: Index, docs: Path, embedder: WordEmbedder
    ) -> None:
        def vanish(done: int, total: int) -> None:
            (docs / "nile.txt").unlink(missing_ok=True)

        report = index.add([docs], on_progress=vanish)
        assert report.skipped == (Skipped(str(docs / "nile.txt"), "vanished while it was read"),)
        assert (report.added, report.passages) == (1, 1)

    def test_progress_counts_files_to_the_end(self, index: Index, docs: Path) -> None:
        seen: list[tuple[int, int]] = []
        index.add([docs], on_progress=lambda done, total: seen.append((done, total)))
        assert seen == [(1, 2), (2, 2)]

    def test_a_path_that_does_not_exist_is_named(self, index: Index, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"nowhere does not exist"):
            index.add([tmp_path / "nowhere"])

    def test_removing_a_folder_forgets_it(self, index: Index, docs: Path) -> None:
        index.add([docs])
        assert index.remove([docs]) == 2
        assert index.update() == Report(0, 0, 0, 0, 0, 0)

    def test_pending_changes_are_told_without_reading(self, index: Index, docs: Path) -> None:
        index.add([docs])
        (docs / "nile.txt").write_text("The Nile flows north to the sea.")
        (docs / "amazon.txt").unlink()
        (docs / "volga.txt").write_text("The Volga flows south.")
        status = index.status()
        assert (status.new, status.changed, status.deleted) == (1, 1, 1)

    def test_standard_input_is_a_document_by_its_content(
        self, index: Index, embedder: WordEmbedder
    ) -> None:
        from trivium.retrieval.load import load_bytes

        assert index.add_document(load_bytes("-", b"One text.")) == Report(1, 0, 0, 0, 1, 1)
        assert index.add_document(load_bytes("-", b"One text.")) == Report(0, 0, 1, 0, 1, 0)
        assert index.add_document(load_bytes("-", b"Another.")) == Report(0, 1, 0, 0, 1, 1)
        assert index.text("-") == "Another."


def test_a_vector_swept_by_another_process_is_made_again(
    tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text is in the index, so it is not embedded; before it is stored, it leaves."""
    with Index.create(tmp_path / "index", embedder=WordEmbedder()) as index:
        index.add([docs / "nile.txt"])
        (docs / "copy.txt").write_text((docs / "nile.txt").read_text())
        put = Store.put

        def sweep_first(store: Store, *arguments: object) -> None:
            monkeypatch.setattr(Store, "put", put)
            store.drop([str(docs / "nile.txt")])
            store.sweep()
            put(store, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(Store, "put", sweep_first)
        assert index.add([docs / "copy.txt"]).embedded == 1
    assert [row[0] for row in contents(tmp_path / "index")] == [str(docs / "copy.txt")]


NAMES = st.sampled_from(["a.txt", "b.txt", "sub/a.md"])
TEXTS = st.sampled_from(["One.", "Two words.", "# Title\n\nOne.\n\nTwo words.", ""])
CHANGES = st.lists(st.tuples(NAMES, st.none() | TEXTS), max_size=6)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(CHANGES, min_size=1, max_size=4))
def test_any_history_of_changes_ends_in_the_index_of_one_go(
    tmp_path_factory: pytest.TempPathFactory, history: list[list[tuple[str, str | None]]]
) -> None:
    folder = tmp_path_factory.mktemp("history")
    docs = folder / "docs"
    (docs / "sub").mkdir(parents=True)
    with Index.create(folder / "grown", embedder=WordEmbedder()) as grown:
        grown.add([docs])
        for changes in history:
            for name, text in changes:
                if text is None:
                    (docs / name).unlink(missing_ok=True)
                else:
                    (docs / name).write_text(text)
            grown.update()
        found = grown.search("one two words", 10)
    with Index.create(folder / "fresh", embedder=WordEmbedder()) as fresh:
        fresh.add([docs])
        wanted = fresh.search("one two words", 10)
    assert contents(folder / "grown") == contents(folder / "fresh")
    assert [(h.passage.path, h.passage.start) for h in found] == [
        (h.passage.path, h.passage.start) for h in wanted
    ]
