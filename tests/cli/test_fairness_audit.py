"""`trivium fairness audit` with a scripted engine: what it prints, writes, and its exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.evals.suites import write_rows
from tests.scripted import ScriptedEngine
from trivium.cli.main import run
from trivium.engines.base import Request, ScoreRequest

PROMPT = """
name: hire
variables: {text: {}, labels: {type: list, default: [yes, no]}}
user: "{{ text }} Hire? {{ labels }}"
"""
SCORED = """
name: rate
variables: {text: {}}
user: "{{ text }}"
schema: {type: object, properties: {score: {type: integer}}, required: [score]}
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A prompt and six rows, of which four can be swapped."""
    (tmp_path / "hire.yaml").write_text(PROMPT)
    rows = [{"text": f"He sold lamp {n}."} for n in range(4)]
    rows += [{"text": "A lamp."}, {"text": "He and she sold lamps."}]
    return str(tmp_path / "hire.yaml"), str(write_rows(tmp_path / "rows.jsonl", rows))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[ScriptedEngine]:
    """Every model turns down women in rows 0 and 1, and nobody else."""
    made: list[ScriptedEngine] = []

    def turned_down(text: str) -> bool:
        return "She sold lamp 0" in text or "She sold lamp 1" in text

    def logprob(request: ScoreRequest) -> float:
        no = turned_down(request.messages[-1].content)
        return -1.0 if (request.continuation == "no") == no else -3.0

    def reply(request: Request) -> str:
        return "No." if turned_down(request.messages[-1].content) else "Yes, 7."

    def load_engine(name: str, settings: object = None, *, batch: bool = False) -> Any:
        made.append(ScriptedEngine(default=reply, logprob=logprob))
        return made[-1]

    monkeypatch.setattr("trivium.engines.load.load_engine", load_engine)
    return made


def lines(out: str) -> dict[tuple[str, str], list[str]]:
    """(measure, group) -> value, interval, rows, remark."""
    cells = (line.split("\t") for line in out.splitlines())
    return {(cell[2], cell[3]): cell[4:] for cell in cells}


def test_it_swaps_asks_and_prints_every_figure(
    files: tuple[str, str],
    engine: list[ScriptedEngine],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["fairness", "audit", *files, "--axis", "gender"]) == 0
    out, err = capsys.readouterr()
    found = lines(out)
    # Wilson's interval of 2 of 4
    assert found["flips", "gender: woman vs man"][:3] == ["0.5", "0.15 to 0.85", "4"]
    assert found["flips", "gender: neutral vs man"][0] == "0"
    assert found["share of yes", "gender: woman vs man"][0] == "-0.5"
    assert "4 of 6 rows can be swapped, into 8 counterfactuals" in err
    assert "no term 1" in err
    assert "terms of several groups 1 (row 5: He, she)" in err
    assert "2 of 4 rows are decided otherwise in at least one counterfactual" in err
    assert "row 0~gender:woman (He → She)" in err


def test_a_classifier_may_write(files: tuple[str, str], engine: list[ScriptedEngine]) -> None:
    assert run(["fairness", "audit", *files, "--axis", "gender", "--generate"]) == 0
    assert engine[0].requests
    assert not engine[0].scored


def test_json_is_one_document(
    files: tuple[str, str],
    engine: list[ScriptedEngine],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["fairness", "audit", *files, "--axis", "gender,age", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["audit"]["rows"] == 6
    assert said["audit"]["swapped"] == 4
    assert {"axis": "gender", "group": "woman", "count": 4} in said["audit"]["counterfactuals"]
    assert {"axis": "age", "reason": "no term", "count": 6} in said["audit"]["left_out"]
    assert said["benchmark"]["name"] == "audit"


def test_a_dry_run_asks_no_model(
    files: tuple[str, str],
    engine: list[ScriptedEngine],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["fairness", "audit", *files, "--axis", "gender", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "0~gender:woman\tShe sold lamp 0.",
        "0~gender:neutral\tThey sold lamp 0.",
    ]
    assert engine == []


def test_gates_are_judged_on_bounds(
    files: tuple[str, str],
    engine: list[ScriptedEngine],
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["fairness", "audit", *files, "--axis", "gender"]
    assert run([*command, "--max-bias", "0.9"]) == 0
    assert run([*command, "--max-bias", "0.6"]) == 6  # 0.5 would pass, its bound 0.85 does not
    assert "flips of gender: woman vs man is 0.5" in capsys.readouterr().err


def test_the_report_of_a_run_and_the_file_are_written(
    files: tuple[str, str],
    engine: list[ScriptedEngine],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = tmp_path / "page.html"
    assert run(["fairness", "audit", *files, "--axis", "gender", "-o", str(page)]) == 0
    assert "Audit by counterfactuals" in page.read_text()
    assert run(["fairness", "report", "audit", "-o", str(tmp_path / "again.html")]) == 0
    assert "gender: woman vs man" in (tmp_path / "again.html").read_text()


def test_scores_are_found_by_the_schema(
    files: tuple[str, str],
    engine: list[ScriptedEngine],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "rate.yaml").write_text(SCORED)
    assert (
        run(["fairness", "audit", str(tmp_path / "rate.yaml"), files[1], "--axis", "gender"]) == 0
    )
    found = lines(capsys.readouterr().out)
    # "No." has no number: the two rows in which a woman is turned down are in no shift
    assert found["score shift", "gender: woman vs man"][2] == "2"
    assert "2 rows without a value" in found["score shift", "gender: woman vs man"][3]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--axis", "height"], 'there is no axis "height"; there are gender'),
        (["--task", "guess"], 'there is no task "guess"'),
        (["--labels", "one"], "at least two answers"),
        (["--columns", "body"], 'no column "body"; they have text'),
        (["--swaps", "none.yaml"], "cannot read the swaps none.yaml"),
    ],
)
def test_bad_options_are_told(
    files: tuple[str, str],
    engine: list[ScriptedEngine],
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    assert run(["fairness", "audit", *files, *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no rows"),
        (b'{"txt": "He."}\n', 'no column "text"'),
        (b'{"text": "He."}\n{"text": 3}\n', "row 2 has 3 in the column"),
        (b'{"text": "He."}\n{"text": "caf\xe9"}\n', "line 2 is not UTF-8: byte 0xe9"),
        (b'{"text": "He."}\n{"text": \n', "line 2 is not JSON"),
        (b'{"text": "A lamp."}\n', "none of 1 rows has something to swap"),
    ],
)
def test_bad_rows_are_told(
    files: tuple[str, str],
    engine: list[ScriptedEngine],
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    said: str,
) -> None:
    Path(files[1]).write_bytes(content)
    assert run(["fairness", "audit", *files, "--axis", "gender"]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") <= 2
    assert engine == []


def test_text_of_rows_reaches_the_terminal_without_control_sequences(
    files: tuple[str, str],
    engine: list[ScriptedEngine],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_rows(Path(files[1]), [{"text": "He sold lamp 0.\x1b[31m"}])
    assert run(["fairness", "audit", *files, "--axis", "gender"]) == 0
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
