"""How close a written answer is to the target: pure functions of two texts."""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
# a sign is one only where no digit stands before it: "10-5" ends with 5
_NUMBER = re.compile(
    r"(?:(?<![\d.])[-+])?(?=\.?\d)(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+)?(?:[eE][-+]?\d+)?"
)
_LARGEST = 10_000


def normalise(text: str) -> str:
    """Lower case without punctuation, articles and extra white space.

    It is the normalisation of SQuAD 1.1's official scorer (Rajpurkar et al. 2016).
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def accepted(target: object) -> list[str]:
    """The texts that a target accepts: itself, or each of a list."""
    values = target if isinstance(target, list | tuple) else [target]
    return [str(value) for value in values]


def best(measure: Callable[[str, str], float], output: str, target: object) -> float:
    """The output's best measure over all accepted targets; 0 where none is accepted."""
    return max((measure(output, text) for text in accepted(target)), default=0.0)


def exact(output: str, target: str) -> float:
    """1 when both are the same but for white space around them."""
    return float(output.strip() == target.strip())


def normalised(output: str, target: str) -> float:
    """1 when both are the same after `normalise`."""
    return float(normalise(output) == normalise(target))


def contains(output: str, target: str) -> float:
    """1 when the target's normalised words stand in the output, in order and whole."""
    wanted = normalise(target)
    return float(f" {wanted} " in f" {normalise(output)} ") if wanted else 0.0


def token_f1(output: str, target: str) -> float:
    """Harmonic mean of precision and recall over normalised words, as in SQuAD 1.1."""
    said, wanted = normalise(output).split(), normalise(target).split()
    if not said or not wanted:
        return float(said == wanted)
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted))


def last_number(text: str) -> Decimal | None:
    """The last number in a text: "1,234.50", "-3", "2e5", "40%" (as 40); None without one."""
    found = [match.group() for match in _NUMBER.finditer(text)]
    try:
        number = Decimal(found[-1].replace(",", "")) if found else None
    except InvalidOperation:  # an exponent beyond what Decimal holds
        return None
    # nor is "1e99999999" a number that anybody could compare
    return number if number is not None and number.adjusted() < _LARGEST else None


def numeric(output: str, target: str, tolerance: float = 0.0) -> float:
    """1 when the last numbers of both differ by at most `tolerance` times the target's size."""
    said, wanted = last_number(output), last_number(target)
    if said is None or wanted is None:
        return 0.0
    return float(abs(said - wanted) <= abs(wanted) * Decimal(str(tolerance)))


def rouge(output: str, target: str, kinds: Sequence[str]) -> dict[str, float]:
    """F-measures of ROUGE (Lin 2004) by Google's `rouge-score`, with stemming."""
    from rouge_score.rouge_scorer import RougeScorer

    scored = RougeScorer(list(kinds), use_stemmer=True).score(target, output)
    return {kind: float(scored[kind].fmeasure) for kind in kinds}
