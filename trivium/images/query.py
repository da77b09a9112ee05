"""What is looked for: words and pictures, each with a weight, some of them not wanted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trivium.errors import UsageError

_TOKEN = re.compile(r'(?:"[^"]*"|\S)+')
_SIGN = {"+": 1.0, "-": -1.0}
_WEIGHT = re.compile(r"(?P<what>.*?)\s*\*\s*(?P<weight>\d+(?:\.\d+)?|\.\d+)", re.DOTALL)
_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?")


@dataclass(frozen=True, slots=True)
class Term:
    """Words, or the path of a picture, and how much they count; below 0 they are not wanted."""

    what: str
    weight: float = 1.0


def parse(text: str) -> tuple[Term, ...]:
    """`dog + beach*2 - "black and white"*0.5` as terms.

    A plus or minus counts between spaces alone, so that "t-shirt" is one word; quotation marks
    keep what is in them whole.

    Raises:
        UsageError: for a sign without words, or a weight of nothing.
    """
    groups: list[tuple[float, list[str]]] = [(1.0, [])]
    for number, token in enumerate(_TOKEN.findall(text)):
        if token not in ("+", "-"):
            groups[-1][1].append(token)
        elif number == 0:
            groups[0] = (_SIGN[token], [])
        else:
            groups.append((_SIGN[token], []))
    terms = []
    for sign, tokens in groups:
        term = weighted(" ".join(tokens))
        what = term.what.replace('"', "").strip()
        if not what:
            raise UsageError(f'in "{text}", words are missing beside a plus or minus')
        terms.append(Term(what, sign * term.weight))
    return tuple(terms)


def weighted(said: str) -> Term:
    """`dog*2` is dog with the weight 2.

    Raises:
        UsageError: for a weight of 0.
    """
    found = _WEIGHT.fullmatch(said)
    if not found:
        return Term(said)
    weight = float(found["weight"])
    if not weight:
        raise UsageError(f'"{said}" has the weight 0; leave it out')
    return Term(found["what"], weight)


def date(said: str, option: str) -> str:
    """A year, month or day as in ISO 8601: "2024", "2024-06", "2024-06-01".

    Raises:
        UsageError: when it is none.
    """
    if not _DATE.fullmatch(said):
        raise UsageError(f'{option} "{said}" is no date: write 2024, 2024-06 or 2024-06-01')
    return said


def written(terms: Sequence[Term]) -> str:
    """The terms as a person would write them, for messages."""
    parts = []
    for number, term in enumerate(terms):
        sign = "- " if term.weight < 0 else "+ " if number else ""
        weight = f"*{abs(term.weight):g}" if abs(term.weight) != 1 else ""
        parts.append(f"{sign}{term.what}{weight}")
    return " ".join(parts)
