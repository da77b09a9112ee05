"""`trivium images classify`, `probe` and `score`, as they are typed."""

import json
from pathlib import Path

import pytest

from tests.images import towers
from trivium.cli.main import run


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))


def _classify(*more: str) -> list[str]:
    model, _ = towers.colours()
    return ["images", "classify", "-m", str(model), *more]


def test_labels_sort_pictures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _, data = towers.colours()
    (tmp_path / "empty.png").touch()
    paths = [str(data / "red"), str(tmp_path / "empty.png")]
    assert run(_classify(*paths, "--labels", "red, green,blue", "--json")) == 0
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert len(lines) == 13
    assert lines[0]["label"] == "red"
    assert sum(lines[0]["probabilities"].values()) == pytest.approx(1)
    assert lines[-1] == {"path": paths[1], "refused": "empty: holds no bytes"}
    assert "12 pictures classified, 1 refused" in said.err
    assert run(_classify(*paths, "--labels", "red,blue", "--template", "a {}")) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("red\t")


def test_targets_make_a_run_that_eval_shows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, data = towers.colours()
    labels = tmp_path / "labels.txt"
    labels.write_text("red\ngreen\n\nblue\n")
    command = _classify(str(data), "--labels-file", str(labels), "--targets", "folders")
    assert run([*command, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["total"] == 36
    (accuracy,) = (one for one in made["cells"][0]["metrics"] if one["metric"] == "accuracy")
    assert accuracy["mean"] > 0.9 and accuracy["low"] > 0.7
    assert run(["eval", "show", made["run"]]) == 0
    assert "accuracy" in capsys.readouterr().out


def test_a_probe_is_made_judged_and_used(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model, data = towers.colours()
    file = tmp_path / "colours.safetensors"
    command = ["images", "probe", str(data), "-o", str(file), "-m", str(model), "--shots", "4"]
    assert run([*command, "--json"]) == 0
    said = capsys.readouterr()
    made = json.loads(said.out)
    assert (made["taught"], made["judged"], made["classes"]) == (12, 24, 3)
    assert made["probe"]["mean"] == 1.0
    assert made["difference"]["low"] <= 0 <= made["difference"]["high"]
    assert "cannot be told apart from words alone on 24 pictures" in said.err
    assert run(["images", "classify", "--probe", str(file), str(data / "blue"), "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {json.loads(line)["label"] for line in lines} == {"blue"}
    assert run(_classify(str(data), "--probe", str(file), "--form", "int8")) == 2
    assert "train it again" in capsys.readouterr().err


def test_captions_are_scored(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model, data = towers.colours()
    table = tmp_path / "t.csv"
    table.write_text(
        "image,caption\n" + "".join(f"{data / c / '00.png'},{c}\n" for c in ("red", "blue"))
    )
    assert run(["images", "score", str(table), "-m", str(model), "--json"]) == 0
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [line["caption"] for line in lines] == ["red", "blue"]
    assert all(0 <= line["score"] <= 2.5 for line in lines)
    assert "of 2 captions" in said.err


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ([], "say what pictures may show"),
        (["--labels", "a,b", "--probe", "p"], "say what pictures may show"),
        (["--labels", "a,b", "--labels-file", "p"], "give one of them"),
        (["--labels", "a"], "two labels"),
        (["--labels", "a,b", "--form", "fast"], '"fast" is no form'),
        (["--labels", "a,b", "--template", "x"], r"has no {}"),
        (["--labels", "a,b", "--template", "{}", "--prompt", "x"], "give one of them"),
        (["--labels", "a,b", "--targets", "t.csv"], "names the pictures itself"),
        (["--labels-file", "gone.txt"], "no text file that can be read"),
    ],
)
def test_what_cannot_be_meant(
    more: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, data = towers.colours()
    assert run(_classify(str(data), *more)) == 2
    assert why in capsys.readouterr().err.replace("\n", " ")
