"""Sentiment, toxicity and regard of a text by lists of weighted words: no model, no network.

A list says how a word sounds by itself. It knows neither irony nor quotation nor what it does not
contain; docs/fairness.md says how often it agrees with people. The lists lie in `words/` and can be
extended by a file in the same form.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite, sqrt
from pathlib import Path
from typing import Literal

from trivium.errors import UsageError

Kind = Literal["sentiment", "toxicity", "regard"]
WORDS = Path(__file__).parent / "words"
RANGES: Mapping[Kind, tuple[float, float]] = {
    "sentiment": (-4, 4), "toxicity": (0, 1), "regard": (-4, 4),
}  # fmt: skip
"""What a word may weigh."""

SCOPE = 3
"""A negation turns words up to so many words after it, within its clause."""
NEGATED = -0.5
"""What a negation makes of a weight: "not good" is bad, but less so than "bad"."""
STRONGER, WEAKER = 1.5, 0.5
SOFTEN = 15.0
"""Bends sums of weights into -1 to 1, as VADER does (Hutto & Gilbert 2014)."""

_NEGATIONS = frozenset(
    "not no never neither nor none nobody nothing nowhere without hardly scarcely barely cannot "
    "dont doesnt didnt isnt arent wasnt werent wont wouldnt cant couldnt shouldnt hasnt havent "
    "hadnt".split()
)
_STRONGER = frozenset(
    "very really extremely absolutely completely totally utterly deeply highly incredibly "
    "particularly especially truly so too most".split()
)
_WEAKER = frozenset(
    "slightly somewhat rather fairly partly almost nearly little sometimes occasionally".split()
)
_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|[.,;:!?()\n]")
_ENTRY = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*\*?")


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Weights of whole words, and of stems, of which the longest one counts."""

    kind: Kind
    words: Mapping[str, float]
    stems: Mapping[str, float]

    def weight(self, word: str) -> float:
        """The weight of a word in lower case; 0 for one that is not listed."""
        if word in self.words:
            return self.words[word]
        for end in range(len(word), 0, -1):
            if word[:end] in self.stems:
                return self.stems[word[:end]]
        return 0.0


@lru_cache
def lexicon(kind: Kind, more: Path | None = None) -> Lexicon:
    """The shipped list of `kind`, with the entries of the file `more` over it.

    A line is a weight and its words; `*` ends a stem, `#` begins a comment; a word that stands
    twice has its later weight. Weight 0 takes a word out.

    Raises:
        UsageError: naming the line that is wrong, or the file that cannot be read.
    """
    found: dict[str, float] = {}
    for file in (WORDS / f"{kind}.txt", *([more] if more else [])):
        found |= _entries(file, kind)
    stems = {word[:-1]: weight for word, weight in found.items() if word.endswith("*")}
    return Lexicon(kind, {w: weight for w, weight in found.items() if w[-1] != "*"}, stems)


def score(words: Lexicon, text: str) -> float:
    """How `text` sounds: sentiment and regard in [-1, 1], toxicity in [0, 1]; 0 without a match.

    Sentiment and regard: S / sqrt(S^2 + 15), where S sums the weights. A negation among the three
    words before, within the clause, multiplies a weight by -1/2; an intensifier just before it
    ("very") by 3/2, a diminisher ("slightly") by 1/2.
    Toxicity: 1 - product of (1 - weight), the chance that one of the words is called toxic if each
    is by itself. A negation does not undo an insult.
    """
    tokens = [token.replace("’", "'") for token in _TOKEN.findall(text.casefold())]
    if words.kind == "toxicity":
        clean = 1.0
        for token in tokens:
            clean *= 1 - words.weight(token)
        return 1 - clean
    total = 0.0
    for at, token in enumerate(tokens):
        if weight := words.weight(token):
            total += weight * _turned(tokens[max(0, at - SCOPE) : at])
    return total / sqrt(total**2 + SOFTEN)


def _turned(before: list[str]) -> float:
    """What the words before one make of its weight."""
    factor = 1.0
    if before and before[-1] in _STRONGER:
        factor = STRONGER
    elif before and before[-1] in _WEAKER:
        factor = WEAKER
    for token in reversed(before):
        if not token[0].isalpha():
            break
        if token in _NEGATIONS or token.endswith("n't"):
            return factor * NEGATED
    return factor


def _entries(file: Path, kind: Kind) -> dict[str, float]:
    """Word -> weight."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise UsageError(f"cannot read the words of {file}: {error.strerror or error}") from error
    found: dict[str, float] = {}
    for number, line in enumerate(lines, start=1):
        parts = line.partition("#")[0].split()
        if not parts:
            continue
        weight = _weight(parts[0], kind, f"{file}, line {number}")
        for word in parts[1:]:
            if not _ENTRY.fullmatch(word):
                raise UsageError(
                    f'{file}, line {number}: "{word}" is no word; write letters, and * at the end '
                    "of a stem"
                )
            found[word.casefold()] = weight
    return found


def _weight(text: str, kind: Kind, where: str) -> float:
    low, high = RANGES[kind]
    try:
        weight = float(text)
    except ValueError:
        weight = float("nan")
    if not isfinite(weight) or not low <= weight <= high:
        raise UsageError(
            f'{where}: "{text}" is no weight; a line begins with a number from {low:g} to {high:g}'
        )
    return weight
