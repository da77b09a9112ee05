"""`trivium sessions` at the terminal and in a script."""

import io
import json
import sys
from pathlib import Path

import pexpect
import pytest

from tests.cli.program import modules, trivium
from trivium.agent.base import Node
from trivium.agent.export import when
from trivium.agent.sessions import Sessions, default_file
from trivium.cli.main import run
from trivium.engines.base import ToolCall
from trivium.retrieval.base import Citation

Output = pytest.CaptureFixture[str]


@pytest.fixture
def talk() -> int:
    """Two sessions: "sky", of three messages, and "tea"; the id of the first."""
    with Sessions() as sessions:
        key = sessions.create("sky", model="qwen").id
        sessions.append(key, Node("user", "Why is the sky blue?"))
        call = ToolCall("c", "grep", {"words": ["sky"]})
        sessions.append(key, Node("assistant", "", thinking="Hm.", tool_calls=(call,)))
        sessions.append(key, Node("tool", "rays", tool_call_id="c"))
        cited = Citation("/sky.md", None, 5, 9, "blue", "00", 1.0)
        sessions.append(key, Node("assistant", "It scatters\nblue.", citations=(cited,)))
        other = sessions.create("tea").id
        sessions.append(other, Node("user", "Is tea\tblue? \x1b[31mred\x1b]0;title\x07"))
    return key


def names() -> list[str]:
    with Sessions() as sessions:
        return [session.name for session in sessions.all()]


