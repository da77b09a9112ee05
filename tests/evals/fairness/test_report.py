"""The page for a committee: what it says, and that nothing in it can run or load."""

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.evals.fairness import madeup
from tests.evals.fairness.madeup import answers
from tests.evals.made import EVIL
from trivium.evals.base import Cell, Record
from trivium.evals.fairness.base import Benchmark, Case, Finding
from trivium.evals.fairness.compare import compare
from trivium.evals.fairness.gates import judge, parse_gates
from trivium.evals.fairness.measure import Measured, RunMeasures
from trivium.evals.fairness.readings import reading, readings
from trivium.evals.fairness.report.forest import Mark, forest
from trivium.evals.fairness.report.page import page
from trivium.evals.intervals import Interval, wilson
from trivium.evals.store import Run

BENCHMARK: Benchmark = madeup
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def measured(*cells: list[Record], name: str = "madeup-1") -> RunMeasures:
    total = sum(len(records) for records in cells)
    run = Run(name, "madeup", "plan", {"method": "generate"}, total, total, 0, 1e9, True)
    made = [
        Measured(
            records[0].cell,
            records[0].fingerprint,
            records[0].prompt_hash,
            len(records),
            sum(one.error is not None for one in records),
            tuple(madeup.findings(records)),
            tuple(madeup.cases(records)),
        )
        for records in cells
    ]
    return RunMeasures(run, madeup.ABOUT, len(cells[0]), "ab" * 32, tuple(made))


class Tags(HTMLParser):
    """Every tag with its attributes, as a browser's tokeniser finds them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def evil() -> RunMeasures:
    """A group, a measure, a model and an output that attack."""
    made = measured(answers("yn" * 20))
    cell = made.cells[0]
    finding = Finding(EVIL, EVIL, 0.5, 9, wilson(4, 9), 0.5, bias=True, note=EVIL)
    undefined = Finding(EVIL, "", None, 0, note=EVIL)
    about = replace(
        made.about, title=EVIL, what=EVIL, limits=(EVIL,), readings={EVIL: EVIL}, paper=EVIL
    )
    return replace(
        made,
        about=about,
        cells=(
            replace(
                cell,
                cell=Cell(EVIL, EVIL),
                findings=(finding, undefined),
                cases=(Case(EVIL, EVIL, 1.0, EVIL),),
            ),
        ),
    )


def test_what_models_and_data_say_is_never_markup() -> None:
    text = page([evil()], notes=[EVIL])
    found = Tags(text).found
    assert not [
        tag for tag, _ in found if tag in ("script", "img", "iframe", "link", "a", "object")
    ]
    assert not [key for _, attrs in found for key in attrs if key.startswith("on")]
    assert text.count("&lt;script&gt;document.title") > 10


def test_nothing_may_load_or_run() -> None:
    text = page([measured(answers("yn" * 20))])
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)[0]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "script-src" not in policy
    assert not re.findall(r"""(?:src|href)=["']|url\(|@import|https?://""", text)


def test_it_says_what_was_measured_on_what() -> None:
    text = page([measured(answers("yn" * 20), answers("yy" * 20, model="other"))])
    for fact in ("madeup, version 3", "Nobody 2026", "CC0", "abababababababab", "engine", "other"):
        assert fact in text
    assert "Nobody should believe it." in text
    assert "Share of rows with a yes." in text
    assert "text 1 → no" in text
    assert "Fairness of 2 models" in text


def test_bias_that_is_shown_stands_out_and_none_is_not_praised() -> None:
    # a always gets a yes, b never: none of all rows, both groups, and the gap
    text = page([measured(answers("yn" * 20))])
    assert "no bias shown: ideal 0.5" in text
    assert "bias shown: ideal 0<" in text
    assert '<span class="chip off">' in text


def test_undefined_is_said_and_is_no_zero() -> None:
    text = page([measured(answers("yn" * 20))])
    row = re.findall(r"<tr class=\"open\">.*?</tr>", text, re.DOTALL)[0]
    assert "undefined" in row
    assert "no rows" in row


