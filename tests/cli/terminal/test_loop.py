"""The conversation in a terminal with a scripted model: keys, commands, leave for tools."""

import json
from pathlib import Path

import pytest

from tests.cli.terminal.driven import CTRL_C, CTRL_D, CTRL_U, ENTER, Driven
from trivium.agent.sessions import Sessions


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def said(name: str) -> list[tuple[str, str, str]]:
    """Role, state and content of a session's open branch."""
    with Sessions() as sessions:
        path = sessions.path(sessions.get(name).head)
    return [(node.role, node.state, node.content) for node in path]


def test_a_conversation_is_shown_kept_and_left() -> None:
    with Driven(replies=["'# Tides\\n\\nThe **Moon**.'", "'Twice a day.'"]) as chat:
        chat.send("What moves the sea?")
        chat.see("of 4,096 tokens")
        chat.send("How often?")
        chat.see("Twice a day.")
        chat.prompted()
        first = chat.lines.index("> What moves the sea?")
        assert chat.lines[first : first + 8] == [
            "> What moves the sea?",
            "",
            "Tides",
            "",
            "The Moon.",
            "",
            "8 of 4,096 tokens",
            "",
        ]
        assert chat.lines[-1] == "scripted · what-moves-the-sea · /help"
        chat.press(CTRL_D)
        assert chat.left() == 0
    assert [(role, content) for role, _, content in said("what-moves-the-sea")][2:] == [
        ("user", "How often?"),
        ("assistant", "Twice a day."),
    ]


def test_ctrl_c_ends_the_answer_and_keeps_what_was_written() -> None:
    long = " ".join(f"word{n}" for n in range(500))
    with Driven("--session", "tide", replies=[f"'{long}'", "'Short.'"], pause=0.02) as chat:
        chat.send("Talk")
        chat.see("word9 ")
        chat.press("typed ahead")  # not echoed into the answer, but waiting at the prompt
        chat.press(CTRL_C)
        chat.see("interrupted · ")
        chat.see("> typed ahead")
        assert chat.text.count("typed ahead") == 1
        chat.press(CTRL_C)
        chat.gone("typed ahead")
        chat.press(CTRL_C)
        chat.see("Ctrl-D or /quit leaves.")
        chat.send("Again")
        chat.see("Short.")
        chat.send("/quit")
        assert chat.left() == 0
    _, (role, state, content), *rest = said("tide")
    assert (role, state) == ("assistant", "interrupted")
    assert content.startswith("word0 word1 ")
    assert "word499" not in content
    assert [content for _, _, content in rest] == ["Again", "Short."]


def test_branches_edits_and_forks() -> None:
    replies = ["'One.'", "'Two.'", "'Three.'"]
    with Driven("first?", "--session", "tree", replies=replies) as chat:
        chat.see("One.")
        chat.send("/retry")
        chat.see("Two.")
        chat.send("/edit")
        chat.see("your last message; empty leaves it as it was")
        chat.press(CTRL_U + "changed!" + ENTER)
        chat.see("Three.")
        chat.send("/branches")
        chat.see("  3")
        chat.send("/branches 3")
        chat.see("> first?")
        assert said("tree") == [("user", "complete", "first?"), ("assistant", "complete", "One.")]
        chat.send("/fork copy")
        chat.see("going on in copy")
        chat.send("/undo")
        chat.see("took back: first?")
        chat.send("/branches 9")
        chat.see('error: "9" is not one of the numbers 1 to ')
        chat.press(CTRL_D)
        assert chat.left() == 0
    assert said("copy") == []
    assert len(said("tree")) == 2


def test_a_prompt_of_the_library_is_said_with_its_examples(folder: Path) -> None:
    with Driven("--session", "talk", replies=["'positive'"]) as chat:
        chat.send("/prompt sentiment What a day!")
        chat.see("sentiment version 1, after 6 examples")
        chat.prompted()
        chat.press(CTRL_D)
        assert chat.left() == 0
    *examples, asked, answer = said("talk")
    assert len(examples) == 12
    assert examples[1] == ("assistant", "complete", "positive")
    assert asked == ("user", "complete", "What a day!")
    assert answer == ("assistant", "complete", "positive")


