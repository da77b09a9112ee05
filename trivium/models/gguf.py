"""What a GGUF file says about itself (the GGUF specification, ggml/docs/gguf.md)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivium.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Metadata:
    """A GGUF file's own metadata; None where the file does not say.

    `parameters` is counted from the tensors' shapes. `quantisation` is the file type's name
    ("Q4_K_M") or, without one, the commonest type among the tensors' weights.
    """

    architecture: str
    name: str | None
    quantisation: str
    parameters: int
    context_length: int | None
    embedding_length: int | None
    layers: int | None
    vocabulary: int | None
    chat_template: str | None
    licence: str | None
    size: int


def read(path: Path) -> Metadata:
    """Read the header of a GGUF file; the weights are mapped, not read.

    Raises:
        Unavailable: when the file is missing, cut short, or not GGUF.
    """
    import struct

    from gguf import GGUFReader

    if not path.is_file():
        raise Unavailable(f"{path} is not a file; see: trivium models list")
    try:
        reader = GGUFReader(path)
        return _metadata(reader, path.stat().st_size)
    # What a damaged header makes the reader raise depends on where the damage lies.
    except (ValueError, KeyError, IndexError, TypeError, struct.error, OverflowError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise Unavailable(
            f"{path} is damaged or not a GGUF file ({reason}); pull it again"
        ) from error
    except (OSError, MemoryError) as error:
        raise Unavailable(f"cannot read {path}: {error}") from error


def _metadata(reader: Any, size: int) -> Metadata:
    def value(key: str) -> Any:
        field = reader.get_field(key)
        return None if field is None else field.contents()

    def number(key: str) -> int | None:
        found = value(key)
        return int(found) if isinstance(found, int | float) else None

    architecture = value("general.architecture")
    if not isinstance(architecture, str):
        raise ValueError("it names no architecture")
    tokens = reader.get_field("tokenizer.ggml.tokens")
    return Metadata(
        architecture=architecture,
        name=_text(value("general.name")),
        quantisation=_quantisation(number("general.file_type"), reader.tensors),
        parameters=sum(int(tensor.n_elements) for tensor in reader.tensors),
        context_length=number(f"{architecture}.context_length"),
        embedding_length=number(f"{architecture}.embedding_length"),
        layers=number(f"{architecture}.block_count"),
        vocabulary=None if tokens is None else len(tokens.data),
        chat_template=_text(value("tokenizer.chat_template")),
        licence=_text(value("general.license")),
        size=size,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _quantisation(file_type: int | None, tensors: Any) -> str:
    from collections import Counter

    from gguf import LlamaFileType

    try:
        if file_type is not None:
            return LlamaFileType(file_type).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    except ValueError:
        pass  # a type newer than this library: the tensors tell as well
    weights: Counter[str] = Counter()
    for tensor in tensors:
        weights[tensor.tensor_type.name] += int(tensor.n_elements)
    return weights.most_common(1)[0][0] if weights else "unknown"
