"""Every format yields its text, its structure and its pages."""

import hashlib
from pathlib import Path

import pytest

from tests.retrieval import files
from trivium.retrieval.base import Document
from trivium.retrieval.load import LoadError, load, load_bytes


def text_of(name: str, data: bytes | str) -> str:
    return load_bytes(name, data.encode() if isinstance(data, str) else data).text


def test_a_file_knows_its_absolute_path_and_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\rthree\x00")
    monkeypatch.chdir(tmp_path)
    assert load(Path("a.txt")) == Document(
        path=str(tmp_path / "a.txt"),
        kind="text",
        text="one\ntwo\nthree",
        sha256=hashlib.sha256(b"one\r\ntwo\rthree\x00").hexdigest(),
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("naïve café".encode(), "naïve café"),
        ("\ufeffnaïve".encode(), "naïve"),
        ("naïve".encode("utf-16"), "naïve"),
        ("naïve text".encode("utf-16-be"), "naïve text"),
        ("naïve".encode("utf-32"), "naïve"),
        (b"caf\xe9", "café"),
        ("Größe ".encode() + b"\xff" + " und Maß".encode(), "Größe \ufffd und Maß"),
    ],
)
def test_encodings(data: bytes, text: str) -> None:
    assert text_of("a.txt", data) == text


def test_a_longer_text_in_another_code_page_is_guessed() -> None:
    text = "Привет, мир. Это обычный русский текст, который читает программа. " * 4
    assert text_of("a.txt", text.encode("cp1251")) == text


@pytest.mark.parametrize(
    ("name", "kind", "language"),
    [
        ("a.md", "markdown", None),
        ("a.rst", "rst", None),
        ("A.PY", "code", "python"),
        ("Makefile", "code", "make"),
        ("a.unheard", "text", None),
        ("README", "text", None),
    ],
)
def test_sources_are_kept_as_they_stand(name: str, kind: str, language: str | None) -> None:
    source = "x = 1\n\n  # *not* rendered\x1b[31m\n"
    document = load_bytes(name, source.encode())
    assert (document.text, document.kind, document.language) == (source, kind, language)


def test_html_keeps_structure_and_drops_what_is_not_read() -> None:
    page = """<!doctype html><html><head><title>T</title><style>p {}</style></head><body>
    <nav>Home</nav><h1>Top <b>word</b></h1><p>One\n line<br>two.</p><script>alert(1)</script>
    <ul><li><p>a</p></li><li>b</li></ul><!-- no --><pre>def f():\n    return 1</pre>
    <table><tr><th>k</th><th>v</th></tr><tr><td>1</td><td>x &lt; y</td></tr></table></body>"""
    document = load_bytes("a.html", page.encode())
    assert document.kind == "html"
    assert document.text == (
        "# Top word\n\nOne line\ntwo.\n\n- a\n\n- b\n\n```\ndef f():\n    return 1\n```\n\n"
        "| k | v |\n| 1 | x < y |"
    )


def test_html_in_a_declared_code_page_and_deeper_than_python_recurses() -> None:
    page = b'<meta charset="iso-8859-2"><title>\xb1</title>' + b"<div>" * 5000 + b"deep"
    assert text_of("a.htm", page).startswith("# ą")


def test_pdf_pages() -> None:
    document = load_bytes("a.pdf", files.pdf("First page.", "", "Third page."))
    assert document.text.split("\n\n") == ["First page.", "", "Third page."]
    assert [document.text[at:].split("\n")[0] for at in document.pages] == [
        "First page.",
        "",
        "Third page.",
    ]
    assert document.page_at(document.text.index("Third")) == 3


def test_a_pdf_with_an_empty_password_opens() -> None:
    assert "Open." in text_of("a.pdf", files.pdf("Open.", password=""))


def test_docx() -> None:
    assert text_of("a.docx", files.docx()) == (
        "# Guide\n\nRead this first.\n\n## Install\n\n- Run the installer.\n\n"
        "| Part | Price |\n| Bolt | 3 |"
    )


def test_pptx_slides_are_pages() -> None:
    document = load_bytes("a.pptx", files.pptx())
    assert document.text == "# First\n\nTides rise.\n\n# Second\n\nTides fall.\n\nSay why."
    assert document.pages == (0, document.text.index("# Second"))


def test_xlsx_rows_carry_the_names_of_their_columns() -> None:
    assert text_of("a.xlsx", files.xlsx()) == "# Staff\nName\tAge\nName: Ada\tAge: 36\nName: Alan"


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.csv", 'name,note\nAda,"a, b\nc"\n', "name\tnote\nname: Ada\tnote: a, b c"),
        ("a.csv", "name;age\nAda;36\nBob;7\n", "name\tage\nname: Ada\tage: 36\nname: Bob\tage: 7"),
        ("a.tsv", "1\t2\n3\t4\n", "1\t2\n3\t4"),
        ("a.csv", "a,b\n" + "x" * 200_000 + ",y\n", "a\tb\na: " + "x" * 200_000 + "\tb: y"),
    ],
)
def test_delimited(name: str, data: str, text: str) -> None:
    assert text_of(name, data) == text


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.json", '{"k":"caf\\u00e9","n":[1]}', '{\n  "k": "café",\n  "n": [\n    1\n  ]\n}'),
        ("a.json", "{broken", "{broken"),
        ("a.json", "[" * 100_000, "[" * 100_000),
        (
            "a.jsonl",
            '{"q":"Why?","n":1}\n\n{"q":null}\n[1]\nbad',
            "q: Why?\nn: 1\n\nq: null\n\n[1]\n\nbad",
        ),
        ("a.json", '{"k": "a\\ud800b\\u0000"}', '{\n  "k": "ab\\u0000"\n}'),
    ],
)
def test_json(name: str, data: str, text: str) -> None:
    assert text_of(name, data) == text


def test_notebook() -> None:
    document = load_bytes("a.ipynb", files.notebook())
    assert document.text == "# Study\n\nWe count.\n\n```python\nprint(1 + 1)\n```"
    assert (document.kind, document.language) == ("notebook", "python")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"Plain words.", "text"),
        (b"# Title\n\nWords.", "markdown"),
        (b"\n<!DOCTYPE html><p>x", "html"),
        (files.pdf("x"), "pdf"),
        (files.docx(), "docx"),
        (files.pptx(), "pptx"),
        (files.xlsx(), "xlsx"),
    ],
)
def test_standard_input_is_known_by_its_content(data: bytes, kind: str) -> None:
    document = load_bytes("-", data)
    assert (document.kind, document.path) == (kind, "-")


def test_the_text_can_be_stored_in_sqlite() -> None:
    import sqlite3

    document = load_bytes("a.jsonl", b'{"a": "\\ud83d x \\u0000"}')
    stored = sqlite3.connect(":memory:").execute("select ?", (document.text,)).fetchone()[0]
    assert stored == document.text == "a:  x "


def test_an_unknown_kind_that_is_no_text_is_refused() -> None:
    with pytest.raises(LoadError, match=r"^a\.dat is binary$"):
        load_bytes("a.dat", bytes(range(256)))
