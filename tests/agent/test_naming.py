"""Names of sessions, made and given."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.agent import naming


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Why is the sky blue?", "why-is-the-sky-blue"),
        ("  Grüße aus Łódź!", "grüße-aus-łódź"),
        ("为什么天空是蓝色的", "为什么天空是蓝色的"),
        ("snake_case and ../../etc/passwd", "snake-case-and-etc-passwd"),
        ("\x1b[31mred", "31mred"),
        ("a" * 50, ""),
        ("one two three four five six seven eight 9", "one-two-three-four-five-six-seven-eight"),
        ("?!", ""),
    ],
)  # fmt: skip
def test_slug(text: str, name: str) -> None:
    assert naming.slug(text) == name


@given(st.text())
def test_a_slug_is_a_name_or_nothing(text: str) -> None:
    made = naming.slug(text)
    assert not made or naming.checked(made) == made


def test_a_free_name_is_found() -> None:
    assert naming.unique("a", {"a", "a-2"}) == "a-3"
    assert naming.of_the_day(date(2026, 11, 24), {"2026-11-24-1"}) == "2026-11-24-2"
    assert len(naming.unique("a" * 80, {"a" * 80})) <= 80
