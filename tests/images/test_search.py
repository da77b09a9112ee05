"""What is nearest, in which order, and whether it is nearer than chance."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images.made import COLOURS, ColourEncoder, encoded, picture, save
from trivium.errors import TriviumError, UsageError
from trivium.images.background import PROMPTS
from trivium.images.base import Hit
from trivium.images.index import PictureIndex
from trivium.images.search import Collection, discoveries


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for seed in range(4):
        for colour in COLOURS:
            save(folder / colour / f"{seed}.png", colour, seed)
    return folder


@pytest.fixture
def index(tmp_path: Path, photos: Path) -> PictureIndex:
    opened = PictureIndex.create(tmp_path / "index", encoder=ColourEncoder())
    opened.add([photos])
    return opened


def found(hits: list[Hit]) -> list[str]:
    return ["/".join(Path(hit.picture.path).parts[-2:]) for hit in hits]


def test_words_find_what_they_name(index: PictureIndex) -> None:
    hits = index.search("green", k=4)
    assert {Path(one).parent.name for one in found(hits)} == {"green"}
    assert hits[0].cosine > 0.99
    assert [hit.percentile for hit in hits] == pytest.approx(
        [100, 100 * 23 / 24, 100 * 22 / 24, 87.5]
    )


def test_the_cosine_is_that_of_the_vectors(index: PictureIndex) -> None:
    vectors = index.store.embeddings()[1]
    encoder = ColourEncoder()
    red, blue = encoder.texts(["red"])[0], encoder.texts(["blue"])[0]
    query = red - 0.5 * blue
    cosines = np.sort(vectors @ (query / np.linalg.norm(query)))[::-1]
    hits = index.search("red - blue*0.5", k=100)
    assert [hit.cosine for hit in hits] == pytest.approx(cosines.tolist(), abs=2e-6)
    below = [100 * float(np.mean([one.cosine <= hit.cosine for one in hits])) for hit in hits]
    assert [hit.percentile for hit in hits] == pytest.approx(below)
    assert found(index.search("red - blue", k=1))[0].startswith("red")
    last = found(index.search("red - white", k=24))[-4:]
    assert {Path(one).parent.name for one in last} == {"white"}


def test_words_and_pictures_together(index: PictureIndex, photos: Path, tmp_path: Path) -> None:
    like = photos / "red" / "0.png"
    hits = index.search(like=[like], k=3)
    assert sorted(found(hits)) == ["red/1.png", "red/2.png", "red/3.png"]  # not itself
    other = save(tmp_path / "other.png", "red", 9)
    both = found(index.search("green", like=[other], k=8))
    assert {Path(one).parent.name for one in both} == {"green", "red"}
    assert found(index.search(like=[f"{other}*0.1"], k=1))[0].startswith("red")
    assert found(index.search("green*9", like=[other], k=1))[0].startswith("green")
    last = found(index.search("green", unlike=[other], k=24))[-4:]
    assert {Path(one).parent.name for one in last} == {"red"}


def test_a_picture_of_the_index_needs_no_model(index: PictureIndex, photos: Path) -> None:
    before = index.encoder.seen  # type: ignore[attr-defined]
    index.search(like=[photos / "red" / "0.png"])
    assert index.encoder.seen == before  # type: ignore[attr-defined]


def test_filters_act_before_the_top_k(index: PictureIndex, photos: Path) -> None:
    assert (
        found(index.search("red", under=photos / "blue", k=2, beyond_chance=False))
        == [one for one in found(index.search("red", k=24)) if one.startswith("blue")][:2]
    )
    assert len(index.search("red", under="blue")) == 4  # below a folder that was indexed
    assert index.search("red", under=photos / "blu") == []
    one = photos / "blue" / "2.png"
    assert found(index.search("red", under=one)) == ["blue/2.png"]


def test_dates_are_those_of_exif_or_else_of_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for year in (2019, 2023, 2024):
        exif = Image.Exif()
        exif[0x0132] = f"{year}:06:01 12:00:00"
        save(folder / f"{year}.jpg", "red", year, exif=exif)
    old = save(folder / "plain.png")
    os.utime(old, (1e9, 1e9))  # 2001-09-09
    with PictureIndex.create(tmp_path / "index", encoder=ColourEncoder()) as index:
        index.add([folder])

        def names(**options: str) -> set[str]:
            return {Path(h.picture.path).stem for h in index.search("red", **options)}  # type: ignore[arg-type]

        assert names(after="2023") == {"2023", "2024"}
        assert names(after="2023-06-02") == {"2024"}
        assert names(before="2023-06-01") == {"2019", "plain"}
        assert names(after="2019", before="2024") == {"2019", "2023"}
        assert names(before="2002") == {"plain"}
        with pytest.raises(UsageError, match="--before"):
            names(before="June")


def test_equals_stand_in_the_order_of_their_paths(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    data = encoded(picture())
    folder.mkdir()
    names = ["c", "a", "e", "b", "d"]
    for name in names:
        (folder / f"{name}.png").write_bytes(data)
    with PictureIndex.create(tmp_path / "index", encoder=ColourEncoder()) as index:
        assert index.add([folder]).embedded == 1
        for k in range(1, 6):
            hits = index.search("red", k=k)
            assert [Path(hit.picture.path).stem for hit in hits] == sorted(names)[:k]


def test_beyond_chance_keeps_what_fits(index: PictureIndex) -> None:
    hits = index.search("red", k=24, beyond_chance=True)
    assert {Path(one).parent.name for one in found(hits)} == {"red"}
    assert all(hit.background > 99 for hit in hits)
    everything = index.search("red", k=24)
    assert [hit for hit in everything if hit.beyond_chance] == hits


def test_neutral_words_are_rarely_beyond_chance(index: PictureIndex) -> None:
    told = sum(bool(index.search(f'"{prompt}"', beyond_chance=True)) for prompt in PROMPTS[:60])
    assert told <= 0.1 * 60


def test_benjamini_and_hochberg() -> None:
    # m = 5, limits 0.01 0.02 0.03 0.04 0.05: 0.035 holds because it is the 4th, and all below it
    p = np.array([0.035, 0.9, 0.005, 0.025, 0.031])
    assert discoveries(p).tolist() == [True, False, True, True, True]
    assert not discoveries(np.full(4, 0.2)).any()


def test_background_words_differ_and_are_no_questions_of_taste() -> None:
    assert len(set(PROMPTS)) == len(PROMPTS) >= 120


def test_what_cannot_be_searched(index: PictureIndex, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="empty"):
        index.search("  ")
    with pytest.raises(UsageError, match="red - red: the terms of the query cancel"):
        index.search("red - red")
    with pytest.raises(UsageError, match="cannot be read"):
        index.search(like=[tmp_path / "none.png"])
    broken = tmp_path / "broken.png"
    broken.write_bytes(encoded(picture())[:100])
    with pytest.raises(TriviumError, match="truncated"):
        index.search(like=[broken])


def test_the_vectors_file_is_derived(index: PictureIndex, photos: Path) -> None:
    files = list(index.folder.glob("vectors-*.npy"))
    assert len(files) == 1
    before = found(index.search("red"))
    for damage in (b"", b"rubbish", files[0].read_bytes()[:300]):
        files[0].write_bytes(damage)
        with PictureIndex.open(index.folder, encoder=ColourEncoder()) as other:
            assert found(other.search("red")) == before
    (photos / "red" / "0.png").unlink()
    index.add([photos])
    assert len(list(index.folder.glob("vectors-*.npy"))) == 1
    assert "red/0.png" not in found(index.search("red"))


def test_an_empty_index_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with PictureIndex.create(tmp_path / "index", encoder=ColourEncoder()) as index:
        index.add([tmp_path / "photos"])
        assert index.search("red") == []
        assert len(Collection(index.store).rows) == 0
