"""A run end to end on three colours: it learns, it resumes to the bit, two processes are one."""

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.train.made import class_folders
from trivium.errors import UsageError
from trivium.nn.layout import load_two_towers
from trivium.nn.pixels import load_pixels
from trivium.nn.words import load_words
from trivium.train import checkpoint
from trivium.train.clip import Trainer
from trivium.train.evaluate import class_vectors, zero_shot
from trivium.train.pairs import find_pairs
from trivium.train.recipe import ClipRecipe, read_recipe

RUN = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from trivium.train.clip import Trainer
from trivium.train.recipe import ClipRecipe
recipe = ClipRecipe.model_validate_json(sys.argv[1])
Trainer(recipe, Path(sys.argv[2])).train(lambda now: print(now.step, flush=True))
"""


def _recipe(data: Path, **changes: Any) -> ClipRecipe:
    values = {
        "data": data, "steps": 8, "batch": 12, "micro_batch": 6, "warmup": 2, "vocabulary": 530,
        "checkpoint_every": 3, "learning_rate": 5e-4,
    }  # fmt: skip
    return read_recipe(values | changes)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folders(tmp_path_factory.mktemp("colours"))


def _losses(folder: Path) -> list[float]:
    with (folder / "log.csv").open() as log:
        return [float(row["loss"]) for row in csv.DictReader(log)]


def test_it_learns_three_colours_and_is_read_by_the_loader(data: Path, tmp_path: Path) -> None:
    recipe = _recipe(data, steps=30, micro_batch=12, checkpoint_every=100, evaluate=data)
    seen: list[Any] = []
    Trainer(recipe, tmp_path).train(seen.append)
    losses = _losses(tmp_path)
    assert len(losses) == 30 and losses[-1] < losses[0] - 0.3
    right, count = seen[-1].zero_shot
    assert count == 36 and right / count > 0.9
    folder = tmp_path / "model"
    model, pixels = load_two_towers(folder), load_pixels(folder)
    words = load_words(folder, model.shape.text.length, model.shape.text.end)
    again = zero_shot(model, words, pixels, find_pairs(data), recipe.templates)
    assert sum(again) == right


def test_a_run_that_is_stopped_ends_with_the_same_weights(data: Path, tmp_path: Path) -> None:
    recipe = _recipe(data)
    torch.set_num_threads(1)
    Trainer(recipe, tmp_path / "whole").train()

    class Stop(Exception):
        pass

    def stop(now: Any) -> None:
        if now.step == 5:
            raise Stop

    with pytest.raises(Stop):
        Trainer(recipe, tmp_path / "broken").train(stop)
    again = Trainer(recipe, tmp_path / "broken")
    assert again.step == 3
    again.train()
    one = load_file(tmp_path / "whole" / "model" / "model.safetensors")
    other = load_file(tmp_path / "broken" / "model" / "model.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert _losses(tmp_path / "whole") == _losses(tmp_path / "broken")


def test_killed_at_any_moment_it_ends_with_the_same_weights(data: Path, tmp_path: Path) -> None:
    recipe = _recipe(data, checkpoint_every=1, steps=6)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def start(folder: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", RUN, recipe.model_dump_json(), str(folder)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    assert start(tmp_path / "whole").wait(120) == 0
    for pause in (0.0, 0.01, 0.03):
        process = start(tmp_path / "killed")
        assert process.stdout is not None and process.stdout.readline()
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert start(tmp_path / "killed").wait(120) == 0
    one = load_file(tmp_path / "whole" / "model" / "model.safetensors")
    other = load_file(tmp_path / "killed" / "model" / "model.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_two_processes_have_the_loss_of_one(data: Path, tmp_path: Path) -> None:
    recipe = _recipe(data, steps=4)
    Trainer(recipe, tmp_path / "one").train()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    command = [sys.executable, "-c", RUN, recipe.model_dump_json(), str(tmp_path / "two")]
    running = [
        subprocess.Popen(command, env=environment | {"RANK": str(rank)}, stdout=subprocess.DEVNULL)
        for rank in (0, 1)
    ]
    assert [process.wait(120) for process in running] == [0, 0]
    assert _losses(tmp_path / "two") == pytest.approx(_losses(tmp_path / "one"), abs=1e-5)


def test_another_recipe_or_other_data_are_refused(data: Path, tmp_path: Path) -> None:
    Trainer(_recipe(data, steps=3), tmp_path / "run").train()
    with pytest.raises(UsageError, match=r"learning_rate was 0\.0005, is 0\.001"):
        Trainer(_recipe(data, steps=3, learning_rate=1e-3), tmp_path / "run")
    more = class_folders(tmp_path / "more", each=5)
    with pytest.raises(UsageError, match="data was"):
        Trainer(_recipe(more, steps=3), tmp_path / "run")


def test_the_newest_two_checkpoints_stay(data: Path, tmp_path: Path) -> None:
    Trainer(_recipe(data, checkpoint_every=2), tmp_path).train()
    assert checkpoint.steps(tmp_path / "checkpoints") == [6, 8]
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_too_few_pairs_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="36 pairs do not fill a batch of 64"):
        Trainer(_recipe(data, batch=64), tmp_path)
    with pytest.raises(UsageError, match="the recipe's batch"):
        read_recipe({"data": data, "batch": 1})
    with pytest.raises(UsageError, match="the recipe's lerning_rate"):
        read_recipe({"data": data, "lerning_rate": 1})


def test_a_class_is_the_mean_of_its_prompts(data: Path, tmp_path: Path) -> None:
    trainer = Trainer(_recipe(data, steps=1), tmp_path)
    model, words = trainer.model, trainer.words
    with torch.no_grad():
        one, two = model.embed_texts(torch.from_numpy(words.encode(["a red", "the red"])))
        found = class_vectors(model, words, ["red"], ["a {}", "the {}"])
    torch.testing.assert_close(found[0], (one + two) / (one + two).norm())