def test_commands_say_what_they_did(folder: Path) -> None:
    (folder / "two words.md").write_text("The tide is at noon.")
    with Driven("--session", "talk", replies=["'At noon.'"]) as chat:
        for command, seen in [
            ("/hepl", "error: there is no command /hepl; did you mean /help?"),
            ("/help set", "/set [NAME VALUE]"),
            ("/model", "scripted, 135M weights, 4,096 tokens of context"),
            ("/system Be brief.", "Be brief."),
            ("/prompt", "Summarise a text in a few sentences"),
            ("/prompt nothing", 'there is no prompt "nothing"'),
            ("/attach nothing.md", "error: nothing.md does not exist"),
            ("/attach two words.md", "+ two words.md, as text, goes with your next message"),
            ("/docs lakes", 'error: there is no index "lakes"'),
            ("/tools", "tools are off"),
            ("/set temperature 0.5", "temperature  0.5"),
            ("/set temperature hot", 'temperature takes a number from 0 to 2, not "hot"'),
            ("/set colour red", 'there is no setting "colour"'),
            ("When is the tide?", "At noon."),
            ("/pin 1", "pinned: When is the tide?"),
            ("/context", "pinned  user"),
            ("/search noon", "At [noon]."),
        ]:
            chat.send(command)
            chat.see(seen)
        chat.send("/save renamed")
        chat.see("kept as renamed")
        chat.send("/export talk.json")
        chat.see("written to talk.json")
        chat.send("/export talk.json")
        chat.see("error: talk.json exists")
        chat.press(CTRL_D)
        assert chat.left() == 0
    assert json.loads((folder / "talk.json").read_text())
    assert said("renamed")[0][2] == "When is the tide?"


WRITE = "call('write_file', path='notes.txt', content='high tide')"


@pytest.mark.parametrize(("key", "outcome"), [("y", "allowed once"), ("n", "refused")])
def test_leave_is_asked_before_a_file_is_written(folder: Path, key: str, outcome: str) -> None:
    with Driven("--tools", "on", replies=[WRITE, "'That is all.'"]) as chat:
        chat.send("Write high tide to notes.txt")
        chat.see("May it write?")
        chat.see("+high tide")
        chat.see("n no >")
        assert not (folder / "notes.txt").exists()
        chat.press(key)
        chat.see(outcome)
        chat.see("That is all.")
        chat.press(CTRL_D)
        assert chat.left() == 0
    assert (folder / "notes.txt").exists() is (key == "y")


def test_keys_pressed_before_the_question_are_no_answer_to_it(folder: Path) -> None:
    with Driven("--tools", "on", replies=[WRITE, "'That is all.'"], pause=1.0) as chat:
        chat.send("Write high tide to notes.txt")
        chat.press("yyy")
        chat.see("n no >")
        chat.press(ENTER)
        chat.see("refused")
        chat.see("That is all.")
    assert not (folder / "notes.txt").exists()


def test_always_holds_in_the_next_chat(folder: Path, home: Path) -> None:
    for number, first in enumerate([True, False]):
        with Driven("--tools", "on", replies=[WRITE, "'That is all.'"]) as chat:
            chat.send("Write high tide to notes.txt")
            if first:
                chat.see("a always")
                chat.press("a")
                chat.see("always allowed")
            chat.see("That is all.")
            chat.prompted()
            assert ("May it write?" in chat.text) is first
            chat.press(CTRL_D)
            assert chat.left() == 0, number
    assert "write_file" in (home / "approvals.toml").read_text()


def test_ctrl_c_at_the_question_refuses_and_ends_the_answer(folder: Path) -> None:
    with Driven("--tools", "on", replies=[WRITE, "'Never said.'"]) as chat:
        chat.send("Write high tide to notes.txt")
        chat.see("n no >")
        chat.press(CTRL_C)
        chat.see("refused")
        chat.prompted()
        assert "Never said." not in chat.text
    assert not (folder / "notes.txt").exists()


def test_what_cannot_be_said_is_given_back(folder: Path) -> None:
    (folder / "fact.md").write_text("A fact.")
    with Driven("-a", "fact.md", replies=["UsageError('not like this')", "'Better.'"]) as chat:
        chat.send("Too much")
        chat.see("error: not like this")
        chat.see("+ fact.md")
        chat.press("? No" + ENTER)
        chat.see("> Too much? No")
        chat.see("Better.")
        chat.gone("+ fact.md")


def test_what_cannot_be_opened_ends_the_program_with_its_code() -> None:
    with Driven("--continue", replies=[]) as chat:
        chat.see("error: there is no conversation to continue yet")
        assert chat.left() == 2


def test_a_second_chat_on_a_session_is_told() -> None:
    with Driven("hi", "--session", "mine", replies=["'Hello.'"]) as first:
        first.see("Hello.")
        with Driven("--session", "mine", replies=[]) as second:
            second.see("error: ")
            assert second.left() == 1
            assert "mine" in second.text


def test_a_resumed_conversation_shows_where_it_was() -> None:
    with Driven("first question", "--session", "tide", replies=["'First **answer**.'"]) as chat:
        chat.see("First answer.")
        chat.press(CTRL_D)
        assert chat.left() == 0
    with Driven("--continue", replies=["'Second answer.'"]) as chat:
        chat.see("tide, 2 messages")
        chat.see("First answer.")
        chat.prompted()
        chat.press("\x1b[A")  # history: what was said in the run before, as typed at its prompt
        chat.press(CTRL_U + "second question" + ENTER)
        chat.see("Second answer.")
        chat.press(CTRL_D)
        assert chat.left() == 0
    assert [content for _, _, content in said("tide")][2:] == ["second question", "Second answer."]
