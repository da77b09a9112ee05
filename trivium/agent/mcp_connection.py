"""One MCP server of a chat: started, held open, called, and dropped when it misbehaves."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent import futures
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from mcp import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client

from trivium.agent.mcp_tools import McpTool, offered, text_of
from trivium.agent.taint import visible
from trivium.agent.tools.base import current
from trivium.config import McpServer
from trivium.errors import TriviumError, Unavailable

if TYPE_CHECKING:
    from mcp.types import Tool

CALL_SECONDS = 60.0
"""For a call outside of a turn, which has its own limit."""
PING_SECONDS = 5.0
"""In which a server must answer a ping that did not answer a call."""
PAGES = 100
WORDS = 2000
"""Bytes that are kept of a server's stderr, to tell why it ended."""

# Of the user's environment a server gets PATH, HOME and the like from the SDK, and these.
_HANDED_ON = ("TRIVIUM_HOME", "TRIVIUM_OFFLINE")

Listed = tuple[ClientSession, "list[Tool]"]
Start = Callable[[Coroutine[Any, Any, Any]], "futures.Future[Any]"]
"""Runs a coroutine on the loop of all servers."""


def keep_quiet() -> None:
    """Keep the SDK's log off the terminal: it repeats what servers send. `--debug` shows it."""
    if not logging.root.handlers:
        logging.root.addHandler(logging.NullHandler())


class Connection:
    """A server's session, held open by one task until it is told to stop or the server ends."""

    def __init__(self, name: str, server: McpServer, start: Start) -> None:
        """Begin to start it; `tools` waits until that is done."""
        self.name = name
        self.server = server
        self._start = start
        self._words = _LastWords()
        self._ready: futures.Future[Listed] = futures.Future()
        self._task = start(self._live())

    def tools(self, deadline: float) -> tuple[list[McpTool], list[str]]:
        """The server's tools, and what is wrong with those that cannot be offered.

        Raises:
            Unavailable: when it does not start, is no MCP server, or hangs until the deadline.
        """
        try:
            session, listed = self._ready.result(max(deadline - time.monotonic(), 0.01))
        except futures.TimeoutError:
            self.stop()
            raise Unavailable(
                f'the MCP server "{self.name}" did not list its tools in time; the chat goes on '
                "without it"
            ) from None
        except Exception as error:
            raise Unavailable(
                f'the MCP server "{self.name}" did not start: {self._why(error)}'
            ) from error
        return offered(self.name, self.server, session, listed, self._call)

    def stop(self) -> None:
        """Have it end, from any thread."""
        self._task.cancel()

    def _call(self, tool: McpTool, arguments: Mapping[str, object]) -> str:
        """Call a tool from any thread, within the time of the turn's call.

        Raises:
            TriviumError: when the tool fails, the server ends, or nothing comes in time.
        """
        from langchain_core.tools import ToolException

        if self._task.done():
            raise Unavailable(f'the MCP server "{self.name}" has ended; its tools are gone')
        run = current(CALL_SECONDS)
        called = self._start(tool.remote(**arguments))
        while not futures.wait([called], min(0.1, run.left)).done:
            if self._task.done():  # over HTTP a call does not notice by itself
                called.cancel()
                raise Unavailable(f'the MCP server "{self.name}" ended in the call of {tool.name}')
            if not run.left:
                called.cancel()
                self._start(self._ping())
                raise TriviumError(f'the MCP server "{self.name}" did not answer in time')
        try:
            return text_of(*called.result())
        except ToolException as error:
            raise TriviumError(f"{tool.name} failed: {error}") from error
        except Exception as error:
            raise Unavailable(
                f'the MCP server "{self.name}" failed in the call of {tool.name}: '
                f"{self._why(error)}"
            ) from error

    async def _ping(self) -> None:
        """Drop a server that does not answer at all: it hangs, or floods what reads it."""
        session, _ = self._ready.result()
        try:
            await asyncio.wait_for(session.send_ping(), PING_SECONDS)
        except Exception:
            self.stop()

    async def _live(self) -> None:
        try:
            async with self._session() as session:
                await session.initialize()
                self._ready.set_result((session, await _listed(session)))
                await asyncio.Event().wait()  # until this task is cancelled
        except Exception as error:
            if not self._ready.done():
                self._ready.set_exception(error)
        finally:
            self._words.close()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[ClientSession]:
        if self.server.url:
            from langchain_mcp_adapters.sessions import create_session

            async with create_session(
                {"transport": "streamable_http", "url": self.server.url}
            ) as s:
                yield s
            return
        handed_on = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
        command, *arguments = self.server.command
        parameters = StdioServerParameters(
            command=command, args=arguments, env=handed_on | self.server.env
        )
        # Not by the adapters' session, which gives the server the terminal for its stderr.
        async with stdio_client(parameters, self._words.file) as streams:
            self._words.close()
            async with ClientSession(*streams) as session:
                yield session

    def _why(self, error: BaseException) -> str:
        """The reason on one line: what the server said at last, else what went wrong here."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        said = self._words.last()
        if not said and isinstance(error, OSError) and error.strerror:
            said = f"{error.filename or self.name}: {error.strerror}"
        text = " ".join(visible(said or str(error) or type(error).__name__).split())
        return text if len(text) <= 300 else text[:299] + "…"


async def _listed(session: ClientSession) -> "list[Tool]":
    """All tools that a server lists, a page at a time, of so many pages."""
    tools: list[Tool] = []
    cursor = None
    for _ in range(PAGES):
        page = await session.list_tools(cursor)
        tools += page.tools
        cursor = page.nextCursor
        if not cursor:
            break
    return tools


class _LastWords:
    """The end of what a process writes to its stderr, which no terminal sees."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.file = os.fdopen(writing, "w")
        self._kept = b""
        self._thread = threading.Thread(target=self._read, args=(reading,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close this end; the process has its own."""
        self.file.close()

    def last(self) -> str:
        """The last line that is not empty, once the process has ended; "" while it runs."""
        self._thread.join(0.5)
        lines = self._kept.decode(errors="replace").split("\n")
        words = [line for line in lines if line.strip()]
        return words[-1] if words and not self._thread.is_alive() else ""

    def _read(self, reading: int) -> None:
        with open(reading, "rb", buffering=0) as pipe:
            while chunk := pipe.read(1 << 16):
                self._kept = (self._kept + chunk)[-WORDS:]
