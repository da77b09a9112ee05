"""Writing and patching, and the difference that the user is shown first."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import BaseTool

from tests.agent.tools.calling import call, preview
from trivium.agent.tools import gate_of
from trivium.agent.tools.edit import diff, editing_tools
from trivium.agent.workspace import Refused, Workspace
from trivium.errors import TriviumError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "a.txt").write_text("one\ntwo\nthree\n")
    return folder


@pytest.fixture
def tools(root: Path) -> list[BaseTool]:
    return editing_tools(Workspace(root))


def test_a_new_file_is_shown_and_written(tools: list[BaseTool], root: Path) -> None:
    shown = preview(tools, "write_file", path="new/b.txt", content="x\ny")
    assert shown.title == "write new/b.txt (new)"
    assert (
        shown.detail
        == "--- /dev/null\n+++ new/b.txt\n@@ -0,0 +1,2 @@\n+x\n+y\n\\ No newline at end of file"
    )
    assert shown.pattern == str(root / "new/b.txt")
    assert not (root / "new").exists()
    assert call(tools, "write_file", path="new/b.txt", content="x\ny") == "done: 3 characters"
    assert (root / "new/b.txt").read_text() == "x\ny"


def test_a_replaced_file_is_shown_as_a_difference(tools: list[BaseTool]) -> None:
    shown = preview(tools, "write_file", path="a.txt", content="one\n2\nthree\n")
    assert shown.title == "write a.txt"
    assert shown.detail == ("--- a.txt\n+++ a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three")


def test_a_patch_replaces_one_place(tools: list[BaseTool], root: Path) -> None:
    arguments = {"path": "a.txt", "old_text": "two\nthr", "new_text": "2\nthr"}
    assert preview(tools, "patch_file", **arguments).detail.count("\n+2") == 1
    assert (root / "a.txt").read_text() == "one\ntwo\nthree\n"
    assert call(tools, "patch_file", **arguments) == "done"
    assert (root / "a.txt").read_text() == "one\n2\nthree\n"


@pytest.mark.parametrize(
    ("old", "told"), [("four", "stands not in"), ("e", "stands 3 times"), ("", "stands not in")]
)
def test_a_patch_that_does_not_match_once_changes_nothing(
    tools: list[BaseTool], root: Path, old: str, told: str
) -> None:
    for use in (call, preview):
        with pytest.raises(TriviumError, match=told):
            use(tools, "patch_file", path="a.txt", old_text=old, new_text="x")
    assert (root / "a.txt").read_text() == "one\ntwo\nthree\n"


def test_a_file_with_crlf_keeps_them(tools: list[BaseTool], root: Path) -> None:
    (root / "dos.txt").write_bytes(b"one\r\ntwo\r\n")
    call(tools, "patch_file", path="dos.txt", old_text="one\ntwo", new_text="1\n2")
    assert (root / "dos.txt").read_bytes() == b"1\r\n2\r\n"


def test_what_cannot_be_written_is_a_sentence(tools: list[BaseTool], root: Path) -> None:
    (root / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(TriviumError, match="binary is not UTF-8 text"):
        call(tools, "patch_file", path="binary", old_text="a", new_text="b")
    with pytest.raises(TriviumError, match="half a character"):
        preview(tools, "write_file", path="x", content="\ud800")
    with pytest.raises(TriviumError, match="1,000,001 characters are more than 1,000,000"):
        preview(tools, "write_file", path="x", content="x" * 1_000_001)
    with pytest.raises(Refused):
        preview(tools, "write_file", path="../x", content="x")
    with pytest.raises(TriviumError, match="does not exist"):
        preview(tools, "patch_file", path="none", old_text="a", new_text="b")


def test_both_write(tools: list[BaseTool]) -> None:
    assert [gate_of(tool).effect for tool in tools] == ["write", "write"]


_LINES = st.text(alphabet="ab\n\r\x0b\x0c\x1c\u2028", max_size=12)


@given(before=_LINES, after=_LINES)
def test_every_changed_character_stands_in_the_difference(before: str, after: str) -> None:
    shown = diff("x", before, after)
    if before == after:
        assert shown == "x stays as it is"
        return
    kept = [line[1:] for line in shown.split("\n")[3:] if not line.startswith(("-", "@@", "\\"))]
    assert "\n".join(kept) in after
    assert all(f"+{line}" in shown.split("\n") for line in after.split("\n") if line not in before)
