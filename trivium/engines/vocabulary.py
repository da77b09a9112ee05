"""The tokens of a model in Hugging Face layout, as a `Renderer` needs them."""

from functools import cached_property
from pathlib import Path
from typing import Any

from trivium.errors import Unavailable

_SPACE = "▁"  # what SentencePiece writes for a space
_TEMPLATES = {"tokenizer.chat_template": "default", "tokenizer.chat_template.tool_use": "tool_use"}


class HubVocabulary:
    """The tokenizer in a folder; llama.cpp's `Weights` answers the same questions of a GGUF."""

    def __init__(self, folder: Path, name: str) -> None:
        """Read the tokenizer of the model called `name`; nothing is downloaded.

        Raises:
            Unavailable: when there is none that transformers can read.
        """
        from transformers import AutoTokenizer

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            first = str(error).strip().partition("\n")[0]
            raise Unavailable(f"{name} has no tokenizer that can be read: {first}") from error
        self._added: dict[int, Any] = self._tokenizer.added_tokens_decoder
        self._special = set(self._tokenizer.all_special_ids)

    @property
    def bos(self) -> int:
        """The begin-of-sequence token, -1 when the vocabulary has none."""
        return _number(self._tokenizer.bos_token_id)

    @property
    def eos(self) -> int:
        return _number(self._tokenizer.eos_token_id)

    @cached_property
    def adds_bos(self) -> bool:
        """Whether the model was trained with a begin-of-sequence token before every text."""
        return self.bos >= 0 and self._tokenizer.encode("a")[:1] == [self.bos]

    def metadata(self, key: str) -> str | None:
        """The chat templates, under the names that they have in a GGUF file."""
        found = self._tokenizer.chat_template
        if isinstance(found, str):
            found = {"default": found}
        return (found or {}).get(_TEMPLATES.get(key))

    def is_control(self, token: int) -> bool:
        """Whether the token steers the model ("<|im_end|>") rather than spelling text."""
        return token in self._special or (token in self._added and self._added[token].special)

    def is_user_defined(self, token: int) -> bool:
        """Whether the token was added whole: it stands for its text wherever that is written."""
        return token in self._added and not self.is_control(token)

    def token_text(self, token: int) -> str:
        """A token as the vocabulary writes it; empty for token -1."""
        return str(self._tokenizer.convert_ids_to_tokens(token)) if token >= 0 else ""

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`, nothing added; `special` lets control tokens be written in it."""
        whole = text.encode("utf-8", "replace").decode()
        found: list[int] = self._tokenizer.encode(
            whole, add_special_tokens=False, split_special_tokens=not special, verbose=False
        )
        return found

    def tokenize_inside(self, text: str, *, special: bool) -> list[int]:
        """The same for text that follows other text, before which nothing is set."""
        if not self._sets_space:
            return self.tokenize(text, special=special)
        anchor = self.tokenize("\n", special=False)
        tokens = self.tokenize(f"\n{text}", special=special)
        if tokens[: len(anchor)] != anchor:  # the line feed became part of a longer token
            return self.tokenize(text, special=special)
        return tokens[len(anchor) :]

    def piece(self, token: int) -> bytes:
        """What a token spells; empty for control tokens."""
        if self.is_control(token):
            return b""
        text = self.token_text(token)
        if _SPACE in text:
            return text.replace(_SPACE, " ").encode()
        spelt: str = self._tokenizer.decode([token], clean_up_tokenization_spaces=False)
        return spelt.encode("utf-8", "replace")

    @cached_property
    def _sets_space(self) -> bool:
        first = self.tokenize("a", special=False)[:1]
        return any(self.token_text(token).startswith(_SPACE) for token in first)


def _number(token: int | None) -> int:
    return -1 if token is None else int(token)
