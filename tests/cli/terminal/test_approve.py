"""The question before an effect: what is shown, and what each key decides."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from tests.cli.terminal.screen import Terminal
from trivium.agent.base import Proposal
from trivium.cli.terminal.approve import LINES, Question, press
from trivium.cli.terminal.render import Screen

WRITE = Proposal(
    "write_file",
    {"path": "notes.md", "text": "new"},
    "write",
    "write notes.md",
    "--- notes.md\n+++ notes.md\n@@ -1 +1 @@\n-old\n+new\n",
    "write notes.md",
)
RUN = Proposal("shell", {"command": "ls -l"}, "run", "run a command", "ls -l", "ls -l")


class Keys:
    """Presses the given keys, one a question, and remembers what was asked."""

    def __init__(self, *keys: str) -> None:
        self._keys = list(keys)
        self.asked: list[tuple[str, str]] = []

    def __call__(self, question: str, keys: str) -> str:
        self.asked.append((question, keys))
        key = self._keys.pop(0)
        if key == "c-c":
            raise KeyboardInterrupt
        return key


def ask(proposal: Proposal, keys: Keys) -> tuple[str, list[str], list[bool]]:
    """The decision, the screen, and the calls of `stop`."""
    terminal, stops = Terminal(), list[bool]()
    question = Question(Screen(terminal.console), lambda: stops.append(True), keys)
    return question(proposal), terminal.lines, stops


@pytest.mark.parametrize(
    ("key", "decision", "said"),
    [
        ("y", "once", "allowed once"),
        ("s", "session", "allowed for this session"),
        ("a", "always", "always allowed"),
        ("n", "no", "refused"),
    ],
)
def test_each_key_is_a_decision(key: str, decision: str, said: str) -> None:
    got, lines, stops = ask(RUN, Keys(key))
    assert got == decision
    assert lines == ["▌ May it run? run a command", "  ls -l", f"  {said}"]
    assert stops == []


def test_a_diff_is_shown_as_it_is() -> None:
    keys = Keys("n")
    _, lines, _ = ask(WRITE, keys)
    assert lines == [
        "▌ May it write? write notes.md",
        "  --- notes.md",
        "  +++ notes.md",
        "  @@ -1 +1 @@",
        "  -old",
        "  +new",
        "  refused",
    ]
    choices = "  y once · s this session · a always “write notes.md” · n no > "
    assert keys.asked == [(choices, "ysan")]


def test_ctrl_c_refuses_and_ends_the_answer() -> None:
    got, lines, stops = ask(RUN, Keys("c-c"))
    assert (got, lines[-1], stops) == ("no", "  refused", [True])


def test_a_tainted_call_says_so_and_cannot_be_allowed_for_longer() -> None:
    keys = Keys("y")
    got, lines, _ = ask(replace(RUN, tainted=True), keys)
    assert got == "once"
    assert "not from you" in " ".join(lines[1:3])
    assert keys.asked == [("  y once · n no > ", "yn")]


def test_what_does_not_fit_is_counted_and_can_be_seen() -> None:
    detail = "\n".join(f"line {n}" for n in range(LINES + 2))
    keys = Keys("v", "n")
    _, lines, _ = ask(replace(RUN, detail=detail), keys)
    assert lines[LINES + 1] == "  … 2 more lines"
    assert lines[LINES + 2 : -1] == [f"  line {n}" for n in range(LINES + 2)]
    assert [keys for _, keys in keys.asked] == ["ysanv", "ysanv"]


def test_control_characters_are_spelt_out_and_neither_obeyed_nor_left_out() -> None:
    detail = "rm -rf x\x1b[2K\r\nls \u202e gnp.exe"
    keys = Keys("n")
    _, lines, _ = ask(replace(RUN, detail=detail, pattern="a\x1bb", title="t\x07\nu"), keys)
    assert lines[0] == r"▌ May it run? t\x07 u"
    assert lines[1:3] == [r"  rm -rf x\x1b[2K\x0d", r"  ls \u202e gnp.exe"]
    assert r"a always “a\x1bb”" in keys.asked[0][0]


@pytest.fixture
def keyboard() -> Iterator[object]:
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield pipe


@pytest.mark.parametrize(
    ("typed", "key"), [("y", "y"), ("x1 a", "a"), ("\r", "n"), ("\n", "n"), ("\x04", "n")]
)
def test_only_the_offered_keys_count(keyboard: object, typed: str, key: str) -> None:
    threading.Timer(0.3, keyboard.send_text, [typed]).start()  # type: ignore[attr-defined]
    assert press("? ", "ysan") == key


def test_ctrl_c_interrupts(keyboard: object) -> None:
    threading.Timer(0.3, keyboard.send_text, ["\x03"]).start()  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        press("? ", "ysan")


def test_a_pasted_y_is_no_yes(keyboard: object) -> None:
    threading.Timer(0.3, keyboard.send_text, ["\x1b[200~y\x1b[201~n"]).start()  # type: ignore[attr-defined]
    assert press("? ", "ysan") == "n"
