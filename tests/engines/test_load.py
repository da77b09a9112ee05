from pathlib import Path

import pytest

from tests.engines.server import FakeServer
from trivium.engines.load import load_engine
from trivium.errors import Unavailable, UsageError


def test_a_url_is_a_server() -> None:
    server = FakeServer()
    try:
        engine = load_engine(f"{server.url}#tiny")
        assert engine.name == f"{server.url}#tiny"
        engine.close()
    finally:
        server.close()


def test_a_model_for_vllm_is_not_downloaded_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Unavailable, match=r"no folder org/model.*hf download org/model"):
        load_engine("vllm:org/model")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"there is no file .*none.gguf"):
        load_engine(str(tmp_path / "none.gguf"))


@pytest.mark.parametrize("name", ["https://host.example/a.gguf", "hf:org/repo/a.gguf"])
def test_a_file_elsewhere_must_be_pulled_first(name: str) -> None:
    with pytest.raises(Unavailable, match=r"not pulled; run: trivium models pull"):
        load_engine(name)


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        load_engine(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"GGUF", b"<html>404</html>"])
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(content)
    with pytest.raises(Unavailable, match=r"llama.cpp cannot load .*broken.gguf"):
        load_engine(str(file))


@pytest.mark.model
def test_a_catalogue_name_is_resolved(real_models: Path) -> None:
    engine = load_engine("smollm2-135m")
    assert (engine.name, engine.context_length) == ("smollm2-135m", 8192)
    engine.close()
