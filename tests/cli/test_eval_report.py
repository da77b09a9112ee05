"""`trivium eval compare` and `report`: what is printed and written, and the exit codes."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.evals.made import EVIL, record, run_of
from tests.evals.test_columns import stored
from trivium.cli.main import run
from trivium.evals.store import Runs

SUITE = """
name: qa
prompts: [{{name: p, user: "{{{{ question }}}}"}}]
data: {{file: rows.jsonl}}
gates: [{gates}]
"""


@pytest.fixture
def two(home: Path) -> tuple[str, str]:
    """7 gains and 1 loss of 21 rows; the second run has a row of its own and hostile outputs."""
    with Runs() as runs:
        a = stored(runs, run_of([0] * 7 + [1] * 14), "first")
        b = stored(runs, [*run_of([1] * 7 + [0] + [1] * 13, output=EVIL), record("new")], "second")
    return a, b


def suite(folder: Path, gates: str) -> str:
    file = folder / "suite.yaml"
    file.write_text(SUITE.format(gates=gates), encoding="utf-8")
    return str(file)


def test_compare_prints_effects_and_says_what_did_not_pair(
    two: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["eval", "compare", *two]) == 0
    out, err = capsys.readouterr()
    assert out.split("\t")[:9] == [
        "exact",
        "m · p",
        "0.6667",
        "0.9524",
        "+0.2857",
        "0.026 to 0.5172",
        "21",
        "0.0391",
        "0.0391",
    ]
    assert "21 pairs of m; left out: 1 only in B" in err


def test_compare_as_json_with_the_rows_that_an_effect_takes(
    two: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["eval", "compare", *two, "--effect", "0.1", "--json"]) == 0
    (effect,) = json.loads(capsys.readouterr().out)["effects"]
    assert effect["difference"]["method"] == "mcnemar"
    # sd of 21 pairs and two halves: sqrt(9/23 - (6/23)²) = 0.5688; (2.8016 * 0.5688 / 0.1)²
    assert effect["needed"] == 254


def test_the_cells_of_one_run_against_its_first(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Runs() as runs:
        name = stored(
            runs,
            [
                *run_of([0] * 9),
                *run_of([1] * 9, prompt="better"),
                *run_of([0] * 9, model="other"),
            ],
        )
    assert run(["eval", "compare", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[1] for line in lines] == ["m · p → m · better", "m · p → other · p"]
    assert run(["eval", "compare", name, "--cell-a", "other", "--cell-b", "better"]) == 0
    assert "other · p → m · better" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "nothing", "first"], 'no run "nothing"'),
        (["compare", "first"], "needs another run"),
        (["compare", "first", "second", "--metric", "f1"], 'no metric "f1"'),
        (["compare", "first", "second", "--cell-a", "zzz"], '"zzz" names 0 cells'),
        (["compare", "first", "second", "--effect", "0"], "effect of 0"),
        (["report", "nothing"], 'no run "nothing"'),
        (["report", "first", "-f", "pdf"], '"pdf" is no format'),
        (["report", "first", "--gates", "absent.yaml"], "no suite absent.yaml"),
    ],
)
def test_what_cannot_be_meant(
    two: tuple[str, str],
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["eval", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_looking_creates_no_store(home: Path) -> None:
    assert run(["eval", "compare", "a", "b"]) == 2
    assert run(["eval", "report", "a"]) == 2
    assert not home.exists()


def test_a_report_in_every_form(
    two: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("out.html", "out.json", "out.csv", "out.md", "out.xml"):
        assert run(["eval", "report", *two, "-o", str(tmp_path / name)]) == 0
        assert (tmp_path / name).stat().st_size > 100
    out, err = capsys.readouterr()
    assert out == ""
    assert f"holds {two[0]} and {two[1]}" in err
    said = json.loads((tmp_path / "out.json").read_text())
    assert [one["id"] for one in said["runs"]] == list(two)
    assert said["runs"][0]["cells"][0]["corpus"] == {"bleu": 31.5}
    assert said["comparison"]["effects"][0]["gains"] == 7
    page = (tmp_path / "out.html").read_text()
    assert f"<title>{two[1]} against {two[0]}</title>" in page
    assert "<script>document.title" not in page


def test_a_report_on_the_terminal(two: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", "report", two[0]]) == 0
    # Wilson's interval of 14 of 21
    assert capsys.readouterr().out == "m\tp\t21\t0\t0.6667 [0.4537, 0.8281]\t31.5\n"
    assert run(["eval", "report", two[0], "-f", "md"]) == 0
    assert capsys.readouterr().out.startswith(f"# {two[0]}\n\n| model | prompt |")


def test_a_lost_gate_is_written_down_and_ends_with_six(
    two: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gates = suite(tmp_path, "{metric: exact, min: 0.5}, {metric: exact, min: 0.9}")
    file = tmp_path / "gates.xml"
    assert run(["eval", "report", two[0], "--gates", gates, "-o", str(file)]) == 6
    assert "exact ≥ 0.9: the lower bound is 0.4537" in capsys.readouterr().err
    assert ET.parse(file).getroot()[0].get("failures") == "2"


def test_a_gate_against_a_baseline(
    two: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gates = suite(tmp_path, "{metric: exact, max_drop: 0.05}")
    a, b = two
    assert run(["eval", "report", b, "--gates", gates, "--baseline", a]) == 0
    assert run(["eval", "report", a, b, "--gates", gates]) == 0
    assert run(["eval", "report", a, "--gates", gates, "--baseline", b]) == 6
    capsys.readouterr()
    assert run(["eval", "report", a, "--gates", gates]) == 2
    assert "--baseline RUN" in capsys.readouterr().err
