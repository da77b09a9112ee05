"""`trivium eval` with a scripted engine: what it prints, and its exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.evals.suites import add, write_suite
from tests.scripted import ScriptedEngine
from trivium.cli.main import run
from trivium.engines.base import Request
from trivium.errors import ContextOverflow


def adder(request: Request) -> str:
    return add(request.messages[-1].content)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Let every model be what `make` makes; the names that were loaded."""
    loaded: list[str] = []

    def use(make: Callable[[], Any]) -> list[str]:
        def load_engine(name: str, settings: object = None, *, batch: bool = False) -> Any:
            loaded.append(name)
            return make()

        monkeypatch.setattr("trivium.engines.load.load_engine", load_engine)
        return loaded

    return use


def test_run_prints_each_mean_with_its_interval(
    tmp_path: Path, load: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load(lambda: ScriptedEngine("0", "2", "5", "6", "8"))
    assert run(["eval", "run", str(write_suite(tmp_path)), "-m", "tiny"]) == 0
    out, err = capsys.readouterr()
    # Wilson's interval of 4 of 5
    assert out == "tiny\tplain\texact\t0.8\t0.3755 to 0.9638\t5\n"
    assert "5 of 5 rows" in err
    assert loaded == ["tiny"]


def test_json_is_one_document_with_what_a_table_has(
    tmp_path: Path, load: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    load(lambda: ScriptedEngine(default=adder))
    assert run(["eval", "run", str(write_suite(tmp_path, gates=[])), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["suite"], said["total"], said["done"], said["complete"]) == (
        "addition",
        5,
        5,
        True,
    )
    (cell,) = said["cells"]
    assert cell["model"] == "smollm2-135m"  # the setting's, as the suite names none
    (metric,) = cell["metrics"]
    assert (metric["metric"], metric["mean"], metric["n"]) == ("exact", 1.0, 5)


def test_list_show_and_rm(
    tmp_path: Path, load: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    load(lambda: ScriptedEngine(default=adder))
    assert run(["eval", "list"]) == 0
    assert "no runs" in capsys.readouterr().err
    assert run(["eval", "show", "addition"]) == 2
    assert "no runs yet" in capsys.readouterr().err

    run(["eval", "run", str(write_suite(tmp_path)), "-n", "2"])
    capsys.readouterr()
    assert run(["eval", "list", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["total"], listed["failed"], listed["complete"]) == (2, 0, True)

    assert run(["eval", "show", "addition", "--records"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["row"], one["output"]) for one in records] == [("r0", "0"), ("r1", "2")]

    assert run(["eval", "rm", listed["id"]]) == 2  # nobody to ask
    assert run(["eval", "rm", "-y", "nothing"]) == 2
    assert run(["eval", "rm", "-y", listed["id"]]) == 0
    capsys.readouterr()
    assert run(["eval", "show", listed["id"]]) == 2
    assert "there is no run" in capsys.readouterr().err


def test_failed_rows_are_told_and_shown_without_control_sequences(
    tmp_path: Path, load: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    load(lambda: ScriptedEngine("0", "2", ContextOverflow("too \x1b[31mlong"), default=adder))
    suite = str(write_suite(tmp_path, rows=3, shard=1))
    assert run(["eval", "run", suite]) == 0
    assert "1 rows failed and are in no mean" in capsys.readouterr().err
    assert run(["eval", "show", "addition", "--failed"]) == 0
    assert capsys.readouterr().out == "r2\tsmollm2-135m\tplain\ttoo long\n"
    assert run(["eval", "run", suite, "--retry-failed"]) == 0
    out, err = capsys.readouterr()
    assert out.endswith("\t3\n")
    assert "failed" not in err


def test_when_all_rows_fail_the_exit_code_is_1(
    tmp_path: Path, load: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    load(lambda: ScriptedEngine(default=adder, context_length=0))
    assert run(["eval", "run", str(write_suite(tmp_path))]) == 1
    assert "all 5 rows failed" in capsys.readouterr().err


def test_ctrl_c_is_a_pause_with_exit_code_130(
    tmp_path: Path, load: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[str] = []

    def interrupted(request: Request) -> str:
        calls.append(request.messages[-1].content)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return adder(request)

    load(lambda: ScriptedEngine(default=interrupted))
    suite = str(write_suite(tmp_path, shard=2))
    assert run(["eval", "run", suite]) == 130
    assert "the same command goes on" in capsys.readouterr().err
    run(["eval", "list"])
    assert "2 of 5\t\tpaused" in capsys.readouterr().out
    assert run(["eval", "run", suite]) == 0
    assert capsys.readouterr().out.startswith("smollm2-135m\tplain\texact\t1\t")
    assert calls == ["0+0", "1+1", "2+2", "3+3", "2+2", "3+3", "4+4"]


@pytest.mark.parametrize(("bound", "code"), [(0.5, 0), (0.9, 6)])
def test_gates_are_judged_on_the_bound(
    bound: float,
    code: int,
    tmp_path: Path,
    load: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    load(lambda: ScriptedEngine(default=adder))
    suite = write_suite(tmp_path, gates=[{"metric": "exact", "min": bound}])  # 5 of 5: from 0.57
    assert run(["eval", "run", str(suite)]) == code
    err = capsys.readouterr().err
    assert ("gate holds" in err) is (code == 0)
    assert ("gate FAILS" in err) is (code == 6)


def test_code_runs_only_when_the_user_names_it(
    tmp_path: Path, load: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    load(lambda: ScriptedEngine(default=adder))
    code = tmp_path / "mine.py"
    code.write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\n"
        "def even(record, by=2):\n    return int(record.output) % by == 0\n"
    )
    suite = write_suite(tmp_path, code="mine.py", scorers=[{"even": {"by": 4}}])
    assert run(["eval", "run", str(suite)]) == 2
    assert "allow it with --code" in capsys.readouterr().err
    assert run(["eval", "run", str(suite), "--code", str(suite)]) == 2
    assert not (tmp_path / "ran").exists()
    assert run(["eval", "run", str(suite), "--code", str(code)]) == 0
    assert "\teven\t0.6\t" in capsys.readouterr().out  # 0, 4, 8 of five


def test_shipped_suites_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", "suites", "--json"]) == 0
    names = [one["name"] for one in json.loads(capsys.readouterr().out)]
    assert names == sorted(names)
    assert {"agnews", "arc_easy", "boolq", "hellaswag", "mmlu", "sst2", "xquad"} <= set(names)


def test_a_shipped_suite_without_its_data_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TRIVIUM_DATA", raising=False)
    assert run(["eval", "run", "boolq"]) == 2
    said = capsys.readouterr().err
    assert "set TRIVIUM_DATA" in said
    assert "or run: trivium eval fetch boolq" in said
