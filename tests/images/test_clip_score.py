"""CLIPScore: the formula by hand, its prefix, and rows that cannot be scored."""

from pathlib import Path

import numpy as np
import pytest

from tests.images import towers
from trivium.errors import UsageError
from trivium.evals.pictures import mean_score
from trivium.images.clip_score import PREFIX, Scored, clip_score, score
from trivium.images.encoder import load_encoder
from trivium.images.look import look
from trivium.train.pairs import find_pairs


def test_it_is_two_and_a_half_times_a_cosine_that_is_not_below_zero() -> None:
    """Hessel et al. 2021, equation 1."""
    images = np.array([[1, 0], [1, 0], [0.6, 0.8]], np.float32)
    texts = np.array([[0.6, 0.8], [-1, 0], [0.6, 0.8]], np.float32)
    np.testing.assert_allclose(clip_score(images, texts), [1.5, 0.0, 2.5], atol=1e-6)


def test_each_caption_of_a_table_is_scored_after_the_prefix(tmp_path: Path) -> None:
    run, data = towers.colours()
    table = tmp_path / "captions.csv"
    rows = [(data / "red" / "00.png", "red"), (data / "red" / "00.png", "blue")]
    table.write_text("image,caption\n" + "".join(f"{path},{text}\n" for path, text in rows))
    encoder = load_encoder(str(run))
    found = list(score(encoder, find_pairs(table)))
    assert PREFIX == "A photo depicts "
    (seen,) = look(encoder, [str(rows[0][0])])
    assert seen.vector is not None
    texts = encoder.texts(["A photo depicts red", "A photo depicts blue"])
    expected = [2.5 * max(float(seen.vector @ text), 0) for text in texts]
    assert [one.score for one in found] == pytest.approx(expected, abs=1e-6)
    assert [one.caption for one in found] == ["red", "blue"]


def test_a_picture_that_is_refused_has_no_score_and_is_in_no_mean(tmp_path: Path) -> None:
    run, data = towers.colours()
    (tmp_path / "bad.png").write_bytes(b"")
    table = tmp_path / "captions.jsonl"
    table.write_text(
        f'{{"image": "bad.png", "caption": "nothing"}}\n'
        f'{{"image": "{data / "red" / "00.png"}", "caption": ["red", "a red square"]}}\n'
        f'{{"image": "gone.png", "caption": "nothing"}}\n'
    )
    found = list(score(load_encoder(str(run)), find_pairs(table)))
    assert [one.score is None for one in found] == [True, False, False, True]
    assert found[0].refused == "empty: holds no bytes"
    assert (found[3].refused or "").startswith("unreadable")
    mean = mean_score(found)
    assert mean is not None
    assert mean.mean == pytest.approx(((found[1].score or 0) + (found[2].score or 0)) / 2)
    assert mean_score(found[:1]) is None


def test_captions_of_one_picture_are_one_cluster() -> None:
    values = [0.1, 0.2, 0.6, 0.7, 0.4]
    apart = mean_score([Scored(str(at), "c", value) for at, value in enumerate(values)])
    names = ["a", "a", "b", "b", "c"]
    together = mean_score(
        [Scored(name, "c", value) for name, value in zip(names, values, strict=True)]
    )
    assert apart is not None and together is not None
    assert together.method == "clustered"
    assert together.high - together.low > apart.high - apart.low


def test_a_table_without_captions_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("image,words\na.png,red\n")
    with pytest.raises(UsageError, match="row 1 has no image and caption"):
        find_pairs(table)
