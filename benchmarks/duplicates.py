"""Duplicates: precision and recall over changed copies of 125 photographs, beside other programs.

    python -m benchmarks.duplicates [--other PYTHON] [--model MODEL] [--crowd]

Each photograph of imagenet_sample is there as it is and in fourteen copies: resized, recompressed,
cropped, turned, mirrored, lit and more. Two files belong together when they come from one
photograph. Ours are the groups that are printed, so that two copies which both fit the photograph
but not each other cost recall; of the others, every pair within their threshold counts.

--other is a Python that has imagededup or czkawka (its bindings) or both. --model adds the
embeddings of a model, which then have to agree. --crowd times 60,000 pictures of CIFAR-10.
"""

import argparse
import json
import random
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from benchmarks.data import data_folder
from trivium.images.align import NEAR, cells, verify
from trivium.images.base import Vectors
from trivium.images.best import propose
from trivium.images.decode import decode
from trivium.images.duplicates import TIERS, find_duplicates
from trivium.images.hashes import fingerprint, suspicions
from trivium.images.scan import Scan, scan

Picture = Image.Image
Pairs = set[tuple[str, str]]
Turn = Image.Transpose

OTHERS = """
import json, sys
from pathlib import Path
folder, found = sys.argv[1], {}
try:
    from imagededup.methods import PHash
except ImportError:
    pass
else:
    near = PHash(verbose=False).find_duplicates(image_dir=folder, scores=True, recursive=False,
        max_distance_threshold=LIMIT, num_enc_workers=1, num_dist_workers=0)
    found["imagededup pHash"] = [(a, b, d) for a in near for b, d in near[a] if a < b]
try:
    from czkawka import ImageSimilarity
except ImportError:
    pass
else:
    files = sorted(Path(folder).iterdir())
    rows = ImageSimilarity().compute_distances(files)
    named = [(*sorted((Path(a).name, Path(b).name)), d) for a, b, d in rows]
    found["czkawka"] = [row for row in named if row[2] <= LIMIT]
json.dump(found, sys.stdout)
""".replace("LIMIT", "40")

LEVELS = {"imagededup pHash": (10,), "czkawka": (2, 5, 7, 14, 20, 40)}
"""Distances: imagededup's default; of czkawka, those of its presets for hashes of 64 bits, and the
bindings' own examples."""


