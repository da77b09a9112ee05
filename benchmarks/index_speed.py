"""Passages per second into an index, against plain sentence-transformers `encode`.

    python -m benchmarks.index_speed [--rounds 3]

Both sides embed the same passages of XQuAD-en and Cranfield with the same model on the CPU;
sentence-transformers in batches of 32, which is its default. Ours is measured twice: embedding
alone, and the whole of `index add` (read, split, embed, store). Sides alternate, medians are shown.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.cranfield import read
from benchmarks.data import data_folder, load_xquad
from trivium.models import store
from trivium.retrieval.embed import load_embedder
from trivium.retrieval.index import Index
from trivium.retrieval.indexing import embedded_text

BAR = 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    from sentence_transformers import SentenceTransformer

    texts = load_xquad()[0] + [text for text in read(data_folder())[0].values() if text.strip()]
    ours = load_embedder("minilm-l6-v2")
    theirs = SentenceTransformer(str(store.resolve("minilm-l6-v2")), device="cpu")
    seconds: dict[str, list[float]] = {"sentence-transformers": [], "embed": [], "index add": []}
    ours.encode(texts[:8])
    theirs.encode(texts[:8])
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "texts"
        source.mkdir()
        for number, text in enumerate(texts):
            (source / f"{number:04}.txt").write_text(text)
        for number in range(rounds):
            start = time.perf_counter()
            with Index.create(Path(folder) / f"index{number}", embedder=ours) as index:
                report = index.add([source])
                seconds["index add"].append(time.perf_counter() - start)
                passages = [embedded_text(passage) for passage in index.passages()]
            start = time.perf_counter()
            theirs.encode(passages, batch_size=32, show_progress_bar=False)
            seconds["sentence-transformers"].append(time.perf_counter() - start)
            start = time.perf_counter()
            ours.encode(passages)
            seconds["embed"].append(time.perf_counter() - start)
    print(f"{report.added} files, {len(passages)} passages, median of {rounds}")
    speed = {name: len(passages) / statistics.median(found) for name, found in seconds.items()}
    base = speed["sentence-transformers"]
    for name, figure in speed.items():
        print(f"{name:22} {figure:7.1f} passages/s  ratio {figure / base:.2f}")
    print(f"bar: index add at least {BAR} times sentence-transformers")


if __name__ == "__main__":
    main()
