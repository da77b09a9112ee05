"""The form of the weights: as the file has them, or unpacked to 16-bit floats for batch work.

On a CPU, llama.cpp's kernels for quantised weights quantise the activations too. In batches of many
tokens the plain 16-bit products are at once faster (about 2 times) and closer to what the weights
say (25 times, in log-probability). One token at a time they are slower, since more bytes have to
be read. So the unpacked form is a second file, derived once and kept in `home()/cache/unpacked`; it
can be deleted at any time.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Literal

from trivium.engines.digest import weights_sha256
from trivium.engines.native import Weights, quantize_f16, supports_gpu
from trivium.errors import TriviumError, Unavailable
from trivium.paths import ensure, home

Form = Literal["native", "f16"]
Choice = Literal["native", "f16", "auto"]

_FORMAT = 1  # of the derived files; raised when they are made otherwise
_SHARE = 0.5  # of the free memory that unpacked weights may take
_PLAIN = {"0", "1", "32"}  # general.file_type of F32, F16 and BF16: nothing to unpack (llama.h)


def choose_form(path: Path, choice: Choice, gpu_layers: int | None = None) -> tuple[Path, Form]:
    """The file to load for the weights in `path`, and the form that they have in it.

    "auto" unpacks quantised weights that stay on the CPU, when they then take at most half of the
    free memory and the derived file can be written.

    Raises:
        Unavailable: when "f16" is asked for and cannot be had, or `path` is no usable model.
    """
    if choice == "native" or not path.is_file():
        return path, "native"
    quantised, size = _outline(path)
    if not quantised:
        return path, "native"
    if choice == "f16":
        return unpacked(path, size), "f16"
    if gpu_layers or (gpu_layers is None and supports_gpu()) or not _fits(size):
        return path, "native"
    try:
        return unpacked(path, size), "f16"
    except TriviumError:
        return path, "native"


def unpacked(path: Path, size: int) -> Path:
    """The file with the weights of `path` in F16, made where it is missing; about `size` bytes.

    Raises:
        Unavailable: when the disk is too full or llama.cpp cannot convert the weights.
        TriviumError: when the folder cannot be written to.
    """
    folder = home() / "cache" / "unpacked"
    target = folder / f"{weights_sha256(path)[:32]}-f16-{_FORMAT}.gguf"
    if target.is_file():
        return target
    ensure(folder)
    free = shutil.disk_usage(folder).free
    if size > free:
        raise Unavailable(
            f"unpacking {path.name} to F16 takes {size >> 20} MB, but {folder} has {free >> 20} MB "
            'free; make room, or set weights = "native"'
        )
    try:
        with NamedTemporaryFile(dir=folder, prefix=f".{target.name}.", delete=False) as file:
            partial = Path(file.name)
            try:
                quantize_f16(path, partial)
                os.fsync(file.fileno())
            except BaseException:
                with suppress(OSError):
                    partial.unlink()
                raise
        partial.replace(target)
    except OSError as error:
        raise TriviumError(f"cannot write {target}: {error.strerror}") from error
    return target


def _outline(path: Path) -> tuple[bool, int]:
    """Whether the weights are quantised, and how many bytes they take in F16."""
    outline = Weights(path, vocabulary_only=True)
    try:
        return outline.metadata("general.file_type") not in _PLAIN, 2 * outline.parameters
    finally:
        outline.close()


def _fits(size: int) -> bool:
    from trivium.models import hardware

    return size <= hardware.detect().available * _SHARE
