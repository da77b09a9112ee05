"""Weights unpacked to F16, with the real default model and files that are none."""

import shutil
from pathlib import Path

import pytest

from trivium.engines import unpack
from trivium.engines.native import Weights
from trivium.engines.unpack import choose_form
from trivium.errors import Unavailable

GGUF = "models/smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf"


def test_a_broken_file_is_an_error(home: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    with pytest.raises(Unavailable, match=r"cannot load .*broken.gguf"):
        choose_form(broken, "f16")
    assert not (home / "cache" / "unpacked").exists()


def test_the_native_form_writes_nothing(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "any.gguf"
    file.write_bytes(b"not looked at")
    assert choose_form(file, "native") == (file, "native")
    assert not home.exists()


@pytest.mark.model
def test_unpacked_weights_are_made_once_and_are_not_unpacked_again(real_models: Path) -> None:
    source = real_models / GGUF
    file, form = choose_form(source, "auto", 0)
    made = file.stat()
    assert form == "f16"
    assert 260e6 < made.st_size < 280e6
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]  # no partial file

    weights = Weights(file)
    assert (weights.parameters, weights.metadata("general.file_type")) == (134_515_008, "1")
    assert weights.metadata("tokenizer.chat_template")
    weights.close()

    assert choose_form(source, "f16") == (file, "f16")
    assert file.stat().st_mtime_ns == made.st_mtime_ns
    assert choose_form(file, "f16") == (file, "native")


@pytest.mark.model
def test_auto_stays_native_where_unpacking_cannot_be(
    real_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = real_models / GGUF
    assert choose_form(source, "auto", 10) == (source, "native")  # on a GPU
    (real_models / "cache").write_text("a file in the folder's place")
    assert choose_form(source, "auto", 0) == (source, "native")
    monkeypatch.setattr(unpack, "_SHARE", 0.0)  # no memory
    assert choose_form(source, "auto", 0) == (source, "native")


@pytest.mark.model
def test_a_full_disk_is_named_before_anything_is_written(
    real_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(real_models)._replace(free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(Unavailable, match=r'takes 256 MB, but .* has 1 MB free; .* "native"'):
        choose_form(real_models / GGUF, "f16")


@pytest.mark.model
def test_a_failed_conversion_leaves_no_file(
    real_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise Unavailable("no memory")

    monkeypatch.setattr(unpack, "quantize_f16", fail)
    with pytest.raises(Unavailable, match="no memory"):
        choose_form(real_models / GGUF, "f16")
    assert list((real_models / "cache" / "unpacked").iterdir()) == []
