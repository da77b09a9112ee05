"""`--system-prompt`: every row is asked behind a mitigation as well, and both are compared."""

from pathlib import Path
from typing import Any

import pytest

from tests.evals.suites import add, write_suite
from tests.scripted import ScriptedEngine
from trivium.cli.main import run
from trivium.engines.base import Request


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    """Adds right only when it is told to treat all alike."""

    def answer(request: Request) -> str:
        alike = request.messages[0].content.startswith("Treat all people alike")
        return add(request.messages[-1].content) if alike else "?"

    made = ScriptedEngine(default=answer)

    def load_engine(name: str, settings: Any = None, *, batch: bool = False) -> ScriptedEngine:
        return made

    monkeypatch.setattr("trivium.engines.load.load_engine", load_engine)
    return made


def test_a_run_has_both_and_they_are_compared(
    tmp_path: Path, engine: ScriptedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = str(write_suite(tmp_path, rows=8))
    command = ["eval", "run", suite, "-m", "tiny", "--system-prompt", "mitigation-alike"]
    assert run(command) == 0
    lines = [line.split("\t")[1:4] for line in capsys.readouterr().out.splitlines()]
    assert lines == [["plain", "exact", "0"], ["plain+mitigation-alike", "exact", "1"]]
    assert [len(one.messages) for one in engine.requests] == [1] * 8 + [2] * 8
    assert run(["eval", "compare", "addition"]) == 0
    assert "+1" in capsys.readouterr().out


def test_a_prompt_that_is_not_there_is_told(
    tmp_path: Path, engine: ScriptedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = str(write_suite(tmp_path))
    assert run(["eval", "run", suite, "-m", "tiny", "--system-prompt", "mitigation-none"]) == 2
    assert "mitigation-none" in capsys.readouterr().err
