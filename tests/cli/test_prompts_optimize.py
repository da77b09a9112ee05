"""`trivium prompts optimize`: what it prints and writes, and when it writes nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.evals.optimize.parity import guesses, heeds, write_task
from tests.evals.suites import write_rows
from tests.scripted import ScriptedEngine
from trivium.cli.main import run
from trivium.engines.base import Request, ScoreRequest
from trivium.prompts.files import load_prompt
from trivium.prompts.lint import lint

Output = pytest.CaptureFixture[str]
Load = Callable[[Callable[[], ScriptedEngine]], list[str]]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Let every model be what `make` makes; the names that were loaded."""
    loaded: list[str] = []

    def use(make: Callable[[], ScriptedEngine]) -> list[str]:
        def load_engine(
            name: str, settings: object = None, *, batch: bool = False
        ) -> ScriptedEngine:
            loaded.append(name)
            return make()

        monkeypatch.setattr("trivium.engines.load.load_engine", load_engine)
        return loaded

    return use


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    suite = write_task(tmp_path)
    (tmp_path / "list.txt").write_text("{{ instruction }} COUNT first.\n")
    return [
        "prompts", "optimize", "parity.yaml", "--suite", str(suite), "-m", "tiny",
        "--proposals", "0", "--shots", "0", "--instructions", "list.txt", "-o", "better.yaml",
    ]  # fmt: skip


def test_a_gain_is_a_plain_prompt_file_that_says_how_it_was_found(
    command: list[str], load: Load, capsys: Output
) -> None:
    loaded = load(lambda: ScriptedEngine(default=heeds("COUNT")))
    assert run(command) == 0
    out, err = capsys.readouterr()
    figures, verdict = out.splitlines()
    # 23 of 44 numbers are odd; without losses Tango's interval is Wilson's, here of 21 of 44
    assert figures == (
        "exact on 44 held-out rows: 0.5227 before, 1 after; difference +0.4773, "
        "95 % interval +0.3375 to +0.6206 (mcnemar)."
    )
    assert verdict == "gain: an instruction of your list; better.yaml"
    assert "instructions: " in err and "test: " in err
    assert loaded == ["tiny"]

    text = Path("better.yaml").read_text()
    comment = [line for line in text.splitlines() if line.startswith("#")]
    assert comment[0].startswith("# Found by trivium prompts optimize from parity, version 3 (")
    assert comment[1] == f"# {figures}"
    assert comment[2].startswith("# Model tiny (") and comment[2].endswith(", seed 0.")
    assert comment[3] == "# Suite numbers, version 1; searched on 58 rows, chosen on 18."
    prompt = load_prompt("better.yaml")
    assert (prompt.name, prompt.version) == ("better", 4)
    assert prompt.system == 'Say {{ labels | join(" or ") }}. COUNT first.'
    assert lint(prompt) == []


def test_without_a_gain_nothing_is_written(command: list[str], load: Load, capsys: Output) -> None:
    load(lambda: ScriptedEngine(default=guesses))
    assert run(command) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("no gain: ")
    assert not Path("better.yaml").exists()


