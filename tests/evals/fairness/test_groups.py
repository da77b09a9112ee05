"""Group metrics: by hand, by fairlearn, and where they are undefined."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evals.fairness.madeup import answers
from trivium.errors import UsageError
from trivium.evals.base import Choice
from trivium.evals.fairness.base import Finding
from trivium.evals.fairness.groups import (
    GroupMetrics,
    decided,
    difference,
    group_findings,
    ratio,
)
from trivium.evals.fairness.points import points_only
from trivium.evals.intervals import wilson

# a: 4 rows, 3 selected; 2 positive, both selected; 2 negative, 1 selected
# b: 4 rows, 1 selected; 2 positive, 1 selected; 2 negative, none selected
GROUPS = list("aaaabbbb")
SELECTED = [1, 1, 1, 0, 1, 0, 0, 0]
LABELS = [1, 1, 0, 0, 1, 1, 0, 0]


def table(found: list[Finding]) -> dict[tuple[str, str], Finding]:
    return {(one.measure, one.group): one for one in found}


def test_every_metric_by_hand() -> None:
    found = table(group_findings(decided(GROUPS, SELECTED, LABELS)))
    values = {key: one.value for key, one in found.items()}
    assert values == {
        ("selection rate", ""): 0.5,
        ("selection rate", "a"): 0.75,
        ("selection rate", "b"): 0.25,
        ("TPR", ""): 0.75,
        ("TPR", "a"): 1.0,
        ("TPR", "b"): 0.5,
        ("FPR", ""): 0.25,
        ("FPR", "a"): 0.5,
        ("FPR", "b"): 0.0,
        ("accuracy", ""): 0.75,
        ("accuracy", "a"): 0.75,
        ("accuracy", "b"): 0.75,
        ("demographic parity difference", ""): 0.5,
        ("demographic parity ratio", ""): pytest.approx(1 / 3),
        ("equalised odds difference", ""): 0.5,
        ("equalised odds ratio", ""): 0.0,
        ("accuracy gap", ""): 0.0,
    }
    # Wilson's interval of 3 of 4
    interval = found["selection rate", "a"].interval
    assert interval is not None
    assert [interval.low, interval.high] == pytest.approx([0.3006, 0.9544], abs=1e-4)
    assert found["selection rate", "a"].few
    assert [one.measure for one in found.values() if one.gap] == [
        "demographic parity difference",
        "demographic parity ratio",
        "equalised odds difference",
        "equalised odds ratio",
        "accuracy gap",
    ]


def test_calibration_by_group_is_by_hand() -> None:
    sure = [0.9, 0.9, 0.9, 0.9, 0.6, 0.6, 0.6, 0.6]  # right: 3 of 4 in each group
    found = table(group_findings(decided(GROUPS, SELECTED, LABELS, sure)))
    assert found["calibration error", "a"].value == pytest.approx(0.15)
    assert found["calibration error", "b"].value == pytest.approx(0.15)
    # two bins of four rows each
    assert found["calibration error", ""].value == pytest.approx(0.15)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_they_are_those_of_fairlearn(data: st.DataObject) -> None:
    metrics = pytest.importorskip("fairlearn.metrics")
    skm = pytest.importorskip("sklearn.metrics")
    n = data.draw(st.integers(4, 60))
    groups = data.draw(st.lists(st.sampled_from("abc"), min_size=n, max_size=n))
    labels = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    selected = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    with points_only():
        found = table(group_findings(decided(groups, selected, labels)))
    frame = metrics.MetricFrame(
        metrics={
            "selection rate": metrics.selection_rate,
            "TPR": metrics.true_positive_rate,
            "FPR": metrics.false_positive_rate,
            "accuracy": skm.accuracy_score,
        },
        y_true=labels,
        y_pred=selected,
        sensitive_features=groups,
    )
    for measure, group in found:
        mine = found[measure, group].value
        if group and mine is not None:
            assert mine == pytest.approx(frame.by_group[measure][group])
    pairs: dict[str, Any] = {
        "demographic parity difference": metrics.demographic_parity_difference,
        "demographic parity ratio": metrics.demographic_parity_ratio,
    }
    names = set(groups)
    if all(found[rate, group].value is not None for rate in ("TPR", "FPR") for group in names):
        pairs["equalised odds difference"] = metrics.equalized_odds_difference
        pairs["equalised odds ratio"] = metrics.equalized_odds_ratio
    for measure, theirs in pairs.items():
        value = found[measure, ""].value
        if value is not None:
            expected = theirs(labels, selected, sensitive_features=groups)
            assert value == pytest.approx(expected)


def test_what_a_group_cannot_define_is_undefined_and_says_why() -> None:
    found = table(group_findings(decided(list("aab"), [1, 0, 1], [1, 1, 0])))
    assert found["TPR", "b"].value is None
    assert found["TPR", "b"].note == "no row of it has the positive label"
    assert found["FPR", "a"].value is None
    assert found["equalised odds difference", ""].value is None
    assert found["equalised odds difference", ""].note == "fewer than two groups define TPR"
    assert found["demographic parity difference", ""].value == 0.5


def test_a_gap_leaves_out_the_group_that_lacks_its_rate_and_says_so() -> None:
    found = table(group_findings(decided(list("aabbc"), [1, 0, 1, 1, 1], [1, 0, 1, 0, 1])))
    odds = found["equalised odds difference", ""]
    assert odds.value == 1.0  # FPR of b and of a
    assert odds.note == "one class alone in c, which is left out of that rate"


def test_the_interval_of_a_pair_is_newcombes() -> None:
    # Newcombe 1998, table II, example (a), method 10: 56/70 - 48/80
    found = difference([wilson(56, 70), wilson(48, 80)])
    assert found.mean == pytest.approx(0.2)
    assert [found.low, found.high] == pytest.approx([0.0524, 0.3339], abs=5e-5)


def test_the_interval_of_a_ratio_holds_what_the_rates_may_be() -> None:
    found = ratio([wilson(10, 40), wilson(20, 40)])
    assert found is not None
    assert found.mean == 0.5
    low, high = wilson(10, 40), wilson(20, 40)
    assert (found.low, found.high) == (low.low / high.high, min(1.0, low.high / high.low))
    assert ratio([wilson(0, 9), wilson(0, 9)]) is None


def test_equal_groups_seldom_have_a_gap() -> None:
    rng = np.random.default_rng(0)
    lost = 0
    for _ in range(400):
        sides = [wilson(int(hits), 40, 1 - 0.05 / 3) for hits in rng.binomial(40, 0.3, 3)]
        lost += difference(sides).low > 0
    assert lost / 400 < 0.06


def test_one_group_has_no_gap_and_nobody_selected_no_ratio() -> None:
    one = table(group_findings(decided(["a"], [1])))
    assert one["selection rate", "a"].value == 1.0
    assert one["demographic parity difference", ""].note == "fewer than two groups"
    none = table(group_findings(decided(list("ab"), [0, 0])))
    assert none["demographic parity difference", ""].value == 0.0
    assert none["demographic parity ratio", ""].value is None


def test_no_rows_at_all() -> None:
    found = group_findings(decided([], [], []))
    assert all(one.value is None and one.note for one in found)


def test_lengths_have_to_agree() -> None:
    with pytest.raises(UsageError, match="3 decisions and 2 groups"):
        decided(list("ab"), [1, 0, 1])


def test_records_are_read_by_their_answer_or_their_choice() -> None:
    records = answers("yynn")
    made = GroupMetrics("group", "Yes.").decisions(records)
    assert made.selected.tolist() == [True, True, False, False]
    assert made.labels is None  # nobody said what is right
    chose = [
        replace(
            one, output=None, target="yes", choices=(Choice("yes", -0.1, 1), Choice("no", -3, 1))
        )
        for one in records
    ]
    made = GroupMetrics("group", "no").decisions(chose)
    assert made.selected.tolist() == [False] * 4
    assert made.labels is not None
    assert made.labels.tolist() == [False] * 4
    assert made.confidence is not None


def test_worst_rows_are_wrong_and_sure() -> None:
    records = [
        replace(one, target="yes", choices=(Choice("yes", -float(at), 1), Choice("no", -2.0, 1)))
        for at, one in enumerate(answers("yyyyy"))
    ]
    cases = GroupMetrics("group", "yes").cases(records)
    assert [one.row for one in cases] == ["r4", "r3"]  # r2 is a tie that yes wins


@pytest.mark.parametrize(
    ("column", "positive", "message"),
    [
        ("gender", "yes", 'row r0 has no column "gender"; it has group, text'),
        ("group", "maybe", '"maybe" is neither an answer nor a target'),
    ],
)
def test_a_wrong_column_or_label_is_told(column: str, positive: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        GroupMetrics(column, positive).findings(answers("yn"))


def test_a_row_without_a_group_is_told() -> None:
    records = answers("yn")
    records[1] = replace(records[1], inputs={"group": "", "text": ""})
    with pytest.raises(UsageError, match='row r1 has no group: its "group" is empty'):
        GroupMetrics("group", "yes").findings(records)
