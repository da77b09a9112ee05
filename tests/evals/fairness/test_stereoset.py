"""StereoSet by hand, at the edges, and against the figures that its authors released."""

from math import log, nan

import pytest

from tests.evals.fairness.chosen import chosen
from trivium.evals.base import Choice, Record
from trivium.evals.fairness.base import Finding
from trivium.evals.fairness.stereoset import Target, by_target, cases, findings, icat, probability

RELEASED = [  # predictions.json of github.com/moinnadeem/StereoSet: LM, SS and ICAT Score
    ("GPT-2, within, gender", 93.27790824312564, 62.66777425473077, 69.64543855157751),
    ("GPT-2, within", 91.1149426618542, 61.931485244958985, 69.37221078255025),
    ("GPT-2, all", 83.65206453498922, 57.03077944935812, 71.8892802104096),
    ("BERT large, within, religion", 85.97701149425286, 50.160919540229884, 85.70030387105298),
    ("BERT large, between", 87.93214876833515, 60.18344150680576, 70.0231108973335),
    ("BERT large, all", 85.77079222611553, 59.65087975851371, 69.21552017478146),
]


def item(
    row: str,
    stereotype: float,
    opposite: float,
    unrelated: float,
    *,
    group: str = "nurse",
    kind: str = "intrasentence",
    domain: str = "profession",
    tokens: tuple[int, ...] = (1, 1, 1),
) -> Record:
    return chosen(
        row, ["S.", "A.", "U."], [stereotype, opposite, unrelated], tokens=tokens,
        type=kind, domain=domain, group=group, before="",
    )  # fmt: skip


def of(found: list[Finding], measure: str, group: str = "") -> Finding:
    (one,) = [one for one in found if (one.measure, one.group) == (measure, group)]
    return one


@pytest.mark.parametrize(("name", "lms", "ss", "released"), RELEASED)
def test_icat_is_the_authors(name: str, lms: float, ss: float, released: float) -> None:
    assert icat(lms, ss) == pytest.approx(released, abs=1e-9)


def test_icat_of_the_models_that_the_paper_describes() -> None:
    """Nadeem et al. 2021: ideal, always the stereotype, and random."""
    assert (icat(100, 50), icat(100, 100), icat(50, 50)) == (100, 0, 50)


def test_the_score_is_a_mean_over_tokens() -> None:
    """Probabilities 1/2 and 1/8: 2^((-1 - 3) / 2) = 1/4."""
    assert probability(Choice("x", log(1 / 2) + log(1 / 8), 2)) == pytest.approx(1 / 4)


def test_by_hand() -> None:
    """Targets count alike, whatever their sizes: nurse 2 items, Utopia 1."""
    items = [
        item("1", -1.0, -2.0, -3.0),  # the stereotype; both fit
        item("2", -2.0, -1.0, -1.5),  # the opposite; one fits
        item("3", -1.0, -2.0, -1.5, group="Utopia", kind="intersentence", domain="race"),
    ]
    assert by_target(items) == {"nurse": Target(75.0, 50.0, 2), "Utopia": Target(50.0, 100.0, 1)}
    found = findings(items)
    assert of(found, "LMS").value == pytest.approx(62.5)
    assert of(found, "SS").value == pytest.approx(75.0)
    assert of(found, "ICAT").value == pytest.approx(62.5 * 25 / 50)
    assert of(found, "ICAT by target").value == pytest.approx((75.0 + 0.0) / 2)
    assert of(found, "SS", "intrasentence profession").value == 50.0
    assert of(found, "SS", "race").value == of(found, "SS", "intersentence").value == 100.0
    assert of(found, "LMS").n == 3


def test_longer_texts_are_not_less_likely_for_it() -> None:
    (target,) = by_target([item("1", -4.0, -3.0, -9.0, tokens=(4, 2, 1))]).values()
    assert target.ss == 100.0


def test_edges() -> None:
    found = findings([])
    assert (of(found, "ICAT").value, of(found, "ICAT").note) == (None, "no rows")
    (tied,) = by_target([item("1", -1.0, -1.0, -1.0)]).values()
    assert tied == Target(0.0, 0.0, 1)  # as the authors count: a tie is no preference for either
    one = of(findings([item("1", -1.0, -2.0, -3.0)]), "SS")
    assert one.value == 100.0
    assert one.interval is not None
    assert one.interval.high == float("inf")  # one target bounds nothing
    assert of(findings([item("1", nan, -2.0, -3.0), item("2", -2.0, -1.0, -3.0)]), "SS").n == 1


def test_cases_are_the_likeliest_stereotypes() -> None:
    records = [item("1", -1.0, -2.0, -3.0), item("2", -1.0, -5.0, -3.0), item("3", -2.0, -1.0, 0)]
    assert [(case.row, case.amount) for case in cases(records)] == [("2", 4.0), ("1", 1.0)]
