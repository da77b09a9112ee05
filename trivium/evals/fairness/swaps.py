"""Counterfactuals: a text as it would be were its person of another group, and nothing else.

Names, pronouns and group terms are swapped by the lists of `lists.py`; articles, capitals and verbs
go with them. What the rules cannot swap for certain is left out with a reason. The audit design is
that of correspondence studies (Bertrand & Mullainathan 2004) and of counterfactual token fairness
(Garg et al. 2019, AIES).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from trivium.evals.fairness.grammar import (
    FUNCTION,
    Edit,
    Unsure,
    agreeing_article,
    cased,
    plural_verb,
    role,
)
from trivium.evals.fairness.lists import Axis, Term

_ADDRESS = re.compile(r"\S+@\S+\.\w+|(?:https?://|www\.)\S+|[@#]\w+", re.IGNORECASE)
_QUOTED = re.compile(r"\"[^\"]+\"|“[^”]+”|«[^»]+»")
_AGE = re.compile(
    r"(?<![\w.,-])(?P<before>aged?|age of|turned|turning)\s+(?P<a>\d{2})(?![\w.,]*\d)"
    r"|(?<![\w.,-])(?P<b>\d{2})[ -]years?[ -](?:old|of age)\b",
    re.IGNORECASE,
)
_NO_NAME_AFTER = frozenset(
    "in on of by since until till last next to from near this every mid early late the at".split()
)

_OF_PLACES = frozenset(
    "Island Street Road Avenue Square University College School Institute Hospital County City "
    "Park Lake River Creek Mountain Bay Beach Bridge Station Airport Award Medal Prize Cup Inc Ltd "
    "Company Foundation Trophy Hotel Museum Stadium Church".split()
)
"""After a first name these make a name of something else."""


@dataclass(frozen=True, slots=True)
class Swapped:
    """Texts by column, turned from the group `source` to `group`; `replaced`: old and new words."""

    axis: str
    source: str
    group: str
    texts: Mapping[str, str]
    replaced: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Why there is no counterfactual on `axis` (to `group`; "" for any), and the words at fault."""

    axis: str
    group: str
    reason: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class _Hit:
    """A term in a text. `terms`: by group, those that the words may stand for."""

    start: int
    end: int
    word: str
    terms: Mapping[str, Term]


class _Refused(Exception):
    def __init__(self, reason: str, words: str = "") -> None:
        self.reason, self.words = reason, words


def counterfactuals(
    texts: Mapping[str, str], axis: Axis, *, keep_quotes: bool = False
) -> Iterator[Swapped | Skipped]:
    """The texts of one row, by column, once for every other group of `axis`.

    All columns are swapped together, so that a person keeps one name. `keep_quotes` leaves out rows
    with a term within quotation marks.
    """
    try:
        hits = {name: list(_hits(text, axis, keep_quotes)) for name, text in texts.items()}
        source = _source([hit for found in hits.values() for hit in found], axis, texts)
    except _Refused as error:
        yield Skipped(axis.name, "", error.reason, error.words)
        return
    for group in axis.groups:
        if group == source:
            continue
        try:
            swapped: dict[str, str] = {}
            replaced: dict[tuple[str, str], None] = {}
            for name, text in texts.items():
                terms, others = _edits(text, hits[name], axis, source, group)
                replaced |= dict.fromkeys((text[e.start : e.end], e.new) for e in terms)
                swapped[name] = _applied(text, [*terms, *others])
            _one_to_one(texts, hits, source, group)
        except _Refused as error:
            yield Skipped(axis.name, group, error.reason, error.words)
        except Unsure as error:
            yield Skipped(axis.name, group, "its grammar is unclear", str(error))
        else:
            yield Swapped(axis.name, source, group, swapped, tuple(replaced))


