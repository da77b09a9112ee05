"""`trivium run`: a prompt over what is piped in."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.program import modules, trivium
from tests.scripted import ScriptedEngine
from trivium.cli.main import run
from trivium.engines.base import Completion
from trivium.errors import SchemaViolation
from trivium.prompts.files import find_prompt

Output = pytest.CaptureFixture[str]
Pipe = Callable[[str | bytes], None]

FILE = """\
name: p
variables:
  text: {input: true}
  n: {type: integer, default: 2}
system: "{{ n }} words."
user: "{{ text }}"
"""


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    (folder / "prompts").mkdir(parents=True)
    (folder / "prompts" / "p.yaml").write_text(FILE)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    scripted = ScriptedEngine(default="An answer.")
    monkeypatch.setattr("trivium.engines.load.load_engine", lambda name, settings: scripted)
    return scripted


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    def put(text: str | bytes) -> None:
        data = text.encode() if isinstance(text, str) else text
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), "utf-8"))

    return put


def asked(engine: ScriptedEngine) -> list[str]:
    return [message.content for message in engine.requests[-1].messages]


def test_standard_input_fills_the_input(engine: ScriptedEngine, pipe: Pipe, capsys: Output) -> None:
    pipe("some text\n\n")
    assert run(["run", "p", "--var", "n=3"]) == 0
    assert asked(engine) == ["3 words.", "some text"]
    assert capsys.readouterr().out == "An answer.\n"
    assert engine.closed


def test_a_variable_given_leaves_standard_input_alone(engine: ScriptedEngine, pipe: Pipe) -> None:
    pipe("piped")
    assert run(["run", "p", "--var", "text=given=so"]) == 0
    assert asked(engine) == ["2 words.", "given=so"]


def test_a_variable_from_a_file(engine: ScriptedEngine, work: Path) -> None:
    (work / "t.txt").write_text("from a file\n")
    assert run(["run", "p", "--var", "text=@t.txt"]) == 0
    assert asked(engine)[-1] == "from a file"
    assert run(["run", "p", "--var", "text=@@home"]) == 0
    assert asked(engine)[-1] == "@home"


def test_settings_reach_the_engine(engine: ScriptedEngine) -> None:
    options = ["--max-tokens", "7", "--temperature", "0.5", "--seed", "3"]
    assert run(["run", "p", "--var", "text=x", *options]) == 0
    sampling = engine.requests[0].sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.seed) == (7, 0.5, 3)


def test_json_says_what_was_run(engine: ScriptedEngine, capsys: Output) -> None:
    assert run(["run", "p", "--var", "text=x", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "prompt": "p",
        "version": 1,
        "hash": find_prompt("p").hash,
        "model": "scripted",
        "fingerprint": engine.fingerprint.id,
        "output": "An answer.",
        "finish": "stop",
        "prompt_tokens": 3,
        "completion_tokens": 2,
    }


def test_a_schema_goes_to_the_engine_and_data_comes_back(
    engine: ScriptedEngine, capsys: Output
) -> None:
    engine.enqueue('["bees"]', '["bees"]')
    assert run(["run", "keywords", "--var", "text=On bees", "--var", "count=2"]) == 0
    assert capsys.readouterr().out == '["bees"]\n'
    assert engine.requests[0].schema == {
        "type": "array", "maxItems": 2, "items": {"type": "string", "minLength": 1},
    }  # fmt: skip
    assert run(["run", "keywords", "--var", "text=On bees", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == ["bees"]


def test_a_broken_schema_is_exit_7_and_prints_nothing(
    engine: ScriptedEngine, capsys: Output
) -> None:
    engine.enqueue(SchemaViolation("the output is not JSON"))
    assert run(["run", "keywords", "--var", "text=x"]) == 7
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "not JSON" in shown.err
    assert engine.closed


def test_an_answer_that_was_cut_is_told(engine: ScriptedEngine, capsys: Output) -> None:
    engine.enqueue(Completion("half", "length", 1, 1))
    assert run(["run", "p", "--var", "text=x"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "half\n"
    assert "--max-tokens" in shown.err


def test_control_sequences_of_a_model_stay_out(engine: ScriptedEngine, capsys: Output) -> None:
    engine.enqueue("\x1b]0;title\x07\x1b[31mred\x1b[0m\n")
    assert run(["run", "p", "--var", "text=x"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["nix"], "x", 'there is no prompt "nix"'),
        (["p", "--var", "text"], "x", '--var "text" is not NAME=VALUE'),
        (["p", "--var", "txt=a"], "x", '"p" has no variable "txt"; it has text, n'),
        (["p", "--var", "n=many"], "x", 'line 4: the variable "n" is "many", not an integer'),
        (["p"], " \n", "standard input is empty; pipe in the text, or --var text=..."),
        (["p"], b"\xff", "standard input is not UTF-8: "),
        (["p", "--var", "text=@none"], "", "cannot read none: No such file"),
        (["p", "--var", "text=@."], "", "cannot read .: Is a directory"),
        (["sql"], "x", 'the variable "tables" has no value'),
    ],
)
def test_mistakes_are_told_before_a_model_is_loaded(
    arguments: list[str],
    stdin: str | bytes,
    message: str,
    pipe: Pipe,
    capsys: Output,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(name: str, settings: object) -> ScriptedEngine:
        pytest.fail("a model was loaded")

    monkeypatch.setattr("trivium.engines.load.load_engine", load)
    pipe(stdin)
    assert run(["run", *arguments]) == 2
    shown = capsys.readouterr()
    assert message in shown.err.replace("\n", " ")
    assert shown.out == ""


def test_nearest_examples_come_from_the_embedder(
    engine: ScriptedEngine, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.embedder import WordEmbedder

    monkeypatch.setattr("trivium.retrieval.embed.load_embedder", lambda name: WordEmbedder())
    examples = (
        "examples:\n- {inputs: {text: red boat}, output: A}\n"
        "- {inputs: {text: grey cat}, output: B}\nshots: {selector: nearest, k: 1}\n"
    )
    (work / "prompts" / "p.yaml").write_text(FILE + examples)
    assert run(["run", "p", "--var", "text=my grey cat"]) == 0
    assert asked(engine) == ["2 words.", "grey cat", "B", "my grey cat"]


def test_help_imports_no_model_library() -> None:
    assert not modules("run", "--help") & {"llama_cpp", "numpy", "torch", "jinja2", "pydantic"}


@pytest.mark.model
def test_the_default_model_answers_and_keeps_a_schema(real_models: Path) -> None:
    answer = trivium("run", "sentiment", input="I love this lamp, it is wonderful.")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout in ("positive\n", "negative\n", "neutral\n")
    event = trivium("run", "extract-event", input="Lunch with Mo at noon on Friday.")
    assert event.returncode == 0, event.stderr
    assert set(json.loads(event.stdout)) == {"title", "date", "time", "place", "people"}
    cut = trivium("run", "extract-event", "--max-tokens", "5", input="Lunch at noon.")
    assert (cut.returncode, cut.stdout) == (7, "")
