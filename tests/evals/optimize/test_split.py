"""Three parts that share nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.errors import UsageError
from trivium.evals.base import Row
from trivium.evals.optimize.split import LEAST, SHARES, split
from trivium.prompts.base import Example
from trivium.prompts.values import row_key


def rows(count: int, cluster: int = 0) -> list[Row]:
    return [
        Row(str(n), {"text": f"text {n}", "note": n}, "yes", str(n // cluster) if cluster else None)
        for n in range(count)
    ]


def test_every_row_falls_to_one_part_in_about_the_right_number() -> None:
    found = split(rows(1000), ["text"])
    assert sorted(n for numbers in found.values() for n in numbers) == list(range(1000))
    for part, share in SHARES.items():
        # four standard deviations of a binomial of 1000
        assert abs(len(found[part]) - 1000 * share) < 4 * (1000 * share * (1 - share)) ** 0.5


def test_a_row_keeps_its_part_when_rows_are_added_or_moved() -> None:
    few, many = rows(100), rows(200)
    before = split(few, ["text"])
    after = split(list(reversed(many)), ["text"])
    for part in SHARES:
        again = {199 - number for number in after[part]}
        assert set(before[part]) == {number for number in again if number < 100}


def test_the_seed_decides() -> None:
    assert split(rows(200), ["text"], 0) == split(rows(200), ["text"], 0)
    assert split(rows(200), ["text"], 0) != split(rows(200), ["text"], 1)


def test_clusters_stay_whole() -> None:
    made = rows(300, cluster=3)
    found = split(made, ["text"])
    where: dict[str | None, str] = {}
    for part, numbers in found.items():
        for number in numbers:
            assert where.setdefault(made[number].cluster, part) == part


def test_what_the_prompt_shows_already_is_not_tested_with() -> None:
    made = rows(200)
    shown = [Example({"text": f"  TEXT {n} "}, "yes") for n in range(50)]
    assert set(range(50)) <= set(split(made, ["text"], shown=shown)["train"])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=150, max_size=250), st.integers(0, 5))
def test_no_two_parts_have_the_same_row(said: list[int], clusters: int) -> None:
    """Whatever repeats and however it is clustered; space and case make no other row."""
    made = [
        Row(str(n), {"text": f"word{' ' * (n % 3)} {text}", "id": n}, "a",
            str(n % clusters) if clusters > 4 else None)
        for n, text in enumerate(said)
    ]  # fmt: skip
    try:
        found = split(made, ["text"])
    except UsageError:
        return
    keys = [{row_key(made[n].inputs, ["text"]) for n in numbers} for numbers in found.values()]
    assert sum(map(len, keys)) == len(set().union(*keys))


def test_too_few_rows_are_told_with_the_way_out() -> None:
    with pytest.raises(
        UsageError, match=r"of 5 rows \d fall to the \w+ part, which needs 8.*--data"
    ):
        split(rows(5), ["text"])
    assert LEAST == 8
