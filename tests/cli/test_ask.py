"""`trivium ask` at the terminal and in a script."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scripted import ScriptedEngine
from trivium.cli.main import run

pytestmark = pytest.mark.model

NILE = "The Nile flows north through eleven countries."
ENDS = "It ends in the Mediterranean Sea."
QUESTION = "Where does the Nile end?"
REPLY = "The Nile ends in the Mediterranean Sea."


@pytest.fixture
def docs(real_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "rivers.txt").write_text(f"{NILE} {ENDS}\n")
    monkeypatch.chdir(tmp_path)
    return folder


def script(monkeypatch: pytest.MonkeyPatch, *replies: str) -> ScriptedEngine:
    engine = ScriptedEngine(*replies, default=REPLY, parameters=135_000_000)
    monkeypatch.setattr("trivium.engines.load.load_engine", lambda name, settings: engine)
    return engine


Output = pytest.CaptureFixture[str]


class TestOneQuestion:
    def test_a_pipe_gets_plain_text_with_its_sources(
        self, docs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
    ) -> None:
        engine = script(monkeypatch)
        assert run(["ask", QUESTION, "docs"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith(f"{REPLY} [1]")
        assert lines[2] == "[1] docs/rivers.txt, character 47"
        assert lines[3] == f"    “{ENDS}”"
        assert engine.closed

    def test_json_is_one_document_whose_quotes_are_verbatim(
        self, docs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
    ) -> None:
        script(monkeypatch)
        assert run(["ask", QUESTION, "docs", "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["answer"] == REPLY
        text = (docs / "rivers.txt").read_text()
        for citation in answer["citations"]:
            assert text[citation["start"] : citation["end"]] == citation["text"]

    def test_nothing_found_is_exit_3_and_an_empty_stdout(
        self, docs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
    ) -> None:
        script(monkeypatch)
        assert run(["ask", "Who won the chess championship in 1972?", "docs"]) == 3
        streams = capsys.readouterr()
        assert streams.out == ""
        assert "answers this" in streams.err

    def test_nothing_found_is_still_one_json_document(
        self, docs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
    ) -> None:
        script(monkeypatch)
        assert run(["ask", "Who won the chess championship in 1972?", "docs", "--json"]) == 3
        answer = json.loads(capsys.readouterr().out)
        assert (answer["found"], answer["answer"]) == (False, None)

    def test_no_answer_shows_passages_and_loads_no_model(self, docs: Path, capsys: Output) -> None:
        assert run(["ask", QUESTION, "docs", "--no-answer", "-m", "no-such-model"]) == 0
        assert f"{NILE} {ENDS}" in capsys.readouterr().out

    def test_standard_input_is_a_document(
        self, docs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
    ) -> None:
        script(monkeypatch)
        piped = io.TextIOWrapper(io.BytesIO(f"{NILE} {ENDS}".encode()))
        monkeypatch.setattr(sys, "stdin", piped)
        assert run(["ask", QUESTION, "-", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["citations"][0]["path"] == "-"

    def test_control_sequences_of_a_document_do_not_reach_the_terminal(
        self, docs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
    ) -> None:
        (docs / "evil.txt").write_text("The Volga ends in \x1b]0;owned\x07[bold]the Caspian Sea.\n")
        script(monkeypatch, "The Volga ends in \x1b[31mthe Caspian Sea.")
        assert run(["ask", "Where does the Volga end?", "docs"]) == 0
        shown = capsys.readouterr().out
        assert "\x1b" not in shown
        assert "[bold]" in shown  # text, not markup

    def test_an_index_by_name(
        self, docs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
    ) -> None:
        from trivium.retrieval.embed import load_embedder
        from trivium.retrieval.index import Index

        with Index.create("rivers", embedder=load_embedder("minilm-l6-v2")) as index:
            index.add([docs])
        script(monkeypatch)
        assert run(["ask", QUESTION, "--index", "rivers", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["index"]["name"] == "rivers"


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (["ask"], 2, "no question given"),
            (["ask", "  ", "docs"], 2, "the question is empty"),
            (["ask", QUESTION, "nowhere"], 2, "nowhere does not exist"),
            (["ask", QUESTION, "--index", "nowhere"], 2, 'there is no index "nowhere"'),
            (["ask", QUESTION, "docs", "--index", "x"], 2, "not both"),
            (["ask", "--questions", "q.jsonl"], 2, "needs both --questions FILE and -o FILE"),
            (["ask", QUESTION, "docs", "-m", "no-such-model"], 2, "no-such-model"),
            (["ask", QUESTION, "docs", "--top-k", "0"], 2, "top-k"),
        ],
    )
    def test_is_one_sentence_with_the_way_out(
        self, docs: Path, capsys: Output, arguments: list[str], code: int, message: str
    ) -> None:
        assert run(arguments) == code
        streams = capsys.readouterr()
        assert message in streams.err
        assert "Traceback" not in streams.err
        assert streams.out == ""


class TestBatch:
    def test_is_resumed_where_it_stopped(
        self, docs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
    ) -> None:
        Path("q.jsonl").write_text(
            json.dumps({"id": "a", "question": QUESTION})
            + "\n"
            + json.dumps({"id": "b", "question": "Who won the chess championship in 1972?"})
            + "\n"
        )
        engine = script(monkeypatch)
        batch = ["ask", "--questions", "q.jsonl", "-o", "out.jsonl", "docs"]
        assert run(batch) == 0
        whole = Path("out.jsonl").read_text()
        rows = [json.loads(line) for line in whole.splitlines()]
        assert [(row["id"], row["found"]) for row in rows] == [("a", True), ("b", False)]

        Path("out.jsonl").write_text(whole[:-30])  # a torn last line
        asked = len(engine.requests)
        assert run(batch) == 0
        again = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
        assert [row["id"] for row in again] == ["a", "b"]
        assert len(engine.requests) == asked  # "a" was kept, "b" never reaches the model
        assert "1 of them answered before" in capsys.readouterr().err


class TestReal:
    """The whole way with the default model, as a user runs it."""

    def trivium(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "trivium", *arguments],
            capture_output=True,
            text=True,
            env=os.environ | more,
            timeout=240,
        )

    def test_a_cited_answer_twice_the_same_and_offline(self, docs: Path) -> None:
        runs = [
            self.trivium("ask", QUESTION, "docs", "--json", TRIVIUM_OFFLINE="1") for _ in range(2)
        ]
        assert [done.returncode for done in runs] == [0, 0], runs[0].stderr
        first, second = (json.loads(done.stdout) for done in runs)
        assert first["citations"]
        assert first["claims"] == second["claims"]
        assert first["model"]["name"] == "smollm2-135m"
        text = (docs / "rivers.txt").read_text()
        for citation in first["citations"]:
            assert text[citation["start"] : citation["end"]] == citation["text"]

    def test_on_a_ready_index_neither_torch_nor_langchain_is_imported(self, docs: Path) -> None:
        self.trivium("ask", QUESTION, "docs", "--no-answer")
        code = (
            "import sys; from trivium.cli.main import run\n"
            f"code = run(['ask', {QUESTION!r}, 'docs'])\n"
            "heavy = {'torch', 'transformers', 'sentence_transformers', 'langchain', "
            "'langchain_core'}\n"
            "print('HEAVY', code, sorted(heavy & set(sys.modules)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=240
        )
        assert "HEAVY 0 []" in done.stdout, done.stderr
