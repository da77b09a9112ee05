"""CrowS-Pairs by hand, at the edges, and against the figures of its paper."""

from math import inf, nan
from pathlib import Path

import pytest

from tests.evals.fairness.chosen import chosen
from trivium.evals.base import Record
from trivium.evals.fairness.base import Finding
from trivium.evals.fairness.crows_pairs import cases, findings
from trivium.evals.fairness.sentence_data import crows_pairs

PAPER = {  # Nangia et al. 2020, table of results: pairs, and percent for BERT, RoBERTa, ALBERT
    "race-color": (516, 58.1, 62.0, 64.3),
    "gender": (262, 58.0, 57.3, 64.9),
    "socioeconomic": (172, 59.9, 68.6, 68.6),
    "nationality": (159, 62.9, 66.0, 63.5),
    "religion": (105, 71.4, 71.4, 75.2),
    "age": (87, 55.2, 66.7, 70.1),
    "sexual-orientation": (84, 67.9, 65.5, 70.2),
    "physical-appearance": (63, 63.5, 68.3, 66.7),
    "disability": (60, 61.7, 71.7, 81.7),
}
DIRECTIONS = {"stereo": (1290, 61.1, 66.3, 67.7), "antistereo": (218, 56.9, 51.4, 63.3)}
OVERALL = (60.5, 64.1, 67.0)


def pair(
    row: str, more: float, less: float, kind: str = "age", direction: str = "stereo"
) -> Record:
    return chosen(
        row, ["More.", "Less."], [more, less], index=int(row), bias_type=kind, direction=direction
    )


def of(found: list[Finding], measure: str, group: str = "") -> Finding:
    (one,) = [one for one in found if (one.measure, one.group) == (measure, group)]
    return one


def test_by_hand() -> None:
    """Wins of the stereotype, its loss, a tie at three decimals, and one against a stereotype."""
    found = findings(
        [
            pair("1", -10.0, -12.0),
            pair("2", -10.0, -11.5, "religion"),
            pair("3", -20.0, -19.0),
            pair("4", -10.0001, -10.0004),
            pair("5", -9.0, -9.5, direction="antistereo"),
        ]
    )
    overall = of(found, "stereotyping")
    assert (overall.value, overall.n, overall.ideal, overall.bias) == (60.0, 5, 50.0, True)
    assert of(found, "stereotyping", "age").value == 50.0  # the tie is no preference
    assert of(found, "stereotyping", "religion").value == 100.0
    stereo = of(found, "stereotype score")
    assert stereo.value == pytest.approx(200 / 3)
    assert stereo.n == 3  # the tie is left out
    assert of(found, "anti-stereotype score").value == 100.0
    assert of(found, "absolute difference").value == pytest.approx((2 + 1.5 + 1 + 0 + 0.5) / 5)


def test_the_interval_is_wilsons() -> None:
    """6 of 10: 31.27 to 83.18 (Wilson 1927)."""
    records = [pair(str(n), -1.0 - (n >= 6) * 2, -2.0) for n in range(10)]
    interval = of(findings(records), "stereotyping").interval
    assert interval is not None
    assert [interval.low, interval.high] == pytest.approx([31.27, 83.18], abs=0.01)


def test_edges() -> None:
    nothing = findings([])
    assert of(nothing, "stereotyping").value is None
    assert of(nothing, "stereotyping").note == "no rows"
    assert of(nothing, "absolute difference").value is None
    one = findings([pair("1", -1.0, -2.0)])
    assert of(one, "stereotyping").value == 100.0
    assert of(one, "stereotyping").few
    assert of(one, "anti-stereotype score").value is None
    failed = chosen("9", [], [], error="no", bias_type="age", direction="stereo")
    odd = [pair("2", nan, -1.0), failed, pair("3", -inf, -inf), pair("4", -1.0, -inf)]
    found = findings(odd)
    assert (of(found, "stereotyping").value, of(found, "stereotyping").n) == (50.0, 2)
    assert (of(found, "absolute difference").value, of(found, "absolute difference").n) == (0.0, 1)
    ties = findings([pair("1", -1.0, -1.0), pair("2", -1.0, -1.0)])
    assert of(ties, "stereotyping").value == 0.0  # as metric.py prints it
    assert of(ties, "stereotype score").value is None


@pytest.mark.parametrize("model", [0, 1, 2])
def test_the_parts_of_the_papers_table_make_its_whole(data: Path, model: int) -> None:
    """So many wins by type, as the paper's percentages say, give its overall figure; so by
    direction."""
    rows = list(crows_pairs(data / "crows_pairs" / "crows_pairs_anonymized.csv"))
    by_type = {name: round(n * shares[model] / 100) for name, (n, *shares) in PAPER.items()}
    by_way = {name: round(n * shares[model] / 100) for name, (n, *shares) in DIRECTIONS.items()}
    for column, left in (("bias_type", by_type), ("direction", by_way)):
        records = []
        for row in rows:
            won = left[str(row[column])] > 0
            left[str(row[column])] -= won
            kind, way = str(row["bias_type"]), str(row["direction"])
            records.append(pair(str(row["id"]), -1.0, -2.0 if won else 0.0, kind, way))
        found = findings(records)
        assert round(of(found, "stereotyping").value or 0, 1) == OVERALL[model]
        if column == "bias_type":
            for name, (n, *shares) in PAPER.items():
                one = of(found, "stereotyping", name)
                assert (one.n, round(one.value or 0, 1)) == (n, shares[model])
        else:
            for name, measure in (("stereo", "stereotype"), ("antistereo", "anti-stereotype")):
                one = of(found, f"{measure} score")
                n, *shares = DIRECTIONS[name]
                assert (one.n, round(one.value or 0, 1)) == (n, shares[model])


def test_cases_are_the_widest_preferences_for_stereotypes() -> None:
    worst, other = cases([pair("1", -3, -4), pair("2", -9, -4), pair("3", -1, -4)], count=5)
    assert (worst.row, worst.amount, worst.text) == ("3", 3.0, "More. / Less.")
    assert other.row == "1"
