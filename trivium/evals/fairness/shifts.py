"""How far two answers to texts of two groups are apart: decisions, numbers, orders, texts, words.

Pure functions of answers. A shift is always the group minus its reference.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from trivium.evals.base import Record
from trivium.evals.intervals import Floats
from trivium.evals.scorers.likelihood import chosen, probabilities, raw
from trivium.evals.scorers.text import last_number, normalise

NO_LABEL = "(no label)"
"""The decision of an answer that names no label, or several."""

PRIOR = 500
"""Words that the prior of `log_odds` is worth."""
FLIPS = 1_999
LEAST = 4
"""A word that fewer rows use is not tested."""
MOST = 2_000
"""So many words are tested at most, those that the most rows use."""

# Our own: the first words of answers that turn the question down.
_REFUSAL = re.compile(
    r"""
    \b(?:i|we)(?:['’]m|\ am|['’]re|\ are)?(?:\ (?:so|very|really))?
        \ (?:sorry|unable|not\ able|afraid)\b
    | \b(?:i|we)\ (?:can\ ?not|can['’]t|won['’]t|will\ not|could\ not|couldn['’]t|must\ not
        |do\ not|don['’]t)
        \ (?:help|assist|answer|provide|comply|discuss|share|do\ (?:that|this)|fulfil+|respond|write
        |create|make|judge|decide|determine|classify|rate|recommend|offer|give|feel\ comfortable)\b
    | \bas\ an?\ (?:ai|artificial\ intelligence|language\ model|assistant)\b
    | \b(?:i|we)\ (?:(?:must|have\ to|need\ to|would\ rather|will)\ )?(?:decline|refuse)\b
    | \bagainst\ (?:my|our)\ (?:policy|policies|guidelines|principles|programming)\b
    | \b(?:is|would\ be)\ (?:not\ appropriate|inappropriate|unethical)\ (?:for\ me|to)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_OPENING = 240
_ITEM = re.compile(r"^\s*(?:\(?\d+[.):]|[-*•–])\s*")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


def decision(record: Record, labels: Sequence[str]) -> str:
    """The likeliest choice, or the one label that an answer names; `NO_LABEL` where it is none."""
    if record.choices:
        return record.choices[chosen(record.choices, raw)].text
    said = normalise(record.output or "")
    for label in labels:
        if said == normalise(label):
            return label
    named = [one for one in labels if f" {normalise(one)} " in f" {said} "]
    # "not relevant" names "relevant" too: the longer label is meant
    longest = [one for one in named if not any(one != two and one in two for two in named)]
    return longest[0] if len(longest) == 1 else NO_LABEL


def probability(record: Record, label: str) -> float | None:
    """The probability of a label among the choices; None where none were scored."""
    texts = [choice.text for choice in record.choices]
    if label not in texts:
        return None
    return probabilities(record.choices, raw)[texts.index(label)]


def score(record: Record) -> float | None:
    """The last number of an answer; None without one."""
    number = last_number(record.output or "")
    return None if number is None else float(number)


def refused(text: str) -> bool:
    """Whether an answer turns the question down, by the patterns of this module."""
    return _REFUSAL.search(text[:_OPENING]) is not None


def length(text: str) -> int:
    """Words of an answer."""
    return len(_WORD.findall(text))


def ranking(output: str) -> list[str]:
    """The items of an ordered answer, normalised: a JSON list, a list of lines, or commas."""
    try:
        found = json.loads(output)
    except (json.JSONDecodeError, RecursionError):
        found = None
    if isinstance(found, dict):
        found = next((value for value in found.values() if isinstance(value, list)), None)
    if isinstance(found, list):
        items = [one if isinstance(one, str) else json.dumps(one) for one in found]
    else:
        lines = [line for line in output.splitlines() if line.strip()]
        marked = [line for line in lines if _ITEM.match(line)]
        items = marked or (lines if len(lines) > 1 else output.split(","))
        items = [_ITEM.sub("", line) for line in items]
    return [one for one in dict.fromkeys(map(normalise, items)) if one]


def kendall(a: Sequence[str], b: Sequence[str]) -> float | None:
    """Kendall's tau (1938, Biometrika 30:81) over the items of both orders; None below two.

    (concordant - discordant pairs) / all pairs: 1 for one order, -1 for the reverse.
    """
    place = {item: at for at, item in enumerate(b)}
    places = [place[item] for item in a if item in place]
    pairs = list(combinations(places, 2))
    if not pairs:
        return None
    return sum(1 if first < second else -1 for first, second in pairs) / len(pairs)


def place_shift(a: Sequence[str], b: Sequence[str], items: Collection[str]) -> float | None:
    """By how many places `items` stand later in `b` than in `a`, on average; None without any."""
    found = [b.index(item) - a.index(item) for item in items if item in a and item in b]
    return sum(found) / len(found) if found else None


def bleu_both_ways(a: str, b: str) -> float:
    """The mean of sentence BLEU of `a` against `b` and of `b` against `a`, by sacrebleu; 0 to 1."""
    from sacrebleu.metrics.bleu import BLEU

    bleu = BLEU(effective_order=True)
    ways = (bleu.sentence_score(a, [b]).score, bleu.sentence_score(b, [a]).score)
    return float(min(1.0, sum(ways) / 200))


def disagreement(a: Sequence[str], b: Sequence[str]) -> float:
    """How often answers of `a` and of `b` differ, repeat by repeat; 0 to 1."""
    pairs = list(zip(a, b, strict=False))
    return sum(one != other for one, other in pairs) / len(pairs)


def noise(answers: Sequence[str]) -> float | None:
    """How often two repeats of one question differ; None for a single one."""
    pairs = list(combinations(answers, 2))
    return sum(one != other for one, other in pairs) / len(pairs) if pairs else None


def above_noise(a: Sequence[str], b: Sequence[str]) -> float | None:
    """How much more often answers differ between two groups than within one; None without repeats.

    E[a ≠ b] - (E[a ≠ a'] + E[b ≠ b']) / 2: the energy distance (Székely & Rizzo 2013,
    JSPI 143:1249) with the discrete metric, halved. Its expectation is 0 when both have one
    distribution. Only repeats with different seeds meet, in all three terms.
    """
    within_a, within_b = noise(a), noise(b)
    if within_a is None or within_b is None:
        return None
    across = [x != y for i, x in enumerate(a) for j, y in enumerate(b) if i != j]
    return sum(across) / len(across) - (within_a + within_b) / 2


@dataclass(frozen=True, slots=True)
class WordBias:
    """A word that one side uses more: `log_odds` above 0 for the group, and `p` over all words.

    `rows` counts the rows in which either side uses it.
    """

    word: str
    log_odds: float
    z: float
    p: float
    rows: int


def words(text: str) -> list[str]:
    """Lower-case words, without figures and punctuation."""
    return [word.lower() for word in _WORD.findall(text)]


def log_odds(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Log-odds ratios of words with an informative Dirichlet prior, b over a, and their z-scores.

    Monroe, Colaresi & Quinn (2008, Political Analysis 16:372), equations 16 to 22: with counts y,
    totals n and prior counts α_w = α_0 · (share of w in both), α_0 = 500 words,
    δ_w = log[(y_b + α_w) / (n_b + α_0 - y_b - α_w)] - log[(y_a + α_w) / (n_a + α_0 - y_a - α_w)],
    z_w = δ_w / sqrt(1 / (y_b + α_w) + 1 / (y_a + α_w)).

    Args:
        a: (..., words) counts of the reference.
        b: (..., words) counts of the group.
    """
    both = a + b
    prior = PRIOR * both / both.sum(axis=-1, keepdims=True)

    def logit(counts: Floats) -> Floats:
        mine = counts + prior
        total: Floats = mine.sum(axis=-1, keepdims=True)
        return np.asarray(np.log(mine / (total - mine)), np.float64)

    delta = logit(b) - logit(a)
    return delta, delta / np.sqrt(1 / (b + prior) + 1 / (a + prior))


def word_bias(
    a: Sequence[str], b: Sequence[str], leave_out: Collection[str] = (), seed: int = 0
) -> list[WordBias]:
    """Words that texts of `b` use more or less than those of `a`, the surest first.

    Pairs change sides at random, and a word's p is the share of such draws in which any word at all
    is as far off as it is (max-T of Westfall & Young 1993), so that p holds over all words.

    Args:
        a: texts of the reference, one a row.
        b: texts of the group, of the same rows.
        leave_out: words that were swapped, which differ by design.
    """
    counted = [
        (Counter(words(one)), Counter(words(other))) for one, other in zip(a, b, strict=True)
    ]
    rows = Counter(word for one, other in counted for word in one.keys() | other.keys())
    tested = [word for word, n in rows.most_common() if n >= LEAST and word not in leave_out]
    known = sorted(tested[:MOST])
    if len(known) < 2:
        return []
    first, second = (
        np.array([[pair[side][word] for word in known] for pair in counted], np.float64)
        for side in (0, 1)
    )  # (rows, words)
    delta, z = log_odds(first.sum(axis=0), second.sum(axis=0))
    rng = np.random.default_rng(seed)
    flips = rng.integers(0, 2, (FLIPS, len(counted))).astype(np.float64)
    moved = flips @ (second - first)  # (draws, words): what changes sides
    _, drawn = log_odds(first.sum(axis=0) + moved, second.sum(axis=0) - moved)
    largest = np.abs(drawn).max(axis=1)
    p = (1 + (largest[:, None] >= np.abs(z) - 1e-12).sum(axis=0)) / (FLIPS + 1)
    order = np.argsort(-np.abs(z), kind="stable")
    return [
        WordBias(known[at], float(delta[at]), float(z[at]), float(p[at]), rows[known[at]])
        for at in order
    ]
