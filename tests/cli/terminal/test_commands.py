"""The table of slash commands, and the small things that they parse and say."""

from pathlib import Path

import pytest

from trivium.cli.terminal.commands import COMMANDS, find, is_command
from trivium.cli.terminal.setup import parsed, paths
from trivium.cli.terminal.words import age, excerpt, weights
from trivium.errors import UsageError

DOCS = Path(__file__).parents[3] / "docs" / "chat.md"


def test_the_commands_of_the_issue_are_there() -> None:
    wanted = (
        "help model system prompt attach docs pictures similar tools undo retry edit fork "
        "branches search save export compact context set pin quit"
    )
    assert list(COMMANDS) == wanted.split()


@pytest.mark.parametrize("name", COMMANDS)
def test_each_is_in_the_documentation_with_its_arguments(name: str) -> None:
    arguments = COMMANDS[name].arguments.replace("|", r"\|")
    assert f"| `/{name} {arguments}".rstrip() + "` |" in DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/help", True),
        ("/help me", True),
        ("/set\ttemperature 1", True),
        ("/", True),
        ("/etc/passwd", False),
        ("/etc/passwd is what?", False),
        (" /help", False),
        ("see /help", False),
        ("/* a comment */", False),
        ("", False),
    ],
)
def test_a_command_is_a_slash_and_a_word(text: str, command: bool) -> None:
    assert is_command(text) is command


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("retri", "did you mean /retry"),
        ("QUITE", "did you mean /quit?"),
        ("e", "did you mean /edit or /export?"),
        ("xyzzy", "see /help"),
        ("", "see /help"),
    ],
)
def test_an_unknown_command_names_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"there is no command /{name}; ") as error:
        find(name)
    assert hint in str(error.value)


def test_case_does_not_matter() -> None:
    assert find("Help") is COMMANDS["help"]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", "0.7", 0.7),
        ("top_k", "40", 40),
        ("max_tokens", "off", None),
        ("max_tokens", "100", 100),
        ("stop", "off", ()),
        ("stop", "END", ("END",)),
        ("stop", r"é\n\n", ("é\n\n",)),
    ],
)
def test_a_setting_is_read(name: str, text: str, value: object) -> None:
    assert parsed(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("temperature", "2.5"),
        ("temperature", "nan"),
        ("temperature", "off"),
        ("top_k", "1.5"),
        ("top_p", "-1"),
        ("max_tokens", "0"),
        ("heat", "1"),
    ],
)
def test_a_setting_out_of_range_is_a_sentence(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=name):
        parsed(name, text)


def test_a_path_stands_as_it_is_or_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two words.md").touch()
    assert paths("two words.md") == ["two words.md"]
    assert paths("'two words.md' b\\ c.md") == ["two words.md", "b c.md"]
    assert paths("it's") == ["it's"]
    assert paths("") == []


def test_words() -> None:
    ages = [age(0, now) for now in (5, 59, 60, 7199, 86_399, 86_400, -5)]
    assert ages == ["now", "now", "1 min ago", "1 h ago", "23 h ago", "1 d ago", "now"]
    assert excerpt("a\n\tb\x1b[1m") == "a b"
    assert excerpt("word " * 20, 12) == "word word w…"
    assert (weights(134_515_008), weights(1_700_000_000)) == ("135M", "1.7B")