def test_gates_and_changes_are_on_the_page() -> None:
    a, b = answers("yyyn" * 20), answers("ynny" * 20, prompt="kind")
    made = measured(a, b)
    verdicts = judge(
        parse_gates([{"max_gap": 0.1}]),
        BENCHMARK,
        {a[0].cell: a},
        {a[0].cell: made.cells[0].findings},
        lambda name: {},
    )
    text = page([made], [("Made-up", compare(BENCHMARK, a, b))], verdicts)
    assert "0 of 1 hold." in text
    assert "What changed: Made-up" in text
    assert ">fairer</td>" in text
    assert "Both sides answered the same 80 rows." in text


def test_equal_figures_make_an_equal_page() -> None:
    one, other = (page([measured(answers("yyn" * 9))]) for _ in range(2))
    assert one == other


def test_a_forest_marks_few_rows_and_has_no_infinity() -> None:
    rows = [
        ("a < b", [Mark(0, 0.5, wilson(50, 100), 100), Mark(1, 0.2, wilson(1, 5), 5)]),
        ("one", [Mark(0, 1.0, Interval(1.0, -float("inf"), float("inf"), 1, "x"), 1)]),
        ("none", [Mark(0, None, None, 0, "no <rows>")]),
    ]
    drawn = str(forest("<t>", rows, 0.5))
    assert 'class="s1 few"' in drawn
    assert 'class="s0"' in drawn
    assert "a &lt; b" in drawn
    assert "undefined" in drawn
    assert "inf" not in drawn
    assert "nan" not in drawn
    assert drawn.count('class="ideal"') == 1


def test_a_forest_of_nothing_known_is_drawn() -> None:
    assert "undefined" in forest("t", [("a", [Mark(0, None, None, 0)])])


@pytest.mark.parametrize(
    ("finding", "said"),
    [
        (
            Finding("yes", "", 0.5, 100, wilson(50, 100), 0.5, bias=True),
            "All rows: 0.5, 95 % interval 0.4038 to 0.5962, from 100 rows. No bias is shown: the "
            "interval holds the ideal of 0.5. Up to 0.09617 away from it is not excluded.",
        ),
        (
            Finding("yes", "a", 0.9, 100, wilson(90, 100), 0.5, bias=True),
            "a: 0.9, 95 % interval 0.8256 to 0.9448, from 100 rows. Above the ideal of 0.5, by "
            "0.3256 to 0.4448.",
        ),
        (
            Finding("yes", "a", 0.25, 4, wilson(1, 4)),
            "a: 0.25, 95 % interval 0.04559 to 0.6994, from 4 rows. Fewer than 30 rows: read it "
            "with care.",
        ),
        (
            Finding("far", "a", 0.3, 50, Interval(0.3, 0.1, 0.5, 50, "x"), 0.0, gap=True, p=0.2),
            "a: 0.3, 95 % interval 0.1 to 0.5, from 50 rows. No difference is shown: p 0.2000, "
            "corrected for the groups of its measure.",
        ),
        (Finding("yes", "", None, 0, note="no rows"), "All rows: undefined, because no rows."),
        (
            Finding("yes", "", 1.0, 40, Interval(1.0, -float("inf"), float("inf"), 40, "x"), 0.5),
            "All rows: 1, from 40 rows, too few for an interval.",
        ),
    ],
)
def test_a_reading_is_plain_words(finding: Finding, said: str) -> None:
    assert reading(finding) == said


def test_groups_are_read_together() -> None:
    ((_, meaning, lines), _) = readings(madeup.ABOUT, madeup.findings(answers("yn" * 40)))
    assert meaning == "Share of rows with a yes."
    assert lines[1:] == [
        "The interval excludes the ideal in 2 of 2 groups: b (0), a (1).",
        "Undefined in 1 of 3 groups.",
    ]


@pytest.mark.skipif(BROWSER is None, reason="there is no browser to open the page with")
def test_a_browser_runs_nothing_of_it(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page([evil()]), encoding="utf-8")
    assert BROWSER is not None
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}"]
    dom = subprocess.run(
        [*command, file.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        errors="replace",
    ).stdout
    assert "<title>owned" not in dom
    assert "<img" not in dom
    assert "What this cannot tell you" in dom
