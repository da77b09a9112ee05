"""Classification: per class, and whether stated confidence can be believed."""

from collections import Counter
from collections.abc import Sequence


def classification(predicted: Sequence[str], gold: Sequence[str]) -> dict[str, float]:
    """Macro F1, and precision, recall and F1 of each class that occurs in `gold`.

    A class that is never predicted has precision 0, as in scikit-learn with `zero_division=0`.

    Raises:
        ValueError: when the sequences are empty or of different lengths.
    """
    if not gold:
        raise ValueError("there is nothing to classify")
    pairs = list(zip(predicted, gold, strict=True))
    right = Counter(wanted for said, wanted in pairs if said == wanted)
    said, wanted = Counter(predicted), Counter(gold)
    report = {"macro_f1": 0.0}
    for label in sorted(wanted):
        precision = right[label] / said[label] if said[label] else 0.0
        recall = right[label] / wanted[label]
        f1 = 2 * right[label] / (said[label] + wanted[label])
        report |= {f"precision:{label}": precision, f"recall:{label}": recall, f"f1:{label}": f1}
        report["macro_f1"] += f1 / len(wanted)
    return report


def calibration_error(confidences: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error with bins of equal width (Naeini et al. 2015; Guo et al. 2017).

    The share-weighted mean of |accuracy - mean confidence| over bins (i/n, (i+1)/n]; in [0, 1].

    Raises:
        ValueError: when there is nothing to judge.
    """
    if not confidences:
        raise ValueError("there are no confidences to judge")
    held: dict[int, list[tuple[float, bool]]] = {}
    for confidence, hit in zip(confidences, right, strict=True):
        number = next(n for n in range(1, bins + 1) if confidence <= n / bins or n == bins)
        held.setdefault(number, []).append((confidence, hit))
    return sum(
        abs(sum(hit for _, hit in pairs) - sum(confidence for confidence, _ in pairs))
        for pairs in held.values()
    ) / len(confidences)


def brier(probabilities: Sequence[float], right: int) -> float:
    """Sum of squared differences to the truth (Brier 1950): 0 is perfect, 2 is sure and wrong."""
    return sum((p - (at == right)) ** 2 for at, p in enumerate(probabilities))


def kappa(one: Sequence[str], other: Sequence[str]) -> float:
    """Cohen's kappa: agreement beyond chance (Cohen 1960); 1 when both say one thing throughout.

    Raises:
        ValueError: when the sequences are empty or of different lengths.
    """
    if not one:
        raise ValueError("there is nothing to agree on")
    n = len(one)
    agreed = sum(a == b for a, b in zip(one, other, strict=True)) / n
    left, right = Counter(one), Counter(other)
    chance = sum(left[label] * right[label] for label in left) / n**2
    return 1.0 if chance == 1.0 else (agreed - chance) / (1.0 - chance)
