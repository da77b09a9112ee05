"""XQuAD-en: is the paragraph that answers a question among the first five?

    python -m benchmarks.xquad_recall

240 paragraphs as documents, 1,190 questions. Prints recall@1, 3 and 5 of each way of searching.
"""

import tempfile
from pathlib import Path

from benchmarks.data import load_xquad, write_paragraphs
from trivium.retrieval.base import Mode
from trivium.retrieval.embed import load_embedder
from trivium.retrieval.index import Index

BAR = 0.97


def main() -> None:
    paragraphs, questions = load_xquad()
    texts = [question.text for question in questions]
    modes: tuple[Mode, ...] = ("hybrid", "bm25", "dense")
    at_five: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = [str(file) for file in write_paragraphs(paragraphs, Path(folder) / "all")]
        with Index.create(Path(folder) / "index", embedder=load_embedder("minilm-l6-v2")) as index:
            print(index.add([Path(folder) / "all"]))
            for mode in modes:
                found = index.search_many(texts, 10, mode=mode)
                ranks = []
                for hits, question in zip(found, questions, strict=True):
                    order = list(dict.fromkeys(hit.passage.path for hit in hits))
                    gold = files[question.paragraph]
                    ranks.append(order.index(gold) if gold in order else len(files))
                recall = {k: sum(rank < k for rank in ranks) / len(ranks) for k in (1, 3, 5)}
                at_five[mode] = recall[5]
                print(f"{mode:7}" + "".join(f"  recall@{k} {v:.4f}" for k, v in recall.items()))
    print(
        f"hybrid recall@5 {at_five['hybrid']:.4f} (bar: {BAR}, and each part: "
        f"{at_five['bm25']:.4f}, {at_five['dense']:.4f})"
    )


if __name__ == "__main__":
    main()