def test_json_is_one_document(command: list[str], load: Load, capsys: Output) -> None:
    load(lambda: ScriptedEngine(default=heeds("COUNT")))
    assert run([*command, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["improvement"].pop("low") == pytest.approx(0.3375, abs=1e-4)
    assert said["improvement"].pop("high") == pytest.approx(0.6206, abs=1e-4)
    assert said.pop("spent") > 0
    assert said == {
        "gain": True,
        "reason": "the whole interval of the difference is above 0",
        "output": "better.yaml",
        "prompt": "parity",
        "suite": "numbers",
        "metric": "exact",
        "before": pytest.approx(23 / 44),
        "after": 1.0,
        "improvement": {"mean": pytest.approx(21 / 44), "n": 44, "method": "mcnemar"},
        "origin": "an instruction of your list",
        "rows": {"train": 58, "validation": 18, "test": 44},
        "left_out": 0,
        "tried": 11,
        "exhausted": False,
    }
    load(lambda: ScriptedEngine(default="odd"))
    other = [one if one != "tiny" else "other" for one in command]
    assert run([*other, "--json", "--force"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["gain"], said["output"], said["improvement"]) == (False, None, None)


def test_the_same_command_again_asks_nothing(
    command: list[str], load: Load, capsys: Output
) -> None:
    load(lambda: ScriptedEngine(default=heeds("COUNT")))
    assert run(command) == 0
    first, text = capsys.readouterr().out, Path("better.yaml").read_text()
    load(lambda: ScriptedEngine())  # which fails when it is asked
    assert run([*command, "--force"]) == 0
    assert (capsys.readouterr().out, Path("better.yaml").read_text()) == (first, text)


def test_a_file_that_exists_is_left_alone_unless_forced(
    command: list[str], load: Load, capsys: Output
) -> None:
    loaded = load(lambda: ScriptedEngine(default=heeds("COUNT")))
    Path("better.yaml").write_text("mine")
    assert run(command) == 2
    assert "better.yaml is there already; choose another -o, or say --force" in (
        capsys.readouterr().err
    )
    assert (loaded, Path("better.yaml").read_text()) == ([], "mine")
    assert run([*command, "--force"]) == 0
    assert load_prompt("better.yaml").name == "better"


def test_a_prompt_of_a_suite_becomes_a_file_that_lints_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Load, capsys: Output
) -> None:
    """Plain text, method choose, a few-shot section: each label is right once COUNT is said."""
    monkeypatch.chdir(tmp_path)
    write_rows(
        tmp_path / "rows.jsonl",
        [{"text": f"text {n}", "target": ("no", "yes")[n % 2]} for n in range(120)],
    )
    suite = {
        "name": "answers",
        "description": "Yes or no.",
        "chat": False,
        "method": "choose",
        "choices": ["no", "yes"],
        "prompts": [{"name": "inline", "system": "Say it.", "user": "{{ text }}"}],
        "data": {"file": "rows.jsonl"},
        "examples": {"data": {"file": "rows.jsonl", "limit": 2}, "k": 2},
    }
    (tmp_path / "answers.yaml").write_text(yaml.safe_dump(suite))
    (tmp_path / "list.txt").write_text("COUNT.\n")

    def likely(request: ScoreRequest) -> float:
        number = int(request.prompt.split()[-1])
        right = ("no", "yes")[number % 2] if "COUNT" in request.prompt else "no"
        return 0.0 if request.continuation.strip() == right else -1.0

    load(lambda: ScriptedEngine(logprob=likely))
    arguments = "prompts optimize inline --suite answers.yaml -m tiny --proposals 0 --shots 0"
    assert run([*arguments.split(), "--instructions", "list.txt", "-o", "found.yaml"]) == 0
    assert "accuracy on " in capsys.readouterr().out
    prompt = load_prompt("found.yaml")
    assert (prompt.system, prompt.examples) == ("COUNT.", ())
    assert lint(prompt) == []
    assert "# Measured with the few-shot section of that suite" in Path("found.yaml").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["-o", "Better.yaml"], "Better.yaml is no name for a prompt file"),
        (["-o", "better.txt"], "better.txt is no name for a prompt file"),
        (["--suite", "nothing"], "there is no suite nothing"),
        (["--limit", "20"], "of 20 rows"),
        (["--budget", "500"], "a budget of 500 tokens covers no search"),
        (["--metric", "f1"], "the suite's scorers give no f1; they give exact"),
        (["--instructions", "none.txt"], "cannot read none.txt"),
        (["--data", "none.jsonl"], "there is no"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    command: list[str], load: Load, capsys: Output, change: list[str], message: str
) -> None:
    load(lambda: ScriptedEngine(default="odd"))
    assert run([*command, *change]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("error: ")) == ("", 1)
    assert message in err


def test_prompts_without_a_suite_or_with_too_few_rows_are_told(
    command: list[str], load: Load, capsys: Output
) -> None:
    load(lambda: ScriptedEngine(default="odd"))
    for name, message in (
        ("parity.yaml", 'there is no suite for "parity.yaml"; give one with --suite'),
        ("sentimentt", 'there is no prompt "sentimentt"'),
        ("sentiment", "give more with --data FILE, some 64 at least"),
    ):
        assert run(["prompts", "optimize", name, "-o", "x.yaml"]) == 2
        assert message in capsys.readouterr().err


def test_ctrl_c_is_a_pause(command: list[str], load: Load, capsys: Output) -> None:
    def interrupted(request: Request) -> str:
        raise KeyboardInterrupt

    load(lambda: ScriptedEngine(default=interrupted))
    assert run(command) == 130
    assert "paused; the same command goes on from here" in capsys.readouterr().err


@pytest.mark.model
def test_the_default_model_searches_and_writes_only_a_gain(
    command: list[str], real_models: Path, capsys: Output
) -> None:
    suite = write_task(Path(), rows=64, method="choose", choices=["odd", "even"], scorers=[])
    arguments = ["prompts", "optimize", "parity.yaml", "--suite", str(suite), "-o", "real.yaml"]
    assert run([*arguments, "--proposals", "1", "--shots", "2", "--budget", "6000"]) == 0
    out, err = capsys.readouterr()
    gain = "\ngain: " in f"\n{out}"
    assert gain != ("no gain: " in out)
    assert Path("real.yaml").exists() == gain
    assert " of 6,000 tokens, " in err
