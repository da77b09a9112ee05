"""FAISS beside the store: exact or a graph, always in step, never more than a derived file."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from trivium.retrieval import dense
from trivium.retrieval.base import Document, Passage, Vectors
from trivium.retrieval.dense import Dense
from trivium.retrieval.known import Known
from trivium.retrieval.store import Parsed, Store

DIMENSION = 24


def vectors(count: int, seed: int = 0) -> Vectors:
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)  # type: ignore[no-any-return]


def fill(store: Store, path: str, rows: Vectors) -> None:
    """A document with a passage for each vector."""
    texts = [f"{path} {number}" for number in range(len(rows))]
    hashes = tuple(hashlib.sha256(text.encode()).digest() for text in texts)
    passages = tuple(Passage(text, path, n, n + 1, "") for n, text in enumerate(texts))
    one = Parsed(Document(path, "text", path, ""), Known("", 0, 0, 0), passages, hashes)
    store.put([one], {key: row.tobytes() for key, row in zip(hashes, rows, strict=True)})


def ids(store: Store) -> list[int]:
    return [int(str(row[0])) for row in store.read("SELECT id FROM passages ORDER BY id")]


def nearest(store: Store, queries: Vectors, count: int) -> list[list[int]]:
    """What a search must find, by numpy over the store."""
    keys = np.array(ids(store))
    scores = queries @ store.vectors(keys.tolist(), DIMENSION).T
    return keys[np.argsort(-scores, axis=1)[:, :count]].tolist()  # type: ignore[no-any-return]


def found(index: Dense, queries: Vectors, count: int) -> list[list[int]]:
    return [[key for key, _ in row] for row in index.search(queries, count)]


def recall(index: Dense, store: Store, queries: Vectors, count: int = 10) -> float:
    pairs = zip(found(index, queries, count), nearest(store, queries, count), strict=True)
    return float(np.mean([len(set(mine) & set(true)) / len(true) for mine, true in pairs]))


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.faiss"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "EXACT_BELOW", 200)


class TestExact:
    def test_it_is_what_numpy_sorts_out(self, store: Store) -> None:
        rows, queries = vectors(500), vectors(20, seed=1)
        fill(store, "/a", rows)
        index = Dense(store, DIMENSION)
        assert found(index, queries, 10) == nearest(store, queries, 10)
        key, cosine = index.search(queries[:1], 1)[0][0]
        assert cosine == pytest.approx(float(queries[0] @ rows[key - 1]), abs=2e-6)

    def test_an_empty_store_has_no_neighbours(self, store: Store) -> None:
        assert Dense(store, DIMENSION).search(vectors(2), 5) == [[], []]

    def test_asking_for_more_than_there_are_gives_all(self, store: Store) -> None:
        fill(store, "/a", vectors(3))
        assert len(Dense(store, DIMENSION).search(vectors(1), 10)[0]) == 3

    def test_it_follows_every_change(self, store: Store) -> None:
        index, queries = Dense(store, DIMENSION), vectors(5, seed=1)
        fill(store, "/a", vectors(50))
        fill(store, "/b", vectors(50, seed=2))
        assert found(index, queries, 10) == nearest(store, queries, 10)
        store.drop(["/a"])
        assert found(index, queries, 10) == nearest(store, queries, 10)
        fill(store, "/c", vectors(50, seed=3))
        fill(store, "/b", vectors(50, seed=4))
        assert found(index, queries, 10) == nearest(store, queries, 10)
        store.drop(["/b", "/c"])
        assert index.search(queries, 10) == [[]] * 5


@pytest.mark.usefixtures("graph")
class TestGraph:
    def test_it_finds_nearly_all(self, store: Store) -> None:
        fill(store, "/a", vectors(3000))
        index = Dense(store, DIMENSION)
        assert recall(index, store, vectors(50, seed=1)) >= 0.95
        assert not index._is_exact()

    def test_what_was_removed_is_never_found(self, store: Store) -> None:
        fill(store, "/a", vectors(2000))
        fill(store, "/b", vectors(300, seed=2))
        index, queries = Dense(store, DIMENSION), vectors(50, seed=1)
        index.sync()
        store.drop(["/b"])
        results = found(index, queries, 10)
        assert len(index._dead) == 300, "a few dead nodes stay in the graph"
        assert {key for row in results for key in row} <= set(ids(store))
        assert all(len(row) == 10 for row in results)
        assert recall(index, store, queries) >= 0.95

    def test_the_removed_stay_removed_in_the_file(self, store: Store) -> None:
        fill(store, "/a", vectors(2000))
        fill(store, "/b", vectors(300, seed=2))
        index = Dense(store, DIMENSION)
        index.sync()
        store.drop(["/b"])
        index.save()
        again = Dense(store, DIMENSION)
        assert {key for row in found(again, vectors(50, seed=2), 10) for key in row} <= set(
            ids(store)
        )
        assert len(again._dead) == 300

    def test_many_dead_nodes_are_cleared_away(self, store: Store) -> None:
        fill(store, "/a", vectors(1000))
        fill(store, "/b", vectors(1000, seed=2))
        index = Dense(store, DIMENSION)
        index.sync()
        store.drop(["/b"])
        index.sync()
        assert (len(index._dead), index._index.ntotal) == (0, 1000)
        assert recall(index, store, vectors(20, seed=1)) >= 0.95

    def test_it_becomes_exact_when_it_shrinks_and_a_graph_when_it_grows(self, store: Store) -> None:
        fill(store, "/a", vectors(150))
        index, queries = Dense(store, DIMENSION), vectors(5, seed=1)
        index.sync()
        assert index._is_exact()
        fill(store, "/b", vectors(150, seed=2))
        assert recall(index, store, queries) >= 0.95
        assert not index._is_exact()
        store.drop(["/b"])
        assert found(index, queries, 10) == nearest(store, queries, 10)
        assert index._is_exact()


class TestFile:
    def test_the_next_process_reads_it_and_embeds_nothing(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(store, "/a", vectors(100))
        Dense(store, DIMENSION).save()
        queries = vectors(5, seed=1)
        expected = nearest(store, queries, 10)

        def never(self: Dense) -> None:
            raise AssertionError("it was built again")

        monkeypatch.setattr(Dense, "_update", never)
        assert found(Dense(store, DIMENSION), queries, 10) == expected

    def test_one_file_is_kept_the_newest(self, store: Store, tmp_path: Path) -> None:
        index = Dense(store, DIMENSION)
        for number in range(12):
            fill(store, f"/{number}", vectors(5, seed=number))
            index.save()
        assert [file.name.rsplit("-", 1)[1] for file in files(tmp_path)] == ["12.faiss"]

    def test_a_newer_file_of_another_process_is_left_alone(
        self, store: Store, tmp_path: Path
    ) -> None:
        index = Dense(store, DIMENSION)
        fill(store, "/a", vectors(5))
        index.sync()
        newer = index._file(7)
        newer.touch()
        index._file(1).unlink(missing_ok=True)
        index.save()
        assert newer in files(tmp_path)

    def test_a_stale_file_is_brought_up_to_date_and_saved(
        self, store: Store, tmp_path: Path
    ) -> None:
        """As when a process was killed between its last transaction and the file."""
        fill(store, "/a", vectors(100))
        fill(store, "/b", vectors(10, seed=3))
        Dense(store, DIMENSION).save()
        old = files(tmp_path)
        store.drop(["/b"])
        fill(store, "/c", vectors(50, seed=2))
        index, queries = Dense(store, DIMENSION), vectors(5, seed=1)
        assert found(index, queries, 10) == nearest(store, queries, 10)
        assert files(tmp_path) != old
        assert len(files(tmp_path)) == 1

    @pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "foreign", "of another"])
    def test_a_file_that_cannot_be_used_is_built_again(
        self, store: Store, tmp_path: Path, damage: str
    ) -> None:
        import faiss

        fill(store, "/a", vectors(100))
        Dense(store, DIMENSION).save()
        (file,) = files(tmp_path)
        whole = file.read_bytes()
        if damage == "missing":
            file.unlink()
        elif damage == "empty":
            file.write_bytes(b"")
        elif damage == "truncated":
            file.write_bytes(whole[: len(whole) // 2])
        elif damage == "foreign":
            file.write_bytes(b"no index at all" * 100)
        else:
            faiss.write_index(faiss.IndexFlatIP(DIMENSION), str(file))
        queries = vectors(5, seed=1)
        assert found(Dense(store, DIMENSION), queries, 10) == nearest(store, queries, 10)
        assert file.read_bytes() == whole, "and written again"

    def test_a_file_of_another_store_is_not_taken_for_ours(self, tmp_path: Path) -> None:
        """An index that was deleted by hand but for its FAISS file, and made again."""
        first = Store(tmp_path)
        fill(first, "/a", vectors(100))
        Dense(first, DIMENSION).save()
        first.close()
        for file in tmp_path.glob("index.db*"):
            file.unlink()
        second, queries = Store(tmp_path), vectors(5, seed=1)
        fill(second, "/a", vectors(100, seed=9))
        assert first.file == second.file
        assert found(Dense(second, DIMENSION), queries, 10) == nearest(second, queries, 10)

    def test_a_failed_write_leaves_the_old_file_and_no_error(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(store, "/a", vectors(100))
        index, queries = Dense(store, DIMENSION), vectors(5, seed=1)
        index.save()
        before = {file.name: file.read_bytes() for file in files(tmp_path)}

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        fill(store, "/b", vectors(100, seed=2))
        monkeypatch.setattr("os.fsync", full)
        index.save()
        assert {file.name: file.read_bytes() for file in files(tmp_path)} == before
        assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]
        assert found(index, queries, 10) == nearest(store, queries, 10)

    def test_what_a_killed_process_left_half_written_is_cleared(
        self, store: Store, tmp_path: Path
    ) -> None:
        fill(store, "/a", vectors(5))
        index = Dense(store, DIMENSION)
        index.save()
        half = tmp_path / f".{files(tmp_path)[0].name}.x7f3"
        half.write_bytes(b"half")
        fill(store, "/b", vectors(5, seed=1))
        index.save()
        assert not half.exists()
