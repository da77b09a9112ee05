"""Enough English grammar to swap a word and leave a sentence right; it says when it is unsure.

No tagger: rules of neighbouring words, written so that a doubtful sentence is left out and counted
rather than made wrong.
"""

import re
from dataclasses import dataclass

OBJECT, DETERMINER, POSSESSIVE = 1, 2, 3
"""Places in a list of pronouns: he, him, his (book), his, himself are 0 to 4."""


@dataclass(frozen=True, slots=True)
class Edit:
    """`new` in place of the characters from `start` to `end`."""

    start: int
    end: int
    new: str


class Unsure(Exception):
    """The rules cannot tell what the sentence means; the message quotes the words in question."""


FUNCTION = frozenset(
    "a an the this that these those every each some any no another to of in on at by for from "
    "with about into onto over under after before during until since without against between "
    "through because if when while where who whom whose which what how why as than and or but nor "
    "so yet though although i you he she it we they me him us them is was are were be been being "
    "has had have does did do will would can could may might must shall should again away there "
    "here yesterday today tomorrow tonight now then soon too very not never always alone instead "
    "once twice up out off".split()
)
_EITHER_WAY = frozenset(
    "back down right last next better best more most less least one two three all both only just "
    "even well past first second".split()
)
"""After "her" these begin a noun phrase or follow an object: "her last job", "met her last May"."""

_TAKES_MORE = frozenset(
    "ask asks asked asking bring brings brought bringing buy buys bought buying call calls called "
    "calling consider considers considered considering cost costs deem deems deemed deny denies "
    "denied earn earned elect elected feed feeds fed feel feels felt find finds found finding "
    "forgive forgave get gets got getting give gives gave given giving grant grants granted hand "
    "hands handed have has had hear hears heard help helps helped helping keep keeps kept keeping "
    "leave leaves left leaving lend lends lent let lets letting make makes made making notice "
    "noticed offer offers offered offering owe owes owed paint painted pay pays paid paying "
    "promise promised read reads render rendered save saved saves see sees saw seen seeing sell "
    "sold send sends sent sending serve served show shows showed shown showing spare spared teach "
    "teaches taught teaching tell tells told telling think thought turn turned want wants wanted "
    "watch watches watched watching wish wished write writes wrote name named drive drove drives "
    "set sets".split()
)
"""Verbs that take two objects, or an object and an adjective or a bare verb: "gave her flowers",
"made her happy", "saw her leave". After them "her" needs a noun that cannot stand alone."""

_THINGS = frozenset(
    "account address age application appointment arm baby bag bill birthday boss boyfriend "
    "brother book career car case child claim colleague contract daughter degree desk doctor dog "
    "email employer family father friend girlfriend grandfather grandmother group hand head house "
    "husband idea job landlord laptop lawyer letter life manager mind mother name neighbour "
    "neighbor office opinion order own parents passport phone project request resume room salary "
    "school sister son story student teacher team uncle aunt wife".split()
)

_ADVERBS = frozenset(
    "also always already almost ever even just never often only rarely really seldom sometimes "
    "soon still then usually now probably clearly surely simply".split()
)
_PLURAL = {
    "is": "are", "was": "were", "has": "have", "does": "do", "isn't": "aren't",
    "wasn't": "weren't", "hasn't": "haven't", "doesn't": "don't",
}  # fmt: skip
_NO_VERBS = frozenset(
    "always as his hers its less perhaps plus this thus us yes sometimes besides afterwards "
    "towards nowadays".split()
)
_QUESTION = frozenset("what when where why who whom which how and but so nor neither or".split())
_PERFECT = frozenset("been got had become gone done made seen taken come".split())

_WORD = r"[^\W_]+(?:['’-][^\W_]+)*"
_NEXT = re.compile(rf"\s+({_WORD})")
_LAST = re.compile(rf"({_WORD})\s+$")
_ARTICLE = re.compile(r"(?<![\w'’-])(an?)(\s+[\"'“(]?)$", re.IGNORECASE)
_ONE_OF = re.compile(r"\b(?:an?|another|any|no|some|that|this)\s+\w+\s+of\s+$", re.IGNORECASE)
"""Before "his": "a friend of his came" and "a photo of his dog" look alike."""
_END = re.compile(r"[.!?;:\n]")
_AND = re.compile(rf"\b(?:and|or|but|then)\s+(?:\w+ly\s+|then\s+|also\s+)?({_WORD})")


def article(word: str) -> str:
    """ "a" or "an", by the sound that `word` begins with."""
    first = word.lower()
    if re.match(r"(8|11(?!\d)|18(?!\d))", first):
        return "an"
    if re.match(r"(hour|honest|honou?r|heir)", first):
        return "an"
    if re.match(r"(uni(?!n|m)|us[aeiu]|eu|ewe|one\b|once\b|uk|ug[a]|ur[aiu]|uy|ui)", first):
        return "a"
    return "an" if first[:1] in "aeiouáéíóúàèìòùäëïöü" and first else "a"


def agreeing_article(text: str, start: int, new: str) -> Edit | None:
    """The edit that lets an "a" or "an" before `start` agree with `new`; None where none is due."""
    found = _ARTICLE.search(text, 0, start)
    if found is None or found[1].lower() == article(new):
        return None
    right = article(new)
    upper = found[1].isupper() and (len(found[1]) == 2 or (len(new) > 1 and new.isupper()))
    shown = right.upper() if upper else right.capitalize() if found[1][0].isupper() else right
    return Edit(found.start(1), found.end(1), shown)


