from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter, LlamaFileType

from trivium.errors import Unavailable
from trivium.models import gguf


def write(path: Path, *, file_type: int | None = None, template: str | None = None) -> Path:
    writer = GGUFWriter(path, "llama")
    writer.add_name("Tiny")
    writer.add_context_length(512)
    writer.add_block_count(2)
    writer.add_embedding_length(8)
    writer.add_license("mit")
    writer.add_token_list(["a", "b", "c"])
    if file_type is not None:
        writer.add_file_type(file_type)
    if template is not None:
        writer.add_chat_template(template)
    writer.add_tensor("token_embd.weight", np.zeros((3, 8), dtype=np.float32))
    writer.add_tensor("output_norm.weight", np.zeros(8, dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_everything_the_file_says_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.gguf", file_type=LlamaFileType.MOSTLY_Q4_K_M, template="{{ messages }}"
    )
    assert gguf.read(path) == gguf.Metadata(
        architecture="llama",
        name="Tiny",
        quantisation="Q4_K_M",
        parameters=3 * 8 + 8,
        context_length=512,
        embedding_length=8,
        layers=2,
        vocabulary=3,
        chat_template="{{ messages }}",
        licence="mit",
        size=path.stat().st_size,
    )


@pytest.mark.parametrize("file_type", [None, 9999])
def test_without_a_known_file_type_the_tensors_tell(tmp_path: Path, file_type: int | None) -> None:
    metadata = gguf.read(write(tmp_path / "t.gguf", file_type=file_type))
    assert metadata.quantisation == "F32"
    assert metadata.chat_template is None


def test_a_file_cut_at_any_point_is_a_sentence(tmp_path: Path) -> None:
    whole = write(tmp_path / "t.gguf", template="{{ messages }}").read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in range(0, len(whole) - 40, 7):
        cut.write_bytes(whole[:length])
        with pytest.raises(Unavailable, match=r"cut\.gguf"):
            gguf.read(cut)


def test_other_files_and_none_at_all(tmp_path: Path) -> None:
    text = tmp_path / "notes.gguf"
    text.write_text("not a model at all, but long enough to hold a header of one")
    with pytest.raises(Unavailable, match="damaged or not a GGUF file"):
        gguf.read(text)
    with pytest.raises(Unavailable, match="is not a file"):
        gguf.read(tmp_path / "none.gguf")
