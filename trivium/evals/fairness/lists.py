"""The lists of what is swapped for what: YAML, shipped in `swap_lists` and extended by the user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from trivium.errors import UsageError

SHIPPED = Path(__file__).parent / "swap_lists"
AXES = ("gender", "ethnicity", "religion", "age", "disability", "nationality", "orientation")


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Term(_Closed):
    """One meaning in every group's word, null where a group has none."""

    forms: list[str | None]
    followed_by: str | None = None
    """Counts only before a word of this class: "black woman", and no black car."""
    preceded_by: str | None = None
    alone: bool = False
    """Counts only where no noun follows: "is a Christian", and no Christian school."""


class _File(_Closed):
    """What a file of swaps says of one axis."""

    axis: str
    groups: list[str]
    only_to: list[str] = []
    """Groups that texts are turned to and never from, because their words are everybody's."""
    names: Literal["gender", "ethnicity"] | None = None
    pronouns: dict[str, list[str]] = {}
    ages: dict[str, tuple[int, int]] = {}
    words: dict[str, list[str]] = {}
    terms: list[list[str | None] | _Term] = []
    unclear: list[str] = []
    """A text with one of these is left out: they mean something else, or nobody can tell."""
    tied: list[str] = []
    """A text with one of these is left out: it would not be true of the other group."""

    @model_validator(mode="after")
    def _agrees(self) -> "_File":
        for given in self.terms:
            forms = given.forms if isinstance(given, _Term) else given
            if len(forms) != len(self.groups):
                raise ValueError(f"{forms} has not one word for each of {self.groups}")
            for word in (given.followed_by, given.preceded_by) if isinstance(given, _Term) else ():
                if word is not None and word not in self.words:
                    raise ValueError(f'"{word}" is none of the classes under "words"')
        named = {*self.only_to, *self.pronouns, *self.ages} - {*self.groups}
        if named:
            raise ValueError(f'"{named.pop()}" is none of the groups {self.groups}')
        if any(len(pronouns) != 5 for pronouns in self.pronouns.values()):
            raise ValueError("a group has five pronouns: he, him, his, his, himself")
        if len({high - low for low, high in self.ages.values()}) > 1:
            raise ValueError("the ranges of ages must be equally long")
        return self


class _Names(_Closed):
    groups: list[str]
    woman: list[list[str]]
    man: list[list[str]]
    neutral: list[str]
    others: list[tuple[str, str]]
    unclear: list[str]


@dataclass(frozen=True, slots=True)
class Term:
    """One meaning: each group's word for it. `kind`: a word, a name, or a pronoun of that place."""

    forms: Mapping[str, str]
    kind: Literal["word", "name", "pronoun"] = "word"
    place: int = 0
    followed_by: frozenset[str] | None = None
    preceded_by: frozenset[str] | None = None
    alone: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """What is swapped on one axis. `ages`: group -> first and last year of age."""

    name: str
    groups: tuple[str, ...]
    terms: tuple[Term, ...]
    only_to: frozenset[str] = frozenset()
    ages: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    unclear: tuple[str, ...] = ()
    unclear_names: frozenset[str] = frozenset()
    tied: tuple[str, ...] = ()


def load_axes(names: Sequence[str] = (), extra: Path | None = None) -> list[Axis]:
    """The shipped axes of these names (all when empty), with the swaps of the file `extra`.

    A file of an axis that ships is put before it; any other is an axis of its own.

    Raises:
        UsageError: for an axis that there is not, or a file that is wrong.
    """
    given = None if extra is None else _read(extra)
    known = [*AXES, *([given.axis] if given and given.axis not in AXES else [])]
    for name in names:
        if name not in known:
            raise UsageError(f'there is no axis "{name}"; there are {", ".join(known)}')
    axes = []
    for name in names or known:
        files = [given] if given is not None and given.axis == name else []
        axes.append(_axis([*files, *([_shipped(name)] if name in AXES else [])]))
    return axes


@cache
def _shipped(name: str) -> _File:
    return _read(SHIPPED / f"{name}.yaml")


@cache
def _names() -> _Names:
    text = (SHIPPED / "names.yaml").read_text(encoding="utf-8")
    return _Names.model_validate(yaml.safe_load(text))


def _read(file: Path) -> _File:
    from trivium.prompts.yaml_file import read_mapping

    try:
        keys, _ = read_mapping(file.read_text(encoding="utf-8-sig"), file)
        return _File.model_validate(keys)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the swaps {file}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{file}: {f'{key}: ' if key else ''}{message}") from error


def _axis(files: Sequence[_File]) -> Axis:
    names = next((one.names for one in files if one.names), None)
    ages: dict[str, tuple[int, int]] = {}
    for one in reversed(files):
        ages |= one.ages
    return Axis(
        files[0].axis,
        tuple(dict.fromkeys(group for one in reversed(files) for group in one.groups)),
        tuple(term for one in files for term in _terms(one)) + _name_terms(names),
        frozenset(group for one in files for group in one.only_to),
        ages,
        tuple(phrase for one in files for phrase in one.unclear),
        frozenset(_names().unclear if names else ()),
        tuple(phrase for one in files for phrase in one.tied),
    )


def _terms(file: _File) -> list[Term]:
    found = []
    for given in file.terms:
        term = given if isinstance(given, _Term) else _Term(forms=given)
        forms = {g: form for g, form in zip(file.groups, term.forms, strict=True) if form}
        words = [
            None if one is None else frozenset(file.words[one])
            for one in (term.followed_by, term.preceded_by)
        ]
        found.append(Term(forms, followed_by=words[0], preceded_by=words[1], alone=term.alone))
    for place in range(5 if file.pronouns else 0):
        forms = {group: pronouns[place] for group, pronouns in file.pronouns.items()}
        found.append(Term(forms, "pronoun", place))
    # a term that asks for its neighbours is looked at before one that does not
    return sorted(found, key=lambda one: not (one.followed_by or one.preceded_by or one.alone))


def _name_terms(axis: str | None) -> tuple[Term, ...]:
    """First names, each with its counterparts on `axis`."""
    if axis is None:
        return ()
    lists = _names()
    if axis == "ethnicity":
        lines = [*lists.woman, *lists.man]
        return tuple(Term(dict(zip(lists.groups, one, strict=True)), "name") for one in lines)
    pairs = [
        (woman, man)
        for women, men in zip(lists.woman, lists.man, strict=True)
        for woman, man in zip(women, men, strict=True)
    ]
    count = len(lists.neutral)
    return tuple(
        Term({"woman": w, "man": m, "neutral": lists.neutral[at % count]}, "name")
        for at, (w, m) in enumerate([*pairs, *lists.others])
    )
