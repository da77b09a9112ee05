"""A tokenizer in Hugging Face layout reads and spells as the GGUF file that it comes from."""

from pathlib import Path

import pytest

from scripts.hf_folder import tokenizer
from trivium.engines.base import Message
from trivium.engines.native import Weights
from trivium.engines.rendering import Renderer
from trivium.engines.vocabulary import HubVocabulary
from trivium.errors import Unavailable

TEXTS = [
    "",
    " A",
    "The capital of France is Paris.\n\n1. one\t two  three",
    "Grüße, 東京 🦙 e\u0301",
    "1234 and 5,678.90\n\n2",
    "<|im_end|> and <|im_start|>system",
    "\ud800",
]
pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def file(model_cache: Path) -> Path:
    return next((model_cache / "smollm2-135m").glob("*.gguf"))


@pytest.fixture(scope="module")
def weights(file: Path) -> Weights:
    return Weights(file, vocabulary_only=True)


@pytest.fixture(scope="module")
def vocabulary(file: Path, tmp_path_factory: pytest.TempPathFactory) -> HubVocabulary:
    folder = tmp_path_factory.mktemp("model")
    tokenizer(file).save_pretrained(folder)
    return HubVocabulary(folder, "tiny")


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("special", [True, False])
def test_texts_have_the_same_tokens(
    weights: Weights, vocabulary: HubVocabulary, text: str, special: bool
) -> None:
    tokens = weights.tokenize(text, special=special)
    assert vocabulary.tokenize(text, special=special) == tokens
    assert vocabulary.tokenize_inside(text, special=special) == tokens


def test_special_tokens_are_the_same(weights: Weights, vocabulary: HubVocabulary) -> None:
    assert (vocabulary.bos, vocabulary.eos) == (weights.bos, weights.eos)
    assert vocabulary.adds_bos == weights.adds_bos
    assert vocabulary.token_text(vocabulary.eos) == "<|im_end|>"
    assert vocabulary.token_text(-1) == ""
    assert vocabulary.is_control(vocabulary.eos)
    assert not vocabulary.is_user_defined(vocabulary.eos)


def test_tokens_spell_the_same(weights: Weights, vocabulary: HubVocabulary) -> None:
    for token in [*range(400), *weights.tokenize(TEXTS[2], special=False)]:
        spelt = weights.piece(token).decode("utf-8", "replace")
        assert vocabulary.piece(token).decode() == spelt


@pytest.mark.parametrize("text", TEXTS)
def test_conversations_have_the_same_prompts(
    weights: Weights, vocabulary: HubVocabulary, text: str
) -> None:
    messages = (Message("system", "Be brief."), Message("user", text), Message("assistant", text))
    theirs = Renderer(vocabulary, "tiny")
    ours = Renderer(weights, "tiny")
    for turns in (messages, messages[1:2], ()):
        assert theirs.prompt(turns, text) == ours.prompt(turns, text)
        assert theirs.scored_prompt(turns, text) == ours.scored_prompt(turns, text)


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(Unavailable, match=r"^tiny has no tokenizer that can be read: [^\n]+$"):
        HubVocabulary(tmp_path, "tiny")
