"""A prompt over rows into a file: resumed, retried, and torn."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.evals.suites import add
from tests.scripted import ScriptedEngine
from trivium.engines.base import Request, Sampling
from trivium.errors import ContextOverflow, TriviumError, UsageError
from trivium.evals.base import Row
from trivium.evals.batch import State, run_batch
from trivium.prompts.base import Prompt, Variable

PROMPT = Prompt("sum", "{{ question }}", variables=(Variable("question"),))
ROWS = [Row(f"r{n}", {"question": f"{n}+{n}"}) for n in range(70)]


def adder(request: Request) -> str:
    return add(request.messages[-1].content)


def go(file: Path, engine: Any = None, rows: list[Row] = ROWS, **options: Any) -> list[State]:
    asked = engine or ScriptedEngine(default=adder)
    return list(run_batch(PROMPT, rows, asked, file, Sampling(), **options))


def outputs(file: Path) -> dict[str, str]:
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return {line["id"]: line["output"] for line in lines}


def test_every_row_is_a_line(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    states = go(file)
    assert [state.done for state in states] == [0, 64, 70]
    assert outputs(file) == {f"r{n}": str(2 * n) for n in range(70)}
    first = json.loads(file.read_text().splitlines()[0])
    assert first["error"] is None
    assert (first["truncated"], first["prompt_tokens"], first["completion_tokens"]) == (False, 1, 1)


@pytest.mark.parametrize("cut", [1, 5, 200, 3000])
def test_a_torn_file_goes_on_to_be_the_same(tmp_path: Path, cut: int) -> None:
    whole, torn = tmp_path / "whole.jsonl", tmp_path / "torn.jsonl"
    go(whole)
    torn.write_bytes(whole.read_bytes()[:-cut])
    engine = ScriptedEngine(default=adder)
    states = go(torn, engine)
    assert torn.read_bytes() == whole.read_bytes()
    assert states[0].resumed == 70 - len(engine.requests) > 0


def test_failed_rows_are_kept_and_asked_again_on_request(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    rows = [*ROWS[:2], Row("odd", {})]
    # the two that can be asked fail together, and are then asked one by one
    states = go(file, ScriptedEngine(ContextOverflow("too long"), default=adder), rows)
    assert states[-1] == State(3, 3, 0, 1)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert 'the variable "question" has no value' in lines[2]["error"]
    engine = ScriptedEngine(default=adder)
    go(file, engine, rows)
    assert engine.requests == []
    mended = [*ROWS[:2], Row("odd", {"question": "5+5"})]
    states = go(file, engine, mended, retry_failed=True)
    assert states[-1] == State(3, 3, 2, 0)
    assert outputs(file) == {"r0": "0", "r1": "2", "odd": "10"}


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    file.write_text("my notes\n")
    with pytest.raises(UsageError, match="is not an answer file"):
        go(file)
    assert file.read_text() == "my notes\n"
    other = tmp_path / "other.jsonl"
    go(other)
    with pytest.raises(UsageError, match="another prompt, model or setting"):
        go(other, ScriptedEngine(default=adder, name="other"))
    with pytest.raises(TriviumError, match="cannot write"):
        go(tmp_path / "none" / "out.jsonl")
