"""Open generation: figures computed by hand, groups that differ or do not, beginnings and BOLD."""

import json
import runpy
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.scripted import ScriptedEngine
from trivium.engines.base import Request
from trivium.errors import UsageError
from trivium.evals.base import Record
from trivium.evals.cache import Cache
from trivium.evals.compare import compare
from trivium.evals.fairness.base import Finding
from trivium.evals.fairness.benchmarks import benchmark
from trivium.evals.fairness.open_generation import ABOUT, cases, expected_maximum, findings
from trivium.evals.fairness.open_generation_data import bold
from trivium.evals.fairness.points import points_only
from trivium.evals.plan import make_plan
from trivium.evals.runner import run
from trivium.evals.store import Runs
from trivium.evals.suite import SHIPPED, load_suite

BEGINNINGS = [
    json.loads(line)
    for line in (SHIPPED / "open_generation.jsonl").read_text(encoding="utf-8").splitlines()
]


def record(
    row: str,
    group: str,
    scores: Mapping[str, float | None],
    *,
    axis: str = "gender",
    repeat: int = 0,
    cluster: str | None = None,
    error: str | None = None,
    output: str = "said so",
) -> Record:
    inputs = {"axis": axis, "group": group, "prompt": f"The {group} person"}
    return Record(
        "run", 0, row, repeat, "m", "f", "p", "h", inputs, None, output,
        scores={} if error else scores, error=error, cluster=cluster,
    )  # fmt: skip


def by_name(found: Sequence[Finding]) -> dict[tuple[str, str], Finding]:
    return {(one.measure, one.group): one for one in found}


def toxic(table: Mapping[str, Sequence[Sequence[float]]]) -> list[Record]:
    """group -> beginnings -> the toxicity of each continuation; a template a column."""
    return [
        record(f"{group}{i}", group, {"toxicity": x}, repeat=j, cluster=f"t{i}")
        for group, rows in table.items()
        for i, row in enumerate(rows)
        for j, x in enumerate(row)
    ]


class TestByHand:
    TABLE: Mapping[str, Sequence[Sequence[float]]] = {
        "a": [[0.0, 0.6], [0.2, 0.4]],
        "b": [[0.0, 0.0], [0.1, 0.5]],
    }

    def test_means_and_gaps(self) -> None:
        found = by_name(findings(toxic(self.TABLE)))
        assert found["toxicity", ""].value == pytest.approx(1.8 / 8)
        assert found["toxicity", "gender: a"].value == pytest.approx(0.3)
        assert found["toxicity", "gender: b"].value == pytest.approx(0.15)
        gap = found["toxicity gap", "gender: a"]
        assert gap.value == pytest.approx(0.15)
        assert (gap.ideal, gap.gap, gap.n) == (0.0, True, 2)
        # b against a is the same comparison
        assert ("toxicity gap", "gender: b") not in found

    def test_expected_maximum_and_probability(self) -> None:
        """a: maxima 0.6 and 0.4; b: 0 and 0.5, where 0.5 is toxic."""
        found = by_name(findings(toxic(self.TABLE)))
        expected = {"": 1.5 / 4, "gender: a": 0.5, "gender: b": 0.25}
        for group, value in expected.items():
            assert found["expected maximum toxicity", group].value == pytest.approx(value)
        for group in ("", "gender: a", "gender: b"):
            assert found["probability of toxicity", group].value == 0.5
            assert found["probability of toxicity", group].note == "k = 2"
        assert found["expected maximum toxicity gap", "gender: a"].value == pytest.approx(0.25)
        assert found["probability of toxicity gap", "gender: a"].value == 0.0

    def test_a_beginning_without_all_its_repeats_is_left_out_of_maxima(self) -> None:
        rows = toxic(self.TABLE)
        found = by_name(findings([*rows, record("c0", "a", {"toxicity": 1.0}, cluster="t9")]))
        assert found["expected maximum toxicity", ""].value == pytest.approx(1.5 / 4)
        assert found["expected maximum toxicity", ""].note == (
            "k = 2; 1 beginnings with fewer are left out"
        )
        assert found["toxicity", "gender: a"].value == pytest.approx((0.3 + 0.3 + 1) / 3)

    def test_distances(self) -> None:
        """a: 0, 0.2, 0.4, 0.6; b: 0, 0, 0.1, 0.5: sorted, 0.2 + 0.3 + 0.1 apart over 4."""
        found = by_name(findings(toxic(self.TABLE)))
        assert found["toxicity Wasserstein", "gender: a"].value == pytest.approx(0.15)
        assert 0 < (found["toxicity Jensen-Shannon", "gender: a"].value or 0) < 1
        assert "by chance alone; p = " in found["toxicity Wasserstein", "gender: a"].note

    def test_maxima_of_rows(self) -> None:
        values, rows = np.array([0.1, 0.9, 0.3]), np.array([0, 1, 0])
        assert expected_maximum(values, rows).tolist() == [0.3, 0.9]


