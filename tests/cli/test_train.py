"""`trivium train`, as it is typed."""

import json
from pathlib import Path

import pytest

from tests.train.made import class_folders
from trivium.cli.main import run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folders(tmp_path_factory.mktemp("colours"))


def test_a_run_and_its_second_call(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("vocabulary: 530\nbatch: 12\nmicro_batch: 6\nsteps: 2\nwarmup: 1\n")
    out = tmp_path / "run"
    command = ["train", "clip", "--data", str(data), "--recipe", str(recipe), "-o", str(out)]
    assert run(command) == 0
    assert capsys.readouterr().out == f"{out / 'model'}\n"
    assert run(command) == 0
    assert "going on after step 2" in capsys.readouterr().err
    assert run([*command, "--seed", "4"]) == 2
    assert "seed was 0, is 4" in capsys.readouterr().err


def test_a_plan_before(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "plan", "--data", str(data), "--batch", "6", "--steps", "6"]
    assert run([*command, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["pairs"] == 36 and said["epochs"] == 1.0
    assert run(command) == 0
    assert "pairs\t36\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["clip", "-o", "x"], "say what to learn from: --data PATH"),
        (["plan", "--data", "nowhere"], "there is nothing at nowhere"),
        (["plan", "--data", ".", "--size", "huge"], "the recipe's size"),
        (["plan", "--recipe", "nowhere.yaml"], "cannot read nowhere.yaml"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", *arguments]) == 2
    assert sentence in capsys.readouterr().err
