"""The one SQLite file: paths of any bytes, contents once, transactions that are whole."""

import os
from pathlib import Path

import numpy as np
import pytest

from trivium.errors import TriviumError
from trivium.images.store import FILE, Content, Entry, Pictures, Refusal
from trivium.retrieval.known import Known

VECTOR = np.array([0.6, 0.8], np.float32)


def content(vector: np.ndarray = VECTOR, taken: str | None = None) -> Content:
    return Content("pixels", 4, 3, taken, "PNG", 1, vector.tobytes())


def entry(path: str, sha256: str = "s1", refusal: Refusal | None = None) -> Entry:
    return Entry(path, Known(sha256, 10, 2_500_000_000, 3), refusal)


@pytest.fixture
def store(tmp_path: Path) -> Pictures:
    return Pictures(tmp_path)


def test_what_is_put_is_read(store: Pictures) -> None:
    odd = os.fsdecode(b"/photos/caf\xe9\n.png")
    why = Refusal("/photos/c.png", "empty", "holds no bytes")
    store.put([entry("/photos/b.png"), entry(odd), entry(why.path, "", why)], {"s1": content()})
    first, second = store.pictures()
    assert (first.path, second.path) == ("/photos/b.png", odd)
    assert (first.sha256, first.pixels, first.width, first.height) == ("s1", "pixels", 4, 3)
    assert (first.size, first.modified, first.frames) == (10, 2.5, 1)
    assert store.refusals() == [why]
    assert store.count() == 2
    assert store.known()[odd] == Known("s1", 10, 2_500_000_000, 3)
    rows, vectors = store.embeddings()
    assert vectors.tolist() == [VECTOR.tolist()] * 2
    assert store.at(rows[::-1]) == [second, first]
    assert store.at([999]) == []
    held = store.vector("s1")
    assert held is not None and held.tolist() == VECTOR.tolist()
    assert store.vector("s2") is None


def test_a_content_that_is_missing_stops_its_files_alone(store: Pictures) -> None:
    lost = store.put([entry("/a.png", "gone"), entry("/b.png")], {"s1": content()})
    assert [one.path for one in lost] == ["/a.png"]
    assert [one.path for one in store.pictures()] == ["/b.png"]


def test_sweeping_leaves_what_a_file_holds(store: Pictures) -> None:
    store.put([entry("/a.png"), entry("/b.png", "s2")], {"s1": content(), "s2": content()})
    store.drop(["/a.png"])
    assert set(store.contents()) == {"s1", "s2"}
    store.sweep()
    assert store.contents() == {"s2": "PNG"}


def test_a_failure_in_a_batch_stores_none_of_it(store: Pictures) -> None:
    class Wrong(Exception): ...

    with pytest.raises(Wrong), store.write() as db:
        db.execute("INSERT INTO roots VALUES (x'61')")
        raise Wrong
    assert store.roots() == []


def test_under_means_below(store: Pictures) -> None:
    paths = ["/p/a/1.png", "/p/a.png", "/p/a0/1.png", "/p/a/b/2.png", "/p/a-/1.png"]
    store.put([entry(path) for path in paths], {"s1": content()})

    def under(path: str) -> set[str]:
        return {one.path for one in store.at(store.rows(under=path))}

    assert under("/p/a") == under("/p/a/") == {"/p/a/1.png", "/p/a/b/2.png"}
    assert under("/p/a.png") == {"/p/a.png"}
    assert under("/") == set(paths)
    assert store.rows(without=["s1"]) == []


def test_roots_and_mounts(store: Pictures) -> None:
    store.remember(["/b", "/a"], ["/a/disk"])
    store.remember(["/a"])
    assert (store.roots(), store.mounts()) == (["/a", "/b"], ["/a/disk"])
    store.unremember(["/a", "/a/disk"])
    assert (store.roots(), store.mounts()) == (["/b"], [])


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 100)
    with pytest.raises(TriviumError, match=r"is damaged .* delete it, then index"):
        Pictures(tmp_path)


def test_a_full_disk_keeps_what_there_was(store: Pictures) -> None:
    store.put([entry("/a.png")], {"s1": content()})
    pages = int(str(store.read("PRAGMA page_count")[0][0]))
    store.read(f"PRAGMA max_page_count = {pages}")
    large = {f"x{n}": content(np.zeros(5000, np.float32)) for n in range(20)}
    with pytest.raises(TriviumError, match="the disk is full"):
        store.put([entry(f"/{key}.png", key) for key in large], large)
    assert [one.path for one in store.pictures()] == ["/a.png"]
