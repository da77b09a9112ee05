import hashlib
import os
from pathlib import Path

import pytest

from trivium.engines.digest import weights_sha256

ABC = hashlib.sha256(b"abc").hexdigest()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(b"abc")
    return file


def record(home: Path) -> Path:
    (file,) = (home / "cache" / "weights").iterdir()
    return file


def test_a_file_is_hashed_once(home: Path, weights: Path) -> None:
    """The second time its bytes are not read: they have changed, with size and mtime kept."""
    assert weights_sha256(weights) == ABC
    status = weights.stat()
    weights.write_bytes(b"xyz")
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert weights_sha256(weights) == ABC


def test_a_changed_file_is_hashed_again(weights: Path) -> None:
    weights_sha256(weights)
    status = weights.stat()
    weights.write_bytes(b"xyz")
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert weights_sha256(weights) == hashlib.sha256(b"xyz").hexdigest()
    weights.write_bytes(b"xyz, longer")
    assert weights_sha256(weights) == hashlib.sha256(b"xyz, longer").hexdigest()


@pytest.mark.parametrize("damage", [b"", b"[1]", b"{}", b"[" * 100_000, b'{"sha256": "abc"}'])
def test_a_damaged_record_is_written_anew(home: Path, weights: Path, damage: bytes) -> None:
    weights_sha256(weights)
    whole = record(home).read_bytes()
    record(home).write_bytes(damage)
    assert weights_sha256(weights) == ABC
    assert record(home).read_bytes() == whole


def test_where_nothing_can_be_kept_it_is_still_hashed(home: Path, weights: Path) -> None:
    home.write_text("a file in the way")
    assert weights_sha256(weights) == ABC