def _hits(text: str, axis: Axis, keep_quotes: bool) -> Iterator[_Hit]:
    """The terms of `axis` in `text`, from left to right, the longest first.

    Raises:
        _Refused: for a term where it must not be swapped.
    """
    pattern, terms = _lexicon(axis)
    addresses = [found.span() for found in _ADDRESS.finditer(text)]
    ages = [found.span() for found in _AGE.finditer(text)]
    quotes = [found.span() for found in _QUOTED.finditer(text)] if keep_quotes else []
    for found in pattern.finditer(text):
        start, end = found.span()
        meanings = terms.get(found[0].lower(), ())  # "ſ" matches "s", and is no lower case of it
        known = [one for one in meanings if _stands(one, text, start, end)]
        if not known or any(low <= start < high for low, high in ages):
            continue
        by_group: dict[str, Term] = {}
        for group, term in known:
            by_group.setdefault(group, term)
        if re.search(r"\w-$", text[:start]) or re.match(r"-\w", text[end:]):
            raise _Refused("a term is part of a compound", text[max(0, start - 8) : end + 8])
        if _in_a_name(text, start, end, next(iter(by_group.items()))):
            raise _Refused("a term is part of a proper name", text[max(0, start - 8) : end + 12])
        if any(low <= start < high for low, high in addresses):
            raise _Refused("a term is in an address", found[0])
        if any(low <= start < high for low, high in quotes):
            raise _Refused("a term is in a quotation", found[0])
        yield _Hit(start, end, found[0], by_group)
    for age in _AGE.finditer(text) if axis.ages else ():
        at = "a" if age["a"] else "b"
        of = _age_group(int(age[at]), axis)
        if of is not None:
            yield _Hit(age.start(at), age.end(at), age[at], {of: Term({})})


def _in_a_name(text: str, start: int, end: int, known: tuple[str, Term]) -> bool:
    """Whether a term belongs to a proper name: "Russell Island", "our Game Boy", "St. John"."""
    group, term = known
    after = re.match(r"\s+([^\W\d_]+)", text[end:])
    before = re.search(r"([^\W\d_]+)\.?\s+$", text[:start])
    following, preceding = (one[1] if one else "" for one in (after, before))
    if term.kind == "name":
        return following in _OF_PLACES or preceding in ("St", "Saint", "Mount", "Lake", "Port")
    word, known_form = text[start:end], term.forms.get(group, "")
    if term.kind == "pronoun" or not (known_form.islower() and word.istitle()):
        return False
    headline = sum(len(one) > 3 for one in re.findall(r"\b[a-z]+", text)) < 2
    begins = re.search(r"(?:^|[.!?:\n][\s\"“]*|[\"“])$", text[:start]) is not None
    joined = (preceding.istitle() and not begins) or (following.istitle() and not begins)
    return joined and not headline


def _stands(known: tuple[str, Term], text: str, start: int, end: int) -> bool:
    """Whether the words at `start` are the term: its neighbours fit, and a name is capitalised."""
    group, term = known
    word = text[start:end]
    if term.kind == "name":
        return word == term.forms[group] or (word.isupper() and len(word) > 1)
    after = re.match(r"\s+([^\W\d_]+)", text[end:])
    following = after[1].lower() if after else ""
    if term.followed_by is not None and following not in term.followed_by:
        return False
    if term.alone and following and following not in FUNCTION:
        return False
    if term.preceded_by is not None:
        before = " ".join(re.findall(r"[^\W\d_]+", text[:start])[-2:]).lower()
        return any(before == one or before.endswith(f" {one}") for one in term.preceded_by)
    return True


@cache
def _lexicon(axis: Axis) -> tuple[re.Pattern[str], dict[str, list[tuple[str, Term]]]]:
    """One pattern of all words that may be swapped, and what each may stand for."""
    found: dict[str, list[tuple[str, Term]]] = {}
    for term in axis.terms:
        for group, form in term.forms.items():
            if group not in axis.only_to:
                found.setdefault(form.lower(), []).append((group, term))
    words = "|".join(re.escape(form) for form in sorted(found, key=len, reverse=True))
    pattern = rf"(?<!\w)(?<!\w['’])(?:{words or '(?!)'})(?!\w)"
    return re.compile(pattern, re.IGNORECASE), found


def _age_group(years: int, axis: Axis) -> str | None:
    return next((g for g, (low, high) in axis.ages.items() if low <= years <= high), None)


