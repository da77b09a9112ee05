"""XQuAD-en answers by the default model: F1 against gold paragraphs, true quotes, right refusals.

    python -m benchmarks.xquad_answers [--questions 200] [--removed 100]

Prints, from one run: token F1 (Rajpurkar et al. 2016) with retrieval and with the gold paragraph
given, and their ratio; how often a cited span holds the gold answer; how many quotes are verbatim;
how often answerable questions are refused; and how often questions whose paragraph was taken out
of the index are. The questions are the odd-numbered ones: the threshold of `evidence.ANSWERABLE`
was chosen on the even-numbered.
"""

import argparse
import random
import re
import string
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data import Question, load_xquad, write_paragraphs
from trivium.config import load_settings
from trivium.engines.load import load_engine
from trivium.retrieval.answer import Answer, Asker
from trivium.retrieval.base import Hit
from trivium.retrieval.embed import load_embedder
from trivium.retrieval.index import Index


def normalise(text: str) -> list[str]:
    """SQuAD's own normalisation: lower case, no punctuation, no articles."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def token_f1(predicted: str, golds: list[str]) -> float:
    """The best F1 of the bags of tokens over the gold answers."""
    best = 0.0
    for gold in golds:
        ours, theirs = normalise(predicted), normalise(gold)
        common = sum((Counter(ours) & Counter(theirs)).values())
        if common:
            best = max(best, 2 * common / (len(ours) + len(theirs)))
    return best


def holds(text: str, golds: list[str]) -> bool:
    return any(gold in text for gold in golds)


@dataclass
class Tally:
    """Sums over the answerable questions."""

    asked: int = 0
    refused: int = 0
    f1: float = 0.0
    contains: int = 0
    cited: int = 0
    cited_gold: int = 0
    quotes: int = 0
    verbatim: int = 0
    quoted: int = 0
    unsupported: int = 0

    def add(self, answer: Answer, golds: list[str], index: Index) -> None:
        self.asked += 1
        self.refused += not answer.found
        self.f1 += token_f1(answer.text, golds)
        self.contains += holds(answer.text, golds)
        self.quoted += answer.quoted
        self.unsupported += sum(not claim.supported for claim in answer.claims)
        if answer.citations:
            self.cited += 1
            self.cited_gold += any(holds(c.text, golds) for c in answer.citations)
        for citation in answer.citations:
            self.quotes += 1
            source = index.text(citation.path)
            self.verbatim += source[citation.start : citation.end] == citation.text

    def __str__(self) -> str:
        n = max(self.asked, 1)
        return (
            f"F1 {self.f1 / n:.3f}, answer holds gold {self.contains / n:.1%}, cited span holds "
            f"gold {self.cited_gold / max(self.cited, 1):.1%} of {self.cited} cited answers "
            f"({self.cited_gold / n:.1%} of all), verbatim {self.verbatim}/{self.quotes}, "
            f"refused {self.refused / n:.1%}, quoted instead {self.quoted / n:.1%}, "
            f"unsupported claims {self.unsupported}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--removed", type=int, default=100)
    args = parser.parse_args()
    paragraphs, questions = load_xquad()
    odd = questions[1::2]
    random.Random(0).shuffle(odd)
    asked = odd[: args.questions]
    removed = odd[args.questions : args.questions + args.removed]

    settings = load_settings()
    embedder = load_embedder(settings.embedder)
    engine = load_engine(settings.model, settings)
    with tempfile.TemporaryDirectory() as folder:
        files = write_paragraphs(paragraphs, Path(folder) / "all")
        with Index.create(Path(folder) / "index", embedder=embedder) as index:
            index.add([Path(folder) / "all"])
            with_retrieval = Tally()
            asker = Asker(index, engine)
            for question in asked:
                with_retrieval.add(asker.ask(question.text), question.answers, index)
            print(f"with retrieval  ({len(asked)} questions): {with_retrieval}")
            gold = Tally()
            for question in asked:
                given = [
                    Hit(passage, 1.0)
                    for passage in index.passages()
                    if passage.path == str(files[question.paragraph])
                ]
                gold.add(asker.ask(question.text, given=given), question.answers, index)
            print(f"gold paragraph  ({len(asked)} questions): {gold}")
            print(f"ratio of F1: {with_retrieval.f1 / gold.f1:.3f} (bar: at least 0.9)")
            refused = sum(_without(index, asker, files, question) for question in removed)
        print(
            f"paragraph removed ({len(removed)} questions): refused {refused / len(removed):.1%} "
            "(bar: at least 50%)"
        )


def _without(index: Index, asker: Asker, files: list[Path], question: Question) -> bool:
    """Is the question refused when its paragraph is taken out of the index?"""
    file = files[question.paragraph]
    index.remove([file])
    try:
        return not Asker(index, None).ask(question.text).found
    finally:
        index.add([file])


if __name__ == "__main__":
    main()
