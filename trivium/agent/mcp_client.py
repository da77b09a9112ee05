"""Tools of MCP servers, kept at hand for a chat.

A server is a program that nobody here has read. It runs in a process of its own (or elsewhere, for
a URL), its tools ask for leave each time, and what it says about itself is cut short and is data.
Whatever goes wrong with one costs that server alone, and one sentence.

Sessions live on an event loop in a thread of its own, one task a server, because a session must be
closed by the task that opened it; the tools themselves are plain functions that wait for it.
"""

import asyncio
import re
import shlex
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from trivium.config import McpServer
from trivium.errors import TriviumError, UsageError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from trivium.agent.mcp_connection import Connection

START_SECONDS = 30.0
"""Until a server has started and listed its tools; one that is fetched first takes a while."""
STOP_SECONDS = 6.0
"""The SDK closes a server's input, asks it to end and kills it, two seconds each."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


def parse_server(text: str) -> tuple[str, McpServer]:
    """`NAME=COMMAND ARGUMENTS`, split as a shell would, or `NAME=http://…`.

    Raises:
        UsageError: when it is neither.
    """
    name, _, target = (part.strip() for part in text.partition("="))
    if not target or not _NAME.fullmatch(name):
        raise UsageError(
            f'--mcp "{text}" is not NAME=COMMAND or NAME=URL, as in: --mcp files="npx server ."'
        )
    if target.startswith(("http://", "https://")):
        return name, McpServer(url=target)
    try:
        return name, McpServer(command=tuple(shlex.split(target)))
    except ValueError as error:
        raise UsageError(f'--mcp "{text}": {str(error).lower()}') from error


class McpTools:
    """The tools of several servers, by the name of the server. Use it in a `with` block.

    `tools` are there when the block is entered; `problems` tells, a sentence each, of servers and
    tools that could not be had.
    """

    def __init__(self, servers: Mapping[str, McpServer]) -> None:
        """Start nothing yet."""
        self.tools: list[BaseTool] = []
        self.problems: list[str] = []
        self._servers = dict(servers)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mcp", daemon=True)
        self._open: list[Connection] = []

    def __enter__(self) -> Self:
        """Start all servers at once and wait for their tools, each for a limited time."""
        from trivium.agent.mcp_connection import Connection, keep_quiet

        keep_quiet()
        self._thread.start()
        for name, server in self._servers.items():
            try:
                _check(name, server)
                self._open.append(Connection(name, server, self._start))
            except TriviumError as error:
                self.problems.append(str(error))
        deadline = time.monotonic() + START_SECONDS
        for connection in self._open:
            try:
                tools, problems = connection.tools(deadline)
            except TriviumError as error:
                self.problems.append(str(error))
            else:
                self.problems += problems
                self._offer(tools)
        return self

    def _start(self, work: "Coroutine[Any, Any, Any]") -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _offer(self, tools: "Sequence[BaseTool]") -> None:
        """Add tools, but no second one of a name: "a_b" and "c" meet "a" and "b_c"."""
        taken = {tool.name for tool in self.tools}
        for tool in tools:
            if tool.name in taken:
                self.problems.append(f'two MCP tools are called "{tool.name}"; one is left out')
            else:
                taken.add(tool.name)
                self.tools.append(tool)

    def close(self) -> None:
        """End every server. Safe to call twice."""
        if self._loop.is_closed():
            return
        for connection in self._open:
            connection.stop()
        if self._thread.is_alive():
            with suppress(TimeoutError):
                self._start(_all_ended()).result(STOP_SECONDS)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(1)
        if not self._thread.is_alive():  # else it is busy with a flood, and ends with the program
            self._loop.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


async def _all_ended() -> None:
    """Wait for every other task of this loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others)


def _check(name: str, server: McpServer) -> None:
    """Raise unless a server of `trivium.toml` can be meant, and may be reached."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f'"{name}" cannot name an MCP server: use up to 32 letters, digits, "-" and "_"'
        )
    if bool(server.command) == bool(server.url):
        raise UsageError(f'the MCP server "{name}" needs either a command or a url')
    if server.url:
        from urllib.parse import urlsplit

        from trivium.network import require_online

        parts = urlsplit(server.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f'the url of the MCP server "{name}" is not one: {server.url}')
        require_online(f'reach the MCP server "{name}"', parts.hostname)