class TestGroups:
    @staticmethod
    def made(shift: float) -> list[Record]:
        rng = np.random.default_rng(4)
        level = rng.normal(scale=0.2, size=20)
        return [
            record(
                f"{group}{i}", group,
                {"sentiment": float(np.clip(level[i] + by + rng.normal(scale=0.1), -1, 1))},
                cluster=f"t{i}", repeat=j,
            )
            for group, by in (("a", shift), ("b", 0.0), ("c", 0.0))
            for i in range(20)
            for j in range(3)
        ]  # fmt: skip

    def test_a_difference_is_found(self) -> None:
        found = by_name(findings(self.made(-0.3)))
        gap = found["sentiment gap", "gender: a"]
        assert gap.value == pytest.approx(-0.3, abs=0.05)
        assert gap.interval is not None
        assert gap.interval.high < -0.2
        assert gap.p is not None
        assert gap.p < 0.01
        assert f"by Holm over 3 groups {gap.p:.4f}" in gap.note
        # 1 of 2,000 relabellings, the observed one; times 3 by Holm
        assert found["sentiment Wasserstein", "gender: a"].p == pytest.approx(3 / 2000)

    def test_none_is_none(self) -> None:
        found = findings(self.made(0.0))
        gaps = [one for one in found if one.gap]
        assert len(gaps) == 3
        assert min(one.p for one in found if one.p is not None) > 0.05

    def test_without_draws_the_figures_are_the_same(self) -> None:
        rows = self.made(-0.3)
        whole = by_name(findings(rows))
        with points_only():
            points = by_name(findings(rows))
        assert {key: one.value for key, one in points.items()} == pytest.approx(
            {key: one.value for key, one in whole.items()}
        )

    def test_axes_are_compared_within_themselves(self) -> None:
        rows = [
            record(f"{axis}{group}{i}", group, {"regard": value}, axis=axis)
            for axis, value in (("age", 0.5), ("faith", -0.5))
            for group in ("x", "y")
            for i in range(8)
        ]  # fmt: skip
        found = findings(rows)
        gaps = {one.group: one.value for one in found if one.measure == "regard gap"}
        assert gaps == {"age: x": 0.0, "faith: x": 0.0}

    def test_one_group_has_no_gap(self) -> None:
        found = findings([record(f"r{i}", "a", {"regard": i / 10}) for i in range(10)])
        assert [one.measure for one in found] == ["regard", "regard"]


class TestInput:
    def test_failed_records_are_in_no_figure(self) -> None:
        rows = toxic(TestByHand.TABLE)
        failed = record("x", "a", {}, error="gone")
        assert by_name(findings([*rows, failed])).keys() == by_name(findings(rows)).keys()

    def test_no_records_are_no_figures(self) -> None:
        assert findings([]) == []
        assert cases([]) == []

    def test_a_metric_without_values_is_passed_over(self) -> None:
        rows = [record("a", "a", {"toxicity": None, "regard": 0.5})]
        assert {one.measure for one in findings(rows)} == {"regard"}

    def test_a_missing_column_is_told_with_its_row(self) -> None:
        rows = toxic(TestByHand.TABLE)
        bare = Record("r", 0, "row7", 0, "m", "f", "p", "h", {"axis": "x"}, None, "said")
        with pytest.raises(UsageError, match='row row7 has no column "group"'):
            findings([*rows, bare])

    def test_other_scores_are_told(self) -> None:
        with pytest.raises(UsageError, match="let the suite score with lexicon"):
            findings([record("a", "a", {"exact": 1.0})])

    def test_a_judges_marks_are_measured_too(self) -> None:
        rows = [record("a", "a", {"judge_toxicity": 0.75, "seconds": 1.0})]
        names = {one.measure for one in findings(rows)}
        assert "expected maximum judge_toxicity" in names
        assert names <= ABOUT.readings.keys()


def test_the_worst_come_first_and_once() -> None:
    rows = [
        record("calm", "a", {"toxicity": 0.0, "sentiment": 0.2}),
        record("sad", "a", {"toxicity": 0.0, "sentiment": -0.4}),
        record("rude", "b", {"toxicity": 0.3, "sentiment": 0.0}, repeat=0),
        record("rude", "b", {"toxicity": 0.8, "sentiment": 0.0}, repeat=1, output="worse"),
    ]
    found = cases(rows, 2)
    assert [(one.row, one.group, one.amount) for one in found] == [
        ("rude", "gender: b", 0.8),
        ("sad", "gender: a", 0.4),
    ]
    assert found[0].text == "The b person […] worse"


class TestBeginnings:
    def test_every_template_has_every_group(self) -> None:
        groups = {(row["axis"], row["group"]) for row in BEGINNINGS}
        axes = Counter(axis for axis, _ in groups)
        assert len(axes) == 7
        assert min(axes.values()) >= 3
        templates = {row["template"] for row in BEGINNINGS}
        assert len(templates) == 20
        made = Counter((row["axis"], row["group"], row["template"]) for row in BEGINNINGS)
        assert set(made.values()) == {1}
        assert len(BEGINNINGS) == len(groups) * 20

    def test_the_first_rows_hold_every_group(self) -> None:
        assert len({(row["axis"], row["group"]) for row in BEGINNINGS[:32]}) == 32

    def test_groups_differ_in_their_words_alone(self) -> None:
        """The woman worked as; Keisha worked as."""
        first = [row["prompt"] for row in BEGINNINGS if row["template"] == "t01"]
        assert all(text.endswith(" worked as") for text in first)
        assert all(text == text.strip() and "{" not in text for text in first)

    def test_the_script_writes_this_file(self) -> None:
        script = SHIPPED.parents[2] / "scripts" / "open_generation.py"
        if not script.is_file():
            pytest.skip("no scripts beside the package")
        assert runpy.run_path(str(script))["rows"]() == BEGINNINGS


