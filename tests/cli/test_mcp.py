"""`trivium mcp` as a process, met by the SDK's client and by the chat's own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import httpx
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.embedder import WordEmbedder
from trivium.agent.mcp_client import McpTools
from trivium.agent.tools import gate_of
from trivium.cli.main import run
from trivium.config import McpServer
from trivium.errors import Unavailable
from trivium.retrieval.index import Index

ROOT = Path(__file__).parents[2]
NILE = "The Nile ends in the Mediterranean Sea."
QUESTION = "Where does the Nile end?"

# Whatever a library may do: print, and write to file descriptor 1 from C.
FAKED = """
import os, sys
from tests.embedder import WordEmbedder
from tests.scripted import ScriptedEngine
from trivium.engines import load
from trivium.retrieval import embed
def load_embedder(name):
    print("printed by a library")
    os.write(1, b"written by a library\\n")
    return WordEmbedder(name)
embed.load_embedder = load_embedder
load.load_engine = lambda name, settings: ScriptedEngine(default="The Nile ends in the sea.")
from trivium.cli.main import run
sys.exit(run(["mcp", *sys.argv[1:]]))
"""
COMMAND = (sys.executable, "-c", FAKED)


@pytest.fixture(autouse=True)
def rivers(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A document of the index "rivers"."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    file = tmp_path / "rivers.txt"
    file.write_text(NILE)
    with Index.create("rivers", embedder=WordEmbedder("minilm-l6-v2")) as index:
        index.add([file])
    return file


def environment() -> dict[str, str]:
    return dict(os.environ)


@contextmanager
def over_http(*arguments: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The server on a free port: its URL, and the process, which is ended in the end."""
    process = subprocess.Popen(
        [*COMMAND, "--http", "0", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+/mcp)\n", line)
        assert found, line
        yield found[1], process
    finally:
        process.kill()
        process.communicate(timeout=20)


async def use(session: ClientSession, path: Path) -> None:
    """Every tool once, and two errors."""
    await session.initialize()
    listed = await session.list_tools()
    assert [tool.name for tool in listed.tools] == ["list_indexes", "search", "ask", "read"]
    asked = await session.call_tool("ask", {"index": "rivers", "question": QUESTION})
    assert asked.structuredContent is not None
    assert asked.structuredContent["found"]
    assert asked.structuredContent["citations"][0]["text"] == NILE
    found = await session.call_tool("search", {"index": "rivers", "query": "Nile", "k": 1})
    assert found.structuredContent is not None
    (passage,) = found.structuredContent["passages"]
    assert passage["text"] == NILE
    span = {"path": passage["path"], "start": 4, "end": 8}
    read = await session.call_tool("read", {"index": "rivers"} | span)
    assert read.structuredContent is not None
    assert (read.structuredContent["text"], read.structuredContent["path"]) == ("Nile", str(path))
    for tool, arguments in (
        ("search", {"index": "nowhere", "query": "x"}),
        ("read", {"index": "rivers"}),
    ):
        assert (await session.call_tool(tool, arguments)).isError


class TestStdio:
    def test_the_sdks_client_is_served(self, rivers: Path) -> None:
        async def talk() -> None:
            parameters = StdioServerParameters(
                command=COMMAND[0], args=list(COMMAND[1:]), env=environment()
            )
            async with (
                stdio_client(parameters, errlog=subprocess.DEVNULL) as streams,  # type: ignore[arg-type]
                ClientSession(*streams) as session,
            ):
                await use(session, rivers)

        anyio.run(talk)

    def test_stdout_carries_the_protocol_alone(self) -> None:
        initialize = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        }
        search = {"name": "search", "arguments": {"index": "rivers", "query": "Nile"}}
        lines = [
            {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize},
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": search},
        ]
        with subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("".join(json.dumps(line) + "\n" for line in lines))
            process.stdin.flush()
            answers = [json.loads(process.stdout.readline()) for _ in range(2)]
            rest, err = process.communicate(timeout=20)  # the end of its input ends it
        assert [answer["id"] for answer in answers] == [1, 2]
        assert rest == ""
        assert process.returncode == 0
        assert "printed by a library\n" in err
        assert "written by a library\n" in err

    def test_ctrl_c_ends_it_at_once(self) -> None:
        with subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
            process.stdin.write(json.dumps(ping).encode() + b"\n")
            process.stdin.flush()
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == -signal.SIGINT

    def test_the_chats_own_client_is_served(self, rivers: Path) -> None:
        server = McpServer(command=COMMAND, env={"PYTHONPATH": str(ROOT)})
        with McpTools({"docs": server}) as tools:
            assert tools.problems == []
            search = next(tool for tool in tools.tools if tool.name == "docs_search")
            assert gate_of(search).effect == "run"
            found = json.loads(search.invoke({"index": "rivers", "query": "Nile"}))
            assert found["passages"][0]["path"] == str(rivers)


class TestHttp:
    def test_both_clients_are_served_and_only_on_this_machine(self, rivers: Path) -> None:
        async def talk(url: str) -> None:
            async with (
                streamable_http_client(url) as (read, write, _),
                ClientSession(read, write) as session,
            ):
                await use(session, rivers)

        with over_http() as (url, process):
            anyio.run(talk, url)
            with McpTools({"docs": McpServer(url=url)}) as tools:
                read = next(tool for tool in tools.tools if tool.name == "docs_read")
                assert gate_of(read).effect == "network"
                given = {"index": "rivers", "path": str(rivers), "start": 4, "end": 8}
                assert json.loads(read.invoke(given))["text"] == "Nile"
            assert _refused(url)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        assert "Traceback" not in err, err

    def test_one_that_is_killed_ends_the_call_and_not_the_chat(self, rivers: Path) -> None:
        with over_http() as (url, process), McpTools({"docs": McpServer(url=url)}) as tools:
            process.kill()
            process.wait()
            start = time.monotonic()
            for says in ("ended in the call of docs_list_indexes", "its tools are gone"):
                with pytest.raises(Unavailable, match=f'the MCP server "docs" .*{says}'):
                    tools.tools[0].invoke({})
            assert time.monotonic() - start < 10

    def test_a_port_that_is_taken_is_one_sentence(self, capsys: pytest.CaptureFixture[str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            assert run(["mcp", "--http", str(port)]) == 1
        assert capsys.readouterr().err == (
            f"error: cannot listen on port {port} of 127.0.0.1: Address already in use; "
            "choose another with --http\n"
        )


def _refused(url: str) -> bool:
    """Whether a page of a browser that was led here by its DNS is turned away."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    accept = {"Accept": "application/json, text/event-stream"}
    rebound = httpx.post(url, json=body, headers=accept | {"Host": "evil.example"})
    foreign = httpx.post(url, json=body, headers=accept | {"Origin": "https://evil.example"})
    return (rebound.status_code, foreign.status_code) == (421, 403)


class TestUsage:
    @pytest.mark.parametrize("extra", [[], ["--http", "0"]])
    def test_an_unknown_index_ends_it_at_once(
        self, extra: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["mcp", "--index", "nowhere", *extra]) == 2
        assert capsys.readouterr().err == (
            'error: there is no index "nowhere"; there are: rivers\n'
        )

    @pytest.mark.parametrize("port", ["-1", "65536", "http"])
    def test_a_port_that_is_none_is_refused(
        self, port: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["mcp", f"--http={port}"]) == 2
        assert "--http" in capsys.readouterr().err