def cased(found: str, known: str, new: str) -> str:
    """`new` written as `found` is, where a list writes that `known`.

    Capitals that `new` has of itself stay, unless a text leaves its own out ("muslim").
    """
    if found == known:
        return new
    if found.isupper() and sum(map(str.isalpha, found)) > 1:
        return new.upper()
    if found.islower():
        return new.lower()
    words = found.split()
    if len(words) > 1 and all(word[0].isupper() for word in words):
        return " ".join(word[:1].upper() + word[1:] for word in new.split(" "))
    if found[0].isupper():
        return new[:1].upper() + new[1:]
    return new


def role(text: str, start: int, end: int, roles: list[int]) -> int:
    """Which of `roles` a pronoun has in its sentence.

    Raises:
        Unsure: for "her" where it may be an object as well as a possessive.
    """
    if len(roles) == 1:
        return roles[0]
    after = _NEXT.match(text, end)
    following = after[1].lower() if after else ""
    ends = not following or following in FUNCTION
    if roles == [DETERMINER, POSSESSIVE]:
        quoted = re.match(r"\s+[\"“(]", text[end:])
        if not ends and _ONE_OF.search(text, 0, start):
            raise Unsure(f"{text[start:end]} {following}")
        return POSSESSIVE if ends and not quoted else DETERMINER
    if re.match(r"\s+[\"“(]", text[end:]):
        raise Unsure(text[start : end + 8].strip())
    if ends:
        return OBJECT
    before = _LAST.search(text, 0, start)
    preceding = before[1].lower() if before else ""
    unclear = following in _EITHER_WAY or following.endswith(("ly", "ing"))
    if unclear or (preceding in _TAKES_MORE and following not in _THINGS):
        raise Unsure(" ".join(part for part in (preceding, text[start:end], following) if part))
    return DETERMINER


def plural_verb(text: str, start: int, end: int) -> list[Edit]:
    """Edits that let the verb of the singular subject at `start` agree with "they".

    Raises:
        Unsure: where the verb, or a second one after "and", cannot be told.
    """
    contraction = re.match(r"['’]s\b", text[end:])
    if contraction:
        return [_contracted(text, end, contraction.group()[0])]
    inverted = _inverted(text, start, end)
    if inverted is not None:
        return [inverted]
    edits = []
    at, verb = _verb(text, end)
    if verb is not None:
        new = _without_s(verb)
        if new is not None:
            edits.append(Edit(at, at + len(verb), cased(verb, verb.lower(), new)))
    _second_verb(text, end, bool(edits))
    return edits


def _contracted(text: str, end: int, apostrophe: str) -> Edit:
    after = _NEXT.match(text, end + 2)
    following = after[1].lower() if after else ""
    perfect = following in _PERFECT
    if not perfect and following.endswith(("ed", "en")):
        raise Unsure(text[max(0, end - 3) : end + 2] + " " + following)
    return Edit(end, end + 2, apostrophe + ("ve" if perfect else "re"))


def _inverted(text: str, start: int, end: int) -> Edit | None:
    """The auxiliary before the subject of a question."""
    before = _LAST.search(text, 0, start)
    word = before[1].replace("’", "'").lower() if before else ""
    if before is None or word not in _PLURAL:
        return None
    ahead = text[: before.start(1)].rstrip()
    asked = _LAST.search(ahead + " ")
    if ahead and ahead[-1] not in '.!?,;:"“(' and not (asked and asked[1].lower() in _QUESTION):
        raise Unsure(text[before.start(1) : end])
    return Edit(before.start(1), before.end(1), cased(before[1], word, _PLURAL[word]))


def _verb(text: str, at: int) -> tuple[int, str | None]:
    """Where the word after a subject and its adverbs begins, and that word."""
    while True:
        found = _NEXT.match(text, at)
        if found is None:
            if re.match(r"\s*[,(–—-]", text[at:]):
                raise Unsure(text[max(0, at - 4) : at + 8].strip())
            return at, None
        word = found[1].lower()
        if word == "who":
            raise Unsure(text[max(0, at - 4) : found.end(1)].strip())
        if word not in _ADVERBS and not word.endswith("ly"):
            return found.start(1), found[1]
        at = found.end(1)


def _without_s(verb: str) -> str | None:
    """The plural of a verb in the third person singular; None for every other form."""
    word = verb.lower().replace("’", "'")
    if word in _PLURAL:
        return _PLURAL[word]
    if len(word) < 3 or not word.endswith("s") or word.endswith(("ss", "us")):
        return None
    if word in _NO_VERBS or not word.isalpha():
        return None
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("shes", "ches", "xes", "sses", "zzes", "oes")):
        return word[:-2]
    return word[:-1]


def _second_verb(text: str, end: int, changed: bool) -> None:
    """Refuse a sentence whose subject may have another verb: "he sings and dances".

    A plural after "and" looks the same as a verb, and is refused with it.
    """
    stop = _END.search(text, end)
    for found in _AND.finditer(text, end, stop.start() if stop else len(text)):
        word = found[1].replace("’", "'")
        if word in _PLURAL or (changed and word.islower() and _without_s(word) is not None):
            raise Unsure(f"{text[:end].split()[-1]} … {found.group()}")