def _source(hits: Sequence[_Hit], axis: Axis, texts: Mapping[str, str]) -> str:
    """The one group that the row speaks of.

    Raises:
        _Refused: when there is none, more than one, or something that makes it unclear.
    """
    if not hits:
        raise _Refused("no term")
    for text in texts.values():
        for phrases, reason in (
            (axis.unclear, "a term that may mean something else"),
            (axis.tied, "a word that would not be true of the other group"),
        ):
            for phrase in phrases:
                flags = re.IGNORECASE if phrase.islower() else re.NOFLAG
                if re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text, flags):
                    raise _Refused(reason, phrase)
        if name := _unclear_name(text, axis):
            raise _Refused("a word that may be a name", name)
    groups = set(axis.groups)
    for hit in hits:
        groups &= hit.terms.keys()
    if not groups:
        raise _Refused("terms of several groups", ", ".join(dict.fromkeys(h.word for h in hits)))
    if len(groups) > 1:
        raise _Refused("a term of more than one group", hits[0].word)
    return groups.pop()


def _unclear_name(text: str, axis: Axis) -> str | None:
    """A word such as Will or May that stands where a name may stand."""
    for found in re.finditer(r"(?<!\w)[A-Z][a-z]+(?!\w)", text if axis.unclear_names else ""):
        if found[0] not in axis.unclear_names:
            continue
        ahead = text[: found.start()].rstrip()
        if not ahead or ahead[-1] in '.!?:;\n"“':
            after = re.match(r"\s+(\w+)", text[found.end() :])
            if after and after[1].lower() in FUNCTION - {"is", "was", "has", "and"}:
                continue  # "Will you come?", "May I", "Mark the date"
        elif ahead.split()[-1].lower() in _NO_NAME_AFTER:
            continue
        return found[0]
    return None


def _edits(
    text: str, hits: Sequence[_Hit], axis: Axis, source: str, group: str
) -> tuple[list[Edit], list[Edit]]:
    """What turns a text from `source` to `group`: its terms, and the articles and verbs with them.

    Raises:
        _Refused: for a term that `group` has no word for.
        Unsure: for a sentence that the rules do not understand.
    """
    terms, others = [], []
    for hit in hits:
        place, known, new = _counterpart(text, hit, axis, source, group)
        new = cased(hit.word, known, new)
        # "James' car" is "Mary's car": a bare apostrophe belongs to a word in -s
        bare = re.match(r"['’](?!\w)", text[hit.end :]) if hit.word.endswith("s") else None
        if bare and not new.endswith(("s", "S")) and hit.terms[source].kind == "name":
            terms.append(Edit(hit.start, hit.end + 1, f"{new}{bare[0]}s"))
        else:
            terms.append(Edit(hit.start, hit.end, new))
        if place == 0 and new.lower() == "they":
            others += plural_verb(text, hit.start, hit.end)
        if (agreeing := agreeing_article(text, hit.start, new)) is not None:
            others.append(agreeing)
    return terms, others


def _counterpart(
    text: str, hit: _Hit, axis: Axis, source: str, group: str
) -> tuple[int | None, str, str]:
    """A pronoun's place, how the list writes the word, and the word of `group` for it."""
    term = hit.terms[source]
    if not term.forms:  # an age
        years = int(hit.word) - axis.ages[source][0] + axis.ages[group][0]
        return None, hit.word, str(years)
    place = None
    if term.kind == "pronoun":
        pronouns = {one.place: one for one in reversed(axis.terms) if one.kind == "pronoun"}
        word = hit.word.lower()
        roles = sorted(at for at, one in pronouns.items() if one.forms.get(source) == word)
        place = role(text, hit.start, hit.end, roles)
        term = pronouns[place]
    if group not in term.forms:
        raise _Refused(f"no word of the group {group}", hit.word)
    return place, term.forms[source], term.forms[group]


def _one_to_one(
    texts: Mapping[str, str], hits: Mapping[str, Sequence[_Hit]], source: str, group: str
) -> None:
    """Refuse when two people would get one name.

    Raises:
        _Refused: naming it.
    """
    names: dict[str, str] = {}
    for found in hits.values():
        for hit in found:
            term = hit.terms[source]
            if term.kind == "name":
                names[term.forms[source]] = term.forms[group]
    for new in names.values():
        taken = any(re.search(rf"\b{re.escape(new)}\b", text) for text in texts.values())
        if taken or list(names.values()).count(new) > 1:
            raise _Refused("two people would have one name", new)


def _applied(text: str, edits: Sequence[Edit]) -> str:
    for one in sorted(set(edits), key=lambda edit: edit.start, reverse=True):
        text = text[: one.start] + one.new + text[one.end :]
    return text
