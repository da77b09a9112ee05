"""Pictures sorted by a classifier: by words (`zero_shot`) or by examples (`probe`)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trivium.images.base import Encoder, Vectors
from trivium.images.look import look
from trivium.images.zero_shot import Floats


class Classifier(Protocol):
    """What turns a picture's vector into a probability for each of its labels."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def probabilities(self, images: Vectors) -> Floats:
        """(n, E) to (n, L)"""


@dataclass(frozen=True, slots=True)
class Classified:
    """A picture and how likely each label is, in the labels' order; or why it was refused."""

    name: str
    probabilities: tuple[float, ...]
    refused: str | None = None

    @property
    def best(self) -> int:
        """The likeliest label's place; the first of equals."""
        return max(range(len(self.probabilities)), key=lambda at: self.probabilities[at])


def classify(
    encoder: Encoder, classifier: Classifier, names: Sequence[str]
) -> Iterator[Classified]:
    """Each of the files called `names`, in their order."""
    for seen in look(encoder, names):
        if seen.vector is None:
            yield Classified(seen.name, (), seen.refused)
        else:
            (shares,) = classifier.probabilities(seen.vector[None]).tolist()
            yield Classified(seen.name, tuple(shares))


def class_of(path: str | Path) -> str:
    """What a picture's folder says that it shows: "polar_bear/0001.jpg" is a polar bear."""
    return Path(path).absolute().parent.name.replace("_", " ").strip()
