"""The SQLite file: its schema, its transactions, and what it says when it cannot."""

import hashlib
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.nobody import nobody
from trivium.errors import TriviumError
from trivium.retrieval.base import Document, Passage
from trivium.retrieval.known import Known
from trivium.retrieval.store import FILE, MIGRATIONS, MissingEmbeddings, Parsed, Root, Store

VECTOR = np.ones(4, np.float32).tobytes()


def parsed(path: str, *texts: str) -> Parsed:
    """A document of these passages, one a line."""
    whole = "\n".join(texts)
    sha256 = hashlib.sha256(whole.encode()).hexdigest()
    spans = [(whole.index(text), whole.index(text) + len(text)) for text in texts]
    passages = tuple(
        Passage(text, path, start, end, sha256, heading="Head")
        for text, (start, end) in zip(texts, spans, strict=True)
    )
    hashes = tuple(hashlib.sha256(text.encode()).digest() for text in texts)
    return Parsed(Document(path, "text", whole, sha256), Known(sha256, 1, 2, 3), passages, hashes)


def put(store: Store, one: Parsed) -> None:
    store.put([one], dict.fromkeys(one.hashes, VECTOR))


def found(store: Store, word: str) -> list[str]:
    rows = store.read(
        "SELECT d.path FROM terms t JOIN passages p ON p.id = t.rowid JOIN documents d "
        "ON d.id = p.document WHERE terms MATCH ? ORDER BY d.path",
        (word,),
    )
    return [str(row[0]) for row in rows]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


class TestDocuments:
    def test_what_is_put_comes_back_with_its_place(self, store: Store) -> None:
        put(store, parsed("/a", "one fish", "two fish"))
        first, second = store.passages()
        assert (first.text, first.path, first.start, first.end) == ("one fish", "/a", 0, 8)
        assert (second.text, second.start, second.end, second.heading) == (
            "two fish",
            9,
            17,
            "Head",
        )
        assert store.known()["/a"].mtime_ns == 2
        assert store.passages([second.id, first.id]) == [second, first]
        assert store.places([second.id]) == {second.id: ("/a", 9)}
        assert store.vectors([first.id], 4).tolist() == [[1, 1, 1, 1]]

    def test_a_path_is_replaced_whole(self, store: Store) -> None:
        put(store, parsed("/a", "old words", "older words"))
        put(store, parsed("/a", "new words"))
        assert [passage.text for passage in store.passages()] == ["new words"]
        assert (found(store, "old"), found(store, "new")) == ([], ["/a"])

    def test_an_id_never_names_another_passage(self, store: Store) -> None:
        put(store, parsed("/a", "one"))
        before = store.passages()[0].id
        store.drop(["/a"])
        put(store, parsed("/a", "one"))
        assert store.passages()[0].id > before

    def test_the_words_of_dropped_documents_are_gone(self, store: Store) -> None:
        for number in range(20):
            put(store, parsed(f"/{number:02}", f"common word{number}", f"again rare{number}"))
        store.drop(f"/{number:02}" for number in range(0, 20, 2))
        with store.write() as db:  # FTS5 compares its index with the table, and raises
            db.execute("INSERT INTO terms(terms, rank) VALUES ('integrity-check', 1)")
        assert found(store, "common") == [f"/{number:02}" for number in range(1, 20, 2)]
        assert found(store, "rare4") == []

    def test_swept_are_only_vectors_without_a_passage(self, store: Store) -> None:
        put(store, parsed("/a", "one", "two"))
        put(store, parsed("/b", "two"))
        store.drop(["/a"])
        store.sweep()
        one, two = parsed("", "one", "two").hashes
        assert store.embedded([one, two]) == {two}

    def test_a_passage_without_a_vector_is_refused_and_nothing_changes(self, store: Store) -> None:
        put(store, parsed("/a", "one"))
        new = parsed("/a", "one", "two")
        with pytest.raises(MissingEmbeddings) as caught:
            store.put([new], {})
        assert caught.value.hashes == {new.hashes[1]}
        assert [passage.text for passage in store.passages()] == ["one"]

    def test_every_change_of_content_counts_and_a_new_time_does_not(self, store: Store) -> None:
        put(store, parsed("/a", "one"))
        store.touch("/a", Known("", 9, 9, 9))
        assert store.meta("generation") == "1"
        store.drop(["/a"])
        assert store.meta("generation") == "2"

    def test_roots_keep_their_patterns(self, store: Store) -> None:
        root = Root("/docs", ("*.md",), ("old/", "*.bak"), 1000)
        store.remember([root, Root("/b")])
        store.remember([Root("/b", max_bytes=5)])
        assert store.roots() == [Root("/b", max_bytes=5), root]


