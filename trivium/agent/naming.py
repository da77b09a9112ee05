"""What sessions are called: by the user, by their first message, by the day until then."""

import re
import unicodedata
from collections.abc import Container
from datetime import date
from difflib import get_close_matches
from itertools import count

from trivium.errors import UsageError

LONGEST = 80
SLUG = 40

_NAME = re.compile(rf"\w[\w.-]{{0,{LONGEST - 1}}}")
_WORD = re.compile(r"[^\W_]+")


def checked(name: str) -> str:
    """`name`, composed (NFC).

    Raises:
        UsageError: when it cannot name a session.
    """
    composed = unicodedata.normalize("NFC", name)
    if not _NAME.fullmatch(composed):
        raise UsageError(
            f'"{name}" cannot name a session: use letters, digits, ".", "-" and "_", beginning '
            f"with a letter or digit, {LONGEST} at most"
        )
    return composed


def slug(text: str) -> str:
    """The first words of a message, at most 40 characters: "why-is-the-sky-blue"; "" for none."""
    made = ""
    for word in _WORD.findall(unicodedata.normalize("NFKC", text[:1000]).lower()):
        longer = f"{made}-{word}" if made else word
        if len(longer) > SLUG:
            break
        made = longer
    return made


def unique(name: str, taken: Container[str]) -> str:
    """`name`, or the first of name-2, name-3, ... that is free."""
    if name not in taken:
        return name
    stem = name[: LONGEST - 8]
    return next(made for n in count(2) if (made := f"{stem}-{n}") not in taken)


def of_the_day(day: date, taken: Container[str]) -> str:
    """A name until there is a message: "2026-11-24-1"."""
    return next(made for n in count(1) if (made := f"{day.isoformat()}-{n}") not in taken)


def unknown(name: str, names: list[str]) -> UsageError:
    """The error for a name that is not there, with those that look like it."""
    near = get_close_matches(name, names, 3, 0.5) or [n for n in names if name and name in n][:3]
    hint = " or ".join(f'"{one}"' for one in near)
    way_out = f"did you mean {hint}?" if near else "see: trivium sessions list"
    return UsageError(f'there is no session "{name}"; {way_out}')
