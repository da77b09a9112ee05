"""The same figures as text, JSON, CSV, Markdown and JUnit."""

import csv
import io
import json
from xml.etree import ElementTree as ET

import pytest

from tests.evals.made import EVIL, record, run_of
from trivium.evals.base import Cell, Record
from trivium.evals.columns import of_records
from trivium.evals.compare import compare
from trivium.evals.gates import judge, parse_gates
from trivium.evals.report import table, terminal
from trivium.evals.report.junit import junit
from trivium.evals.summary import CellScores, summarise

CORPUS = {Cell("m", "p"): {"bleu": 31.5}}


def means(records: list[Record]) -> tuple[CellScores, ...]:
    return summarise(of_records(records), CORPUS)


def test_the_terminal_table() -> None:
    lines = terminal.means(means([*run_of([1] * 18 + [0] * 2), record("x", error="no")]))
    assert lines.header == ("model", "prompt", "records", "failed", "exact", "bleu")
    assert lines.rows == [("m", "p", "21", "1", "0.9 [0.699, 0.9721]", "31.5")]
    assert lines.styles == ["yellow"]


def test_one_value_has_no_bounds_anywhere() -> None:
    found = means(run_of([0.25]))
    assert terminal.means(found).rows[0][4] == "0.25 [–, –]"
    said = json.loads(json.dumps(table.run_json(found), allow_nan=False))
    assert said[0]["metrics"]["exact"] == {
        "missing": 0,
        "mean": 0.25,
        "low": None,
        "high": None,
        "n": 1,
        "method": "bootstrap",
    }
    assert table.run_csv(found).splitlines()[1] == "m,p,exact,0.25,,,1,bootstrap,0,1,0"


def test_csv_has_a_line_for_each_figure() -> None:
    rows = list(csv.DictReader(io.StringIO(table.run_csv(means(run_of([1, 0, 1]))))))
    assert [(row["metric"], row["method"]) for row in rows] == [
        ("exact", "wilson"),
        ("bleu", "corpus"),
    ]
    assert float(rows[0]["mean"]) == pytest.approx(2 / 3)


def test_a_name_is_no_formula_in_a_spreadsheet() -> None:
    text = table.run_csv(means([record("x", model="=1+1", prompt='a,"b')]))
    assert text.splitlines()[1].startswith('\'=1+1,"a,""b",exact')


def test_a_comparison_in_every_form() -> None:
    a = run_of([0] * 7 + [1] * 14)
    b = [*run_of([1] * 7 + [0] + [1] * 13, run="two"), record("new")]
    found = compare(a, b)
    lines = terminal.effects(found)
    assert lines.rows[0][:9] == (
        "exact",
        "m · p",
        "0.6667",
        "0.9524",
        "+0.2857",
        "0.026 to 0.5172",
        "21",
        "0.0391",
        "0.0391",
    )
    assert lines.styles == ["bold"]
    said = json.loads(json.dumps(table.comparison_json(found), allow_nan=False))
    assert said["effects"][0]["gains"] == 7
    assert said["pairings"][0]["only_b"] == 1
    assert len(list(csv.reader(io.StringIO(table.comparison_csv(found))))) == 2
    assert "Left out of 22 records: 1 only in B." in table.comparison_markdown("t", found)


def test_markdown_stays_within_its_cells() -> None:
    text = table.run_markdown("a | b", means([record("x", model="a|b\n*c*", prompt="<b>")]))
    assert text.splitlines()[0] == "# a \\| b"
    assert text.splitlines()[4].startswith("| a\\|b \\*c\\* | &lt;b&gt; | 1 | 0 |")


def test_junit_has_a_case_for_each_gate() -> None:
    found = means(run_of([1] * 18 + [0] * 2))
    gates = parse_gates([{"metric": "exact", "min": 0.5}, {"metric": "exact", "min": 0.9}])
    suite = ET.fromstring(junit("run", found, judge(gates, found)))[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["exact ≥ 0.5", "exact ≥ 0.9"]
    failure = cases[1].find("failure")
    assert failure is not None
    assert "the lower bound is 0.699" in (failure.get("message") or "")


def test_junit_is_xml_whatever_the_names() -> None:
    root = ET.fromstring(junit(EVIL + "\ud800", means([record("x", model=EVIL)]), []))
    assert root[0].get("name") == EVIL.replace("\x1b", "\ufffd") + "\ufffd"
