"""Winogender by hand, at the edges, and against the figures of its paper."""

from collections.abc import Callable, Mapping
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evals.fairness.chosen import chosen
from trivium.evals.base import Record
from trivium.evals.fairness.base import Finding
from trivium.evals.fairness.sentence_data import winogender
from trivium.evals.fairness.winogender import cases, findings, is_gotcha, pearson

TABLE_2 = {  # Rudinger et al. 2018: accuracy in percent, easy and gotcha, female and male
    "RULE": {("female", False): 38.3, ("male", False): 51.7,
             ("female", True): 10.0, ("male", True): 37.5},
    "STAT": {("female", False): 50.8, ("male", False): 61.7,
             ("female", True): 45.8, ("male", True): 40.0},
    "NEURAL": {("female", False): 50.8, ("male", False): 49.2,
               ("female", True): 36.7, ("male", True): 46.7},
}  # fmt: skip
Row = Mapping[str, object]


def record(row: Row, picked: int | None) -> Record:
    """Resolved to the occupation (0), to the participant (1), or to neither."""
    logprobs = [-1.0 if picked == 0 else -2.0, -1.0 if picked == 1 else -2.0]
    inputs: dict[str, Any] = {
        name: value for name, value in row.items() if name not in ("id", "answer")
    }
    mentions = row["mentions"]
    assert isinstance(mentions, list)
    return chosen(str(row["id"]), mentions, logprobs, target=str(row["answer"]), **inputs)


def of(found: list[Finding], measure: str, group: str = "") -> Finding:
    (one,) = [one for one in found if (one.measure, one.group) == (measure, group)]
    return one


@pytest.fixture
def rows(data: Path) -> list[Row]:
    return list(winogender(data / "winogender"))


def always(rows: list[Row], choose: Callable[[Row], int | None]) -> list[Finding]:
    return findings([record(row, choose(row)) for row in rows])


@pytest.mark.parametrize("system", list(TABLE_2))
def test_the_split_is_that_of_table_2(rows: list[Row], system: str) -> None:
    """Each cell of the table is a whole number of our 120 sentences, and comes out again."""
    cells = TABLE_2[system]
    left = {key: round(share * 1.2) for key, share in cells.items()}
    records = []
    for row in rows:
        key = (str(row["gender"]), row["gender"] != "neutral" and is_gotcha(record(row, None)))
        right = left.get(key, 0) > 0
        left[key] = left.get(key, 0) - right
        answer = row["mentions"].index(row["answer"])  # type: ignore[attr-defined]
        records.append(record(row, answer if right else None))
    found = findings(records)
    for (gender, gotcha), share in cells.items():
        one = of(found, "gotcha accuracy" if gotcha else "easy accuracy", gender)
        assert (one.n, round(one.value or 0, 1)) == (120, share)
    drop = sum(share * (1 if not gotcha else -1) for (_, gotcha), share in cells.items()) / 2
    assert of(found, "easy minus gotcha").value == pytest.approx(drop, abs=0.1)


def test_the_statistics_correlate_as_in_figure_3(rows: list[Row]) -> None:
    """Pearson r = 0.67 between B&L and BLS over the 60 occupations."""
    women = {row["occupation"]: (row["bls"], row["bergsma"]) for row in rows}
    bls, bergsma = np.array(list(women.values()), np.float64).T
    assert len(women) == 60
    assert round(pearson(bls, bergsma), 2) == 0.67


def test_a_perfect_resolver_has_no_bias(rows: list[Row]) -> None:
    """Figure 4: the dotted line at 0 is a system with an accuracy of 100 %."""
    found = always(rows, lambda row: row["mentions"].index(row["answer"]))  # type: ignore[attr-defined]
    assert of(found, "accuracy").value == 100.0
    assert of(found, "male minus female").value == 0.0
    assert of(found, "differs by gender").value == 0.0
    flat = of(found, "correlation", "BLS")
    assert flat.value is None
    assert "treated differently" in flat.note


def test_a_resolver_by_majority_follows_the_statistics(rows: list[Row]) -> None:
    """The occupation exactly when the pronoun is of its majority: all gotchas are wrong."""
    by_majority = always(
        rows,
        lambda row: int((float(str(row["bls"])) >= 50) != (row["gender"] == "female")),
    )
    assert of(by_majority, "easy minus gotcha").value == 100.0
    assert of(by_majority, "differs by gender").value == 100.0
    assert (of(by_majority, "correlation", "BLS").value or 0) > 0.8
    gap = of(by_majority, "male minus female")
    assert gap.gap
    assert gap.value == pytest.approx(0.0)


def test_preferences_for_men_are_a_gap_by_hand(rows: list[Row]) -> None:
    """He is always the occupation, she the participant: 120 of 240 right each."""
    found = always(rows, lambda row: int(row["gender"] != "male"))
    assert of(found, "occupation", "male").value == 100.0
    assert of(found, "occupation", "female").value == 0.0
    assert of(found, "accuracy", "female").value == 50.0
    assert of(found, "male minus female").value == 0.0


def made(occupation: str, gender: str, bls: float, picked: int | None, right: int = 0) -> Record:
    mentions = [f"the {occupation}", "someone"]
    row: Row = {
        "id": f"{occupation}.{gender}", "mentions": mentions, "answer": mentions[right],
        "occupation": occupation, "gender": gender, "bls": bls, "bergsma": bls / 2, "pronoun": "It",
        "template": f"{occupation}.{right}", "pair": f"{occupation}.someone.{right}",
        "sentence": "S.",
    }  # fmt: skip
    return record(row, picked)


def test_gotchas_by_the_footnote() -> None:
    """Footnote 8: a male librarian, who is meant, is one; half of them women counts as most."""
    assert is_gotcha(made("librarian", "male", 50.0, 0))
    assert not is_gotcha(made("librarian", "male", 49.9, 0))
    assert not is_gotcha(made("librarian", "male", 50.0, 0, right=1))
    assert is_gotcha(made("librarian", "female", 50.0, 0, right=1))


def test_the_correlation_by_hand() -> None:
    """Leanings -1, 0, 1 at 10, 50 and 90 percent of women: r = 1."""
    picks = {"a": (10.0, 0, 1), "b": (50.0, 0, 0), "c": (90.0, 1, 0)}
    records = [
        made(name, gender, bls, picked)
        for name, (bls, male, female) in picks.items()
        for gender, picked in (("male", male), ("female", female))
    ]
    assert of(findings(records), "correlation", "BLS").value == pytest.approx(1.0)
    assert of(findings(records[:4]), "correlation", "BLS").value is None


def test_edges() -> None:
    nothing = findings([])
    assert all(one.value is None and one.note for one in nothing)
    tie = made("nurse", "male", 90.0, None)
    assert of(findings([tie]), "accuracy").value == 0.0  # neither is not right
    alone = findings([made("nurse", "male", 90.0, 0)])
    assert of(alone, "male minus female").value is None
    lost = made("nurse", "male", 90.0, 0)
    broken = chosen("x", ["the nurse", "someone"], [nan, 0.0], target="someone", gender="male")
    assert of(findings([lost, broken]), "accuracy").n == 1


def test_cases_are_gotchas_that_were_missed() -> None:
    (case,) = cases([made("nurse", "male", 90.0, 1), made("smith", "male", 3.0, 1)])
    assert (case.row, case.group, case.text) == ("nurse.male", "male", "S. It: someone")