def copies(draw: random.Random) -> dict[str, Callable[[Picture], Picture]]:
    """What is done to a photograph, by name."""

    def crop(image: Picture, share: float) -> Picture:
        wide, high = round(image.width * (1 - share)), round(image.height * (1 - share))
        x, y = draw.randint(0, image.width - wide), draw.randint(0, image.height - high)
        return image.crop((x, y, x + wide, y + high))

    def light(image: Picture, factor: float) -> Picture:
        return ImageEnhance.Brightness(image).enhance(factor)

    return {
        "resized to 50 %": lambda one: one.resize((one.width // 2, one.height // 2)),
        "resized to 200 %": lambda one: one.resize((one.width * 2, one.height * 2)),
        "quality 50": lambda one: one,
        "cropped by 5 %": lambda one: crop(one, 0.05),
        "cropped by 10 %": lambda one: crop(one, 0.10),
        "turned by 90°": lambda one: one.transpose(Turn.ROTATE_90),
        "turned by 180°": lambda one: one.transpose(Turn.ROTATE_180),
        "turned by 270°": lambda one: one.transpose(Turn.ROTATE_270),
        "mirrored": lambda one: one.transpose(Turn.FLIP_LEFT_RIGHT),
        "brightness 0.7": lambda one: light(one, 0.7),
        "brightness 1.4": lambda one: light(one, 1.4),
    }


def make(folder: Path) -> list[str]:
    """Write all files, NNN-COPY.EXT; the names of the copies."""
    draw = random.Random(0)
    made = copies(draw)
    photos = sorted((data_folder() / "images" / "imagenet_sample").glob("*.JPEG"))
    for number, file in enumerate(photos):
        (folder / f"{number:03}-photograph.jpg").write_bytes(file.read_bytes())
        (folder / f"{number:03}-same bytes.jpg").write_bytes(file.read_bytes())
        image = Image.open(file).convert("RGB")
        image.save(folder / f"{number:03}-as PNG.png", compress_level=1)
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90° clockwise when it is shown
        image.transpose(Turn.ROTATE_90).save(
            folder / f"{number:03}-turned, EXIF.png", compress_level=1, exif=exif
        )
        for name, change in made.items():
            quality = 50 if name == "quality 50" else 90
            change(image).save(folder / f"{number:03}-{name}.jpg", quality=quality)
    return ["same bytes", "as PNG", "turned, EXIF", *made]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--other", help="a Python that has imagededup, czkawka, or both")
    parser.add_argument("--model", help="a model of the catalogue, or its folder")
    parser.add_argument("--crowd", action="store_true", help="time 60,000 pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = make(folder)
        files = sorted(folder.iterdir())
        start = time.perf_counter()
        held = scan([str(file) for file in files])
        print(f"{len(files)} files, read in {time.perf_counter() - start:.1f} s")
        found = {f"trivium {tier}": ours(held, None, tier) for tier in TIERS[:3]}
        if options.model:
            vectors = embed(files, options.model)
            found["trivium near + model"] = ours(held, vectors, "near")
            found["trivium similar"] = ours(held, vectors, "similar")
        if options.other:
            found |= theirs(options.other, folder)
        report([file.name for file in files], names, found)
        best(held)
    if options.crowd:
        crowd()


def ours(held: Scan, vectors: Vectors | None, tier: str) -> Pairs:
    groups = find_duplicates(held.pictures, held.prints, vectors, tier=tier)  # type: ignore[arg-type]
    paths = [[Path(one.path).name for one in group.pictures] for group in groups]
    return {(a, b) for group in paths for a, b in combinations(sorted(group), 2)}


def theirs(python: str, folder: Path) -> dict[str, Pairs]:
    done = subprocess.run(
        [python, "-c", OTHERS, str(folder)], stdout=subprocess.PIPE, text=True, check=True
    )
    found = json.loads(done.stdout[done.stdout.rindex('{"') :])
    return {
        f"{name}, {level} bits": {(a, b) for a, b, distance in rows if distance <= level}
        for name, rows in found.items()
        for level in LEVELS[name]
    }


def report(files: list[str], names: list[str], found: dict[str, Pairs]) -> None:
    truth = {(a, b) for a, b in combinations(files, 2) if a[:3] == b[:3]}
    photos = [name for name in files if name.endswith("-photograph.jpg")]
    by_copy = {Path(name).stem: name for name in files}
    print("\n| | " + " | ".join(found) + " |\n|---" * 1 + "|---" * len(found) + "|")
    rows: list[tuple[str, list[str]]] = []
    scores = [_scores(pairs, truth) for pairs in found.values()]
    for at, what in enumerate(("precision, all pairs", "recall, all pairs", "F1, all pairs")):
        rows.append((what, [f"{score[at]:.4f}" for score in scores]))
    rows.append(("false pairs", [str(len(pairs - truth)) for pairs in found.values()]))
    for name in names:
        pairs = {tuple(sorted((one, by_copy[f"{one[:3]}-{name}"]))) for one in photos}
        rows.append((name, [f"{len(pairs & had) / len(pairs):.3f}" for had in found.values()]))
    for what, figures in rows:
        print(f"| {what} | " + " | ".join(figures) + " |")


def _scores(pairs: Pairs, truth: Pairs) -> tuple[float, float, float]:
    right = len(pairs & truth)
    precision, recall = right / max(len(pairs), 1), right / len(truth)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def best(held: Scan) -> None:
    """How often the copy that is to be kept holds all of the photograph."""
    groups = find_duplicates(held.pictures, held.prints)
    whole = ("photograph", "same bytes", "as PNG", "turned, EXIF")
    kept = [Path(propose(group.pictures).picture.path).stem[4:] for group in groups]
    right = sum(name in whole for name in kept)
    rest = sorted({name for name in kept if name not in whole})
    print(f"\nbest copy is the photograph's pixels: {right} of {len(kept)}; else {rest}")


def embed(files: list[Path], model: str) -> Vectors:
    from trivium.images.encoder import load_encoder

    encoder = load_encoder(model)
    rows = [encoder.images([decode(f.read_bytes(), f, encoder.side).image]) for f in files]
    return np.concatenate(rows)


def crowd() -> None:
    """CIFAR-10 has near duplicates of its own (Barz and Denzler 2020), so pairs are no errors."""
    prints = []
    for name in ("cifar10_train.zip", "cifar10_test.zip"):
        with zipfile.ZipFile(data_folder() / "images" / name) as held:
            inside = [one for one in held.namelist() if one.lower().endswith((".png", ".jpg"))]
            read = (Image.open(BytesIO(held.read(one))).convert("RGB") for one in inside)
            with ThreadPoolExecutor(1) as pool:
                prints += list(pool.map(fingerprint, read))
    together = np.concatenate(prints)
    start = time.perf_counter()
    count = pairs = 0
    coarse = cells(together)
    for block in suspicions(together):
        count += len(block)
        pairs += int((verify(together, block, coarse) >= NEAR).sum())
    took = time.perf_counter() - start
    print(
        f"\n{len(together):,} pictures of CIFAR-10: {count:,} suspicions, {pairs:,} near (both "
        f"ways), in {took:.0f} s, by comparing all"
    )


if __name__ == "__main__":
    main()
