"""`trivium prompts`: the library at the terminal and in a script."""

import io
import json
import sys
from pathlib import Path

import pexpect
import pytest

from tests.cli.program import modules, trivium
from tests.scripted import ScriptedEngine
from trivium.cli.main import run
from trivium.prompts.files import LIBRARY, find_prompt, load_prompt

Output = pytest.CaptureFixture[str]

FILE = """\
name: p
description: Says hello.
version: 2
tags: [mine]
variables:
  text: {input: true, description: Who it is.}
  tone: {choices: [warm, cold], default: warm, description: How.}
user: "Hello {{ text }}, {{ tone }}."
examples:
  - {inputs: {text: Bo}, output: "\\"Hi\\u202e Bo\\""}
schema: {type: string}
"""


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    (folder / "prompts").mkdir(parents=True)
    (folder / "prompts" / "p.yaml").write_text(FILE)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    return folder


def own(work: Path, name: str, text: str) -> None:
    (work / "prompts" / f"{name}.yaml").write_text(text)


class TestList:
    def test_a_pipe_gets_tabs(self, work: Path, capsys: Output) -> None:
        own(work, "sentiment", "name: sentiment\nuser: x\n")
        assert run(["prompts", "list"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert "p\t2\t./prompts\tSays hello." in lines
        places = [line.split("\t")[2] for line in lines if line.startswith("sentiment\t")]
        assert places == ["./prompts", "shipped (shadowed)"]

    def test_json_and_tags(self, capsys: Output) -> None:
        assert run(["prompts", "list", "--tag", "mine", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == [
            {
                "name": "p",
                "version": 2,
                "hash": find_prompt("p").hash,
                "description": "Says hello.",
                "tags": ["mine"],
                "licence": "",
                "path": "prompts/p.yaml",
                "place": "./prompts",
                "shadowed": False,
            }
        ]

    def test_a_broken_file_hides_no_other(self, work: Path, capsys: Output) -> None:
        own(work, "broken", "name: [\n")
        assert run(["prompts", "list"]) == 0
        shown = capsys.readouterr()
        assert "p\t2\t" in shown.out
        assert "skipped: prompts/broken.yaml, line 2 is not valid YAML" in shown.err


class TestShow:
    def test_everything_is_there(self, capsys: Output) -> None:
        assert run(["prompts", "show", "p"]) == 0
        assert capsys.readouterr().out == (
            f"p version 2, {find_prompt('p').hash[:16]}, prompts/p.yaml\n"
            "Says hello.\n"
            "   --var text=...  string, required, standard input  Who it is.\n"
            "   --var tone=...  warm or cold, default 'warm'  How.\n"
            "\nuser\nHello {{ text }}, {{ tone }}.\n"
            '\nexamples 1 of 1, fixed\ntext: Bo -> "Hi Bo"\n'
        )

    def test_json(self, capsys: Output) -> None:
        assert run(["prompts", "show", "p", "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["examples"] == [{"inputs": {"text": "Bo"}, "output": '"Hi\u202e Bo"'}]
        assert shown["variables"][1]["choices"] == ["warm", "cold"]
        assert shown["schema"] == {"type": "string"}
        assert shown["suite"] is None
        assert shown["shots"] == {"selector": "fixed", "k": None, "seed": 0, "order": "chosen"}

    def test_a_suite_beside_it_is_named(self, capsys: Output) -> None:
        assert run(["prompts", "show", "sentiment"]) == 0
        suite = LIBRARY / "suites" / "sentiment.yaml"
        assert capsys.readouterr().out.endswith(f"\nsuite trivium eval run {suite}\n")


class TestNew:
    def test_a_blank_one_works_at_once(self, work: Path, capsys: Output) -> None:
        assert run(["prompts", "new", "mine"]) == 0
        assert capsys.readouterr().out == "prompts/mine.yaml\n"
        assert run(["prompts", "lint", "mine"]) == 0
        assert run(["prompts", "render", "mine", "--var", "input=x"]) == 0
        assert capsys.readouterr().out.endswith("[user]\nx\n")

    def test_a_copy_keeps_all_but_name_and_version(self, work: Path) -> None:
        assert run(["prompts", "new", "mine", "--from", "p"]) == 0
        copy = load_prompt("prompts/mine.yaml")
        assert (copy.name, copy.version, copy.hash) == ("mine", 1, find_prompt("p").hash)

    def test_a_copy_that_would_not_work_is_not_made(self, work: Path, capsys: Output) -> None:
        (work / "o.yaml").write_text("name: o\nuser: x\nexamples: {file: rows.jsonl}\n")
        (work / "rows.jsonl").write_text("")
        assert run(["prompts", "new", "mine", "--from", "./o.yaml"]) == 2
        assert "cannot read the examples prompts/rows.jsonl" in capsys.readouterr().err
        assert not (work / "prompts" / "mine.yaml").exists()

    def test_nothing_is_overwritten(self, work: Path, capsys: Output) -> None:
        assert run(["prompts", "new", "p"]) == 2
        assert "is there already" in capsys.readouterr().err
        assert (work / "prompts" / "p.yaml").read_text() == FILE

    @pytest.mark.parametrize("name", ["../x", "A", "a b", "", ".x"])
    def test_a_name_is_a_name(self, name: str, work: Path) -> None:
        assert run(["prompts", "new", name]) == 2
        assert sorted(file.name for file in work.rglob("*.yaml")) == ["p.yaml"]


class TestRender:
    def test_text(self, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO("Jo\n"))
        assert run(["prompts", "render", "p", "--var", "tone=cold"]) == 0
        assert capsys.readouterr().out == (
            '[user]\nHello Bo, warm.\n[assistant]\n"Hi Bo"\n[user]\nHello Jo, cold.\n'
            '[schema]\n{\n  "type": "string"\n}\n'
        )

    def test_json(self, capsys: Output) -> None:
        assert run(["prompts", "render", "p", "--var", "text=Jo", "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["messages"][-1] == {"role": "user", "content": "Hello Jo, warm."}
        assert shown["hash"] == find_prompt("p").hash

    def test_examples_by_likelihood_ask_the_model(
        self, work: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = ScriptedEngine()
        monkeypatch.setattr("trivium.engines.load.load_engine", lambda name, settings: engine)
        own(work, "p", FILE + "shots: {selector: likelihood}\n")
        assert run(["prompts", "render", "p", "--var", "text=Jo"]) == 0
        assert [one.continuation for one in engine.scored] == ["Jo\nwarm"]
        assert engine.closed


class TestLint:
    def test_the_shipped_and_your_own_are_fine(self, capsys: Output) -> None:
        assert run(["prompts", "lint"]) == 0
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.strip().endswith("prompts are fine")

    def test_findings_are_exit_1(self, work: Path, capsys: Output) -> None:
        own(work, "bad", "name: bad\ndescription: d\nuser: '{{ x }}'\n")
        own(work, "broken", "name: [\n")
        assert run(["prompts", "lint", "bad", "broken", "p"]) == 1
        shown = capsys.readouterr()
        lines = shown.out.splitlines()
        assert lines[0].startswith('prompts/bad.yaml, line 3: "x" is none of the variables')
        assert lines[1].startswith("prompts/broken.yaml, line 2 is not valid YAML")
        assert "2 findings in 3 prompts" in shown.err
        assert run(["prompts", "lint", "bad", "--json"]) == 1
        assert json.loads(capsys.readouterr().out)[0]["rule"] == "undefined"

    def test_leaked_rows(self, work: Path, capsys: Output) -> None:
        (work / "rows.csv").write_text("text,target\nAl,x\nbo,y\n")
        assert run(["prompts", "lint", "p", "--data", "rows.csv"]) == 1
        assert "line 10: example 1 is test row 2 (leak)" in capsys.readouterr().out


class TestDiff:
    def test_a_pipe_gets_marks_and_both_sides(self, work: Path, capsys: Output) -> None:
        own(work, "q", FILE.replace("name: p", "name: q").replace("Hello", "Dear"))
        assert run(["prompts", "diff", "p", "q", "--var", "text=Jo"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert "|\tHello Jo, warm.\tDear Jo, warm." in lines
        assert " \t[assistant]\t[assistant]" in lines

    def test_json_and_standard_input(self, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(FILE.replace("version: 2", "version: 1")))
        assert run(["prompts", "diff", "-", "p", "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["same"] is True
        assert (shown["old"]["version"], shown["new"]["version"]) == (1, 2)

    def test_a_variable_of_one_side_is_enough(self, work: Path, capsys: Output) -> None:
        own(work, "q", "name: q\nvariables: {who: }\nuser: Hello {{ who }}\n")
        assert run(["prompts", "diff", "p", "q", "--var", "who=Al"]) == 0
        assert "Hello Al" in capsys.readouterr().out
        assert run(["prompts", "diff", "p", "q", "--var", "whom=Al"]) == 2

    def test_a_terminal_gets_two_columns(self, work: Path) -> None:
        own(work, "q", FILE.replace("name: p", "name: q").replace("Hello", "Dear"))
        command = f"{sys.executable} -m trivium.cli.main prompts diff p q"
        shown = pexpect.run(command, timeout=60, dimensions=(40, 100), encoding="utf-8")
        (changed,) = [line for line in shown.splitlines() if "Dear «text»" in line]
        assert changed.index("Dear") > 50 > changed.index("Hello")


class TestLock:
    def test_a_change_is_found(self, work: Path, capsys: Output) -> None:
        assert run(["prompts", "lock"]) == 0
        assert capsys.readouterr().out == "p\tnew\n"
        assert run(["prompts", "lock", "--check"]) == 0
        own(work, "p", FILE.replace("Hello", "Dear"))
        before = (work / "prompts" / "prompts.lock").read_text()
        assert run(["prompts", "lock", "--check"]) == 6
        shown = capsys.readouterr()
        assert shown.out == "p\tchanged\n"
        assert (work / "prompts" / "prompts.lock").read_text() == before
        assert run(["prompts", "lock"]) == 0
        assert "p has changed under the same version; raise its version" in capsys.readouterr().err
        own(work, "p", FILE.replace("Hello", "Hey").replace("version: 2", "version: 3"))
        assert run(["prompts", "lock", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == [{"name": "p", "state": "raised"}]

    def test_without_prompts_there_is_nothing_to_lock(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert run(["prompts", "lock"]) == 2
        assert "trivium prompts new NAME" in capsys.readouterr().err
        assert not (tmp_path / "prompts").exists()


def test_run_is_the_same_command(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ScriptedEngine('"hi"')
    monkeypatch.setattr("trivium.engines.load.load_engine", lambda name, settings: engine)
    assert run(["prompts", "run", "p", "--var", "text=Jo"]) == 0
    assert capsys.readouterr().out == '"hi"\n'


def test_a_listing_imports_no_model_library(work: Path) -> None:
    heavy = {"llama_cpp", "numpy", "torch", "jinja2", "langchain_core"}
    assert not modules("prompts", "list", cwd=work) & heavy


def test_nobody_sees_a_traceback(work: Path) -> None:
    result = trivium("prompts", "show", "nix", cwd=work)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: there is no prompt")
