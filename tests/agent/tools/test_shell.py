"""A command: its output, its end, its surroundings, and that nothing of it goes on."""

import os
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.agent.tools.calling import call, preview
from trivium.agent.tools import gate_of
from trivium.agent.tools.base import Run, running
from trivium.agent.tools.process import KEPT_BYTES, environment
from trivium.agent.tools.shell import command_tool
from trivium.agent.workspace import Workspace
from trivium.errors import TriviumError


def run(folder: Path, command: str, seconds: float = 20) -> str:
    with running(Run(time.monotonic() + seconds)):
        return call([command_tool(Workspace(folder))], "run_command", command=command)


@pytest.mark.parametrize(
    ("command", "result"),
    [
        ("echo one; echo two >&2; echo three", "one\ntwo\nthree"),
        ("true", "(it printed nothing)"),
        ("echo x; exit 3", "x\n[exit status 3]"),
        ("false", "[exit status 1]"),
        ("kill -TERM $$", "[ended by signal 15]"),
        ("cat; echo end", "end"),
        ("printf 'a\\377b'", "a\ufffdb"),
        ("exec >&- 2>&-; exit 0", "(it printed nothing)"),
    ],
)
def test_output_and_end(tmp_path: Path, command: str, result: str) -> None:
    assert run(tmp_path, command) == result


def test_it_runs_in_the_workspace(tmp_path: Path) -> None:
    assert run(tmp_path, "pwd") == str(tmp_path.resolve())


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    began = time.monotonic()
    result = run(tmp_path, "sleep 300 & echo $! $$; wait", seconds=0.5)
    assert time.monotonic() - began < 5
    first, end = result.split("\n")
    assert end == "[killed: it did not end in time]"
    for pid in map(int, first.split()):
        assert gone(pid)


def gone(pid: int) -> bool:
    """Whether a process has ended, waiting a moment for it."""
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_what_it_leaves_behind_is_killed(tmp_path: Path) -> None:
    began = time.monotonic()
    pid = int(run(tmp_path, "sleep 300 & echo $!"))
    assert time.monotonic() - began < 5
    assert gone(pid)


def test_the_user_can_stop_it(tmp_path: Path) -> None:
    this = Run(time.monotonic() + 60)
    threading.Timer(0.3, this.stopped.set).start()
    with running(this):
        began = time.monotonic()
        result = call([command_tool(Workspace(tmp_path))], "run_command", command="sleep 60")
    assert result == "[killed: it did not end in time]"
    assert time.monotonic() - began < 5


def test_a_flood_is_kept_within_bounds(tmp_path: Path) -> None:
    result = run(tmp_path, "echo first; yes | head -c 5000000; echo last")
    assert result.startswith("first\ny\n") and result.endswith("\nlast")
    assert 2 * KEPT_BYTES < len(result) < 2 * KEPT_BYTES + 100
    assert f"[… {5_000_011 - 2 * KEPT_BYTES:,} bytes left out …]" in result


def test_keys_and_tokens_stay_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "TRIVIUM_API_KEY",
        "OPENAI_API_KEY",
        "AWS_SECRET",
        "DATABASE_URL",
        "SSH_AUTH_SOCK",
        "PYTHONPATH",
        "LD_PRELOAD",
        "BASH_ENV",
        "ENV",
    ):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("TRIVIUM_API_KEY", "sk-123")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    names = {line.split("=")[0] for line in run(tmp_path, "env").split("\n")}
    assert names <= {*environment(), "PWD", "OLDPWD", "SHLVL", "_"}
    assert not {name for name in names if "KEY" in name or "SECRET" in name or "SOCK" in name}
    assert {"PATH", "LC_ALL"} <= names
    assert environment()["PATH"] == os.environ["PATH"]


def test_the_user_sees_the_command(tmp_path: Path) -> None:
    tools = [command_tool(Workspace(tmp_path))]
    shown = preview(tools, "run_command", command="make test")
    assert (shown.title, shown.detail) == ("run make test", "make test")
    assert shown.pattern == f"{tmp_path.resolve()}$ make test"
    assert gate_of(tools[0]).effect == "run"
    for command in ("", " ", "a\0b"):
        with pytest.raises(TriviumError, match="needs a command"):
            preview(tools, "run_command", command=command)
