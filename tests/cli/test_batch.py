"""`trivium batch` with a scripted engine."""

import json
from pathlib import Path

import pytest

from tests.evals.suites import add, addition_rows, write_rows
from tests.scripted import ScriptedEngine
from trivium.cli.main import run
from trivium.engines.base import Request

PROMPT = "name: sum\nvariables: {question: {}}\nuser: '{{ question }}'\n"


def arguments(folder: Path) -> list[str]:
    (folder / "sum.yaml").write_text(PROMPT)
    rows = write_rows(folder / "rows.jsonl", addition_rows(3))
    output = folder / "out.jsonl"
    return ["batch", str(folder / "sum.yaml"), str(rows), "-o", str(output), "--id", "id"]


def test_batch_writes_a_line_a_row_and_asks_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = ScriptedEngine(default=lambda request: add(request.messages[-1].content))
    monkeypatch.setattr("trivium.engines.load.load_engine", lambda name, settings, batch: engine)
    for _ in range(2):
        assert run(arguments(tmp_path)) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "out.jsonl holds 3 rows, 0 failed" in err
    assert len(engine.requests) == 3
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(line["id"], line["output"]) for line in lines] == [
        ("r0", "0"),
        ("r1", "2"),
        ("r2", "4"),
    ]
    assert engine.closed


def test_ctrl_c_is_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(request: Request) -> str:
        raise KeyboardInterrupt

    engine = ScriptedEngine(default=interrupt)
    monkeypatch.setattr("trivium.engines.load.load_engine", lambda name, settings, batch: engine)
    assert run(arguments(tmp_path)) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_when_all_rows_fail_the_exit_code_is_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = ScriptedEngine(default="", context_length=0)
    monkeypatch.setattr("trivium.engines.load.load_engine", lambda name, settings, batch: engine)
    assert run(arguments(tmp_path)) == 1
    assert "all 3 rows failed" in capsys.readouterr().err
