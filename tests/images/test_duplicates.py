import random
from io import BytesIO
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.images.test_hashes import scene
from trivium.errors import UsageError
from trivium.images.base import Picture
from trivium.images.best import propose
from trivium.images.duplicates import Group, cliques, find_duplicates
from trivium.images.scan import scan


def files_of(folder: Path) -> list[str]:
    return sorted(str(file) for file in folder.iterdir())


def groups_in(folder: Path, tier: str = "near") -> list[tuple[str, list[str]]]:
    held = scan(files_of(folder))
    found = find_duplicates(held.pictures, held.prints, tier=tier)  # type: ignore[arg-type]
    return [(one.tier, [Path(p.path).name for p in one.pictures]) for one in found]


@given(st.integers(1, 9), st.randoms(use_true_random=False))
def test_every_pair_of_a_group_is_linked_and_no_two_groups_could_be_one(
    count: int, draw: random.Random
) -> None:
    links = [pair for pair in combinations(range(count), 2) if draw.random() < 0.6]
    draw.shuffle(links)
    groups = cliques(count, links)
    known = {frozenset(pair) for pair in links}
    assert sorted(item for group in groups for item in group) == list(range(count))
    for group in groups:
        assert all(frozenset(pair) in known for pair in combinations(group, 2))
    for one, other in combinations(groups, 2):
        assert not all(frozenset((a, b)) in known for a in one for b in other)
    assert groups == cliques(count, [(b, a) for a, b in links])


def test_a_chain_is_cut_at_its_weakest_link() -> None:
    assert cliques(4, [(0, 1), (2, 3), (1, 2)]) == [[0, 1], [2, 3]]
    assert cliques(3, [(1, 2), (0, 1)]) == [[0], [1, 2]]
    assert cliques(0, []) == []


def test_the_eight_orientations_have_the_same_pixels(tmp_path: Path) -> None:
    undone = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation -> Pillow's transposition
    image = scene(1, (60, 40))
    image.save(tmp_path / "1.png")
    for orientation, how in undone.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.transpose(Image.Transpose(how)).save(tmp_path / f"{orientation}.png", exif=exif)
    assert groups_in(tmp_path, "bytes") == []
    assert groups_in(tmp_path, "pixels") == [("pixels", [f"{n}.png" for n in range(1, 9)])]


def test_the_tiers_of_groups(tmp_path: Path) -> None:
    one, two, three = (scene(seed, (200, 150)) for seed in (1, 2, 3))
    one.save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    two.save(tmp_path / "c.png")
    two.save(tmp_path / "d.bmp")
    three.save(tmp_path / "e.png")
    three.resize((100, 75)).save(tmp_path / "f.jpg", quality=50)
    three.save(tmp_path / "g.bmp")
    scene(4).save(tmp_path / "h.png")
    (tmp_path / "i.png").write_bytes(b"")
    assert groups_in(tmp_path) == [
        ("bytes", ["a.png", "b.png"]),
        ("pixels", ["c.png", "d.bmp"]),
        ("near", ["e.png", "f.jpg", "g.bmp"]),
    ]
    held = scan(files_of(tmp_path))
    assert [(Path(one.path).name, one.reason) for one in held.refused] == [("i.png", "empty")]
    group = find_duplicates(held.pictures, held.prints)[2]
    assert group.link(group.pictures[0], group.pictures[2]).tier == "pixels"
    assert group.link(group.pictures[1], group.pictures[2]).tier == "near"


def test_animations_that_begin_alike_are_not_the_same(tmp_path: Path) -> None:
    frames = [scene(seed, (64, 64)).quantize() for seed in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=[frames[1]])
    frames[0].save(tmp_path / "b.gif", save_all=True, append_images=[frames[2]])
    frames[0].save(tmp_path / "c.gif")
    assert groups_in(tmp_path) == []


def test_embeddings_that_disagree_keep_near_pictures_apart() -> None:
    rng = np.random.default_rng(0)
    pictures = [picture(f"/{n:02}", n) for n in range(30)]
    images = [scene(n) for n in range(29)]
    from trivium.images.hashes import fingerprint

    prints = np.concatenate([fingerprint(one) for one in [*images, images[0].resize((128, 128))]])
    vectors = rng.normal(size=(30, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert [len(one.pictures) for one in find_duplicates(pictures, prints)] == [2]
    vectors[29] = vectors[0]
    assert len(find_duplicates(pictures, prints, vectors)) == 1
    vectors[29] = -vectors[0]
    assert find_duplicates(pictures, prints, vectors) == []


def test_similar_is_what_the_embeddings_say() -> None:
    from trivium.images.hashes import PRINT

    angles = np.radians([0, 10, 20, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    pictures = [picture(f"/{n}", n) for n in range(4)]
    prints = np.zeros(4, PRINT)
    # cos 10° = 0.985, cos 20° = 0.940: 0 and 2 are too far apart, so no chain
    found = find_duplicates(pictures, prints, vectors, tier="similar", cosine=0.95)
    assert [[one.path for one in group.pictures] for group in found] == [["/0", "/1"]]
    assert found[0].links[("0", "1")].score == pytest.approx(0.9848, abs=1e-4)
    with pytest.raises(UsageError, match="name an index"):
        find_duplicates(pictures, prints, tier="similar")


def picture(path: str, number: int, **facts: object) -> Picture:
    given: dict[str, object] = {
        "sha256": f"{number:064}", "pixels": f"{number}", "width": 100, "height": 100, "size": 1000,
        "modified": 0.0, "taken": None, "format": "JPEG", "frames": 1,
    }  # fmt: skip
    return Picture(path, **(given | facts))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"width": 200}, "highest resolution"),
        ({"taken": "2024-01-01T00:00:00"}, "has its EXIF date"),
        ({"size": 2000}, "least compressed"),
        ({"modified": -1.0}, "oldest"),
    ],
)
def test_the_best_copy_is_ahead_in_something(facts: dict[str, object], why: str) -> None:
    best = propose([picture("/a", 1), picture("/b", 2, **facts)], detail=lambda _: 1.0)
    assert best.picture.path == "/b" and why in best.why


def test_an_enlargement_is_not_the_best(tmp_path: Path) -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    image = Image.fromarray(noisy).resize((180, 135), Image.Resampling.BICUBIC)
    image.save(tmp_path / "photo.jpg", quality=90)
    image.resize((360, 270)).save(tmp_path / "large.jpg", quality=95)
    image.resize((90, 68)).save(tmp_path / "small.jpg", quality=95)
    held = BytesIO()
    image.save(held, "JPEG", quality=50)
    (tmp_path / "poor.jpg").write_bytes(held.getvalue())
    best = propose(scan(files_of(tmp_path)).pictures)
    assert Path(best.picture.path).name == "photo.jpg"


def test_groups_know_their_links() -> None:
    same = [picture("/a", 1), picture("/b", 1)]
    assert Group("bytes", tuple(same), {}).link(*same).tier == "bytes"
