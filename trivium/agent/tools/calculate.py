"""Arithmetic by walking the syntax tree: numbers, operators and functions of `math`, no names."""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from trivium.agent.base import Preview
from trivium.agent.tools.base import make
from trivium.errors import TriviumError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

BITS = 4096
"""The largest whole number."""

CHARACTERS = 1000
DEPTH = 100

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_CONSTANTS = {"pi": math.pi, "e": math.e, "tau": math.tau}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(math, name)
    for name in (
        "acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh degrees erf exp"
        " expm1 fabs floor fmod gcd hypot isqrt lcm log log10 log1p log2 radians sin sinh sqrt tan"
        " tanh trunc"
    ).split()
} | {
    "abs": abs,
    "min": min,
    "max": max,
    # these two take long before their result could be measured
    "round": lambda number, digits=0: round(number, max(-400, min(digits, 400)) or None),
    "factorial": lambda number: math.factorial(min(number, BITS)),
}


class _Unknown(TriviumError):
    """The expression is not arithmetic, or too large."""


def calculator_tool() -> "BaseTool":
    """calculator."""

    def calculator(
        expression: Annotated[str, Field(description="Arithmetic, such as 2 * (3 + 4) ** 2")],
    ) -> str:
        return calculate(expression)

    def preview(arguments: Mapping[str, object]) -> Preview:
        text = str(arguments["expression"])
        return Preview(f"calculate {text}", text, text)

    return make(calculator, "Calculate the value of an expression.", "read", preview)


def calculate(expression: str) -> str:
    """The value of an arithmetic expression: + - * / // % **, brackets, functions of `math`.

    Raises:
        TriviumError: when it is not one, has no value, or is too large.
    """
    if len(expression) > CHARACTERS:
        raise _Unknown(f"an expression may have {CHARACTERS} characters, not {len(expression)}")
    written = (
        expression.replace("^", "**").replace("×", "*").replace("÷", "/").replace("\u2212", "-")
    )
    try:
        value = _value(ast.parse(written.strip(), mode="eval").body, 0)
        return str(value)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise _Unknown(f"{expression!r} is not arithmetic") from error
    except (ArithmeticError, ValueError, TypeError) as error:
        raise _Unknown(f"{expression!r} has no value: {error}") from error


def _value(node: ast.expr, depth: int) -> int | float:
    if depth > DEPTH:
        raise _Unknown("the expression is too deep")
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _sized(number)
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, depth + 1)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, depth + 1)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left, depth + 1), _value(right, depth + 1))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _sized(_BINARY[type(op)](_value(left, depth + 1), _value(right, depth + 1)))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _sized(_FUNCTIONS[name](*(_value(arg, depth + 1) for arg in args)))
    raise _Unknown(f"{ast.unparse(node)!r} is not arithmetic; functions are those of math")


def _power(base: int | float, exponent: int | float) -> int | float:
    """Whole powers are sized before they are computed, which could take for ever."""
    whole = isinstance(base, int) and isinstance(exponent, int)
    if whole and exponent > 0 and int(base).bit_length() * exponent > 2 * BITS:
        raise _Unknown(f"{base} ** {exponent} is too large")
    return _sized(base**exponent)


def _sized(number: Any) -> int | float:
    if isinstance(number, int) and number.bit_length() > BITS:
        raise _Unknown(f"a whole number may have {BITS} bits, not {number.bit_length()}")
    if not isinstance(number, int | float):
        raise _Unknown(f"{number!r} is not a real number")
    if isinstance(number, float) and not math.isfinite(number):
        raise _Unknown("the value is too large")
    return number
