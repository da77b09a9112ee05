"""Texts to the token ids that a text tower reads, without torch: the `tokenizers` library.

CLIP's byte pairs: lower case, words that end in "</w>", a start and an end token (Radford et al.
2021, section 2.4). Any other tokenizer.json works as its file says.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trivium.errors import UsageError
from trivium.paths import atomic_write

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILE = "tokenizer.json"
START, END = "<|startoftext|>", "<|endoftext|>"
_PIECES = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


class Words:
    """A tokenizer with the length that a tower reads; a text that is too long keeps its end."""

    def __init__(self, tokenizer: "Tokenizer", length: int, pad: int) -> None:
        self.tokenizer = tokenizer
        self.length = length
        tokenizer.no_padding()
        tokenizer.enable_truncation(length)
        self.pad = pad

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """(len(texts), length)"""
        ids = np.full((len(texts), self.length), self.pad, dtype=np.int64)
        for row, encoding in enumerate(self.tokenizer.encode_batch(list(texts))):
            ids[row, : len(encoding.ids)] = encoding.ids
        return ids

    def cut(self, text: str) -> bool:
        """Whether `text` is longer than the tower reads."""
        return bool(self.tokenizer.encode(text).overflowing)

    def save(self, folder: Path) -> None:
        """Write tokenizer.json and what `transformers` needs to know of it."""
        with atomic_write(folder / FILE) as file:
            file.write(self.tokenizer.to_str(pretty=True).encode() + b"\n")
        config = {
            "tokenizer_class": "CLIPTokenizer",
            "bos_token": START,
            "eos_token": END,
            "pad_token": END,
            "unk_token": END,
            "model_max_length": self.length,
        }
        with atomic_write(folder / "tokenizer_config.json") as file:
            file.write(json.dumps(config, indent=2).encode() + b"\n")


def load_words(folder: Path, length: int, pad: int) -> Words:
    """The tokenizer of a model folder: tokenizer.json, or CLIP's vocab.json and merges.txt.

    Raises:
        UsageError: when there is none, or it is damaged.
    """
    from tokenizers import Tokenizer

    file = folder / FILE
    try:
        if file.exists():
            return Words(Tokenizer.from_str(file.read_text(encoding="utf-8")), length, pad)
        vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"{folder} has no {FILE}, nor vocab.json with merges.txt") from error
    except Exception as error:  # the library raises nothing narrower
        raise UsageError(f"{file} is no tokenizer that can be read: {error}") from error
    merges = [_pair(line) for line in lines if line and not line.startswith("#version")]
    return Words(byte_pairs(vocabulary, merges), length, pad)


def train_words(texts: Iterable[str], size: int, length: int) -> Words:
    """CLIP's tokenizer with merges learned from `texts`: at most `size` tokens.

    Every byte has a token, so that any text can be read. The end token has the highest id.

    Raises:
        UsageError: when `size` has no room for the bytes.
    """
    from tokenizers import pre_tokenizers, trainers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    least = 2 * len(letters) + 2  # each byte inside of a word and at its end, and two more
    if size < least:
        raise UsageError(f"a vocabulary of {size} has no room for all bytes; it takes {least}")
    learner = byte_pairs({}, [])
    trainer = trainers.BpeTrainer(
        vocab_size=size - least + len(letters),
        initial_alphabet=letters,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    learned: dict[str, Any] = json.loads(learner.to_str())["model"]
    merges = [_pair(" ".join(pair)) for pair in learned["merges"]]
    tokens = [*letters, *(letter + "</w>" for letter in letters)]
    tokens += [joined for joined in map("".join, merges) if joined not in set(tokens)]
    vocabulary = {token: at for at, token in enumerate([*dict.fromkeys(tokens), START, END])}
    return Words(byte_pairs(vocabulary, merges), length, vocabulary[END])


def byte_pairs(vocabulary: dict[str, int], merges: Sequence[tuple[str, str]]) -> "Tokenizer":
    """CLIP's tokenizer out of its two tables."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from tokenizers.processors import RobertaProcessing

    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=list(merges),
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            unk_token=END if vocabulary else None,
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    if vocabulary:
        tokenizer.add_special_tokens([START, END])
        tokenizer.post_processor = RobertaProcessing(
            (END, vocabulary[END]), (START, vocabulary[START]), False, False
        )
    return tokenizer


def _pair(line: str) -> tuple[str, str]:
    left, _, right = line.partition(" ")
    return left, right
