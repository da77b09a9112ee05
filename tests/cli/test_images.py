"""`trivium images index | search | status | forget` at the terminal and in a script."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.images.made import ColourEncoder, encoded, picture, save
from trivium.cli.main import run

Output = pytest.CaptureFixture[str]

FAKED = """
import json, sys
import trivium.images.encoder
from tests.images.made import ColourEncoder
trivium.images.encoder.load_encoder = lambda name, form="auto": ColourEncoder()
from trivium.cli.main import run
code = run(sys.argv[1:])
sys.stderr.write("\\n" + json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
sys.exit(code)
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, *, form: str = "auto") -> ColourEncoder:
        return ColourEncoder(f"colours-{form}")

    monkeypatch.setattr("trivium.images.encoder.load_encoder", load)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "photos"
    for colour in ("red", "green", "blue"):
        for seed in range(3):
            save(folder / colour / f"{seed}.png", colour, seed)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def indexed(photos: Path, capsys: Output) -> Path:
    assert run(["images", "index", "photos"]) == 0
    capsys.readouterr()
    return photos


class TestIndex:
    def test_the_summary_counts_every_file(self, photos: Path, capsys: Output) -> None:
        (photos / "empty.jpg").touch()
        (photos / "a\nb.jpg").write_bytes(encoded(picture()))
        (photos / "notes.txt").touch()
        assert run(["images", "index", "photos"]) == 0
        streams = capsys.readouterr()
        assert streams.out == ""
        *named, summary = streams.err.splitlines()
        assert named == [
            "wrong extension: photos/a\ufffdb.jpg (holds PNG)",
            "empty: photos/empty.jpg (holds no bytes)",
        ]
        assert summary.startswith(
            "9 added, 1 empty, 1 wrong extension, 1 of other kinds; 9 pictures indexed, "
            "9 embedded in "
        )

    def test_json_is_the_whole_report(self, photos: Path, capsys: Output) -> None:
        odd = os.fsdecode(os.fsencode(photos) + b"/caf\xe9.jpg")
        Path(odd).touch()
        assert run(["images", "index", "photos", "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report.pop("seconds") >= 0
        assert report == {
            "added": 9,
            "changed": 0,
            "unchanged": 0,
            "removed": 0,
            "kept": 0,
            "embedded": 9,
            "others": 0,
            "pictures": 9,
            "refused": [{"path": odd, "reason": "empty", "detail": "holds no bytes"}],
            "missing": [],
            "reasons": {"empty": 1},
        }

    def test_again_without_folders(self, indexed: Path, capsys: Output) -> None:
        (indexed / "red" / "0.png").unlink()
        assert run(["images", "index"]) == 0
        assert capsys.readouterr().err.startswith("8 unchanged, 1 removed; 8 pictures indexed")

    def test_a_missing_folder_is_named(self, indexed: Path, capsys: Output) -> None:
        indexed.rename(indexed.with_name("away"))
        assert run(["images", "index"]) == 0
        assert capsys.readouterr().err.splitlines()[0] == (
            "photos is not there or empty: its pictures stay in the index; --prune lets them leave"
        )

    def test_another_form_or_model_is_refused(self, indexed: Path, capsys: Output) -> None:
        assert run(["images", "index", "photos", "--form", "int8"]) == 2
        assert "(colours-auto), not with colours (colours-int8)" in capsys.readouterr().err
        assert run(["images", "index", "photos", "--form", "int4"]) == 2
        assert "auto, torch, onnx, int8" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (["nowhere"], 2, "nowhere does not exist"),
            ([], 2, "say which folders"),
            (["empty"], 1, "there are no pictures"),
            (["notes.txt"], 2, "no picture's extension"),
        ],
    )
    def test_what_cannot_be_indexed(
        self, photos: Path, capsys: Output, arguments: list[str], code: int, said: str
    ) -> None:
        Path("empty").mkdir()
        Path("notes.txt").touch()
        assert run(["images", "index", *arguments]) == code
        assert said in capsys.readouterr().err


