"""Everything an index holds that does not depend on the order in which it was built."""

from pathlib import Path

from tests.embedder import DIMENSION
from trivium.retrieval.store import Store

Row = tuple[str, int, int, int | None, str, str, bytes]


def contents(folder: Path) -> list[Row]:
    """Each passage's path, span, page, heading, text and vector, by path and place.

    On the way the full-text table is checked against the passages, and FTS5 against itself.
    """
    store = Store(folder)
    try:
        with store.write() as db:
            db.execute("INSERT INTO terms(terms) VALUES ('integrity-check')")
        unused = "SELECT sha256 FROM embeddings EXCEPT SELECT embedded FROM passages"
        assert store.read(unused) == []
        passages = store.passages()
        vectors = store.vectors([passage.id for passage in passages], DIMENSION)
        return [
            (p.path, p.start, p.end, p.page, p.heading, p.text, vector.tobytes())
            for p, vector in zip(passages, vectors, strict=True)
        ]
    finally:
        store.close()
