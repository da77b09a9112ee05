"""`trivium chat` in a terminal of its own: keys go in, the screen is read."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pexpect
import pyte

ROOT = Path(__file__).parents[3]
COLUMNS, LINES = 100, 60
PATIENCE = 60.0
"""Seconds: a busy machine is slow."""

ENTER, ESCAPE, CTRL_C, CTRL_D, CTRL_U = "\r", "\x1b", "\x03", "\x04", "\x15"

SCRIPTED = """
import sys, time
from tests.embedder import WordEmbedder
from tests.scripted import ScriptedEngine
from trivium.engines import load
from trivium.engines.base import Completion, ToolCall
from trivium.errors import UsageError
from trivium.retrieval import embed

class Engine(ScriptedEngine):
    def _pieces(self, completion):
        for chunk in super()._pieces(completion):
            time.sleep({pause})
            yield chunk

def call(name, **arguments):
    return Completion("", "stop", 0, 1, tool_calls=(ToolCall("1", name, arguments),))

engine = Engine(*[{replies}], default="Nothing more to say.", parameters=135_000_000)
load.load_engine = lambda name, settings=None: engine
embed.load_embedder = WordEmbedder
from trivium.cli.main import run
sys.exit(run(sys.argv[1:]))
"""
"""The program with a model that says what it is told to, a word every `pause` seconds."""


CALLING = """
import sys
from dataclasses import replace
from trivium.engines import load
from trivium.engines.llama import LlamaEngine

class Calling(LlamaEngine):
    first = True

    def stream(self, request):
        if self.first and request.tools:
            self.first, request = False, replace(request, tool_choice="{tool}")
        return super().stream(request)

load_engine = load.load_engine

def calling(name, settings=None):
    engine = load_engine(name, settings)
    engine.__class__ = Calling
    return engine

load.load_engine = calling
from trivium.cli.main import run
sys.exit(run(sys.argv[1:]))
"""
"""The program with the real model, which must begin its first answer with a call of `tool`."""


class _Screen(pyte.Screen):
    """Answers the questions that a program puts to its terminal."""

    def __init__(self, reply: Callable[[str], object]) -> None:
        super().__init__(COLUMNS, LINES)
        self._reply = reply

    def write_process_input(self, data: str) -> None:
        self._reply(data)


class Driven:
    """The running program on the real model; on one that gives `replies`, Python expressions; or on
    the real one that has to call the tool `calls` first.
    """

    def __init__(
        self, *arguments: str, replies: list[str] | None = None, calls: str = "", pause: float = 0.0
    ) -> None:
        code = ["-m", "trivium.cli.main"]
        if replies is not None:
            code = ["-c", SCRIPTED.format(replies=", ".join(replies), pause=pause)]
        elif calls:
            code = ["-c", CALLING.format(tool=calls)]
        env = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "TRIVIUM_OFFLINE": "1"}
        self.raw = ""
        self.started = time.monotonic()
        self._child: Any = pexpect.spawn(
            sys.executable,
            [*code, "chat", *arguments],
            env=env,
            encoding="utf-8",
            dimensions=(LINES, COLUMNS),
        )
        self._child.delaybeforesend = None
        self._screen = _Screen(self._child.send)
        self._stream = pyte.Stream(self._screen)

    @property
    def lines(self) -> list[str]:
        lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            del lines[-1]
        return lines

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def press(self, keys: str) -> None:
        self._child.send(keys)

    def send(self, message: str) -> None:
        """Type a message at a prompt that stands, and Enter."""
        self.prompted()
        self._child.send(message + ENTER)

    def see(self, text: str, timeout: float = PATIENCE) -> None:
        """Wait until `text` stands on the screen."""
        self._until(lambda: text in self.text, f"{text!r} to appear", timeout)

    def pause(self, seconds: float) -> None:
        """Let the program go on for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._read(0.02)

    def gone(self, text: str, timeout: float = PATIENCE) -> None:
        self._until(lambda: text not in self.text, f"{text!r} to vanish", timeout)

    def prompted(self, timeout: float = PATIENCE) -> None:
        """Wait for an empty prompt with its toolbar, where the cursor is."""

        def stands() -> bool:
            cursor = self._screen.cursor
            line = self._screen.display[cursor.y].rstrip()
            return line == ">" and cursor.x == 2 and self.lines[-1] != line

        self._until(stands, "a prompt", timeout)

    def left(self, timeout: float = PATIENCE) -> int:
        """Wait for the end; the exit code."""
        self._until(lambda: not self._child.isalive(), "the end", timeout)
        self._read(0.1)
        return int(self._child.exitstatus if self._child.exitstatus is not None else -1)

    def kill(self) -> None:
        self._child.close(force=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def _until(self, done: Callable[[], bool], what: str, timeout: float) -> None:
        end = time.monotonic() + timeout
        while not done():
            if time.monotonic() > end:
                raise AssertionError(f"waited {timeout} s for {what}; on the screen:\n{self.text}")
            self._read(0.02)

    def _read(self, seconds: float) -> None:
        try:
            piece = self._child.read_nonblocking(65_536, timeout=seconds)
        except (pexpect.TIMEOUT, pexpect.EOF):
            time.sleep(0.01)
            return
        self.raw += piece
        self._stream.feed(piece)
