import re
from collections import Counter

import pytest

from trivium.config import Settings
from trivium.models.catalogue import Entry, catalogue, close_to
from trivium.models.hub import parse

ENTRIES = list(catalogue().values())
KINDS = {"chat", "base", "embedder", "reranker", "clip", "speech"}


def test_every_name_is_there_once_and_can_be_a_folder() -> None:
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]*", entry.name) for entry in ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_an_entry_is_well_formed(entry: Entry) -> None:
    assert entry.kind in KINDS
    assert entry.parameters > 10_000_000
    assert entry.context_length >= (64 if entry.kind == "clip" else 256)
    assert entry.memory > entry.parameters * 0.5
    assert entry.licence
    assert bool(entry.licence_url) or not entry.accept_licence
    paths = Counter(file.path for file in entry.files)
    assert set(paths.values()) == {1}
    for file in entry.files:
        assert not file.path.startswith(("/", "..")), file.path
        assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert (file.size is None) == (file.sha256 is None)
        assert file.sources
        for source in (part for parts in file.sources for part in parts):
            if source.startswith("hf:"):
                repo, path, _ = parse(source)
                assert repo.count("/") == 1
                assert path.rpartition("/")[2] == file.path.rpartition("/")[2]
            else:
                assert re.fullmatch(r"pypi:[a-z0-9-]+==[\d.]+/[\w./-]+", source), source
                assert file.sha256, "a wheel's file is known for certain"


def test_licences_that_bind_the_user_are_asked_for() -> None:
    bound = {entry.name for entry in ENTRIES if entry.accept_licence}
    families = ("gemma", "llama")
    assert {entry.name for entry in ENTRIES if entry.name.startswith(families)} <= bound
    free = {entry.licence for entry in ENTRIES if not entry.accept_licence}
    assert free == {"Apache-2.0", "MIT"}


def test_chat_models_are_one_gguf_file_and_embedders_a_folder() -> None:
    for entry in ENTRIES:
        assert entry.main.endswith(".gguf") == (entry.kind in ("chat", "base")), entry.name


def test_the_default_settings_name_models_of_the_catalogue() -> None:
    assert catalogue()[Settings().model].kind == "chat"
    assert catalogue()[Settings().embedder].kind == "embedder"
    assert catalogue()[Settings().model].size == 98_362_432


def test_models_of_pictures_are_pinned_and_whole() -> None:
    """Each file names its revision; a folder needs these four to be loaded."""
    clips = [entry for entry in ENTRIES if entry.kind == "clip"]
    assert {entry.name.partition("-")[0] for entry in clips} == {
        "clip", "tinyclip", "siglip", "siglip2",
    }  # fmt: skip
    for entry in clips:
        assert {file.path for file in entry.files} >= {
            "config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json",
        }  # fmt: skip
        for (source,) in (one for file in entry.files for one in file.sources):
            assert re.fullmatch(r"[0-9a-f]{40}", parse(source)[2] or ""), source


def test_a_slip_finds_its_name() -> None:
    assert close_to("smolm2-135m", catalogue())[0] == "smollm2-135m"
    assert close_to("xxxxxxxx", catalogue()) == []
