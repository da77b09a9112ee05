"""Masked language models (BERT and its kin), which score a sentence and cannot write one.

From a folder in the layout of Hugging Face, weights as safetensors; nothing is downloaded.
"""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path
from typing import Any

from trivium.engines.base import (
    Chunk,
    Completion,
    Fingerprint,
    Request,
    Score,
    ScoreRequest,
    TokenLogprob,
)
from trivium.engines.digest import folder_sha256
from trivium.errors import ContextOverflow, Unavailable, UsageError

PREFIX = "mlm:"
BATCH = 64  # copies of a sentence, each with another token masked, that are read at once


def shared(first: Sequence[int], second: Sequence[int]) -> tuple[list[int], list[int]]:
    """The positions of the tokens that two sequences share, in order, in each of them.

    By difflib's matching blocks, as in the metric.py of Nangia et al. 2020. The first and the last
    of them, which begin and end a text, are left out.
    """
    ours: list[int] = []
    theirs: list[int] = []
    # as text, like the authors: difflib is deterministic, and this keeps its ties where they were
    matcher = SequenceMatcher(None, [str(token) for token in first], [str(t) for t in second])
    for block in matcher.get_matching_blocks():
        ours += range(block.a, block.a + block.size)
        theirs += range(block.b, block.b + block.size)
    return ours[1:-1], theirs[1:-1]


class MaskedEngine:
    """A masked language model for `score`; one sentence of a pair at a time."""

    def __init__(self, folder: Path, *, name: str | None = None, threads: int | None = None):
        """Load the model and the tokenizer in `folder`.

        Raises:
            Unavailable: when they are not there, or are not those of a masked model.
        """
        import torch
        from transformers import AutoModelForMaskedLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self._name = name or f"{PREFIX}{folder}"
        self._folder = folder
        if threads is not None:
            torch.set_num_threads(threads)
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model: Any = AutoModelForMaskedLM.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
            )
        except (OSError, ValueError, KeyError) as error:
            first = str(error).strip().partition("\n")[0]
            raise Unavailable(
                f"{self._name} is no masked model that can be read: {first}"
            ) from error
        if self._tokenizer.mask_token_id is None:
            raise Unavailable(f"{self._name} has no mask token; name a masked model such as BERT")
        self._model.eval()

    @property
    def name(self) -> str:
        return self._name

    @property
    def context_length(self) -> int:
        positions = int(self._model.config.max_position_embeddings)
        return min(positions, int(self._tokenizer.model_max_length))

    @property
    def parameters(self) -> int | None:
        return int(self._model.num_parameters())

    @property
    def sees_images(self) -> bool:
        return False

    @cached_property
    def fingerprint(self) -> Fingerprint:
        import transformers

        library = f"transformers {transformers.__version__}"
        return Fingerprint(
            self._name, folder_sha256(self._folder), library, {"dtype": "float32", "masked": True}
        )

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """Pseudo-log-likelihoods of sentences over what each shares with another one.

        The prompt is the pair, a sentence a line, and the continuation is one of them. The score is
        the sum over the shared tokens t of log p(t | the sentence with t masked), natural log
        (Nangia et al. 2020; Salazar et al. 2020 over all tokens).

        Raises:
            UsageError: when the prompt is not such a pair.
            ContextOverflow: when the sentence has more tokens than the model has positions.
        """
        return [self._score(request) for request in requests]

    def _score(self, request: ScoreRequest) -> Score:
        import torch

        pair = request.prompt.split("\n")
        if request.messages or len(pair) != 2 or request.continuation not in pair:
            raise UsageError(
                f"{self._name} scores a sentence by what it shares with another: the prompt must "
                "be the two, a line each, as in the suite crows_pairs_masked"
            )
        first, second = (self._tokenizer.encode(sentence) for sentence in pair)
        side = pair.index(request.continuation)
        positions, tokens = shared(first, second)[side], (first, second)[side]
        if len(tokens) > self.context_length:
            raise ContextOverflow(
                f"the sentence needs {len(tokens)} tokens, but {self._name} holds "
                f"{self.context_length}"
            )
        ids = torch.tensor(tokens)
        found: list[TokenLogprob] = []
        greedy = True
        for start in range(0, len(positions), BATCH):
            at = torch.tensor(positions[start : start + BATCH])
            rows = torch.arange(len(at))
            masked = ids.repeat(len(at), 1)  # (masked positions, tokens)
            masked[rows, at] = self._tokenizer.mask_token_id
            with torch.inference_mode():
                logits = self._model(input_ids=masked).logits[rows, at]  # (positions, vocabulary)
            logprobs = torch.log_softmax(logits.double(), dim=-1)
            greedy &= bool((logprobs.argmax(dim=-1) == ids[at]).all())
            words = self._tokenizer.convert_ids_to_tokens(ids[at].tolist())
            values = logprobs[rows, ids[at]].tolist()
            found += map(TokenLogprob, words, values)
        return Score(sum(token.logprob for token in found), tuple(found), greedy)

    def stream(self, request: Request) -> Iterator[Chunk]:
        raise self._mute()

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        raise self._mute()

    def count_tokens(self, request: Request) -> int:
        raise self._mute()

    def close(self) -> None:
        self._model = None

    def _mute(self) -> UsageError:
        return UsageError(
            f"{self._name} is a masked model and cannot write; it can be scored by the suite "
            "crows_pairs_masked, and a causal model by every other one"
        )


def find_folder(name: str) -> Path:
    """The folder that FOLDER or ORG/MODEL names, "mlm:" before it or not.

    A model of the hub lies in the hub's own cache.

    Raises:
        Unavailable: when it is not there.
    """
    wanted = name.removeprefix(PREFIX)
    folder = Path(wanted).expanduser()
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(wanted, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError) as error:
        raise Unavailable(
            f"there is no folder {wanted}, and no model of that name in the cache of the Hugging "
            f"Face hub; download it with: hf download {wanted}"
        ) from error
