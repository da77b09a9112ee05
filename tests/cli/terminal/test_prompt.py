"""The prompt's keys, history and completion, through prompt_toolkit's own input."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from trivium.cli.terminal.completion import Completions
from trivium.cli.terminal.prompt import Prompt


class Type(Protocol):
    def __call__(self, keys: str, default: str = "") -> str: ...


@pytest.fixture
def typed() -> Iterator[Type]:
    """What a prompt returns for the keys that are typed into it."""
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):

        def ask(keys: str, default: str = "") -> str:
            pipe.send_text(keys)
            return Prompt(Completions(), str).ask(default)

        yield ask


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("hello\r", "hello"),
        ("one\\\rtwo\r", "one\ntwo"),
        ("one\x1b\rtwo\r", "one\ntwo"),
        ("  indented\x1b\rtwo\r", "  indented\ntwo"),
        ("\x1b[200~a\nb\n\nc\x1b[201~\r", "a\nb\n\nc"),
        ("gone\x03kept\r", "kept"),
        ("C:\\dir\r", "C:\\dir"),
        ("\r", ""),
    ],
)
def test_keys_make_a_message(typed: Type, keys: str, text: str) -> None:
    assert typed(keys) == text


def test_a_draft_stands_there_to_be_changed(typed: Type) -> None:
    assert typed("?\r", default="Why") == "Why?"


def test_ctrl_d_leaves_and_ctrl_c_on_nothing_interrupts(typed: Type) -> None:
    with pytest.raises(EOFError):
        typed("\x04")
    with pytest.raises(KeyboardInterrupt):
        typed("\x03")


def test_history_outlives_the_prompt_and_is_the_users_alone(typed: Type, home: Path) -> None:
    typed("first\r")
    typed("second\x1b\rline\r")
    assert typed("\x1b[A\r") == "second\nline"
    assert typed("\x10\x10\x10\r") == "first"
    assert stat.S_IMODE((home / "history").stat().st_mode) == 0o600


def test_without_a_place_for_history_there_is_a_prompt(typed: Type, home: Path) -> None:
    home.write_text("a file where the folder should be")
    assert typed("hello\r") == "hello"


def test_ready_is_called_once_the_prompt_stands() -> None:
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        calls: list[bool] = []
        prompt = Prompt(Completions(), str)
        for _ in range(2):
            pipe.send_text("a\r")
            prompt.ask(ready=lambda: calls.append(True))
    assert calls == [True, True]


def test_leaving_raises_in_the_prompt_and_keeps_what_was_typed(home: Path) -> None:
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        prompt = Prompt(Completions(), str)
        pipe.send_text("half a mess")
        with pytest.raises(ValueError, match="no such model"):
            prompt.ask(ready=lambda: prompt.leave(ValueError("no such model")))
        prompt.leave(ValueError("nobody is there any more"))


def completed(text: str) -> list[Completion]:
    return list(Completions().get_completions(Document(text), CompleteEvent()))


def words(text: str) -> list[str]:
    return [completion.text for completion in completed(text)]


class TestCompletion:
    def test_a_slash_lists_the_commands_with_what_they_do(self) -> None:
        first = completed("/mo")[0]
        assert (first.text, first.start_position) == ("model", -2)
        assert first.display_text == "/model [NAME]"
        assert first.display_meta_text == "Show the model, or go on with another."

    def test_a_message_is_never_completed(self) -> None:
        assert (
            words("see /mo") == words("hello") == words("/edit\n/mo") == words("/nothing x") == []
        )

    def test_attach_completes_paths(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "two words.md").touch()
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path)
        assert words("/attach tw") == ["o words.md"]
        assert words(f"/attach {tmp_path}/ot") == ["her"]

    def test_model_completes_chat_models(self) -> None:
        assert "smollm2-135m" in words("/model smol")
        assert "minilm-l6-v2" not in words("/model ")

    def test_docs_completes_each_index(self, home: Path) -> None:
        for name in ("notes", "papers"):
            (home / "indexes" / name).mkdir(parents=True)
            (home / "indexes" / name / "index.db").touch()
        assert words("/docs ") == ["off", "notes", "papers"]
        assert words("/docs notes pa") == ["papers"]

    def test_set_and_tools_and_help_complete_their_words(self) -> None:
        assert words("/set temp") == ["temperature"]
        assert words("/tools o") == ["on", "off"]
        assert words("/help bra") == ["branches"]
