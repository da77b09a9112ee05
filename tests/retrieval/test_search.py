"""BM25, fusion and their ties, on figures small enough to work out by hand."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.embedder import WordEmbedder
from trivium.errors import UsageError
from trivium.retrieval.base import Hit, Mode
from trivium.retrieval.index import Index, delete, names
from trivium.retrieval.search import fuse


class TestFusion:
    LEXICAL = ((7, 9.0), (8, 5.0))
    DENSE = ((8, 0.9), (9, 0.8))

    def test_hybrid_adds_reciprocal_ranks(self) -> None:
        assert fuse(self.LEXICAL, self.DENSE, "hybrid") == {
            7: 1 / 61,
            8: 1 / 62 + 1 / 61,
            9: 1 / 62,
        }

    def test_each_half_alone_keeps_its_own_score(self) -> None:
        assert fuse(self.LEXICAL, self.DENSE, "bm25") == {7: 9.0, 8: 5.0}
        assert fuse(self.LEXICAL, self.DENSE, "dense") == {8: 0.9, 9: 0.8}


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "nile.md").write_text("# Nile\n\nThe river flows north through Egypt.\n")
    (docs / "amazon.md").write_text("# Amazon\n\nThe river flows east through Brazil.\n")
    (docs / "bread.md").write_text("# Bread\n\nFlour, water and salt are baked.\n")
    with Index.create(tmp_path / "index", embedder=WordEmbedder()) as index:
        index.add([docs])
        yield index


def files(hits: Sequence[Hit]) -> list[str]:
    return [Path(hit.passage.path).stem for hit in hits]


class TestSearch:
    def test_words_are_stemmed_and_headings_are_searched(self, index: Index) -> None:
        assert files(index.search("flowing", mode="bm25")) == ["amazon", "nile"]
        assert files(index.search("Amazon", mode="bm25")) == ["amazon"]

    def test_ties_are_broken_by_path(self, index: Index) -> None:
        first, second = index.search("river", 2, mode="bm25")
        assert first.score == second.score
        assert files([first, second]) == ["amazon", "nile"]

    def test_every_score_is_told(self, index: Index) -> None:
        best = index.search("baked flour", 1)[0]
        assert (best.bm25_rank, best.dense_rank) == (1, 1)
        assert best.score == 2 / 61
        assert best.bm25 is not None
        assert best.cosine is not None
        assert best.rerank is None

    def test_a_half_that_did_not_find_it_has_no_score(self, index: Index) -> None:
        hit = index.search("baked", 1, mode="bm25")[0]
        assert (hit.cosine, hit.dense_rank) == (None, None)

    @pytest.mark.parametrize(
        "query", ['AND OR NOT NEAR("', "text: * ^ -", "' ; DROP TABLE passages", "(((", "\x00"]
    )
    def test_operators_of_fts5_are_words(self, index: Index, query: str) -> None:
        index.search(query)
        assert len(index.passages()) == 3

    def test_a_query_of_stop_words_alone_is_still_searched(self, index: Index) -> None:
        assert files(index.search("through the", mode="bm25")) == ["amazon", "nile"]

    def test_a_query_without_words_finds_nothing_by_words(self, index: Index) -> None:
        assert index.search("?!", mode="bm25") == []

    @pytest.mark.parametrize("mode", ["hybrid", "bm25", "dense"])
    @pytest.mark.parametrize("query", ["", " \n\t"])
    def test_a_blank_query_finds_nothing(self, index: Index, query: str, mode: Mode) -> None:
        assert index.search(query, mode=mode) == []
        assert [len(hits) for hits in index.search_many([query, "river"], 1, mode=mode)] == [0, 1]

    def test_rarer_words_weigh_more(self, index: Index) -> None:
        assert files(index.search("river north", mode="bm25")) == ["nile", "amazon"]

    def test_a_word_in_the_text_weighs_more_than_one_in_a_heading(
        self, index: Index, tmp_path: Path
    ) -> None:
        padding = "It is one of many words."
        (tmp_path / "docs" / "a.md").write_text(f"# Zebra\n\nAnimals.\n\n## Other\n\n{padding}")
        (tmp_path / "docs" / "b.md").write_text(f"# Animals\n\n## Other\n\n{padding} Zebra.")
        index.update()
        hits = index.search("zebra", mode="bm25")
        assert "Zebra." in hits[0].passage.text or hits[0].passage.text.startswith("# Zebra")
        assert hits[-1].passage.heading == "Zebra > Other"

    def test_many_queries_are_answered_as_each_alone(self, index: Index) -> None:
        queries = ["river in Egypt", "salt", "north"]
        assert index.search_many(queries) == [index.search(query) for query in queries]

    def test_a_reranker_has_the_last_word(self, index: Index) -> None:
        class Shortest:
            def score(self, query: str, passages: Sequence[str]) -> list[float]:
                return [-float(len(passage)) for passage in passages]

        hits = index.search("river", 3, reranker=Shortest())
        lengths = [len(hit.passage.text) for hit in hits]
        assert lengths == sorted(lengths)
        assert [hit.rerank for hit in hits] == [-float(length) for length in lengths]

    def test_idf_is_lucenes(self, index: Index) -> None:
        from math import log

        weights = index.idf(["river", "salt", "unknown"])
        assert weights == {
            "river": log(1 + 1.5 / 2.5),
            "salt": log(1 + 2.5 / 1.5),
            "unknown": log(1 + 3.5 / 0.5),
        }


class TestTies:
    """Equal scores are ordered by path, whenever each file came into the index."""

    def build(self, tmp_path: Path, order: Sequence[int]) -> Index:
        docs = tmp_path / "docs"
        docs.mkdir(exist_ok=True)
        for number in range(200):
            (docs / f"{number:03}.txt").write_text("The licence of this file.")
        name = "-".join(map(str, order[:3]))
        index = Index.create(tmp_path / name, embedder=WordEmbedder())
        for number in order:
            index.add([docs / f"{number:03}.txt"])
        return index

    @pytest.mark.parametrize("mode", ["hybrid", "bm25", "dense"])
    def test_more_ties_than_the_search_is_deep(self, tmp_path: Path, mode: Mode) -> None:
        with self.build(tmp_path, range(199, -1, -1)) as index:
            hits = index.search("licence", 3, mode=mode)
        assert files(hits) == ["000", "001", "002"]
        ranks = [hit.dense_rank if mode == "dense" else hit.bm25_rank for hit in hits]
        assert ranks == [1, 2, 3]

    def test_ranks_agree_with_the_order(self, index: Index) -> None:
        for mode in ("bm25", "dense"):
            hits = index.search("river water north", 3, mode=mode)
            ranks = [hit.bm25_rank if mode == "bm25" else hit.dense_rank for hit in hits]
            assert ranks == list(range(1, len(hits) + 1))


class TestNaming:
    def test_another_embedder_is_refused_and_both_are_named(self, index: Index) -> None:
        with pytest.raises(UsageError, match=r"the words embedder .* the other embedder"):
            Index.open(index.folder, embedder=WordEmbedder("other"))

    def test_an_unknown_index_names_those_there_are(self, home: Path) -> None:
        with Index.create("rivers", embedder=WordEmbedder()):
            pass
        with pytest.raises(UsageError, match=r'no index "lakes" \(there are: rivers\)'):
            Index.open("lakes", embedder=WordEmbedder())

    @pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "a b", "\x1b[31m"])
    def test_a_name_cannot_lead_elsewhere(self, name: str) -> None:
        with pytest.raises(UsageError, match="cannot name an index"):
            Index.create(name, embedder=WordEmbedder())

    def test_deleting_an_index_leaves_no_file(self, home: Path) -> None:
        with Index.create("rivers", embedder=WordEmbedder()):
            pass
        assert names() == ["rivers"]
        delete("rivers")
        assert names() == []
        assert not (home / "indexes" / "rivers").exists()
        with pytest.raises(UsageError, match='no index "rivers"'):
            delete("rivers")
