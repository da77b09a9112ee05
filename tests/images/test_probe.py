"""Linear probes: on vectors whose classes are known, kept without pickle, of one model alone."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.images import towers
from trivium.errors import UsageError
from trivium.images import probe
from trivium.images.base import Vectors
from trivium.images.encoder import load_encoder


class Named:
    name, width, side, scale = "named", 4, 8, 1.0
    bias: float | None = None

    def __init__(self, fingerprint: str = "one") -> None:
        self.fingerprint = fingerprint

    def images(self, pictures: object) -> Vectors:
        raise NotImplementedError

    def texts(self, texts: object) -> Vectors:
        raise NotImplementedError


def _clouds(classes: int, each: int) -> tuple[Vectors, list[str]]:
    """Unit vectors near the axes."""
    rng = np.random.default_rng(0)
    rows = np.repeat(np.eye(4)[:classes], each, axis=0) + 0.2 * rng.normal(size=(classes * each, 4))
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit, [name for name in "dcba"[:classes] for _ in range(each)]


@pytest.mark.parametrize("classes", [2, 3])
def test_it_learns_clouds_and_gives_the_probabilities_of_scikit_learn(classes: int) -> None:
    from sklearn.linear_model import LogisticRegression

    vectors, labels = _clouds(classes, 6)
    found = probe.train(Named(), vectors, labels)
    assert found.labels == tuple(sorted(set(labels)))
    reference = LogisticRegression(C=found.strength, max_iter=1000).fit(vectors, labels)
    shares = found.probabilities(vectors)
    np.testing.assert_allclose(shares, reference.predict_proba(vectors), atol=1e-4)
    assert [found.labels[at] for at in shares.argmax(axis=1)] == labels
    assert found.strength in probe.STRENGTHS


def test_it_comes_back_from_its_file_the_same(tmp_path: Path) -> None:
    found = probe.train(Named(), *_clouds(3, 5))
    probe.save(found, tmp_path / "p.safetensors")
    again = probe.load(tmp_path / "p.safetensors")
    np.testing.assert_array_equal(again.weights, found.weights)
    np.testing.assert_array_equal(again.bias, found.bias)
    assert (again.labels, again.strength, again.model, again.fingerprint) == (
        found.labels, found.strength, "named", "one",
    )  # fmt: skip


def test_what_is_no_probe_is_refused(tmp_path: Path) -> None:
    save_file({"weights": np.zeros((2, 2), np.float32)}, tmp_path / "other.safetensors")
    (tmp_path / "text").write_text("no tensors")
    with pytest.raises(UsageError, match=r"other\.safetensors is no probe; make one"):
        probe.load(tmp_path / "other.safetensors")
    for name in ("text", "gone"):
        with pytest.raises(UsageError, match="no probe that can be read"):
            probe.load(tmp_path / name)


def test_another_models_vectors_are_refused_with_both_names() -> None:
    found = probe.train(Named("one"), *_clouds(2, 4))
    found.check(Named("one"))
    with pytest.raises(UsageError, match=r"of named \(one\), not of named \(two\)"):
        found.check(Named("two"))


def test_too_few_examples() -> None:
    vectors, _ = _clouds(2, 2)
    with pytest.raises(UsageError, match="tells classes apart, and there are 1"):
        probe.train(Named(), vectors, ["a"] * 4)
    with pytest.raises(UsageError, match='one example of "b"'):
        probe.train(Named(), vectors, ["a", "a", "a", "b"])
    with pytest.raises(UsageError, match='2 pictures of "b"'):
        probe.split(["a", "a", "a", "b", "b"], 16)


def test_a_split_teaches_with_some_of_each_class_and_judges_with_the_rest() -> None:
    labels = ["a"] * 30 + ["b"] * 9 + ["c"] * 3
    teach, judge = probe.split(labels, 8)
    counts = {name: sum(labels[at] == name for at in teach) for name in "abc"}
    assert counts == {"a": 8, "b": 6, "c": 2}
    assert sorted([*teach, *judge]) == list(range(42))
    assert np.array_equal(probe.split(labels, 8)[0], teach)
    assert not np.array_equal(probe.split(labels, 8, seed=1)[0], teach)


def test_pictures_of_colours_teach_it() -> None:
    from trivium.images.classify import class_of
    from trivium.images.look import look, pictures_at

    run, data = towers.colours()
    encoder = load_encoder(str(run))
    seen = list(look(encoder, [str(path) for path in pictures_at([data])]))
    vectors = np.stack([one.vector for one in seen if one.vector is not None])
    labels = [class_of(one.name) for one in seen]
    teach, judge = probe.split(labels, 4)
    found = probe.train(encoder, vectors[teach], [labels[at] for at in teach])
    said = found.probabilities(vectors[judge]).argmax(axis=1)
    assert [found.labels[at] for at in said] == [labels[at] for at in judge]
