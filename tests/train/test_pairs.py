"""Pairs from every place where people keep them, and what is wrong with some."""

import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.train.made import class_folders
from trivium.errors import UsageError
from trivium.train.pairs import Reader, find_pairs


def _picture(file: Path, colour: str = "red") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), colour).save(file)
    return file


def test_folders_named_for_classes(tmp_path: Path) -> None:
    _picture(tmp_path / "polar_bear" / "1.png")
    _picture(tmp_path / "cat" / "1.png", "blue")
    cat, bear = find_pairs(tmp_path, ["a photo of a {}", "one {}"])
    assert (bear.group, bear.captions) == (
        "polar bear",
        ("a photo of a polar bear", "one polar bear"),
    )
    assert cat.group == "cat"
    assert Reader().image(cat.entry).getpixel((0, 0)) == (0, 0, 255)


def test_text_files_beside_pictures(tmp_path: Path) -> None:
    _picture(tmp_path / "a" / "one.png")
    (tmp_path / "a" / "one.txt").write_text("a red square\n\nsomething red\n")
    _picture(tmp_path / "a" / "two.png")
    (tmp_path / "a" / "two.json").write_text('{"caption": "red again"}')
    _picture(tmp_path / "a" / "without.png")
    one, two = find_pairs(tmp_path)
    assert one.captions == ("a red square", "something red") and one.group is None
    assert two.captions == ("red again",)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_tables(kind: str, tmp_path: Path) -> None:
    _picture(tmp_path / "pictures" / "one.png")
    file = tmp_path / f"table.{kind}"
    row = {"image": "pictures/one.png", "caption": "a red square, plain"}
    if kind == "jsonl":
        file.write_text(json.dumps(row | {"caption": ["a red square, plain", "red"]}) + "\n")
    elif kind == "parquet":
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist([row]), file)
    else:
        comma = "," if kind == "csv" else "\t"
        file.write_text(f'image{comma}caption\npictures/one.png{comma}"a red square, plain"\n')
    (pair,) = find_pairs(file)
    assert pair.captions[0] == "a red square, plain"
    assert Reader().image(pair.entry).size == (4, 4)


def test_archives_of_both_kinds(tmp_path: Path) -> None:
    picture = _picture(tmp_path / "made" / "x.png", "lime").read_bytes()
    with zipfile.ZipFile(tmp_path / "shards.zip", "w") as archive:
        archive.writestr("train/frog/0001.png", picture)
    plain = tmp_path / "web" / "shard-000.tar"
    plain.parent.mkdir()
    (tmp_path / "made" / "x.txt").write_text("a lime square")
    with tarfile.open(plain, "w") as tar:
        for name in ("x.png", "x.txt"):
            tar.add(tmp_path / "made" / name, name)
    (frog,) = find_pairs(tmp_path / "shards.zip", ["a {}"])
    (web,) = find_pairs(plain.parent)
    assert frog.captions == ("a frog",) and web.captions == ("a lime square",)
    reader = Reader()
    assert reader.image(frog.entry).getpixel((1, 1)) == reader.image(web.entry).getpixel((1, 1))


def test_order_is_that_of_names(tmp_path: Path) -> None:
    pairs = find_pairs(class_folders(tmp_path, 3))
    names = [pair.entry.file.relative_to(tmp_path).as_posix() for pair in pairs]
    assert names == sorted(names) and len(names) == 9


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is nothing at"):
        find_pairs(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="has no pictures with captions"):
        find_pairs(tmp_path)
    table = tmp_path / "t.csv"
    table.write_text("picture,caption\na.png,hello\n")
    with pytest.raises(UsageError, match="row 1 has no image and caption"):
        find_pairs(table)
    (tmp_path / "broken.zip").write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"broken\.zip is no archive"):
        find_pairs(tmp_path / "broken.zip")
    table.write_text("image,caption\nnot.png,hello\n")
    (pair,) = find_pairs(table)
    with pytest.raises(UsageError, match=r"cannot read .*not\.png"):
        Reader().image(pair.entry)
    (tmp_path / "not.png").write_bytes(b"not a picture")
    with pytest.raises(UsageError, match="no picture that can be read"):
        Reader().image(pair.entry)
