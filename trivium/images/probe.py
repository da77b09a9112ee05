"""A linear probe: logistic regression on a model's vectors, from a few examples of each class.

Radford et al. 2021 (section 3.2) judge their models so; the strength of the L2 penalty is chosen
by cross-validation within the examples.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from trivium.errors import UsageError
from trivium.images.base import Encoder, Vectors
from trivium.images.zero_shot import Floats, softmax
from trivium.paths import atomic_write

STRENGTHS = tuple(10.0**power for power in range(-1, 6))
"""Inverse strengths of the penalty, scikit-learn's C, that are tried."""
FOLDS = 5
KIND = "trivium probe 1"


@dataclass(frozen=True, slots=True)
class Probe:
    """A trained probe. `weights`: (L, E); `bias`: (L,).

    `model` and `fingerprint` are of the encoder whose vectors it reads; `strength` was chosen.
    """

    labels: tuple[str, ...]
    weights: Vectors
    bias: Vectors
    strength: float
    model: str
    fingerprint: str

    def probabilities(self, images: Vectors) -> Floats:
        """softmax(W x + b): (n, E) to (n, L)."""
        logits = images.astype(np.float64) @ self.weights.T.astype(np.float64) + self.bias
        return softmax(logits)

    def check(self, encoder: Encoder) -> None:
        """Raises UsageError when `encoder` is not the one that the probe was trained with."""
        if encoder.fingerprint != self.fingerprint:
            raise UsageError(
                f"the probe was trained on the vectors of {self.model} ({self.fingerprint}), not "
                f"of {encoder.name} ({encoder.fingerprint}); train it again"
            )


def train(encoder: Encoder, vectors: Vectors, labels: Sequence[str]) -> Probe:
    """A probe of `vectors` (n, E) and their `labels` (n).

    Raises:
        UsageError: for fewer than two classes, or fewer than two examples of one.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    counts = Counter(labels)
    if len(counts) < 2:
        raise UsageError(f"a probe tells classes apart, and there are {len(counts)}")
    rarest, least = min(counts.items(), key=lambda item: item[1])
    if least < 2:
        raise UsageError(f'there is one example of "{rarest}"; a probe takes two of each class')
    folds = StratifiedKFold(min(FOLDS, least), shuffle=True, random_state=0)
    search = GridSearchCV(
        LogisticRegression(max_iter=1000),
        {"C": list(STRENGTHS)},
        cv=folds,
        scoring="neg_log_loss",
    )
    search.fit(vectors, np.array(labels))
    found = search.best_estimator_
    weights, bias = found.coef_, found.intercept_
    if len(counts) == 2:  # one row says how much more the second class is likely than the first
        weights = np.concatenate([np.zeros_like(weights), weights])
        bias = np.concatenate([np.zeros_like(bias), bias])
    return Probe(
        tuple(str(one) for one in found.classes_),
        # scikit-learn's are in the other order, which a safetensors file does not know of
        np.ascontiguousarray(weights, np.float32),
        bias.astype(np.float32),
        float(search.best_params_["C"]),
        encoder.name,
        encoder.fingerprint,
    )


def split(
    labels: Sequence[str], shots: int, seed: int = 0
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which pictures teach and which judge, at random by class.

    At most `shots` of each class teach, and at most two thirds of it, so that some are left.

    Raises:
        UsageError: when a class has fewer than three.
    """
    random = np.random.default_rng(seed)
    names = np.array(labels)
    teach: list[int] = []
    for name in sorted(set(labels)):
        rows = random.permutation(np.flatnonzero(names == name))
        if len(rows) < 3:
            raise UsageError(
                f'there are {len(rows)} pictures of "{name}"; it takes three, two to teach and '
                "one to judge"
            )
        teach += rows[: min(shots, len(rows) * 2 // 3)].tolist()
    taught = np.sort(np.array(teach, np.int64))
    return taught, np.setdiff1d(np.arange(len(labels)), taught)


def save(probe: Probe, file: Path) -> None:
    """Write a safetensors file, whole or not at all."""
    from safetensors.numpy import save as serialise

    said = {
        "kind": KIND,
        "labels": json.dumps(probe.labels),
        "strength": repr(probe.strength),
        "model": probe.model,
        "fingerprint": probe.fingerprint,
    }
    with atomic_write(file) as out:
        out.write(serialise({"weights": probe.weights, "bias": probe.bias}, metadata=said))


def load(file: Path) -> Probe:
    """The probe in `file`.

    Raises:
        UsageError: when it is none.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as opened:
            said = cast(dict[str, str], opened.metadata() or {})
            if said.get("kind") != KIND:
                raise UsageError(f"{file} is no probe; make one with: trivium images probe")
            labels = tuple(json.loads(said["labels"]))
            weights, bias = opened.get_tensor("weights"), opened.get_tensor("bias")
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{file} is no probe that can be read: {error}") from error
    return Probe(labels, weights, bias, float(said["strength"]), said["model"], said["fingerprint"])
