"""`trivium eval curve` with scripted engines: points, laws, what is stored, and what is refused."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.evals.suites import write_rows
from tests.scripted import ScriptedEngine
from trivium.cli.main import run
from trivium.engines.base import ScoreRequest

ROWS = 40
Out = pytest.CaptureFixture[str]


def suite(folder: Path, **keys: Any) -> Path:
    """Rows n of which the answer is always "even", and eight solved ones."""
    import yaml

    write_rows(
        folder / "rows.jsonl",
        [{"id": f"r{n}", "n": f"{2 * n}", "target": "even"} for n in range(ROWS)],
    )
    write_rows(
        folder / "solved.jsonl",
        [{"id": f"s{n}", "n": f"{1000 + n}", "target": "even"} for n in range(8)],
    )
    file = folder / "parity.yaml"
    plain: dict[str, Any] = {
        "name": "parity",
        "chat": False,
        "method": "choose",
        "choices": ["even", "odd"],
        "prompts": [{"name": "plain", "user": "{{ n }} is"}],
        "data": {"file": "rows.jsonl", "id": "id"},
        "examples": {"data": {"file": "solved.jsonl", "id": "id"}},
    }
    plain = {key: value for key, value in {**plain, **keys}.items() if value is not None}
    file.write_text(yaml.safe_dump(plain))
    return file


def learner(right: Mapping[int, int]) -> Callable[[ScoreRequest], float]:
    """Finds "even" likelier for the first `right[k]` rows, after k examples."""

    def logprob(request: ScoreRequest) -> float:
        shots = request.prompt.count("even")
        number = int(request.prompt.split()[-2]) // 2
        knows = number < right[shots]
        return -0.5 if ("even" in request.continuation) == knows else -1.5

    return logprob


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[ScriptedEngine]]:
    """Let every model be made by `make` from its name; the engines that were made."""
    made: list[ScriptedEngine] = []

    def use(make: Callable[[str], ScriptedEngine]) -> list[ScriptedEngine]:
        def load_engine(name: str, settings: object = None, *, batch: bool = False) -> Any:
            made.append(make(name))
            return made[-1]

        monkeypatch.setattr("trivium.engines.load.load_engine", load_engine)
        return made

    return use


RISING = learner({0: 20, 1: 26, 2: 31, 4: 36, 8: 39})


def test_more_examples_make_a_rising_curve(
    tmp_path: Path, engines: Callable[..., list[ScriptedEngine]], capsys: Out
) -> None:
    made = engines(lambda name: ScriptedEngine(logprob=RISING))
    page = tmp_path / "curve.html"
    asked = ["eval", "curve", str(suite(tmp_path)), "--shots", "8,0,1,2,4", "-m", "m"]
    assert run([*asked, "-o", str(page), "--json"]) == 0
    out, err = capsys.readouterr()
    accuracy, smooth = json.loads(out)["curves"]
    assert [one["label"] for one in accuracy["points"]] == [
        "0 shots", "1 shot", "2 shots", "4 shots", "8 shots",
    ]  # fmt: skip
    assert [one["mean"] for one in accuracy["points"]] == [
        20 / 40,
        26 / 40,
        31 / 40,
        36 / 40,
        39 / 40,
    ]
    assert accuracy["chance"] == 0.5
    assert {one["law"] for one in accuracy["laws"]} == {"logistic", "power law"}
    # right by e-fold: ln(1 + 1/e) = 0.3133, wrong 1.3133
    assert smooth["points"][0]["mean"] == pytest.approx(0.8133, abs=1e-4)
    assert "the rows alone" in err
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert [engine.closed for engine in made] == [True]  # one model, loaded once
    assert run(["eval", "list", "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)
    assert {one["id"] for one in runs} == {one["run"] for one in accuracy["points"]}
    assert run(["eval", "show", accuracy["points"][1]["run"]]) == 0
    assert "accuracy\t0.65" in capsys.readouterr().out


def test_a_second_call_asks_nothing_and_adds_no_runs(
    tmp_path: Path, engines: Callable[..., list[ScriptedEngine]], capsys: Out
) -> None:
    made = engines(lambda name: ScriptedEngine(logprob=RISING))
    asked = ["eval", "curve", str(suite(tmp_path)), "--shots", "0,1,2", "-m", "m", "--json"]
    assert run(asked) == 0
    first = capsys.readouterr().out
    assert run(asked) == 0
    assert capsys.readouterr().out == first
    assert [bool(engine.scored) for engine in made] == [True, False]
    # another range needs the new point alone
    assert run(["eval", "curve", asked[2], "--shots", "1,2,4", "-m", "m"]) == 0
    assert all(one.prompt.count("even") == 4 for one in made[2].scored)
    assert run([*asked, "--no-cache"]) == 0
    assert made[3].scored


def test_a_table_has_a_line_for_each_point_and_parameter(
    tmp_path: Path, engines: Callable[..., list[ScriptedEngine]], capsys: Out
) -> None:
    engines(lambda name: ScriptedEngine(logprob=RISING))
    asked = ["eval", "curve", str(suite(tmp_path)), "--shots", "0,2", "-m", "m"]
    assert run([*asked, "--metric", "accuracy", "--at", "16"]) == 0
    out, err = capsys.readouterr()
    lines = [line.split("\t") for line in out.splitlines()]
    assert [line[:5] for line in lines[:2]] == [
        ["m", "plain", "accuracy", "0 shots", "0.5"],
        ["m", "plain", "accuracy", "2 shots", "0.775"],
    ]
    # Wilson's interval of 20 of 40
    assert lines[0][5] == "0.352 to 0.648"
    assert [line[3] for line in lines[2:]] == ["logistic m", "logistic s", "logistic at 16 shots"]
    assert "the power law has 3 parameters and there are 2 points" in err
    assert "that it fits shows nothing" in err
    assert "16 shots lies beyond what was measured (0 shots to 2 shots)" in err


def test_a_family_is_measured_by_its_parameters(
    tmp_path: Path, engines: Callable[..., list[ScriptedEngine]], capsys: Out
) -> None:
    sizes = {"a": 10**8, "b": 10**9, "c": None}
    right = {"a": 22, "b": 30, "c": 38}
    made = engines(
        lambda name: ScriptedEngine(
            name=name,
            parameters=sizes[name],
            logprob=learner({0: right[name]}),
        )
    )
    asked = ["eval", "curve", str(suite(tmp_path, examples=None)), "-m", "b", "-m", "a", "-m", "c"]
    assert run(asked) == 2
    assert "c does not say how many parameters it has; say --size c=7B" in capsys.readouterr().err
    assert run([*asked, "--size", "c=7B", "--metric", "accuracy", "--at", "70B", "--json"]) == 0
    (curve,) = json.loads(capsys.readouterr().out)["curves"]
    assert [(one["label"], one["size"], one["mean"]) for one in curve["points"]] == [
        ("a", 1e8, 22 / 40),
        ("b", 1e9, 30 / 40),
        ("c", 7e9, 38 / 40),
    ]
    assert curve["model"] is None
    assert [one["size"] for one in curve["guesses"]] == [7e10, 7e10]
    assert all(engine.closed for engine in made)


def test_rows_that_fail_at_one_point_are_in_none(
    tmp_path: Path, engines: Callable[..., list[ScriptedEngine]], capsys: Out
) -> None:
    engines(lambda name: ScriptedEngine(logprob=RISING))
    file = suite(tmp_path)
    rows = file.with_name("rows.jsonl")
    rows.write_text(rows.read_text().replace('"target": "even"}', '"target": "prime"}', 1))
    assert run(["eval", "curve", str(file), "--shots", "0,1,2", "-m", "m", "--json"]) == 0
    out, err = capsys.readouterr()
    accuracy = json.loads(out)["curves"][0]
    assert (accuracy["rows"], accuracy["left_out"]) == (39, 1)
    assert accuracy["points"][0]["mean"] == pytest.approx(19 / 39)
    assert "1 rows are in no point" in err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([], "name --shots for a curve over examples, or several --model for a family"),
        (["--shots", "0,x"], '--shots "0,x" has to be numbers from 0 to 64'),
        (["--shots", "0,-1"], "has to be numbers from 0 to 64"),
        (["--shots", "0,65"], "has to be numbers from 0 to 64"),
        (["--shots", "3,3"], "is one point; a curve needs at least two"),
        (["--shots", "0,9"], "there are 8 examples, too few for 9 shots"),
        (["--shots", "0,1", "--at", "many"], '"many" is no size'),
        (["--shots", "0,1", "--size", "m=7B"], "--size names m, which is no model of a family"),
        (["--shots", "0,1", "--size", "7B"], "has to be NAME=PARAMETERS"),
        (["-m", "b", "--size", "m=1e999"], '"1e999" is no size'),
        (["-m", "b", "--size", "m=0"], "a size of 0 parameters"),
        (["-m", "b", "--at", "0"], "a size of 0 parameters"),
        (["--shots", "0,1", "--metric", "bleu"], 'no metric "bleu" of single rows'),
    ],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path,
    engines: Callable[..., list[ScriptedEngine]],
    capsys: Out,
    options: list[str],
    why: str,
) -> None:
    engines(lambda name: ScriptedEngine(logprob=RISING))
    assert run(["eval", "curve", str(suite(tmp_path)), "-m", "m", *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert why in err


def test_a_suite_without_examples_has_no_shots_to_vary(
    tmp_path: Path, engines: Callable[..., list[ScriptedEngine]], capsys: Out
) -> None:
    engines(lambda name: ScriptedEngine())
    asked = ["eval", "curve", str(suite(tmp_path, examples=None)), "--shots", "0,1"]
    assert run(asked) == 2
    assert "the suite parity has no examples to vary" in capsys.readouterr().err


def test_examples_are_counted_where_they_have_to_match(
    tmp_path: Path, engines: Callable[..., list[ScriptedEngine]], capsys: Out
) -> None:
    engines(lambda name: ScriptedEngine())
    own = {"data": {"file": "rows.jsonl", "id": "id"}, "match": "n"}
    file = suite(tmp_path, examples=own)
    assert run(["eval", "curve", str(file), "--shots", "0,1", "-m", "m"]) == 2
    # each row is the only one with its n, and no example of its own
    assert 'there are 0 examples for "0", too few for 1 shots' in capsys.readouterr().err
