"""The real terminal program with the real default model."""

import time
from pathlib import Path

import pytest

from tests.cli.program import trivium
from tests.cli.terminal.driven import CTRL_C, CTRL_D, CTRL_U, ENTER, Driven
from trivium.agent.sessions import Sessions

pytestmark = pytest.mark.model


@pytest.fixture(autouse=True)
def folder(real_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def answers(name: str) -> list[tuple[str, str]]:
    """State and content of the model's messages on a session's open branch."""
    with Sessions() as sessions:
        path = sessions.path(sessions.get(name).head)
    return [(node.state, node.content) for node in path if node.role == "assistant"]


def test_an_answer_is_streamed_interrupted_resumed_and_forked() -> None:
    with Driven("--session", "tale", "--max-tokens", "400") as chat:
        chat.send("Write a long story about a lighthouse and the sea.")
        time.sleep(0.5)
        growing: set[int] = set()
        while len(growing) < 5:  # it grows on the screen while it is written
            chat.see("lighthouse")
            growing.add(len(chat.text))
            chat.pause(0.2)
            assert " of 8,192 tokens" not in chat.text, "it ended before it was interrupted"
        chat.press(CTRL_C)
        chat.see("interrupted · ")
        chat.prompted()
        chat.press(CTRL_D)
        assert chat.left() == 0
    ((state, half),) = answers("tale")
    assert state == "interrupted"
    assert len(half.split()) > 3

    with Driven("--continue", "--max-tokens", "8") as chat:
        chat.see("tale, 2 messages")
        chat.see(" ".join(half.split()[:3]))
        chat.send("Say one word.")
        chat.see("tokens/s · ")
        chat.send("/fork copy")
        chat.see("going on in copy")
        chat.send("/undo")
        chat.see("took back: Say one word.")
        chat.press(CTRL_D)
        assert chat.left() == 0
    assert len(answers("tale")) == 2
    assert answers("copy") == [("interrupted", half)]


def test_an_attached_file_is_read_and_an_edit_keeps_it(folder: Path) -> None:
    (folder / "fact.md").write_text("The lighthouse of Zarvan was built in 1822.\n")
    with Driven("--session", "facts", "--max-tokens", "24") as chat:
        chat.send("/attach fact.md")
        chat.see("+ fact.md, as text")
        chat.send("When was the lighthouse of Zarvan built?")
        chat.see("tokens/s · ")
        chat.prompted()
        assert "1822" in chat.text
        chat.send("/edit")
        chat.see("your last message")
        chat.press(CTRL_U + "In which year was it built?" + ENTER)
        chat.see("> In which year was it built?")
        chat.prompted()
        chat.send("/branches")
        chat.see("  2")
        chat.press(CTRL_D)
        assert chat.left() == 0
    assert "1822" in trivium("sessions", "show", "facts", "--json").stdout


TOOL = '''
from pathlib import Path

from trivium.agent.tools.user import tool


@tool(effect="write")
def make_note() -> str:
    """Make a note."""
    Path("note.txt").write_text("noted")
    return "the note is made"
'''


@pytest.mark.parametrize(("key", "outcome"), [("y", "allowed once"), ("n", "refused")])
def test_leave_is_asked_of_the_user(folder: Path, key: str, outcome: str) -> None:
    (folder / "mine.py").write_text(TOOL)
    options = ["--tools", "on", "--tool-file", "mine.py", "--max-tokens", "64"]
    with Driven(*options, calls="make_note") as chat:
        chat.send("Make a note of the tide.")
        chat.see("May it write? ")
        chat.see("n no >")
        assert not (folder / "note.txt").exists()
        chat.press(key)
        chat.see(outcome)
        chat.see("tokens/s · ")
        chat.press(CTRL_D)
        assert chat.left() == 0
    assert (folder / "note.txt").exists() is (key == "y")


def test_a_pipe_is_a_filter() -> None:
    first = trivium("chat", "--max-tokens", "12", input="Name a colour.\n")
    again = trivium("chat", "--max-tokens", "12", input="Name a colour.\n")
    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    assert first.stdout == again.stdout != ""


def test_the_prompt_stands_before_the_model_is_loaded() -> None:
    with Driven() as chat:
        chat.prompted()
        seconds = time.monotonic() - chat.started
        chat.press(CTRL_D)
        assert chat.left() == 0
    assert seconds < 3, "0.5 s is the bar on a quiet machine: benchmarks/chat_start.py"
