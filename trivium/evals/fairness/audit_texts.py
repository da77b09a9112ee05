"""How written answers about two groups differ, as findings."""

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from trivium.errors import Unavailable
from trivium.evals.fairness import shifts
from trivium.evals.fairness.base import Finding
from trivium.evals.fairness.drawn import SURE, Drawn, p_text, rate, shift
from trivium.evals.fairness.pairs import Contrast, as_original, designed_words
from trivium.evals.fairness.points import only_points

TOP_WORDS = 5


def texts(contrast: Contrast) -> list[Drawn]:
    from trivium.evals.fairness.lexicon import lexicon, score

    known = lexicon("sentiment")
    found = shift("sentiment shift", contrast, lambda one: score(known, one.output or ""))
    found += shift(
        "length shift",
        contrast,
        lambda one: float(shifts.length(one.output or "")),
        scale=lambda reference: fmean(reference),
    )
    if not only_points():  # their costs are too high to be computed again and again
        found += _similarities(contrast) + _words(contrast)
    return found


def _similarities(contrast: Contrast) -> list[Drawn]:
    """How alike the answers are once the swapped words are turned back: 1 is the same text."""
    from trivium.evals.scorers.text import rouge

    texts = [(as_original(a[0]), as_original(b[0])) for a, b in contrast.pairs]
    measured = {
        "ROUGE-L": [rouge(a, b, ["rougeL"])["rougeL"] for a, b in texts],
        "BLEU both ways": [shifts.bleu_both_ways(a, b) for a, b in texts],
    }
    if (cosines := _cosines(texts)) is not None:
        measured["embedding cosine"] = cosines
    repeats = [(as_original(a[0]), as_original(a[1])) for a, _ in contrast.pairs if len(a) > 1]
    floor = [rouge(a, b, ["rougeL"])["rougeL"] for a, b in repeats]
    found = []
    for measure, values in measured.items():
        told = floor and measure == "ROUGE-L"
        note = f"two answers to one text: {fmean(floor):.2f}" if told else ""
        ideal = None if floor else 1.0
        alike = rate(measure, contrast.name, values, ideal=ideal, share=False, note=note)
        found.append(Drawn(alike))
    return found


def _cosines(texts: Sequence[tuple[str, str]]) -> list[float] | None:
    """Cosines of the default embedder; None where it is not pulled."""
    from trivium.config import load_settings
    from trivium.retrieval.embed import load_embedder

    try:
        embedder = load_embedder(load_settings().embedder)
    except Unavailable:
        return None
    vectors = np.asarray(embedder.encode([one for pair in texts for one in pair]))
    return [float(a @ b) for a, b in zip(vectors[::2], vectors[1::2], strict=True)]


def _words(contrast: Contrast) -> list[Drawn]:
    """Words that answers about one group use more, those that are sure over all words."""
    first, second = (
        [" ".join(one.output or "" for one in pair[side]) for pair in contrast.pairs]
        for side in (0, 1)
    )
    found = shifts.word_bias(first, second, designed_words(contrast))
    return [
        Drawn(
            Finding(
                "co-occurrence",
                f'{contrast.name}, "{one.word}"',
                one.log_odds,
                one.rows,
                note=f"p {p_text(one.p)} over all words",
            )
        )
        for one in [one for one in found if one.p <= SURE][:TOP_WORDS]
    ]
