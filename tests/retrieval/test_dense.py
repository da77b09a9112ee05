"""FAISS beside the store: exact or approximate, and never stale, damaged or haunted."""

from pathlib import Path

import numpy as np
import pytest

from trivium.retrieval import dense as dense_module
from trivium.retrieval.base import Document, Passage, Vectors
from trivium.retrieval.dense import Dense
from trivium.retrieval.store import Known, Parsed, Store

DIMENSION = 16


def unit(count: int, seed: int = 0) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    made: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return made


def fill(store: Store, vectors: Vectors, prefix: str = "") -> None:
    """Each vector a passage of a document of its own, "0", "1" and so on."""
    many = []
    for number in range(len(vectors)):
        name = f"{prefix}{number}"
        document = Document(name, "text", "text", name)
        passage = Passage("text", name, 0, 4, name)
        many.append(Parsed(document, Known(name, 0, 0, 0), (passage,), (name.encode(),)))
    rows = {f"{prefix}{n}".encode(): row.tobytes() for n, row in enumerate(vectors)}
    store.put(many, rows)


def ids(store: Store) -> list[int]:
    return [int(str(row[0])) for row in store.read("SELECT id FROM passages ORDER BY id")]


def exact(store: Store, query: Vectors, count: int) -> list[int]:
    known = ids(store)
    order = np.argsort(-(store.vectors(known, DIMENSION) @ query))[:count]
    return [known[place] for place in order]


def found(dense: Dense, query: Vectors, count: int) -> list[int]:
    return [key for key, _ in dense.search(query[None], count)[0]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


class TestExact:
    def test_it_equals_brute_force(self, store: Store) -> None:
        fill(store, unit(200))
        dense = Dense(store, DIMENSION)
        for query in unit(10, seed=1):
            assert found(dense, query, 7) == exact(store, query, 7)

    def test_cosines_are_told(self, store: Store) -> None:
        rows = unit(3)
        fill(store, rows)
        (key, cosine), *_ = Dense(store, DIMENSION).search(rows[1][None], 3)[0]
        assert key == ids(store)[1]
        assert cosine == pytest.approx(1.0, abs=1e-6)

    def test_an_empty_store_has_no_neighbours(self, store: Store) -> None:
        assert Dense(store, DIMENSION).search(unit(2), 5) == [[], []]

    def test_it_follows_the_store(self, store: Store) -> None:
        fill(store, unit(20))
        dense = Dense(store, DIMENSION)
        query = unit(1, seed=1)[0]
        first = found(dense, query, 1)[0]
        store.drop([str(ids(store).index(first))])
        assert found(dense, query, 5) == exact(store, query, 5)
        fill(store, unit(20, seed=2), prefix="new")
        assert found(dense, query, 5) == exact(store, query, 5)


class TestFile:
    def test_it_is_read_again(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(store, unit(50))
        Dense(store, DIMENSION).save()
        monkeypatch.setattr(Store, "vectors", None)  # building would need it
        query = unit(1, seed=1)[0]
        assert len(found(Dense(store, DIMENSION), query, 5)) == 5

    def test_only_the_latest_stays(self, store: Store, tmp_path: Path) -> None:
        dense = Dense(store, DIMENSION)
        fill(store, unit(5))
        dense.save()
        store.drop(["0"])
        dense.save()
        (file,) = tmp_path.glob("*.faiss")
        assert file.name.endswith("-2.faiss")

    @pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbled", "stale"])
    def test_whatever_happens_to_it_the_answer_is_right(
        self, store: Store, tmp_path: Path, damage: str
    ) -> None:
        fill(store, unit(50))
        Dense(store, DIMENSION).save()
        (file,) = tmp_path.glob("*.faiss")
        whole = file.read_bytes()
        if damage == "missing":
            file.unlink()
        elif damage == "empty":
            file.write_bytes(b"")
        elif damage == "truncated":
            file.write_bytes(whole[: len(whole) // 2])
        elif damage == "garbled":
            file.write_bytes(b"IxXX" + bytes(1000))
        else:
            store.drop(["3", "4"])
        query = unit(1, seed=1)[0]
        assert found(Dense(store, DIMENSION), query, 10) == exact(store, query, 10)


class TestGraph:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dense_module, "EXACT_BELOW", 10)

    def recall(self, store: Store, dense: Dense) -> float:
        shares = [
            len(set(found(dense, query, 10)) & set(exact(store, query, 10))) / 10
            for query in unit(50, seed=1)
        ]
        return float(np.mean(shares))

    def test_it_finds_nearly_all_that_an_exact_search_finds(self, store: Store) -> None:
        fill(store, unit(2000))
        assert self.recall(store, Dense(store, DIMENSION)) >= 0.95

    def test_the_dead_are_never_returned(self, store: Store) -> None:
        fill(store, unit(300))
        dense = Dense(store, DIMENSION)
        dense.save()
        store.drop([str(number) for number in range(30)])  # few enough to keep the graph
        for known in (dense, Dense(store, DIMENSION)):
            for query in unit(20, seed=1):
                keys = found(known, query, 10)
                assert len(keys) == 10
                assert set(keys) <= set(ids(store))
        dense.save()
        assert self.recall(store, Dense(store, DIMENSION)) >= 0.95

    def test_it_is_built_anew_when_many_are_dead(self, store: Store) -> None:
        fill(store, unit(100))
        dense = Dense(store, DIMENSION)
        dense.sync()
        store.drop([str(number) for number in range(50)])
        dense.sync()
        assert dense._index.ntotal == 50

    def test_a_shrunken_store_is_searched_exactly(self, store: Store) -> None:
        fill(store, unit(12))
        dense = Dense(store, DIMENSION)
        dense.save()
        store.drop([str(number) for number in range(6)])
        query = unit(1, seed=1)[0]
        assert found(dense, query, 6) == exact(store, query, 6)
