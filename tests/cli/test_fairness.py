"""`trivium fairness run | report | compare` with a scripted engine and a made-up benchmark."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.evals.fairness import madeup
from tests.evals.suites import write_rows
from tests.scripted import ScriptedEngine
from trivium.cli.main import run
from trivium.engines.base import Request
from trivium.errors import ContextOverflow
from trivium.evals.fairness.benchmarks import BENCHMARKS

SUITE: dict[str, Any] = {
    "name": "madeup",
    "prompts": [{"name": "plain", "user": "{{ text }} {{ group }}"}],
    "data": {"file": "rows.jsonl", "id": "id", "target": None},
    "scorers": ["tokens"],
}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BENCHMARKS, "madeup", "madeup")
    monkeypatch.setitem(sys.modules, "trivium.evals.fairness.madeup", madeup)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    def use(reply: Any) -> None:
        monkeypatch.setattr(
            "trivium.engines.load.load_engine",
            lambda name, settings=None, *, batch=False: ScriptedEngine(default=reply),
        )

    return use


def suite(folder: Path, rows: int = 40, **keys: Any) -> str:
    made = [
        {"id": f"r{n}", "text": f"text {n}", "group": "ab"[n % 2], "label": "yes"}
        for n in range(rows)
    ]
    write_rows(folder / "rows.jsonl", made)
    file = folder / "suite.yaml"
    file.write_text(yaml.safe_dump({**SUITE, **keys}))
    return str(file)


def biased(request: Request) -> str:
    """A yes for everybody of group a alone."""
    return "yes" if request.messages[-1].content.endswith("a") else "no"


def even(request: Request) -> str:
    """A yes for every other one of each group, when it is asked kindly; else as above."""
    text = request.messages[-1].content
    if not text.startswith("Kindly"):
        return biased(request)
    return "yes" if int(text.split()[2]) % 4 < 2 else "no"


def test_run_prints_every_figure_and_reads_it(
    tmp_path: Path, load: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    load(biased)
    assert run(["fairness", "run", suite(tmp_path), "-m", "tiny"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "tiny\tplain\tyes\tall rows\t0.5\t0.352 to 0.648\t40\t",
        "tiny\tplain\tyes\ta\t1\t0.8389 to 1\t20\tonly 20 rows",
        "tiny\tplain\tyes\tb\t0\t0 to 0.1611\t20\tonly 20 rows",
        "tiny\tplain\tyes\tc\tundefined\t\t0\tno rows",
        "tiny\tplain\tgap\tall rows\t1\t1 to 1\t40\t",
    ]
    assert "yes: Share of rows with a yes." in err
    assert "The interval excludes the ideal in 2 of 2 groups: b (0), a (1)." in err
    assert "limit: Nobody should believe it." in err
    assert "40 of 40 rows" in err


def test_json_is_one_document_with_readings_and_gates(
    tmp_path: Path, load: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    load(biased)
    arguments = ["fairness", "run", suite(tmp_path), "--json", "--max-gap", "2"]
    assert run(arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["benchmark"]["version"] == "3"
    assert said["data"]["rows"] == 40
    (cell,) = said["cells"]
    assert cell["findings"][3]["value"] is None
    assert cell["findings"][3]["reading"] == "c: undefined, because no rows."
    assert [(one["gate"], one["passed"]) for one in said["gates"]] == [("gap ≤ 2", True)]


@pytest.mark.parametrize(
    ("options", "keys", "code", "said"),
    [
        (["--max-gap", "0.5"], {}, 6, "gap ≤ 0.5: gap is 1 and may be 1"),
        ([], {"fairness": [{"max_gap": 0.5}]}, 6, "1 of 1 gates failed"),
        (
            [],
            {"fairness": [{"max_bias": 0.2, "measure": "yes", "group": ""}]},
            0,
            "all 1 gates hold",
        ),
        ([], {"fairness": [{"max_bais": 0.2}]}, 2, "fairness gate 1, max_bais"),
        (["--not-worse-than", "nothing"], {}, 2, 'there is no run "nothing"'),
        (["--max-gap", "-1"], {}, 2, "-1"),
    ],
)
def test_gates_are_options_and_keys_of_the_suite(
    options: list[str],
    keys: dict[str, Any],
    code: int,
    said: str,
    tmp_path: Path,
    load: Callable[[Any], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    load(biased)
    assert run(["fairness", "run", suite(tmp_path, **keys), *options]) == code
    assert said in capsys.readouterr().err


def test_not_worse_than_means_the_run_that_was_the_newest_before(
    tmp_path: Path, load: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    load(even)
    kind = [{"name": "plain", "user": "Kindly {{ text }} {{ group }}"}]
    assert run(["fairness", "run", suite(tmp_path, prompts=kind)]) == 0
    gate = ["--not-worse-than", "madeup"]
    load(even)
    assert run(["fairness", "run", suite(tmp_path), *gate]) == 6
    assert "not worse than madeup-" in capsys.readouterr().err


def test_compare_says_whether_a_prompt_helps(
    tmp_path: Path, load: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    load(even)
    prompts = [*SUITE["prompts"], {"name": "kind", "user": "Kindly {{ text }} {{ group }}"}]
    run(["fairness", "run", suite(tmp_path, 80, prompts=prompts)])
    capsys.readouterr()
    assert run(["fairness", "compare", "madeup"]) == 0
    out, err = capsys.readouterr()
    gap = out.splitlines()[-1].split("\t")
    assert gap[:5] == ["gap", "all rows", "1", "0", "-1"]
    assert gap[-2] == "fairer"
    assert "B is fairer in gap, all rows" in err
    assert run(["fairness", "compare", "madeup", "--cell-b", "plain", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert (found["a"]["prompt"], found["b"]["prompt"], found["pairs"]) == ("kind", "plain", 80)
    assert found["changes"][-1]["verdict"] == "less fair"


def test_report_writes_a_page_and_a_card(
    tmp_path: Path, load: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    load(even)
    prompts = [*SUITE["prompts"], {"name": "kind", "user": "Kindly {{ text }} {{ group }}"}]
    made = suite(tmp_path, 80, prompts=prompts, fairness=[{"max_gap": 0.5}])
    run(["fairness", "run", made])
    html, card = tmp_path / "r.html", tmp_path / "card.json"
    arguments = ["fairness", "report", "madeup", "-o", str(html), "--card", str(card)]
    assert run(arguments) == 0
    text = html.read_text(encoding="utf-8")
    assert "What changed: Made-up benchmark" in text
    assert json.loads(card.read_text())["model-index"][0]["name"] == "smollm2-135m"
    assert run([*arguments[:5], "--gates", made]) == 6
    assert "1 of 2 hold." in html.read_text(encoding="utf-8")
    markdown = tmp_path / "card.md"
    assert run(["fairness", "report", "madeup", "--card", str(markdown)]) == 0
    assert markdown.read_text(encoding="utf-8").startswith("## Fairness\n")
    capsys.readouterr()
    assert run(["fairness", "report", "madeup"]) == 0
    assert "\tgap\tall rows\t1\t" in capsys.readouterr().out


def test_group_metrics_of_any_run(
    tmp_path: Path, load: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    load(biased)
    data = {"file": "rows.jsonl", "id": "id", "target": "label"}
    run(["eval", "run", suite(tmp_path, name="mine", data=data, scorers=["exact"])])
    capsys.readouterr()
    assert run(["fairness", "report", "mine"]) == 2
    assert "mine is no benchmark of fairness" in capsys.readouterr().err
    assert run(["fairness", "report", "mine", "--group", "group"]) == 2
    assert "need each other" in capsys.readouterr().err
    options = ["--group", "group", "--positive", "yes"]
    assert run(["fairness", "report", "mine", *options]) == 0
    lines = [line.split("\t")[2:5] for line in capsys.readouterr().out.splitlines()]
    assert ["TPR", "b", "0"] in lines
    assert ["FPR", "all rows", "undefined"] in lines
    assert ["demographic parity difference", "all rows", "1"] in lines
    assert run(["fairness", "report", "mine", *options, "--max-gap", "0.5"]) == 6
    assert "gap ≤ 0.5" in capsys.readouterr().err
    assert run(["fairness", "report", "mine", "--group", "sex", "--positive", "yes"]) == 2
    assert 'no column "sex"; it has id, text, group' in capsys.readouterr().err


def test_what_is_wrong_is_told(
    tmp_path: Path, load: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    load(biased)
    for arguments, said in (
        (["run", "boolq"], 'there is no benchmark of fairness "boolq"; there are: '),
        (["run", "nothing"], "there is no suite nothing"),
        (["report", "madeup"], "there are no runs yet"),
        (["compare", "madeup"], "there are no runs yet"),
        (["report", "madeup", "--card", "card.txt"], "card.txt is neither .md nor .json"),
    ):
        assert run(["fairness", *arguments]) == 2
        assert said in capsys.readouterr().err
    run(["fairness", "run", suite(tmp_path)])
    assert run(["fairness", "report", "other"]) == 2
    assert 'there is no run "other"' in capsys.readouterr().err
    assert run(["fairness", "compare", "madeup"]) == 2
    assert "needs another run" in capsys.readouterr().err


def test_failed_rows_are_in_no_figure_and_are_counted(
    tmp_path: Path, load: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(request: Request) -> str:
        if "text 0" in request.messages[-1].content:
            raise ContextOverflow("too \x1b[31mlong")
        return biased(request)

    load(fails)
    assert run(["fairness", "run", suite(tmp_path, 12, shard=1)]) == 0
    out, err = capsys.readouterr()
    assert "\tyes\tall rows\t0.4545\t" in out
    assert "1 of 12 records failed and are in no figure" in err
    load(ContextOverflow("too long"))
    assert run(["fairness", "run", suite(tmp_path, 3), "--no-cache"]) == 1
    assert "all 3 rows failed" in capsys.readouterr().err