class TestSearch:
    def search(self, capfdbinary: pytest.CaptureFixture[bytes], *arguments: str) -> bytes:
        assert run(["images", "search", *arguments]) == 0
        return capfdbinary.readouterr().out

    @pytest.fixture
    def held(self, photos: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Path:
        assert run(["images", "index", "photos"]) == 0
        capfdbinary.readouterr()
        return photos

    def test_a_pipe_gets_paths_alone(
        self, held: Path, capfdbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        lines = self.search(capfdbinary, "red", "-k", "3").decode().splitlines()
        assert sorted(lines) == [str(held / "red" / f"{seed}.png") for seed in range(3)]

    def test_null_gives_the_very_bytes(
        self, held: Path, capfdbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        odd = os.fsencode(held) + b"/caf\xe9\n.png"
        Path(os.fsdecode(odd)).write_bytes(encoded(picture("white")))
        assert run(["images", "index"]) == 0
        assert self.search(capfdbinary, "white", "-k", "1", "-0") == odd + b"\0"

    def test_json_lines(self, held: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        out = self.search(capfdbinary, "blue", "--like", str(held / "blue" / "1.png"), "--json")
        rows = [json.loads(line) for line in out.splitlines()]
        assert len(rows) == 8
        assert rows[0]["path"].startswith(str(held / "blue"))
        assert {"cosine", "percentile", "background", "beyond_chance", "width"} <= rows[0].keys()

    def test_filters(self, held: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        out = self.search(capfdbinary, "red", "--under", "photos/blue", "--after", "2001")
        assert all(b"/blue/" in line for line in out.splitlines()) and out.count(b"\n") == 3

    def test_a_terminal_gets_a_table_or_thumbnails(
        self, indexed: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
    ) -> None:
        from rich.console import Console

        monkeypatch.setenv("TERM", "xterm")
        wide = Console(force_terminal=True, width=200, highlight=False, markup=False)
        monkeypatch.setattr("trivium.cli.console.out", lambda: wide)
        assert run(["images", "search", "red", "-k", "1", "--thumbnails", "off"]) == 0
        assert "beyond chance" in capsys.readouterr().out
        assert run(["images", "search", "red", "-k", "2", "--thumbnails", "blocks"]) == 0
        shown = capsys.readouterr().out
        assert "\u2580" in shown and "[2] photos/red/" in shown and "100.0 % here" in shown
        for file in indexed.rglob("*.png"):
            file.unlink()  # since it was indexed
        assert run(["images", "search", "red", "-k", "1", "--thumbnails", "blocks"]) == 0
        assert capsys.readouterr().out.startswith("[1] photos/red/")

    def test_nothing_found_is_exit_3(self, indexed: Path, capsys: Output) -> None:
        assert run(["images", "search", "red", "--before", "1990"]) == 3
        assert capsys.readouterr().out == ""

    def test_what_cannot_be_searched(self, indexed: Path, capsys: Output) -> None:
        assert run(["images", "search", ""]) == 2
        assert run(["images", "search", "red", "--json", "-0"]) == 2
        assert run(["images", "search", "red", "--index", "other"]) == 2
        assert "there are: default" in capsys.readouterr().err


class TestSimilar:
    def test_it_finds_what_search_like_does(self, indexed: Path, capsys: Output) -> None:
        picture_ = str(indexed / "blue" / "1.png")
        assert run(["images", "search", "--like", picture_, "-k", "4", "--json"]) == 0
        expected = capsys.readouterr().out
        assert run(["images", "similar", picture_, "-k", "4", "--json"]) == 0
        assert capsys.readouterr().out == expected
        rows = [json.loads(line)["path"] for line in expected.splitlines()]
        assert sorted(rows[:2]) == [str(indexed / "blue" / f"{seed}.png") for seed in (0, 2)]
        assert len(rows) == 4

    def test_a_picture_outside_of_the_index(
        self, indexed: Path, tmp_path: Path, capsys: Output
    ) -> None:
        save(tmp_path / "new.png", "green", 7)
        assert run(["images", "similar", "new.png", "-k", "3", "-0"]) == 0
        found = capsys.readouterr().out.split("\0")
        assert [Path(path).parent.name for path in found[:-1]] == ["green"] * 3

    def test_thumbnails_are_for_terminals_alone(self, indexed: Path, capsys: Output) -> None:
        command = ["images", "similar", "photos/red/0.png", "-k", "1"]
        for more in ([], ["--paths"], ["--json"], ["-0"]):
            assert run([*command, "--thumbnails", "blocks", *more]) == 0
            assert "\x1b" not in capsys.readouterr().out

    def test_what_cannot_be_looked_for(self, indexed: Path, tmp_path: Path, capsys: Output) -> None:
        (tmp_path / "cut.png").write_bytes(encoded(picture())[:-20])
        assert run(["images", "similar", "cut.png"]) == 1
        assert "cut.png cannot be looked for: truncated" in capsys.readouterr().err
        assert run(["images", "similar", "gone.png"]) == 2
        assert run(["images", "similar", "photos/red/0.png", "--json", "--paths"]) == 2
        assert run(["images", "similar"]) == 2


class TestStatusAndForget:
    def test_status(self, indexed: Path, capsys: Output) -> None:
        (indexed / "new.png").write_bytes(encoded(picture()))
        assert run(["images", "status", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["pictures"], found["new"], found["changed"], found["deleted"]) == (9, 1, 0, 0)
        assert (found["model"], found["roots"]) == ("colours", [str(indexed)])
        assert run(["images", "status"]) == 0
        assert "1 new, 0 changed, 0 deleted" in capsys.readouterr().out

    def test_forget(self, indexed: Path, capsys: Output) -> None:
        assert run(["images", "forget", "photos/red"]) == 0
        assert "3 files left" in capsys.readouterr().err
        assert run(["images", "forget", "photos/red"]) == 2
        assert run(["images", "forget"]) == 2
        assert run(["images", "forget", "--all", "--yes"]) == 0
        assert run(["images", "forget", "--all", "--yes"]) == 2
        assert len(list(indexed.rglob("*.png"))) == 9


def test_a_search_imports_no_torch(indexed: Path, home: Path) -> None:
    command = [sys.executable, "-c", FAKED, "images", "search", "red", "-k", "1", "--json"]
    options = {"PYTHONPATH": str(ROOT), "TRIVIUM_HOME": str(home)}
    code = FAKED.replace("ColourEncoder()", 'ColourEncoder("colours-auto")')
    command[2] = code
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | options, check=False
    )
    assert done.returncode == 0, done.stderr
    imported = set(json.loads(done.stderr.splitlines()[-1]))
    unwanted = {"torch", "transformers", "sentence_transformers", "faiss", "langchain_core"}
    assert imported & unwanted == set()
