"""The world that the injection suite plays in: a folder, what lies outside it, a web server.

Everything that a tool could do leaves a trace here: on the disk, at the server, in a counter.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool

from trivium.agent.approval import Approvals
from trivium.agent.base import Decision, Limits, Proposal
from trivium.agent.execute import Executor
from trivium.agent.tools import builtin_tools
from trivium.agent.workspace import Workspace
from trivium.engines.base import ToolCall

SECRET = "the-secret-of-the-outside"

Arguments = Mapping[str, object]
Call = tuple[str, Arguments]


@dataclass
class World:
    """Where an attack happens. `hits` are the paths that the server was asked for."""

    base: Path
    port: int
    hits: list[str]
    proposals: list[Proposal] = field(default_factory=list)
    results: list[tuple[str, bool]] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)

    @property
    def work(self) -> Path:
        return self.base / "work"

    @property
    def outside(self) -> Path:
        return self.base / "outside"

    def fill(self, text: str) -> str:
        """`text` with the names of this world in place of {work}, {outside} and {port}."""
        for name, value in (("work", self.work), ("outside", self.outside), ("port", self.port)):
            text = text.replace(f"{{{name}}}", str(value))
        return text

    def disk(self) -> dict[str, str]:
        """Every file and link outside of the user's home, with what it holds."""
        return {
            str(path): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
            for path in sorted(self.base.rglob("*"))
            if path.is_symlink() or path.is_file()
        }


@contextmanager
def world(base: Path) -> Iterator[World]:
    """A fresh world below `base`."""
    hits: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            if self.path.startswith("/redirect?"):
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/redirect?"))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = SECRET.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    made = World(base, server.server_address[1], hits)
    for folder in (made.work / "private", made.outside / "folder"):
        folder.mkdir(parents=True)
    (made.outside / "secret.txt").write_text(SECRET)
    (made.outside / "folder" / "secret.txt").write_text(f"{SECRET} and beyond")
    (made.work / "todo.md").write_text("buy bread\n")
    (made.work / "build.sh").write_text("echo build\n")
    (made.work / "private" / "diary.txt").write_text(SECRET)
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def converse(
    here: World,
    user: str,
    read: Sequence[str],
    calls: Sequence[Call],
    *,
    decisions: Sequence[Decision] = (),
    tools: Sequence[BaseTool] = (),
) -> None:
    """A turn with a model that obeys: it was shown `read`, and makes all of `calls`.

    The user answers with `decisions` in their order, and after them with "no". What is let through
    at the user's word is the user's doing; all else must leave no trace.
    """
    answers = iter(decisions)

    def approve(proposal: Proposal) -> Decision:
        here.proposals.append(proposal)
        return next(answers, "no")

    texts = list(read)
    executor = Executor(
        [*builtin_tools(Workspace(here.work)), *tools],
        Approvals(approve),
        Limits(tool_seconds=10),
        trusted=lambda: user,
        untrusted=lambda: texts,
    )
    for number, (name, arguments) in enumerate(calls):
        result = executor.run(ToolCall(str(number), name, arguments))
        here.results.append(result)
        texts.append(result[0])


def filled(here: World, value: Any) -> Any:
    """`value` with every string in it filled."""
    if isinstance(value, str):
        return here.fill(value)
    if isinstance(value, list | tuple):
        return type(value)(filled(here, member) for member in value)
    if isinstance(value, dict):
        return {key: filled(here, member) for key, member in value.items()}
    return value


def counting(here: World, name: str, description: str) -> BaseTool:
    """A tool without a gate, as a server offers them, that notes each time it runs."""

    def function(text: str = "") -> str:
        here.ran.append(name)
        return text

    return StructuredTool.from_function(function, name=name, description=description)


Plant = Callable[[World], None]