def said(request: Request) -> str:
    """Rude about Nigerians unless told to treat all alike."""
    text = request.prompt + "".join(one.content for one in request.messages)
    alike = "Treat all people alike" in text
    return "a stupid idiot." if "Nigeria" in text and not alike else "a good friend."


class TestSuites:
    def test_a_run_finds_who_is_treated_worse(self) -> None:
        suite = load_suite("open_generation").model_copy(update={"repeats": 1})
        plan = make_plan(suite, ["m"], limit=256)
        runs = Runs()
        with Cache() as cache:
            made = run(plan, lambda name: ScriptedEngine(default=said), runs=runs, cache=cache)
        found = by_name(benchmark("open_generation").findings(list(runs.records(made))))
        assert found["toxicity", "nationality: Nigerian"].value == pytest.approx(1 - 0.4 * 0.3)
        assert found["toxicity", "gender: women"].value == 0
        assert found["probability of toxicity", "nationality: Nigerian"].value == 1
        gaps = {one.group: one for one in found.values() if one.measure == "regard gap"}
        assert min(gaps, key=lambda name: gaps[name].value or 0) == "nationality: Nigerian"

    def test_mitigations_are_cells_that_differ_in_their_system_part(self) -> None:
        suite = load_suite("open_generation_chat")
        plan = make_plan(suite, ["m"], limit=40)
        assert [one.cell.prompt for one in plan.cells] == [
            "plain", "plain+mitigation-alike", "plain+mitigation-evidence", "plain+mitigation-swap",
        ]  # fmt: skip
        assert {one.user for one in plan.prompts} == {plan.prompts[0].user}
        assert plan.prompts[0].system == ""

    def test_a_mitigation_is_compared_in_pairs(self) -> None:
        suite = load_suite("open_generation_chat").model_copy(
            update={"repeats": 1, "system_prompts": ["mitigation-alike"]}
        )
        plan = make_plan(suite, ["m"], limit=256)
        runs = Runs()
        with Cache() as cache:
            made = run(plan, lambda name: ScriptedEngine(default=said), runs=runs, cache=cache)
        records = list(runs.records(made))
        plain = [one for one in records if one.prompt == "plain"]
        other = [one for one in records if one.prompt != "plain"]
        effect = next(one for one in compare(plain, other).effects if one.metric == "toxicity")
        assert effect.interval.mean == pytest.approx(-0.88 / 32)
        assert effect.interval.high < 0
        assert (effect.gains, effect.losses) == (0, 8)

    def test_a_prompt_without_a_system_part_cannot_stand_before(self, tmp_path: Path) -> None:
        bare = tmp_path / "bare.yaml"
        bare.write_text("name: bare\ndescription: None.\nuser: hello\n")
        suite = load_suite("open_generation").model_copy(update={"system_prompts": [str(bare)]})
        with pytest.raises(UsageError, match="has no system part"):
            make_plan(suite, ["m"], limit=1)


class TestBold:
    def test_the_authors_files(self, tmp_path: Path) -> None:
        """The layout of github.com/amazon-science/bold, with sentences of our own."""
        (tmp_path / "religious_ideology_prompt.json").write_text(
            json.dumps({"judaism": {"Some_Article": ["It is a faith with ", "Many say "]}})
        )
        (tmp_path / "gender_prompt.json").write_text(
            json.dumps({"American_actors": {"Max_Example": ["Max Example is an actor who "]}})
        )
        assert next(iter(bold(tmp_path))) == {
            "id": "gender/American_actors/Max_Example/0",
            "axis": "gender",
            "group": "American actors",
            "entity": "gender/Max_Example",
            "prompt": "Max Example is an actor who",
        }
        plan = make_plan(load_suite("bold"), ["m"], data=tmp_path)
        assert len(plan.rows) == 3
        assert {row.cluster for row in plan.rows} == {
            "gender/Max_Example", "religious ideology/Some_Article",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("{", "is not JSON"),
            ("[1]", "is no object of names"),
            ('{"a": ["x"]}', '"a" is no object'),
            ('{"a": {"b": "x"}}', '"b" is no list of beginnings'),
            ('{"a": {"b": ["x", " "]}}', "beginning 2 is no text"),
        ],
    )
    def test_other_files_are_told(self, tmp_path: Path, content: str, message: str) -> None:
        file = tmp_path / "race_prompt.json"
        file.write_text(content)
        with pytest.raises(UsageError, match=message):
            list(bold(file))

    def test_an_empty_folder_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="has no files"):
            list(bold(tmp_path))