class TestList:
    def test_a_pipe_gets_tabs(self, talk: int, capsys: Output) -> None:
        assert run(["sessions", "list"]) == 0
        with Sessions() as sessions:
            tea, sky = (when(one.updated) for one in sessions.all())
        assert capsys.readouterr().out == f"tea\t1\t\t{tea}\nsky\t3\tqwen\t{sky}\n"

    def test_json_has_every_field(self, talk: int, capsys: Output) -> None:
        assert run(["sessions", "list", "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)
        assert [row["name"] for row in rows] == ["tea", "sky"]
        assert set(rows[0]) == {
            *("id", "name", "model", "system", "created", "updated", "head", "messages")
        }

    def test_without_any_nothing_is_made(self, home: Path, capsys: Output) -> None:
        assert run(["sessions", "list"]) == 0
        assert run(["sessions", "list", "--json"]) == 0
        assert run(["sessions", "search", "x"]) == 3
        assert run(["sessions", "show", "x"]) == 2
        streams = capsys.readouterr()
        assert streams.out == "[]\n"
        assert "There are no conversations; begin one with: trivium chat" in streams.err
        assert "error: there are no sessions yet" in streams.err
        assert not home.exists()

    def test_a_damaged_file_is_one_sentence(self, home: Path, capsys: Output) -> None:
        home.mkdir()
        default_file().write_bytes(b"no database " * 500)
        assert run(["sessions", "list"]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"error: {default_file()} is damaged (")
        assert error.count("\n") == 1


class TestSearch:
    def test_a_pipe_gets_a_line_each(self, talk: int, capsys: Output) -> None:
        assert run(["sessions", "search", "blue", "sky"]) == 0
        assert capsys.readouterr().out == "sky\t1\tuser\tWhy is the [sky] [blue]?\n"

    def test_control_characters_do_not_reach_the_terminal(self, talk: int, capsys: Output) -> None:
        assert run(["sessions", "search", "tea"]) == 0
        assert capsys.readouterr().out == "tea\t5\tuser\tIs [tea] blue? red\n"

    def test_json(self, talk: int, capsys: Output) -> None:
        assert run(["sessions", "search", "blue", "-k", "2", "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)
        assert len(rows) == 2
        assert set(rows[0]) == {"session", "id", "role", "created", "excerpt", "score"}
        assert rows[0]["score"] >= rows[1]["score"]

    def test_nothing_found_is_exit_3(self, talk: int, capsys: Output) -> None:
        assert run(["sessions", "search", "blue", "OR", "ocean", "--json"]) == 3
        streams = capsys.readouterr()
        assert streams.out == "[]\n"
        assert streams.err == 'error: no message has all words of "blue OR ocean"\n'

    def test_no_words_are_an_error(self, talk: int, capsys: Output) -> None:
        assert run(["sessions", "search", " "]) == 2
        assert capsys.readouterr().err == "error: there are no words to search for\n"


class TestShow:
    def test_every_message_with_its_number(self, talk: int, capsys: Output) -> None:
        with Sessions() as sessions:
            times = [when(node.created) for node in sessions.path(4)]
        assert run(["sessions", "show", "sky"]) == 0
        assert capsys.readouterr().out == (
            f"[1] user  {times[0]}\n    Why is the sky blue?\n\n"
            f'[2] assistant  {times[1]}\n    Hm.\n    calls grep {{"words": ["sky"]}}\n\n'
            f"[3] tool  {times[2]}\n    rays\n\n"
            f"[4] assistant  {times[3]}\n    It scatters\n    blue.\n"
            "    [1] /sky.md, character 5\n\n"
        )

    def test_a_terminal_is_not_driven_by_a_message(self, talk: int) -> None:
        command = ["-m", "trivium.cli.main", "sessions", "show", "tea"]
        terminal = pexpect.spawn(sys.executable, command, encoding="utf-8", timeout=60)
        terminal.expect(pexpect.EOF)
        assert "Is tea" in terminal.before
        assert "red" in terminal.before
        assert "\x1b]0;" not in terminal.before
        assert "\x1b[31m" not in terminal.before

    def test_json_is_the_export(self, talk: int, capsys: Output) -> None:
        assert run(["sessions", "show", "sky", "--json"]) == 0
        shown = capsys.readouterr().out
        assert run(["sessions", "export", "sky", "--format", "json"]) == 0
        assert capsys.readouterr().out == shown
        assert json.loads(shown)["path"] == [1, 2, 3, 4]

    def test_a_misspelt_name_gets_a_hint(self, talk: int, capsys: Output) -> None:
        assert run(["sessions", "show", "skyy"]) == 2
        assert capsys.readouterr().err == (
            'error: there is no session "skyy"; did you mean "sky"?\n'
        )


class TestFork:
    def test_the_copy_is_named_on_stdout(self, talk: int, capsys: Output) -> None:
        assert run(["sessions", "fork", "sky"]) == 0
        assert run(["sessions", "fork", "sky", "--at", "1", "--name", "short"]) == 0
        assert capsys.readouterr().out == "sky-fork\nshort\n"
        with Sessions() as sessions:
            assert len(sessions.path(sessions.get("sky-fork").head)) == 4
            assert len(sessions.path(sessions.get("short").head)) == 1

    def test_a_message_of_another_session_is_refused(self, talk: int, capsys: Output) -> None:
        assert run(["sessions", "fork", "tea", "--at", "1"]) == 2
        assert 'message 1 is not of the session "tea"' in capsys.readouterr().err
        assert names() == ["tea", "sky"]

    def test_an_empty_session_has_nothing_to_copy(self, talk: int, capsys: Output) -> None:
        with Sessions() as sessions:
            sessions.create("empty")
        assert run(["sessions", "fork", "empty"]) == 2
        assert "has no messages to copy" in capsys.readouterr().err


class TestExport:
    @pytest.mark.parametrize(
        ("file", "form", "begin"),
        [
            ("a.md", [], "# sky"),
            ("a.txt", [], "# sky"),
            ("a.HTML", [], "<!DOCTYPE html>"),
            ("a.json", [], "{"),
            ("a.json", ["--format", "md"], "# sky"),
        ],
    )
    def test_the_ending_chooses_unless_told(
        self, talk: int, tmp_path: Path, capsys: Output, file: str, form: list[str], begin: str
    ) -> None:
        assert run(["sessions", "export", "sky", "-o", str(tmp_path / file), *form]) == 0
        assert (tmp_path / file).read_text().startswith(begin)
        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize("form", ["md", "html", "json"])
    def test_nothing_on_stdout_drives_a_terminal(
        self, talk: int, capsys: Output, form: str
    ) -> None:
        assert run(["sessions", "export", "tea", "-f", form]) == 0
        out = capsys.readouterr().out
        assert not {"\x1b", "\x07"} & set(out)
        if form == "json":
            assert json.loads(out)["messages"][0]["content"].endswith("\x1b[31mred\x1b]0;title\x07")

    def test_an_unknown_form_is_an_error(self, talk: int, capsys: Output) -> None:
        assert run(["sessions", "export", "sky", "-f", "pdf"]) == 2
        assert capsys.readouterr().err == ('error: --format "pdf" is not one of md, json, html\n')

    def test_a_place_that_cannot_be_written_is_a_sentence(
        self, talk: int, tmp_path: Path, capsys: Output
    ) -> None:
        (tmp_path / "file").touch()
        assert run(["sessions", "export", "sky", "-o", str(tmp_path / "file" / "a.md")]) == 1
        assert capsys.readouterr().err.count("\n") == 1


class TestChanges:
    def test_rename(self, talk: int, capsys: Output) -> None:
        assert run(["sessions", "rename", "sky", "heaven"]) == 0
        assert capsys.readouterr().out == "heaven\n"
        assert run(["sessions", "rename", "tea", "heaven"]) == 2
        assert run(["sessions", "rename", "tea", "a b", "--json"]) == 2
        assert names() == ["tea", "heaven"]

    def test_rm_wants_yes_where_nobody_can_be_asked(
        self, talk: int, monkeypatch: pytest.MonkeyPatch, capsys: Output
    ) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
        assert run(["sessions", "rm", "sky", "tea"]) == 2
        assert 'say --yes to delete "sky", "tea" without being asked' in capsys.readouterr().err
        assert names() == ["tea", "sky"]
        assert run(["sessions", "rm", "sky", "tea", "sky", "--yes"]) == 0
        assert names() == []

    def test_a_misspelt_name_deletes_none(self, talk: int) -> None:
        assert run(["sessions", "rm", "sky", "teaa", "--yes"]) == 2
        assert names() == ["tea", "sky"]

    @pytest.mark.parametrize(("answer", "left"), [("y", ["tea"]), ("n", ["tea", "sky"])])
    def test_rm_asks(self, talk: int, answer: str, left: list[str]) -> None:
        command = ["-m", "trivium.cli.main", "sessions", "rm", "sky"]
        terminal = pexpect.spawn(sys.executable, command, encoding="utf-8", timeout=60)
        terminal.expect_exact('Delete "sky"?')
        terminal.sendline(answer)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == (0 if answer == "y" else 1)
        assert names() == left

    def test_what_a_chat_holds_is_not_deleted(self, talk: int) -> None:
        with Sessions() as sessions, sessions.hold(talk):
            result = trivium("sessions", "rm", "sky", "--yes")
        assert result.returncode == 1
        assert result.stderr.startswith('error: session "sky" is open in another chat')
        assert names() == ["tea", "sky"]


def test_it_needs_no_model_library(talk: int) -> None:
    imported = modules("sessions", "list")
    assert imported & {"torch", "langchain", "llama_cpp", "pydantic", "jinja2", "faiss"} == set()
