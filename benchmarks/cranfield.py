"""Cranfield: nDCG@10 of hybrid search against BM25 alone and dense alone.

    python -m benchmarks.cranfield

1,400 abstracts, 225 queries (Cleverdon 1967). A document is relevant when its
judgement is above 0; gain is binary, the discount log2 (Järvelin & Kekäläinen 2002). The
intervals are 95 % percentile bootstraps over queries, the differences paired by query.
"""

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lxml import etree

from benchmarks.data import data_folder
from trivium.retrieval.base import Hit, Mode
from trivium.retrieval.embed import load_embedder
from trivium.retrieval.index import Index

CUT = 10
RESAMPLES = 10_000

Figures = npt.NDArray[np.float64]


def ndcg(found: list[str], relevant: set[str]) -> float:
    """nDCG at 10 with binary gains."""
    gained = sum(1 / math.log2(n + 2) for n, doc in enumerate(found[:CUT]) if doc in relevant)
    ideal = sum(1 / math.log2(n + 2) for n in range(min(CUT, len(relevant))))
    return gained / ideal


def documents(hits: list[Hit]) -> list[str]:
    """Documents in the order of their best passages."""
    return list(dict.fromkeys(Path(hit.passage.path).stem for hit in hits))


def interval(values: Figures) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the mean."""
    draws = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def read(folder: Path) -> tuple[dict[str, str], list[tuple[str, set[str]]]]:
    """Abstracts by number, and queries with their relevant documents.

    The judgements number the queries 1 to 225 by position, not by the number in the query file.
    """
    collection = folder / "cranfield"
    texts = {}
    for doc in _elements(collection / "cran.all.1400.xml", "doc"):
        number = (doc.findtext("docno") or "").strip()
        title = " ".join((doc.findtext("title") or "").split())
        body = " ".join((doc.findtext("text") or "").split())
        texts[number] = f"{title}\n\n{body.removeprefix(title).strip()}"
    relevant: dict[int, set[str]] = {}
    for line in (collection / "cranqrel.trec.txt").read_text().splitlines():
        query, _, doc, grade = line.split()
        if int(grade) > 0:
            relevant.setdefault(int(query), set()).add(doc)
    queries = [
        (" ".join((top.findtext("title") or "").split()), relevant[place])
        for place, top in enumerate(_elements(collection / "cran.qry.xml", "top"), start=1)
        if relevant.get(place)
    ]
    return texts, queries


def _elements(file: Path, name: str) -> list[Any]:
    """All elements of this name; the files have no root, or one without an end."""
    parser = etree.XMLParser(recover=True)
    content = file.read_bytes().split(b"?>", 1)[-1]
    return list(etree.fromstring(b"<root>" + content + b"</root>", parser).iter(name))


def main() -> None:
    texts, queries = read(data_folder())
    embedder = load_embedder("minilm-l6-v2")
    modes: tuple[Mode, ...] = ("hybrid", "bm25", "dense")
    with tempfile.TemporaryDirectory() as folder:
        abstracts = Path(folder) / "cranfield"
        abstracts.mkdir()
        for number, text in texts.items():
            if text.strip():  # two of the abstracts are empty
                (abstracts / f"{number}.txt").write_text(text)
        with Index.create(Path(folder) / "index", embedder=embedder) as index:
            report = index.add([abstracts])
            print(f"{report.added} abstracts, {report.passages} passages, {len(queries)} queries")
            scores = {
                mode: np.array(
                    [
                        ndcg(documents(hits), relevant)
                        for hits, (_, relevant) in zip(
                            index.search_many([query for query, _ in queries], 50, mode=mode),
                            queries,
                            strict=True,
                        )
                    ]
                )
                for mode in modes
            }
    for mode, values in scores.items():
        low, high = interval(values)
        print(f"nDCG@{CUT} {mode:7} {values.mean():.4f}  [{low:.4f}, {high:.4f}]")
    for mode in modes[1:]:
        difference = scores["hybrid"] - scores[mode]
        low, high = interval(difference)
        ratio = scores["hybrid"].mean() / scores[mode].mean()
        print(
            f"hybrid - {mode:6} {difference.mean():+.4f}  [{low:+.4f}, {high:+.4f}]  "
            f"ratio {ratio:.3f} (bar: above 1)"
        )


if __name__ == "__main__":
    main()