class TestTransactions:
    def test_an_exception_undoes_everything(self, store: Store) -> None:
        with pytest.raises(KeyboardInterrupt), store.write() as db:
            db.execute("INSERT INTO meta VALUES ('a', 'b')")
            raise KeyboardInterrupt
        assert store.meta("a") is None

    def test_a_snapshot_stays_at_its_moment(self, store: Store, tmp_path: Path) -> None:
        other = Store(tmp_path)
        put(store, parsed("/a", "one"))
        with store.snapshot():
            assert len(store.passages()) == 1
            put(other, parsed("/b", "two"))
            assert len(store.passages()) == 1
        assert len(store.passages()) == 2

    def test_threads_share_a_store(self, store: Store) -> None:
        failures: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for _ in range(10):
                    put(store, parsed(f"/{number}", f"text {number}"))
                    with store.snapshot():
                        assert len(store.passages()) == len(store.known())
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert sorted(store.known()) == ["/0", "/1", "/2", "/3"]


class TestSchema:
    def test_a_new_file_has_every_migration(self, store: Store) -> None:
        assert store.read("PRAGMA user_version") == [(len(MIGRATIONS),)]
        assert store.read("PRAGMA journal_mode") == [("wal",)]

    def test_each_store_has_an_id_of_its_own(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        mine, theirs = store.meta("id"), Store(tmp_path / "other").meta("id")
        assert mine
        assert theirs
        assert mine != theirs
        assert Store(tmp_path).meta("id") == mine

    def test_processes_that_create_it_together_do_it_once(self, tmp_path: Path) -> None:
        go = tmp_path / "go"
        code = (
            "import sys, time\nfrom pathlib import Path\n"
            "from trivium.retrieval.store import Store\n"
            f"while not Path({str(go)!r}).exists(): time.sleep(0.001)\n"
            f"print(Store(Path({str(tmp_path)!r})).meta('id'))"
        )
        started = [
            subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        go.touch()
        ids = {process.communicate(timeout=60)[0] for process in started}
        assert [process.returncode for process in started] == [0] * 4
        assert len(ids) == 1

    def test_a_newer_schema_is_an_error_that_says_so(self, tmp_path: Path) -> None:
        Store(tmp_path).close()
        with sqlite3.connect(tmp_path / FILE) as db:
            db.execute("PRAGMA user_version = 99")
        with pytest.raises(TriviumError, match=r"newer trivium \(schema 99, this one knows 1\)"):
            Store(tmp_path)


class TestBadDays:
    def test_what_is_no_database_is_called_damaged(self, tmp_path: Path) -> None:
        (tmp_path / FILE).write_bytes(b"this is no database " * 100)
        with pytest.raises(TriviumError, match=r"index\.db is damaged .*trivium index rm"):
            Store(tmp_path)

    def test_overwritten_pages_are_called_damaged(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        for number in range(50):
            put(store, parsed(f"/{number}", f"words {number} " * 100))
        store.close()
        content = bytearray((tmp_path / FILE).read_bytes())
        content[8192:] = b"\xff" * (len(content) - 8192)
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(TriviumError, match="damaged"):
            Store(tmp_path).passages()

    def test_a_full_disk_keeps_what_was_there(self, store: Store) -> None:
        put(store, parsed("/a", "one"))
        pages = int(str(store.read("PRAGMA page_count")[0][0]))
        store.read(f"PRAGMA max_page_count = {pages}")  # SQLite's own way to run out of room
        with pytest.raises(TriviumError, match="disk is full"):
            put(store, parsed("/b", "long " * 10_000))
        assert list(store.known()) == ["/a"]

    def test_a_missing_folder_is_a_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(TriviumError, match=r"cannot write .*TRIVIUM_HOME"):
            Store(tmp_path / "nowhere")

    def test_a_folder_that_cannot_be_written_is_read(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            store = Store(Path(name))
            put(store, parsed("/a", "one"))
            store.close()
            for file in Path(name).iterdir():
                file.chmod(0o444)
            Path(name).chmod(0o555)
            with nobody():
                again = Store(Path(name))
                assert found(again, "one") == ["/a"]
                with pytest.raises(TriviumError, match=r"cannot write .*index\.db"):
                    again.drop(["/a"])
            Path(name).chmod(0o755)
