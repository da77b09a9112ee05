import json
from pathlib import Path

import pytest

from trivium.cli.main import run
from trivium.config import Settings


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)


def rows(capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    assert run(["config"]) == 0
    lines = capsys.readouterr().out.splitlines()
    return {name: rest for name, *rest in (line.split("\t") for line in lines)}


def test_every_setting_is_shown_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    shown = rows(capsys)
    assert list(shown) == list(Settings.model_fields)
    assert shown["top_k"] == ["5", "default"]
    assert shown["reranker"] == ["unset", "default"]
    assert shown["offline"] == ["false", "default"]


def test_the_later_place_wins_and_is_named(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    own = home / "trivium.toml"
    own.write_text('top_k = 7\nmax_tokens = 99\nmodel = "a"\n')
    project = Path.cwd().parent / "trivium.toml"
    project.write_text('max_tokens = 77\nmodel = "b"\n')
    monkeypatch.setenv("TRIVIUM_MODEL", "c")
    shown = rows(capsys)
    assert shown["top_k"] == ["7", str(own)]
    assert shown["max_tokens"] == ["77", str(project)]
    assert shown["model"] == ["c", "TRIVIUM_MODEL"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('top_k = 3\ntool_files = ["evil.py"]\n', "tool_files (line 2)"),
        ('[mcp.evil]\ncommand = ["sh"]\n', "mcp (line 1)"),
        ('model = "https://models.example/v1#m"\n', "model (line 1)"),
        ('model = "https://models.example/m.gguf"\n', "model (line 1)"),
    ],
)
def test_a_folder_decides_neither_what_runs_nor_who_listens(
    text: str, key: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the user's own file does: a folder may have come from somebody else."""
    file = Path("trivium.toml")
    file.write_text(text)
    assert run(["config"]) == 2
    err = capsys.readouterr().err
    assert f"{file.absolute()}: {key}" in err
    assert f"move it to {home / 'trivium.toml'}" in err
    home.mkdir()
    file.rename(home / "trivium.toml")
    assert run(["config"]) == 0


def test_a_folder_may_name_a_server_on_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    Path("trivium.toml").write_text('model = "http://127.0.0.1:8000/v1#m"\n')
    assert rows(capsys)["model"][0] == "http://127.0.0.1:8000/v1#m"


def test_json_keeps_types(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["temperature"] == {"value": 0.0, "source": "default"}
    assert value["context_length"] == {"value": None, "source": "default"}


def test_path_is_where_the_own_file_would_lie(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "path"]) == 0
    assert capsys.readouterr() == (
        f"{home / 'trivium.toml'}\n",
        "It is not there yet; the defaults hold.\n",
    )
    home.mkdir()
    (home / "trivium.toml").touch()
    assert run(["config", "path"]) == 0
    assert capsys.readouterr().err == ""


def test_a_misspelt_key_names_its_file_and_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("trivium.toml").write_text("top_k = 3\ntop_j = 4\n")
    assert run(["config"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    expected = f'error: {Path.cwd() / "trivium.toml"}: unknown setting "top_j" (line 2); known are '
    assert shown.err.startswith(expected)
