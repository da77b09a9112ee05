"""Arithmetic, and nothing but arithmetic, and not for ever."""

import math
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.agent.tools import gate_of
from trivium.agent.tools.calculate import calculate, calculator_tool
from trivium.errors import TriviumError


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 * (3 + 4) ** 2", "98"),
        ("2^10", "1024"),
        ("7 // 2 + 7 % 2", "4"),
        ("1 / 4", "0.25"),
        ("-2 ** 2", "-4"),
        ("+3", "3"),
        ("6 × 7 ÷ 2", "21.0"),
        ("5 \u2212 3", "2"),
        (" sqrt(2) ", "1.4142135623730951"),
        ("log(e) + cos(0)", "2.0"),
        ("max(1, 2.5) + abs(-1)", "3.5"),
        ("round(2.567, 2)", "2.57"),
        ("round(2.5)", "2"),
        ("factorial(20)", "2432902008176640000"),
        ("1e3", "1000.0"),
        ("2 ** -1", "0.5"),
        ("2 ** 4000 % 7", str(2**4000 % 7)),
    ],
)
def test_values(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "", "1 +", "x", "__import__('os')", "().__class__", "'a' * 3", "[1] * 9", "1 if 1 else 2",
        "lambda: 1", "True", "1 < 2", "1 == 1", "sqrt", "sqrt(x=2)", "eval('1')", "open('x')",
        "math.sqrt(2)", "(1).real", "f'{1}'", "1; 2", "x := 1", "~1", "1 << 9999", "1j", "None",
        "*1", "print(1)", "\0", "sum([1])", "sqrt(*[2])",
    ],
)  # fmt: skip
def test_what_is_not_arithmetic(expression: str) -> None:
    with pytest.raises(TriviumError):
        calculate(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "9 ** 9 ** 9", "2 ** 5000", "(2 ** 4000) ** 4000", "factorial(10 ** 9)", "1e308 * 10 // 1",
        "10 ** 10 ** 10", "round(10, -10 ** 9) / 0", "lcm(2 ** 4000, 3 ** 2500)", "1 / 0",
        "sqrt(-1)", "(-8) ** 0.5", "exp(1000)", "0 ** -1", "9" * 2000, "(" * 300 + "1" + ")" * 300,
        "-" * 500 + "1", "1" + "+1" * 490, "log(0)", "1e999 // 1", "2 ** (2 ** 62)",
        "factorial(4096)", "factorial(1.5)", "gcd(1.5)",
    ],
)  # fmt: skip
def test_what_has_no_value_or_too_large_a_one_ends_at_once(expression: str) -> None:
    began = time.monotonic()
    with pytest.raises(TriviumError) as error:
        calculate(expression)
    assert time.monotonic() - began < 1
    assert "\n" not in str(error.value)


@given(st.integers(-1000, 1000), st.integers(-1000, 1000), st.sampled_from("+-*"))
def test_whole_numbers_agree_with_python(a: int, b: int, sign: str) -> None:
    expected = {"+": a + b, "-": a - b, "*": a * b}[sign]
    assert calculate(f"({a}) {sign} ({b})") == str(expected)


@given(st.text(max_size=40))
def test_any_text_is_a_value_or_a_sentence(text: str) -> None:
    with suppress(TriviumError):
        assert math.isfinite(float(calculate(text)))


def test_it_is_free() -> None:
    assert gate_of(calculator_tool()).effect == "read"
    assert calculator_tool().invoke({"expression": "1 + 1"}) == "2"
