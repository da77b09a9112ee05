import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.cli.program import trivium
from tests.models.test_gguf import write
from trivium import __version__
from trivium.cli import console
from trivium.cli.lazy import COMMANDS, SHARED, load
from trivium.cli.main import app, run


@pytest.fixture(autouse=True)
def _normal_verbosity() -> Iterator[None]:
    yield
    console.set_verbosity(console.Verbosity.NORMAL)


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "doctor", ("tests.cli.probe", ""))


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr() == (f"trivium {__version__}\n", "")


def test_help_shows_every_command_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-h"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    for name, (_, line) in COMMANDS.items():
        assert [name, line] in lines


@pytest.mark.parametrize("arguments", [[], ["models"]])
def test_no_command_shows_help_as_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(" ".join(["Usage: trivium", *arguments]))
    assert "error:" not in shown.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["aks"], "no such command 'aks'; did you mean 'ask'?"),
        (["models", "lst"], "no such command 'lst'; did you mean 'list'?"),
        (["xyzzy"], "no such command 'xyzzy'; see: trivium --help"),
        (["models", "pull"], "missing argument 'names'; see: trivium models pull --help"),
        (
            ["ask", "-k", "0", "why"],
            "invalid value for '--top-k' / '-k': 0 is not in the range 1<=x<=100; "
            "see: trivium ask --help",
        ),
    ],
)
def test_a_usage_error_is_one_sentence_with_a_hint(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert capsys.readouterr() == ("", f"error: {sentence}\n")


@pytest.mark.usefixtures("probe")
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("TriviumError", 1),
        ("UsageError", 2),
        ("NotInDocuments", 3),
        ("ContextOverflow", 4),
        ("Unavailable", 5),
        ("GateFailed", 6),
        ("SchemaViolation", 7),
    ],
)
def test_every_error_has_its_exit_code(
    kind: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["-q", "doctor", "fail", kind, "--text", "no \x1b[31mred\x1b[0m"]) == code
    assert capsys.readouterr() == ("", "error: no red\n")


@pytest.mark.usefixtures("probe")
def test_what_is_not_the_users_mistake_is_called_a_bug(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["doctor", "fail", "ValueError"]) == 1
    assert capsys.readouterr().err == (
        "error: this is a bug in trivium: ValueError: it broke; "
        "run again with --debug for the traceback\n"
    )
    assert run(["doctor", "fail", "ValueError", "--debug"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.usefixtures("probe")
def test_interrupted_and_out_of_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "fail", "KeyboardInterrupt"]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert run(["doctor", "fail", "MemoryError"]) == 1
    assert capsys.readouterr().err.startswith("error: out of memory; ")


@pytest.mark.usefixtures("probe")
@pytest.mark.parametrize(
    ("arguments", "level"),
    [
        (["doctor", "level"], "NORMAL"),
        (["-q", "doctor", "level"], "QUIET"),
        (["doctor", "-v", "level"], "VERBOSE"),
        (["doctor", "level", "-q"], "QUIET"),
        (["doctor", "level", "--verbose"], "VERBOSE"),
        (["-q", "doctor", "level", "--debug"], "DEBUG"),
    ],
)
def test_verbosity_is_accepted_before_and_after_the_command(
    arguments: list[str], level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 0
    assert capsys.readouterr().out == f"{level}\n"


def test_every_command_takes_the_shared_options_and_no_name_twice() -> None:
    root: Any = get_command(app)
    shared = [param for param in root.params if param.name in SHARED]
    seen = []

    def walk(command: Any) -> None:
        names = [name for p in command.params for name in (*p.opts, *p.secondary_opts)]
        assert len(names) == len(set(names)), command.name
        assert {"-q", "-v", "--debug"} <= set(names), command.name
        seen.append(command.name)
        for child in getattr(command, "commands", {}).values():
            walk(child)

    for name in COMMANDS:
        walk(load(name, shared))
    assert {"ask", "pull", "path"} <= set(seen)


def test_exit_codes_of_real_commands(home: Path, tmp_path: Path) -> None:
    assert trivium("models", "list").returncode == 0
    unknown = trivium("models", "rm", "nothing-of-the-kind")
    assert (unknown.returncode, unknown.stdout) == (5, "")
    assert unknown.stderr.startswith('error: "nothing-of-the-kind" is not pulled; ')
    (tmp_path / "file").touch()
    write(tmp_path / "tiny.gguf")
    blocked = trivium(
        "models",
        "pull",
        str(tmp_path / "tiny.gguf"),
        env=os.environ | {"TRIVIUM_HOME": str(tmp_path / "file" / "home")},
    )
    assert (blocked.returncode, blocked.stdout) == (1, "")
    assert blocked.stderr.startswith("error: cannot create ")
    assert blocked.stderr.count("\n") == 1
    assert not home.exists(), "reading must not write"


def test_a_closed_pipe_ends_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        for arguments in (["--help"], ["models", "list", "--json"], ["config"]):
            result = trivium(*arguments, capture_output=False, stdout=write, stderr=subprocess.PIPE)
            assert (result.returncode, result.stderr) == (141, ""), arguments
    finally:
        os.close(write)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_a_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        result = trivium("config", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 1
    assert result.stderr.startswith("error: no space left on the disk; ")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {
                "_TRIVIUM_COMPLETE": "complete_bash",
                "COMP_WORDS": "trivium mo",
                "COMP_CWORD": "1",
            },
            ["models"],
        ),
        (
            {
                "_TRIVIUM_COMPLETE": "complete_bash",
                "COMP_WORDS": "trivium models p",
                "COMP_CWORD": "2",
            },
            ["pull"],
        ),
        (
            {
                "_TRIVIUM_COMPLETE": "complete_fish",
                "_TYPER_COMPLETE_ARGS": "trivium models --d",
                "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            },
            ["--debug\tTracebacks and the libraries' logs."],
        ),
    ],
)
def test_completion(variables: dict[str, str], words: list[str]) -> None:
    result = trivium(env=os.environ | variables)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == words


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_shown_for_the_shell_that_asks(shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    command = f"'{sys.executable}' -m trivium.cli.main --show-completion; true"
    result = subprocess.run([program, "-c", command], capture_output=True, text=True, check=True)
    assert f"complete_{shell}" in result.stdout
    assert "trivium" in result.stdout
