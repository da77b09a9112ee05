"""CLIP's tokenizer against that of `transformers`, and a new one learned from texts."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.errors import UsageError
from trivium.nn.words import END, START, Words, load_words, train_words

TEXTS = [
    "a photo of a cat",
    "a photo of a dog on the beach",
    "the cat's  photo, in 2024!",
    "Ein Foto von Größe",
]


@pytest.fixture(scope="module")
def words() -> Words:
    return train_words(TEXTS * 3, 560, 16)


@pytest.fixture(scope="module")
def theirs(words: Words) -> Any:
    """The tokenizer of `transformers` over the same two tables."""
    from transformers import CLIPTokenizer

    model = json.loads(words.tokenizer.to_str())["model"]
    merges: Any = [(left, right) for left, right in model["merges"]]
    return CLIPTokenizer(vocab=model["vocab"], merges=merges)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=30))
def test_any_text_has_the_ids_of_transformers(words: Words, theirs: Any, text: str) -> None:
    expected = theirs(text, truncation=True, max_length=16)["input_ids"]
    assert words.tokenizer.encode(text).ids == expected


@pytest.mark.parametrize("text", [*TEXTS, "", "  ", "🦜", "CAT", "<|endoftext|> cat"])
def test_known_texts_have_the_ids_of_transformers(words: Words, theirs: Any, text: str) -> None:
    expected = theirs(text, truncation=True, max_length=16)["input_ids"]
    assert words.tokenizer.encode(text).ids == expected


def test_words_that_are_often_seen_are_one_token(words: Words) -> None:
    assert words.tokenizer.encode("photo of cat").tokens == [
        START, "photo</w>", "of</w>", "cat</w>", END,
    ]  # fmt: skip


def test_ids_have_the_length_of_the_tower_and_end_in_the_end(words: Words) -> None:
    end = words.tokenizer.token_to_id(END)
    short, long = words.encode(["a cat", "cat " * 50])
    assert short.shape == long.shape == (16,)
    assert short[4:].tolist() == [end] * 12 and long[-1] == end and (long[:-1] != end).all()
    assert words.cut("cat " * 50) and not words.cut("a cat")


def test_the_end_token_has_the_highest_id(words: Words) -> None:
    """So that OpenAI's way to find it works as well."""
    assert words.tokenizer.token_to_id(END) == words.tokenizer.get_vocab_size() - 1


def test_what_is_written_is_read_again_here_and_by_transformers(
    words: Words, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    words.save(tmp_path)
    end = words.tokenizer.get_vocab_size() - 1
    again = load_words(tmp_path, 16, end)
    theirs: Any = AutoTokenizer.from_pretrained(tmp_path)
    for text in TEXTS:
        ids = words.encode([text])[0].tolist()
        assert again.encode([text])[0].tolist() == ids
        assert theirs(text, padding="max_length", max_length=16)["input_ids"] == ids


def test_the_two_tables_of_openai_are_read(words: Words, tmp_path: Path) -> None:
    model = json.loads(words.tokenizer.to_str())["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"]))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    (tmp_path / "merges.txt").write_text("\n".join(lines))
    again = load_words(tmp_path, 16, 0)
    assert again.tokenizer.encode(TEXTS[2]).ids == words.tokenizer.encode(TEXTS[2]).ids


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no room for all bytes; it takes 514"):
        train_words(TEXTS, 300, 16)
    with pytest.raises(UsageError, match=r"has no tokenizer\.json"):
        load_words(tmp_path, 16, 0)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UsageError, match="no tokenizer that can be read"):
        load_words(tmp_path, 16, 0)
