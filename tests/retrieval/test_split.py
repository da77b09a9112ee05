"""Passages: exact spans that cover the text, sized in tokens, cut where the structure is."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.retrieval.base import Document, Passage
from trivium.retrieval.split import split

KINDS = ["text", "markdown", "rst", "code", "table", "xlsx", "json", "html", "pdf"]


def words(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"\S+", text)]


def thirds(text: str) -> list[tuple[int, int]]:
    """Tokens as a model cuts them: pieces of at most three characters."""
    return [match.span() for match in re.finditer(r"\w{1,3}|[^\w\s]", text)]


def document(text: str, kind: str = "markdown", pages: tuple[int, ...] = ()) -> Document:
    return Document("/d", kind, text, "0" * 64, pages)


def check(source: Document, passages: list[Passage]) -> None:
    """What holds for every split."""
    last = 0
    for passage in passages:
        assert last <= passage.start < passage.end
        assert source.text[passage.start : passage.end] == passage.text
        assert passage.text.strip()
        assert not source.text[last : passage.start].strip()
        assert (passage.path, passage.sha256) == (source.path, source.sha256)
        assert passage.page == source.page_at(passage.start) == source.page_at(passage.end - 1)
        last = passage.end
    assert not source.text[last:].strip()


def cut(text: str, limit: int, kind: str = "markdown") -> list[tuple[str, str]]:
    source = document(text, kind)
    passages = split(source, words, limit)
    check(source, passages)
    return [(passage.heading, passage.text) for passage in passages]


def test_headings_lead_their_section_and_make_the_trail() -> None:
    text = (
        "Before.\n\n# Guide\n\n## Install `it`\n\nRun it.\n\nThen rest.\n\n"
        "Setup [now](http://x)\n---\nText.\n\n# *Next*\n"
    )
    assert cut(text, 50) == [
        ("", "Before."),
        ("Guide > Install it", "# Guide\n\n## Install `it`\n\nRun it.\n\nThen rest."),
        ("Guide > Setup now", "Setup [now](http://x)\n---\nText."),
        ("*Next*", "# *Next*"),
    ]


def test_paragraphs_are_packed_and_stay_whole_when_they_can() -> None:
    text = "a b c\n\nd e f g\n\nh\n\ni j"
    assert [passage for _, passage in cut(text, 5)] == ["a b c", "d e f g\n\nh", "i j"]


def test_a_long_paragraph_is_cut_evenly_at_sentences() -> None:
    text = "One two three. Four five six. Seven eight nine. Ten eleven twelve."
    assert [passage for _, passage in cut(text, 11)] == [
        "One two three. Four five six.",
        "Seven eight nine. Ten eleven twelve.",
    ]


def test_a_long_sentence_is_cut_at_tokens_and_a_long_word_at_characters() -> None:
    assert [passage for _, passage in cut("a b c d e f g", 3)] == ["a b c", "d e f", "g"]
    assert [len(passage) for _, passage in cut("x" * 100, 2)] == [40, 40, 20]


def test_code_is_cut_at_top_level_definitions_then_at_lines() -> None:
    text = "import a\n\n\ndef f():\n    x = 1\n\n    return x\n\n\ndef g():\n    return 2\n"
    assert [passage for _, passage in cut(text, 7, "code")] == [
        "import a",
        "def f():\n    x = 1\n\n    return x",
        "def g():\n    return 2",
    ]
    assert [passage for _, passage in cut(text, 5, "code")] == [
        "import a",
        "def f():\n    x = 1",
        "    return x",
        "def g():\n    return 2",
    ]


def test_a_table_is_cut_at_its_rows() -> None:
    text = "k\tv\nk: a\tv: b c\nk: d\tv: e"
    assert [passage for _, passage in cut(text, 7, "table")] == [
        "k\tv\nk: a\tv: b c",
        "k: d\tv: e",
    ]
    text = "| k | v |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"
    assert [passage for _, passage in cut(text, 6)] == [
        "| k | v |\n|---|---|",
        "| 1 | 2 |",
        "| 3 | 4 |",
    ]


def test_sheets_and_restructured_text_have_headings_too() -> None:
    assert [trail for trail, _ in cut("# One\nk\tv\n\n# Two\n# a\tb", 9, "xlsx")] == [
        "One",
        "Two",
    ]
    text = "====\nBook\n====\n\nPart\n----\nWords.\n\nMore\n----\n\nEnd\n"
    assert cut(text, 9, "rst") == [
        ("Book > Part", "====\nBook\n====\n\nPart\n----\nWords."),
        ("Book > More", "More\n----\n\nEnd"),
    ]


def test_what_markdown_hides_is_still_text() -> None:
    text = (
        "---\ntitle: x\n---\n\nSee [a].\n\n[a]: http://a.example\n\n<!-- note -->\n\n    # code\n"
    )
    assert cut(text, 50) == [("", text.rstrip())]


def test_no_passage_crosses_a_page() -> None:
    text = "one two\n\nthree\n\nfour"
    source = document(text, "pdf", (0, 9, 16))
    passages = split(source, words, 50)
    check(source, passages)
    assert [(p.page, p.text) for p in passages] == [(1, "one two"), (2, "three"), (3, "four")]


def test_a_fault_of_the_parser_does_not_cost_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("markdown_it.MarkdownIt.parse", lambda *_: 1 / 0)
    assert cut("# A\nx\n\n## B\n\ny", 9) == [("A", "# A\nx"), ("A > B", "## B\n\ny")]


def test_nothing() -> None:
    assert split(document(" \n\n "), words, 5) == []


_TEXT = st.lists(
    st.sampled_from(
        "# |## a|\n|\n\n| |\t|word|End. |- |1. |```\n|> |---|===|\n    |[x]: y|<p>|\f|漢字。|😀"
        "|def f():|\u2028|\x85|\x1c".split("|")
    ),
    max_size=60,
).map("".join)
_TABLE = st.lists(st.sampled_from(["| a ", "|---", "|\n", "\n", "b"]), max_size=30).map("".join)


@settings(max_examples=300, deadline=None)
@given(
    _TEXT | _TABLE | st.text(max_size=200), st.sampled_from(KINDS), st.integers(1, 12), st.data()
)
def test_spans_are_exact_ordered_and_cover(
    text: str, kind: str, limit: int, data: st.DataObject
) -> None:
    starts = data.draw(st.sets(st.integers(1, max(1, len(text) - 1)), max_size=3))
    pages = (0, *sorted(starts)) if kind == "pdf" and len(text) > 1 else ()
    source = document(text, kind, pages)
    passages = split(source, words, limit)
    check(source, passages)
    assert all(1 <= len(words(passage.text)) <= limit for passage in passages)
    pieces = split(source, thirds, limit)
    check(source, pieces)
    assert all(len(thirds(piece.text)) <= limit for piece in pieces)


def test_the_tokenizer_sees_windows_of_the_text_once() -> None:
    seen: list[str] = []

    def offsets(text: str) -> list[tuple[int, int]]:
        seen.append(text)
        return words(text)

    source = document("Some words, and more.\n\n" * 10_000, "text")
    passages = split(source, offsets, 64)
    check(source, passages)
    assert "".join(seen) == source.text
    assert max(map(len, seen)) <= 64 * 1024
    assert {len(words(passage.text)) for passage in passages[:-1]} == {64}


@pytest.mark.parametrize(
    "unit", ["x", "x ", "\n", "# a\n", "- a\n", "> ", "a. ", "| a |\n", "[a]: b\n"]
)
@pytest.mark.parametrize("kind", ["markdown", "text", "code"])
def test_time_is_linear(unit: str, kind: str) -> None:
    source = document(unit * (100_000 // len(unit)), kind)
    began = time.process_time()
    check(source, split(source, words, 64))
    assert time.process_time() - began < 10  # a quadratic way takes minutes here
