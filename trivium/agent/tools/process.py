"""Starting a program for a model: no input, few variables, bounded output, and an end in time."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from trivium.agent.tools.base import Run

KEPT_BYTES = 256 * 1024
"""Of the head of the output, and as many of its tail."""

_QUIET = 0.2
"""Seconds to wait for more output from what a program left running behind it."""

_VARIABLES = frozenset(
    "PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR TEMP TMP VIRTUAL_ENV CONDA_PREFIX"
    " JAVA_HOME GOPATH CARGO_HOME RUSTUP_HOME NVM_DIR SYSTEMROOT".split()
)


def environment() -> dict[str, str]:
    """The few variables that programs need to be found and to speak; keys and tokens stay here."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _VARIABLES or name.startswith("LC_")
    }
    return kept | {"TERM": "dumb", "GIT_TERMINAL_PROMPT": "0", "PAGER": "cat"}


def run_program(argv: Sequence[str], folder: Path, run: Run) -> tuple[int | None, str]:
    """Run a program in a process group of its own, with stdout and stderr as one.

    Returns:
        Its exit status (negative: the signal that ended it; None: it was killed at the deadline of
        `run`), and its output, with the middle left out when there is much.
    """
    process = subprocess.Popen(
        argv,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    output = _Output()
    try:
        ended = _collect(process, process.stdout.fileno(), output, run)
    finally:
        # The whole group, so that nothing goes on in the background.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        status = process.wait()
    return (status if ended else None), output.text()


def _collect(process: "subprocess.Popen[bytes]", pipe: int, output: "_Output", run: Run) -> bool:
    """Read until the program ends; whether it did before the deadline."""
    os.set_blocking(pipe, False)
    open_, last = True, time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while run.left > 0:
            data = b""
            if open_ and selector.select(0.05):
                with suppress(BlockingIOError):
                    data = os.read(pipe, 65536)
                    open_ = bool(data)
            output.add(data)
            if data:
                last = time.monotonic()
            ended = process.poll() is not None
            if ended and (not open_ or time.monotonic() - last > _QUIET):
                return True
            if not open_:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(min(0.05, run.left))
    return False


class _Output:
    """The head and the tail of a stream of bytes, however long it is."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._cut = 0

    def add(self, data: bytes) -> None:
        room = KEPT_BYTES - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room > 0 else data
        surplus = len(self._tail) - KEPT_BYTES
        if surplus > 0:
            del self._tail[:surplus]
            self._cut += surplus

    def text(self) -> str:
        cut = f"\n[… {self._cut:,} bytes left out …]\n".encode() if self._cut else b""
        return (self._head + cut + self._tail).decode(errors="replace").rstrip()
