"""Search over 100,000 passages: milliseconds to open the index and to search it.

    python -m benchmarks.search_100k [--passages 100000]

The passages are made of sentences of XQuAD-en and Cranfield in random pairs; their vectors are the
sum of the two sentences' with a little noise, so that nothing but search is measured. Embedding
the query is left out, as is importing the libraries. Recall compares HNSW with an exact search.
"""

import argparse
import hashlib
import random
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.cranfield import read
from benchmarks.data import data_folder, load_xquad
from trivium.retrieval.base import Document, Passage
from trivium.retrieval.dense import Dense
from trivium.retrieval.embed import load_embedder
from trivium.retrieval.index import Index
from trivium.retrieval.known import Known
from trivium.retrieval.search import DEPTH, bm25, fuse, hits
from trivium.retrieval.sentences import sentences
from trivium.retrieval.store import Parsed, Store

PER_DOCUMENT = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=100_000)
    count = parser.parse_args().passages
    embedder = load_embedder("minilm-l6-v2")
    paragraphs, questions = load_xquad()
    texts = paragraphs + list(read(data_folder())[0].values())
    pool = [text[start:end] for text in texts for start, end in sentences(text)]
    print(f"embedding {len(pool)} sentences")
    vectors = embedder.encode(pool)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "index"
        with Index.create(home, embedder=embedder):
            pass
        store = Store(home)
        _fill(store, pool, vectors, count)
        start = time.perf_counter()
        Dense(store, embedder.dimension).save()
        print(f"building FAISS took {time.perf_counter() - start:.1f} s")
        store.close()

        opened = []
        for _ in range(5):
            start = time.perf_counter()
            index = Index.open(home, embedder=embedder)
            index._dense.sync()
            opened.append(time.perf_counter() - start)
            index.close()
        print(f"open: {statistics.median(opened) * 1000:.0f} ms (bar: 200)")

        store = Store(home)
        dense = Dense(store, embedder.dimension)
        asked = [question.text for question in questions[:200]]
        queries = embedder.encode(asked, query=True)
        dense.search(queries[:1], DEPTH)
        times = []
        for text, query in zip(asked, queries, strict=True):
            start = time.perf_counter()
            near = dense.search(query[None], DEPTH)[0]
            lexical = bm25(store, text, DEPTH)
            scores = fuse(lexical, near, "hybrid")
            best = sorted(scores, key=lambda key: -scores[key])[:10]
            hits(store.passages(best), scores, lexical, near)
            times.append((time.perf_counter() - start) * 1000)
        print(
            f"search, {count} passages, {len(times)} queries: median {statistics.median(times):.1f}"
            f" ms, 95 % under {np.percentile(times, 95):.1f} ms (bar: 50)"
        )
        print(f"HNSW recall@10 against exact: {_recall(store, dense, queries):.3f}")
        store.close()


def _fill(store: Store, pool: list[str], vectors: np.ndarray, count: int) -> None:
    draw = random.Random(0)
    noise = np.random.default_rng(0)
    for number in range(count // PER_DOCUMENT):
        text, passages, made, hashes = "", [], {}, []
        for _ in range(PER_DOCUMENT):
            a, b = draw.randrange(len(pool)), draw.randrange(len(pool))
            start = len(text)
            text += f"{pool[a]} {pool[b]}\n\n"
            key = hashlib.sha256(f"{number} {start}".encode()).digest()
            vector = vectors[a] + vectors[b] + noise.normal(0, 0.02, vectors.shape[1])
            made[key] = (vector / np.linalg.norm(vector)).astype(np.float32).tobytes()
            hashes.append(key)
            passages.append(
                Passage(text[start:-2], f"/{number}", start, len(text) - 2, str(number))
            )
        document = Document(f"/{number}", "text", text, str(number))
        one = Parsed(document, Known(str(number), 0, 0, 0), tuple(passages), tuple(hashes))
        store.put([one], made)


def _recall(store: Store, dense: Dense, queries: np.ndarray) -> float:
    ids = np.array([row[0] for row in store.read("SELECT id FROM passages ORDER BY id")], np.int64)
    rows = store.vectors(ids.tolist(), queries.shape[1])
    shares = []
    for query, near in zip(queries, dense.search(queries, 10), strict=True):
        exact = set(ids[np.argsort(-(rows @ query))[:10]].tolist())
        shares.append(len(exact & {key for key, _ in near}) / 10)
    return float(np.mean(shares))


if __name__ == "__main__":
    main()
