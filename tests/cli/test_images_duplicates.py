import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.images.test_hashes import scene
from trivium.cli.images import app
from trivium.errors import TriviumError, UsageError


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["duplicates", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    scene(1, (300, 200)).save(made / "a.png")
    scene(1, (300, 200)).resize((150, 100)).save(made / "b.jpg")
    scene(2).save(made / "c.png")
    return made


def test_found_applied_undone(folder: Path, tmp_path: Path) -> None:
    plan = str(tmp_path / "plan.yaml")
    assert run("find", str(folder), "-o", plan) == ""
    assert (folder / "b.jpg").exists()
    with pytest.raises(UsageError, match="is there already"):
        run("find", str(folder), "-o", plan)
    assert "b.jpg" in run("apply", plan, "--trash", str(tmp_path / "trash"))
    assert sorted(file.name for file in folder.iterdir()) == ["a.png", "c.png"]
    assert "b.jpg" in run("undo", plan)
    assert sorted(file.name for file in folder.iterdir()) == ["a.png", "b.jpg", "c.png"]


def test_what_stays_is_an_error(folder: Path, tmp_path: Path) -> None:
    plan = str(tmp_path / "plan.yaml")
    run("find", str(folder), "-o", plan)
    (folder / "a.png").write_bytes(b"changed")
    with pytest.raises(TriviumError, match="1 files stayed"):
        run("apply", plan, "--trash", str(tmp_path / "trash"))
    assert (folder / "b.jpg").exists()


def test_as_json(folder: Path) -> None:
    found = json.loads(run("find", str(folder), "--json"))
    (group,) = found["groups"]
    assert found["pictures"] == 3 and group["tier"] == "near"
    assert [(Path(one["path"]).name, one["keep"]) for one in group["files"]] == [
        ("a.png", True),
        ("b.jpg", False),
    ]


def test_tiers_are_checked(folder: Path) -> None:
    assert "groups: []" in run("find", str(folder), "--tier", "pixels")
    for extra in (["--tier", "nearly"], ["--tier", "similar"], ["--cosine", "0.9"]):
        with pytest.raises(UsageError):
            run("find", str(folder), *extra)
