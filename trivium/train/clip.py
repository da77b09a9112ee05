"""The loop: batch, gradient, step, and now and then a checkpoint and an evaluation."""

import csv
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import optim
from torch.nn.utils import clip_grad_norm_

from trivium.errors import TriviumError, UsageError
from trivium.nn.layout import load_two_towers, save_two_towers
from trivium.nn.pixels import Pixels, save_pixels
from trivium.nn.two_towers import TwoTowers
from trivium.nn.words import Words, load_words, train_words
from trivium.paths import ensure
from trivium.train import checkpoint, contrastive, processes
from trivium.train.evaluate import zero_shot
from trivium.train.pairs import Pair, find_pairs
from trivium.train.recipe import ClipRecipe
from trivium.train.schedule import cosine
from trivium.train.source import Source, digest

LOG = "log.csv"
COLUMNS = ("step", "loss", "learning_rate", "scale", "images_per_second", "zero_shot")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is; `left` in seconds. `zero_shot` is (right, pictures), when there is news."""

    step: int
    steps: int
    loss: float
    images_per_second: float
    left: float
    zero_shot: tuple[int, int] | None = None


Watch = Callable[[Progress], None]


class Trainer:
    """A run in a folder: begun, or gone on with where its newest checkpoint stands."""

    def __init__(self, recipe: ClipRecipe, folder: Path) -> None:
        """Read the data, and build or load the model.

        Raises:
            UsageError: for data or a recipe that does not fit, or differs from the run's own.
        """
        processes.join()
        if recipe.batch % processes.count():
            raise UsageError(
                f"a batch of {recipe.batch} does not divide among {processes.count()} processes"
            )
        self.recipe, self.folder = recipe, ensure(folder)
        pairs = find_pairs(recipe.data, recipe.templates)
        if len(pairs) < recipe.batch:
            raise UsageError(f"{len(pairs)} pairs do not fill a batch of {recipe.batch}")
        self._said = recipe.model_dump(mode="json") | {"data": digest(pairs)}
        self._checkpoints = folder / "checkpoints"
        last = checkpoint.newest(self._checkpoints)
        self.step = 0
        torch.manual_seed(recipe.seed)
        self.words = _words(recipe, pairs) if last is None else _read_words(recipe, last)
        vocabulary = self.words.tokenizer.get_vocab_size()
        self.model = TwoTowers(recipe.shape(vocabulary)) if last is None else load_two_towers(last)
        self.model.train()
        self.pixels = Pixels(self.model.shape.image.size)
        self._optimiser = _optimiser(self.model, recipe)
        if last is not None:
            self._resume(last)
        self._source = Source(recipe, pairs, self.pixels, self.words)
        self._held = [] if recipe.evaluate is None else find_pairs(recipe.evaluate, ())

    def train(self, watch: Watch = lambda _: None) -> None:
        """Go on to the last step. Ctrl-C saves first.

        Raises:
            TriviumError: when the loss is no number, or the disk is full.
        """
        begun, first = time.monotonic(), self.step
        try:
            while self.step < self.recipe.steps:
                loss = self._one()
                each = (time.monotonic() - begun) / (self.step - first)
                speed, last = self.recipe.batch / each, self.step == self.recipe.steps
                if last or self.step % self.recipe.checkpoint_every == 0:
                    self.save()  # before it is judged: an evaluation may fail
                judged = None
                if self._held and (last or self.step % self.recipe.evaluate_every == 0):
                    judged = self.zero_shot()
                self._log(loss, speed, judged)
                left = each * (self.recipe.steps - self.step)
                watch(Progress(self.step, self.recipe.steps, loss, speed, left, judged))
        except KeyboardInterrupt:
            self.save()
            raise
        finally:
            self._source.close()
        if processes.rank() == 0:
            self.write(self.folder / "model")

    def write(self, folder: Path) -> None:
        """The model in Hugging Face layout, with its tokenizer and the way it reads pictures."""
        save_two_towers(self.model, folder)
        self.words.save(folder)
        save_pixels(self.pixels, folder, self.model.shape.kind)

    def zero_shot(self) -> tuple[int, int]:
        """How many of the pictures held out are nearest to their class, and of how many."""
        right = zero_shot(self.model, self.words, self.pixels, self._held, self.recipe.templates)
        return sum(right), len(right)

    def save(self) -> None:
        """A checkpoint of this step, by the first process for all."""
        if processes.rank() == 0:
            checkpoint.save(
                self._checkpoints, self.step, self.write, self._optimiser, {"recipe": self._said}
            )
        processes.wait()

    def _one(self) -> float:
        """One step; the loss before it."""
        recipe = self.recipe
        pixels, ids, groups = self._source.batch(self.step)
        self._optimiser.zero_grad(set_to_none=True)
        loss = contrastive.accumulate(self.model, pixels, ids, groups, recipe.micro_batch)
        if not math.isfinite(loss):
            raise TriviumError(
                f"the loss of batch {self.step} is {loss}; the last checkpoint stays, "
                "go on from it with a smaller learning rate"
            )
        clip_grad_norm_(self.model.parameters(), recipe.clip_norm)
        for group in self._optimiser.param_groups:
            group["lr"] = recipe.learning_rate * cosine(self.step, recipe.steps, recipe.warmup)
        self._optimiser.step()
        self.model.clamp()
        self.step += 1
        return loss

    def _log(self, loss: float, speed: float, judged: tuple[int, int] | None) -> None:
        if processes.rank() != 0:
            return
        file = self.folder / LOG
        new = not file.exists()
        rate = self._optimiser.param_groups[0]["lr"]
        scale = float(self.model.log_scale.detach().exp())
        accuracy = "" if judged is None else f"{judged[0] / judged[1]:.4f}"
        with file.open("a", newline="") as log:
            table = csv.writer(log)
            if new:
                table.writerow(COLUMNS)
            numbers = (f"{loss:.6f}", f"{rate:.3e}", f"{scale:.3f}", f"{speed:.1f}")
            table.writerow([self.step, *numbers, accuracy])

    def _resume(self, last: Path) -> None:
        state = checkpoint.read_state(last)
        changed = {
            key: (value, self._said.get(key))
            for key, value in state["recipe"].items()
            if self._said.get(key) != value
        }
        if changed:
            lines = "; ".join(f"{key} was {old}, is {new}" for key, (old, new) in changed.items())
            raise UsageError(
                f"{self.folder} holds a run with another recipe ({lines}); "
                "go on with the same one, or choose another folder"
            )
        checkpoint.restore(last, self._optimiser)
        self.step = int(state["step"])
        _cut(self.folder / LOG, self.step)


def _optimiser(model: TwoTowers, recipe: ClipRecipe) -> optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2017, arXiv:1711.05101); matrices alone decay, as in CLIP."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    return optim.AdamW(
        [
            {"params": matrices, "weight_decay": recipe.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        betas=(0.9, 0.98),
        eps=1e-6,
    )


def _words(recipe: ClipRecipe, pairs: Sequence[Pair]) -> Words:
    length = recipe.shape(recipe.vocabulary).text.length
    texts = dict.fromkeys(caption for pair in pairs for caption in pair.captions)
    return train_words(texts, recipe.vocabulary, length)


def _read_words(recipe: ClipRecipe, folder: Path) -> Words:
    shape = json.loads((folder / "config.json").read_text())["text_config"]
    return load_words(folder, shape["max_position_embeddings"], shape["eos_token_id"])


def _cut(log: Path, step: int) -> None:
    """Forget the lines after `step`: those steps are done again."""
    if log.exists():
        lines = log.read_text().splitlines(keepends=True)
        kept = lines[:1] + [line for line in lines[1:] if int(line.split(",")[0]) <= step]
        log.write_text("".join(kept))
