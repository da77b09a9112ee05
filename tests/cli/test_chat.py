"""`trivium chat` as a filter: one message in, one answer out, exit codes, one JSON document."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import modules
from tests.cli.test_imports import HEAVY
from tests.embedder import WordEmbedder
from tests.scripted import ScriptedEngine
from trivium.agent.sessions import Sessions
from trivium.cli.main import run
from trivium.engines.base import Completion, ToolCall
from trivium.errors import Unavailable

Output = pytest.CaptureFixture[str]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ScriptedEngine:
    """What every model's name means, in a folder of its own and without input."""
    scripted = ScriptedEngine(default="**Hello** there.")
    monkeypatch.setattr("trivium.engines.load.load_engine", lambda name, settings=None: scripted)
    monkeypatch.setattr("trivium.retrieval.embed.load_embedder", WordEmbedder)
    monkeypatch.chdir(tmp_path)
    pipe(monkeypatch, "")
    return scripted


def pipe(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def asked(engine: ScriptedEngine) -> list[tuple[str, str]]:
    """Role and content of what the model read last."""
    return [(message.role, message.content) for message in engine.requests[-1].messages]


def test_a_pipe_gets_the_answer_and_nothing_else(
    engine: ScriptedEngine, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, "hi\n")
    assert run(["chat"]) == 0
    streams = capsys.readouterr()
    assert (streams.out, streams.err) == ("**Hello** there.\n", "")
    assert asked(engine) == [("user", "hi")]
    assert engine.closed


def test_piped_text_follows_the_argument(
    engine: ScriptedEngine, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, "line 1\nline 2\n")
    assert run(["chat", "Summarise this:", "--system", "Be brief."]) == 0
    assert asked(engine) == [
        ("system", "Be brief."),
        ("user", "Summarise this:\n\nline 1\nline 2"),
    ]


def test_json_is_the_whole_turn(engine: ScriptedEngine, capsys: Output) -> None:
    assert run(["chat", "hi there", "--json", "--session", "greeting"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {
        "answer": "**Hello** there.",
        "thinking": "",
        "session": "greeting",
        "message": 2,
        "model": "scripted",
        "state": "complete",
        "finish": "stop",
        "usage": {
            "prompt_tokens": 2,
            "completion_tokens": 2,
            "reused_tokens": 0,
            "prefill_seconds": 0.0,
            "decode_seconds": 0.0,
            "context_tokens": 4,
            "context_length": 4096,
        },
        "citations": [],
        "tool_calls": [],
        "notes": [],
    }


def test_a_session_goes_on(engine: ScriptedEngine, capsys: Output) -> None:
    assert run(["chat", "one", "--session", "notes"]) == 0
    assert run(["chat", "two", "-c"]) == 0
    assert run(["chat", "three", "--session", "notes"]) == 0
    said = [content for role, content in asked(engine) if role == "user"]
    assert said == ["one", "two", "three"]
    with Sessions() as sessions:
        assert [(s.name, s.messages) for s in sessions.all()] == [("notes", 6)]


def test_escape_sequences_reach_no_terminal_but_stay_in_json(
    engine: ScriptedEngine, capsys: Output
) -> None:
    engine.enqueue("\x1b[2Jred\x07", "\x1b[2Jred\x07")
    assert run(["chat", "hi"]) == 0
    assert capsys.readouterr().out == "red\n"
    assert run(["chat", "hi", "--json"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert json.loads(out)["answer"] == "\x1b[2Jred\x07"


def test_an_attachment_goes_with_the_message(
    engine: ScriptedEngine, capsys: Output, tmp_path: Path
) -> None:
    (tmp_path / "notes.md").write_text("The tide is at noon.")
    assert run(["chat", "When is the tide?", "-a", "notes.md"]) == 0
    assert "The tide is at noon." in asked(engine)[-1][1]


def test_an_index_is_consulted_and_cited(
    engine: ScriptedEngine, capsys: Output, tmp_path: Path
) -> None:
    (tmp_path / "nile.md").write_text("The Nile flows north through Egypt.\n")
    assert run(["index", "add", "nile.md", "--index", "rivers"]) == 0
    capsys.readouterr()
    engine.enqueue("The Nile flows north through Egypt.")
    command = ["chat", "Where does the Nile flow through Egypt?", "-i", "rivers", "--json"]
    assert run(command) == 0
    (citation,) = json.loads(capsys.readouterr().out)["citations"]
    assert citation["text"] == "The Nile flows north through Egypt."
    assert "The Nile flows north" in asked(engine)[-1][1]


def test_sampling_comes_from_options_and_settings(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(["chat", "hi"])
    run(["chat", "hi", "--max-tokens", "7", "--temperature", "0.5"])
    monkeypatch.setenv("TRIVIUM_MAX_TOKENS", "99")
    run(["chat", "hi"])
    chosen = [(r.sampling.max_tokens, r.sampling.temperature) for r in engine.requests]
    assert [chosen[1], chosen[2]] == [(7, 0.5), (99, 0.0)]
    assert chosen[0][0] is not None
    assert chosen[0][0] > 256


class TestTools:
    def call(self, name: str, **arguments: object) -> Completion:
        return Completion("", "stop", 0, 1, tool_calls=(ToolCall("1", name, arguments),))

    def test_a_call_and_its_result_are_in_the_document(
        self, engine: ScriptedEngine, capsys: Output
    ) -> None:
        engine.enqueue(self.call("calculator", expression="6*7"), "It is 42.")
        assert run(["chat", "6*7?", "--tools", "on", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["answer"] == "It is 42."
        (call,) = document["tool_calls"]
        assert call.pop("seconds") >= 0
        assert call == {
            "name": "calculator",
            "arguments": {"expression": "6*7"},
            "result": "42",
            "error": False,
        }

    def test_nobody_can_be_asked_so_an_effect_is_refused(
        self, engine: ScriptedEngine, capsys: Output, tmp_path: Path
    ) -> None:
        engine.enqueue(self.call("write_file", path="x.txt", content="x"), "I could not.")
        assert run(["chat", "Write x to x.txt", "--tools", "on", "--json"]) == 0
        (call,) = json.loads(capsys.readouterr().out)["tool_calls"]
        assert call["error"]
        assert not (tmp_path / "x.txt").exists()

    def test_a_users_tool_is_offered(self, engine: ScriptedEngine, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text(
            "from trivium.agent.tools.user import tool\n\n\n"
            '@tool(effect="read")\ndef tide(place: str) -> str:\n    """The tide."""\n'
            '    return "high"\n'
        )
        assert run(["chat", "hi", "--tools", "on", "--tool-file", "mine.py"]) == 0
        assert "tide" in [tool.name for tool in engine.requests[-1].tools]

    @pytest.mark.parametrize(
        ("weights", "choice", "offered"),
        [
            (135_000_000, "auto", False),
            (135_000_000, "on", True),
            (1_700_000_000, "auto", True),
            (None, "auto", True),
            (None, "off", False),
        ],
    )
    def test_small_models_are_offered_none_unasked(
        self,
        monkeypatch: pytest.MonkeyPatch,
        engine: ScriptedEngine,
        weights: int | None,
        choice: str,
        offered: bool,
    ) -> None:
        scripted = ScriptedEngine(default="Hello.", parameters=weights)
        monkeypatch.setattr("trivium.engines.load.load_engine", lambda name, settings: scripted)
        assert run(["chat", "hi", "--tools", choice]) == 0
        assert bool(scripted.requests[-1].tools) is offered

    def test_servers_that_a_small_model_does_not_get_are_mentioned(
        self, monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine, capsys: Output
    ) -> None:
        scripted = ScriptedEngine(default="Hello.", parameters=135_000_000)
        monkeypatch.setattr("trivium.engines.load.load_engine", lambda name, settings: scripted)
        assert run(["chat", "hi", "--mcp", "x=never-started"]) == 0
        assert "offered no tools; --tools on" in capsys.readouterr().err


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "code", "sentence"),
        [
            ([], 2, "there is no message; write one"),
            (["  "], 2, "there is no message"),
            (["hi", "-c"], 2, "there is no conversation to continue yet"),
            (["hi", "-c", "--session", "x"], 2, "either --continue or --session x"),
            (["hi", "-a", "nothing.md"], 2, "nothing.md does not exist"),
            (["hi", "-i", "lakes"], 2, '"lakes"'),
            (["hi", "--tools", "maybe"], 2, "maybe"),
            (["hi", "--tools", "on", "--tool-file", "none.py"], 2, "none.py"),
            (["hi", "--tools", "on", "--mcp", "="], 2, "NAME=COMMAND"),
            (["hi", "--temperature", "3"], 2, "3"),
        ],
    )
    def test_each_is_a_sentence_and_a_code(
        self,
        engine: ScriptedEngine,
        capsys: Output,
        arguments: list[str],
        code: int,
        sentence: str,
    ) -> None:
        assert run(["chat", *arguments]) == code
        streams = capsys.readouterr()
        assert sentence in streams.err
        assert streams.err.count("\n") == 1
        assert streams.out == ""

    def test_a_message_that_does_not_fit_is_exit_4(
        self, engine: ScriptedEngine, capsys: Output
    ) -> None:
        assert run(["chat", "word " * 5000]) == 4
        streams = capsys.readouterr()
        assert (streams.out, "5,000" in streams.err or "5000" in streams.err) == ("", True)

    def test_a_model_that_is_not_there_is_exit_5_and_leaves_no_session(
        self, engine: ScriptedEngine, capsys: Output, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def load(name: str, settings: object) -> ScriptedEngine:
            raise Unavailable(f"{name} is not here")

        monkeypatch.setattr("trivium.engines.load.load_engine", load)
        assert run(["chat", "hi", "-m", "huge"]) == 5
        assert capsys.readouterr().err == "error: huge is not here\n"
        with Sessions() as sessions:
            assert sessions.all() == []

    def test_a_conversation_in_which_nothing_was_said_is_forgotten(
        self, engine: ScriptedEngine, capsys: Output
    ) -> None:
        assert run(["chat", "hi", "-a", "nothing.md"]) == 2
        with Sessions() as sessions:
            assert sessions.all() == []

    def test_a_session_that_another_chat_has_is_refused(
        self, engine: ScriptedEngine, capsys: Output
    ) -> None:
        with Sessions() as sessions, sessions.hold(sessions.create("mine").id):
            assert run(["chat", "hi", "--session", "mine"]) == 1
        assert "mine" in capsys.readouterr().err


def test_the_page_of_help_imports_no_model_library() -> None:
    imported = modules("chat", "--help")
    assert imported & (HEAVY | {"prompt_toolkit", "rich", "pydantic"}) == set()


def test_the_prompt_waits_for_no_model_library() -> None:
    code = "import sys, trivium.cli.terminal.loop; print(*{n.split('.')[0] for n in sys.modules})"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(names.stdout.split()) & (HEAVY | {"mcp", "rich", "markdown_it"}) == set()
