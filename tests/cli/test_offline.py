"""TRIVIUM_OFFLINE=1 in real processes; and no socket at all when everything is pulled."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import probed, trivium

WATCHED = """
import sys
from trivium.cli.main import run

def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        sys.stderr.write(f"socket: {event} {args[-1]}\\n")

sys.addaudithook(watch)
sys.exit(run(sys.argv[1:]))
"""


@pytest.fixture
def offline() -> dict[str, str]:
    return os.environ | {"TRIVIUM_OFFLINE": "1"}


def test_a_library_that_connects_is_stopped(offline: dict[str, str]) -> None:
    # 192.0.2.1 is reserved for documentation (RFC 5737) and answers nobody
    result = probed("connect", "192.0.2.1", "80", env=offline)
    assert (result.returncode, result.stdout) == (5, "")
    assert result.stderr == (
        "error: cannot connect to 192.0.2.1: TRIVIUM_OFFLINE=1 forbids the network; "
        "unset it to allow this\n"
    )


def test_a_name_is_not_even_looked_up(offline: dict[str, str]) -> None:
    result = probed("connect", "example.org", "80", env=offline)
    assert result.returncode == 5
    assert "cannot connect to example.org" in result.stderr


def test_this_machine_is_not_the_network(offline: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert probed("connect", "127.0.0.1", str(port), env=offline).stdout == "connected\n"


def test_a_pull_says_what_forbids_it(offline: dict[str, str]) -> None:
    result = trivium("models", "pull", "smollm2-135m", env=offline)
    assert result.returncode == 5
    assert "TRIVIUM_OFFLINE=1 forbids the network" in result.stderr


@pytest.mark.model
@pytest.mark.usefixtures("real_models")
def test_with_everything_pulled_nothing_opens_a_socket(tmp_path: Path) -> None:
    (tmp_path / "sea.md").write_text("# The sea\n\nThe lighthouse was built in 1822 by Fresnel.\n")
    question = ["ask", "When was the lighthouse built?", str(tmp_path / "sea.md")]
    for arguments in (question, ["doctor"], ["models", "list"]):
        result = subprocess.run(
            [sys.executable, "-c", WATCHED, *arguments], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        assert "socket:" not in result.stderr


@pytest.mark.model
@pytest.mark.usefixtures("real_models")
@pytest.mark.parametrize("options", [["--tools", "off"], ["--tools", "on", "--max-tokens", "20"]])
def test_a_chat_needs_no_network_at_all(tmp_path: Path, options: list[str]) -> None:
    """In a network namespace without an interface, not even loopback, and watched besides."""
    alone = ["unshare", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("no network namespaces here")
    (tmp_path / "sea.md").write_text("The lighthouse was built in 1822 by Fresnel.\n")
    chat = ["chat", "When was it built?", "--attach", str(tmp_path / "sea.md"), *options]
    result = subprocess.run(
        [*alone, sys.executable, "-c", WATCHED, *chat],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
    assert "socket:" not in result.stderr
