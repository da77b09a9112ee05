"""The page: what it holds, that nothing in it can run but its own script, and that it works."""

import base64
import gzip
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.evals.made import EVIL, record, run_of
from trivium.evals.base import Choice, Record
from trivium.evals.columns import of_records
from trivium.evals.compare import compare_columns
from trivium.evals.gates import judge, parse_gates
from trivium.evals.intervals import Interval
from trivium.evals.report.pack import Side, pack
from trivium.evals.report.page import Shown, page
from trivium.evals.report.plots import intervals, ticks
from trivium.evals.summary import summarise

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def written(*runs: Sequence[Record], title: str = "a run") -> str:
    shown = []
    for number, records in enumerate(runs):
        columns = of_records(records)
        side = Side(f"run {number}", columns, records)
        shown.append(Shown(side, summarise(columns), {"suite": "qa"}))
    comparison = None
    if len(runs) == 2:
        comparison = compare_columns(shown[0].side.columns, shown[1].side.columns)
    return "".join(page(title, shown, comparison))


def evil_run(seed: float = 0.5) -> list[Record]:
    """Everything that a model, a prompt or data name says is an attack."""
    return [
        replace(
            record(f"{EVIL}{n}", seed + n / 100, model=EVIL, prompt=EVIL, metric=EVIL),
            index=n,
            output=EVIL,
            inputs={EVIL: EVIL},
            target=EVIL,
            choices=(Choice(EVIL, -1.0, 2),),
            error=EVIL if n == 7 else None,
        )
        for n in range(8)
    ]


class Tags(HTMLParser):
    """Every tag with its attributes, as a browser's tokeniser finds them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_what_a_model_says_is_never_markup() -> None:
    text = written(evil_run(), evil_run(0.6), title=EVIL)
    found = Tags(text).found
    scripts = [attrs for tag, attrs in found if tag == "script"]
    assert sum("type" not in attrs for attrs in scripts) == 1
    assert not [tag for tag, _ in found if tag in ("img", "iframe", "link", "a", "object")]
    assert not [key for _, attrs in found for key in attrs if key.startswith("on")]
    assert "<script>document.title" not in text


def test_the_policy_lets_its_own_script_run_and_nothing_load() -> None:
    text = written(run_of([1, 0]))
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)[0]
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not re.findall(r"""(?:src|href)=["']|url\(|@import|https?://""", text)


def unpacked(text: str) -> dict[str, bytes]:
    found = re.findall(r'<script type="application/octet-stream" id="(\w+)">([^<]*)<', text)
    return {key: gzip.decompress(base64.b64decode(value)) for key, value in found}


def test_every_record_is_in_the_page() -> None:
    a = run_of([n / 1200 for n in range(1200)], metric="f1")
    b = [replace(one, output=f"b {one.index}") for one in a[:600]]
    text = written(a, b)
    blocks = unpacked(text)
    layout = json.loads(re.findall(r'id="layout">(.*?)</script>', text)[0])
    assert (layout["count"], layout["rows"], layout["metrics"]) == (1800, 1200, ["f1"])
    texts = [one for n in range(4) for one in json.loads(blocks[f"t{n}"])]
    assert [one[0] for one in texts] == ["yes"] * 1200 + [f"b {n}" for n in range(600)]
    rows = [one for n in range(3) for one in json.loads(blocks[f"r{n}"])]
    assert rows[700] == [{"question": "what is r700?"}, "yes"]
    offset, columns = 0, {}
    for name, kind in layout["fields"]:
        columns[name] = np.frombuffer(blocks["numbers"], f"<{kind}", 1800, offset)
        offset += columns[name].nbytes
    assert offset == len(blocks["numbers"])
    assert columns["m0"][700] == pytest.approx(700 / 1200)
    assert columns["pair"][[0, 599, 600, 1200, 1799]].tolist() == [1200, 1799, -1, 0, 599]
    assert columns["row"][[599, 1799]].tolist() == [599, 599]


def test_a_row_of_one_name_with_other_inputs_is_another_row() -> None:
    a, b = [record("x", inputs="one")], [record("x", inputs="two")]
    packed = pack([Side(str(n), of_records(r), r) for n, r in enumerate((a, b))], [-1, -1])
    assert packed.layout["rows"] == 2


def test_rows_with_other_inputs_are_no_pair_in_the_page() -> None:
    a = [*run_of([0, 1]), record("x", inputs="one")]
    text = written(a, [*run_of([1, 1]), record("x", inputs="two")])
    layout = json.loads(re.findall(r'id="layout">(.*?)</script>', text)[0])
    assert [name for name, _ in layout["fields"][:2]] == ["row", "pair"]
    pairs = np.frombuffer(unpacked(text)["numbers"], "<i4", 6, 6 * 4)
    assert pairs.tolist() == [3, 4, -1, 0, 1, -1]


def test_text_that_no_encoding_has_is_still_written() -> None:
    text = written([record("x", output="half a pair \ud800")])
    assert b"half a pair ?" in unpacked(text)["t0"]


def test_equal_records_make_an_equal_page() -> None:
    assert written(run_of([1, 0, 1])) == written(run_of([1, 0, 1]))


def test_gates_and_what_was_left_out_are_said() -> None:
    a, b = of_records(run_of([1, 0, 1])), of_records([*run_of([1, 1, 1]), record("new")])
    verdicts = judge(parse_gates([{"metric": "exact", "min": 0.9}]), summarise(b))
    shown = [
        Shown(Side("a", a, run_of([1, 0, 1])), summarise(a), {}),
        Shown(Side("b", b, [*run_of([1, 1, 1]), record("new")]), summarise(b), {}),
    ]
    text = "".join(page("t", shown, compare_columns(a, b), verdicts))
    assert '<li class="lost"><b>failed</b>' in text
    assert "3 pairs; left out: 1 only in B." in text


def test_an_empty_run_has_a_page() -> None:
    assert "<h2>Rows</h2>" in written([])


def test_a_plot_marks_a_clear_effect_and_survives_missing_bounds() -> None:
    clear, open_ended = Interval(0.2, 0.1, 0.3, 9, "x"), Interval(0.1, -np.inf, np.inf, 1, "x")
    drawn = intervals("<t>", [("a < b", clear), ("one", open_ended)], zero=True)
    assert 'class="gain"' in drawn
    assert "a &lt; b" in drawn
    assert "inf" not in drawn
    assert "nan" not in drawn


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (-0.011, 0.02, [-0.01, 0, 0.01, 0.02])],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.skipif(BROWSER is None, reason="there is no browser to open the page with")
def test_a_browser_shows_the_rows_and_runs_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(written(evil_run(), evil_run(0.6), title="untouched"), encoding="utf-8")
    assert BROWSER is not None
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--disable-background-networking", "--virtual-time-budget=5000"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()]
    dom = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60, errors="replace"
    ).stdout
    assert "<title>untouched</title>" in dom
    assert "16 of 16 records" in dom
    assert len(re.findall(r'<td class="text[^>]*>&lt;/script&gt;&lt;script&gt;', dom)) == 16
    assert "<img" not in dom
