"""Reading, listing and searching inside the workspace."""

import time
from pathlib import Path

import pytest
from langchain_core.tools import BaseTool

from tests.agent.tools.calling import call, find, preview
from trivium.agent.tools import gate_of
from trivium.agent.tools.files import CHARACTERS, ENTRIES, reading_tools
from trivium.agent.workspace import Workspace
from trivium.errors import TriviumError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "src").mkdir(parents=True)
    (folder / "notes.md").write_text("# Notes\n\nBuy bread.\n")
    (folder / "src" / "main.py").write_text("import os\n\n\ndef main() -> None:\n    pass\n")
    return folder


@pytest.fixture
def tools(root: Path) -> list[BaseTool]:
    return reading_tools(Workspace(root))


def test_a_text_file_is_read_to_the_letter(tools: list[BaseTool], root: Path) -> None:
    (root / "data.json").write_text('{"b":1,\t"a": 2}')
    assert call(tools, "read_file", path="notes.md") == "# Notes\n\nBuy bread."
    assert call(tools, "read_file", path="data.json") == '{"b":1,\t"a": 2}'


def test_lines_are_read_with_their_place(tools: list[BaseTool]) -> None:
    assert call(tools, "read_file", path="src/main.py", first_line=4) == (
        "def main() -> None:\n    pass\n[lines 4 to 5 of 5]"
    )
    assert call(tools, "read_file", path="src/main.py", first_line=1, last_line=1) == (
        "import os\n[lines 1 to 1 of 5]"
    )
    with pytest.raises(TriviumError, match="has 5 lines, so none is number 9"):
        call(tools, "read_file", path="src/main.py", first_line=9)


def test_a_long_file_is_read_in_turns(tools: list[BaseTool], root: Path) -> None:
    lines = [f"line {number}" for number in range(1, 5001)]
    (root / "long.txt").write_text("\n".join(lines))
    got: list[str] = []
    first = 1
    while True:
        text = call(tools, "read_file", path="long.txt", first_line=first)
        *part, note = text.split("\n")
        assert len(text) < CHARACTERS + 100
        got += part
        if "go on" not in note:
            break
        first = int(note.rstrip("]").split("=")[1])
    assert got == lines


def test_one_endless_line_is_cut_with_a_note(tools: list[BaseTool], root: Path) -> None:
    (root / "line.txt").write_text("x" * 20_000)
    text = call(tools, "read_file", path="line.txt")
    assert text == "x" * CHARACTERS + "\n[line 1 is 20,000 characters]"


def test_documents_are_read_by_their_loaders(tools: list[BaseTool], root: Path) -> None:
    from docx import Document

    document = Document()
    document.add_paragraph("Hello from Word.")
    document.save(str(root / "letter.docx"))
    assert call(tools, "read_file", path="letter.docx") == "Hello from Word."


def test_what_holds_no_text_is_a_sentence(tools: list[BaseTool], root: Path) -> None:
    (root / "empty.txt").write_text("")
    (root / "binary.dat").write_bytes(bytes(range(256)) * 10)
    assert call(tools, "read_file", path="empty.txt") == "empty.txt is empty"
    for path in ("binary.dat", "none.txt", "src"):
        with pytest.raises(TriviumError, match=path):
            call(tools, "read_file", path=path)


def test_files_are_listed_without_what_is_ignored(tools: list[BaseTool], root: Path) -> None:
    (root / ".gitignore").write_text("build/\n")
    (root / ".git").mkdir()
    (root / "build").mkdir()
    (root / "build" / "x.o").write_text("")
    (root / "picture.xyz").write_text("")
    assert call(tools, "list_files") == "notes.md\npicture.xyz\nsrc/main.py"
    assert call(tools, "list_files", folder="src") == "src/main.py"
    with pytest.raises(TriviumError, match=r"notes\.md is not a folder"):
        call(tools, "list_files", folder="notes.md")


def test_many_files_are_counted(tools: list[BaseTool], root: Path) -> None:
    (root / "many").mkdir()
    for number in range(ENTRIES + 7):
        (root / "many" / f"{number:04}").write_text("")
    lines = call(tools, "list_files", folder="many").split("\n")
    assert lines[-1] == "[7 more files: list a folder]"
    assert len(lines) == ENTRIES + 1


def test_a_link_out_is_not_walked(tools: list[BaseTool], root: Path) -> None:
    (root / "root").symlink_to("/")
    assert call(tools, "list_files") == "notes.md\nsrc/main.py"


def test_words_are_found_in_any_order_and_case(tools: list[BaseTool]) -> None:
    assert call(tools, "search_files", text="BREAD buy") == "notes.md:3: Buy bread."
    assert call(tools, "search_files", text="none of it") == "nothing found"
    with pytest.raises(TriviumError, match="needs words"):
        call(tools, "search_files", text=" ")


def test_expressions_are_found_line_by_line(tools: list[BaseTool]) -> None:
    assert call(tools, "search_files", text=r"^def \w+\(", regex=True) == (
        "src/main.py:4: def main() -> None:"
    )
    with pytest.raises(TriviumError, match=r"is not a regular expression: .*missing"):
        call(tools, "search_files", text="(", regex=True)


def test_an_expression_that_never_ends_is_ended(
    tools: list[BaseTool], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trivium.agent.tools.files.SEARCH_SECONDS", 0.3)
    (root / "evil.txt").write_text("a" * 5000 + "b")
    began = time.monotonic()
    with pytest.raises(TriviumError, match=r"took more than 0\.3 seconds"):
        call(tools, "search_files", text=r"(a|aa)+$|(a*)*c", regex=True)
    assert time.monotonic() - began < 5


def test_reading_is_gated_as_reading(tools: list[BaseTool], root: Path) -> None:
    assert {gate_of(tool).effect for tool in tools} == {"read"}
    assert preview(tools, "read_file", path="src/main.py").title == "read src/main.py"
    assert preview(tools, "search_files", text="x y").title == "search . for x y"


def test_the_schema_is_small_and_described(tools: list[BaseTool]) -> None:
    for tool in tools:
        assert len(tool.description) < 90
        assert all(argument["description"] for argument in tool.args.values())
    assert list(find(tools, "read_file").args) == ["path", "first_line", "last_line"]
