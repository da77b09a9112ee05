"""MCP servers as a chat meets them: good ones, broken ones, and those that mean harm."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trivium.agent import mcp_client, mcp_connection
from trivium.agent.approval import Approvals
from trivium.agent.base import Decision, Limits, Proposal
from trivium.agent.execute import Executor
from trivium.agent.mcp_client import McpTools, parse_server
from trivium.agent.tools import gate_of
from trivium.config import McpServer
from trivium.engines.base import ToolCall
from trivium.errors import TriviumError, Unavailable, UsageError

ROGUE = str(Path(__file__).with_name("mcp_rogue.py"))
NOWHERE = "http://127.0.0.1:9/mcp"


def server(mode: str = "", **env: str) -> McpServer:
    return McpServer(command=(sys.executable, ROGUE, mode), env=env)


def called(tools: McpTools, name: str, arguments: dict[str, object] | None = None) -> str:
    (tool,) = (tool for tool in tools.tools if tool.name == name)
    result = tool.invoke(arguments or {})
    assert isinstance(result, str)
    return result


@pytest.fixture
def one() -> Iterator[McpTools]:
    with McpTools({"one": server()}) as tools:
        assert tools.problems == []
        yield tools


class TestParsing:
    def test_a_command_is_split_as_by_a_shell(self) -> None:
        assert parse_server("fs=npx server 'my notes'") == (
            "fs",
            McpServer(command=("npx", "server", "my notes")),
        )

    @pytest.mark.parametrize("url", ["http://127.0.0.1:8000/mcp", "https://example.org/mcp?a=b"])
    def test_a_url_is_kept(self, url: str) -> None:
        assert parse_server(f"web={url}") == ("web", McpServer(url=url))

    @pytest.mark.parametrize("text", ["", "fs", "fs=", "=npx", "a b=npx", "-x=npx", "fs=  "])
    def test_anything_else_is_shown_an_example(self, text: str) -> None:
        with pytest.raises(UsageError, match="is not NAME=COMMAND or NAME=URL"):
            parse_server(text)

    def test_an_open_quote_is_named(self) -> None:
        with pytest.raises(UsageError, match=r'--mcp "fs=npx \'a": no closing quotation'):
            parse_server("fs=npx 'a")


class TestCalling:
    def test_names_carry_the_servers_name_and_descriptions_say_whose_they_are(
        self, one: McpTools
    ) -> None:
        tool = one.tools[0]
        assert tool.name == "one_echo"
        assert tool.description == 'A tool of the MCP server "one", which says of it: Does echo.'
        assert tool.args == {"text": {"type": "string"}}

    def test_arguments_and_result_come_through(self, one: McpTools) -> None:
        assert called(one, "one_echo", {"text": "hé"}) == '{"text": "h\\u00e9"}'

    def test_arguments_may_have_the_names_of_our_own_parameters(self, one: McpTools) -> None:
        given: dict[str, object] = {"config": "c", "self": "s", "name": "n"}
        assert json.loads(called(one, "one_names", given)) == given

    def test_a_picture_is_named_and_not_spelled_out(self, one: McpTools) -> None:
        assert called(one, "one_picture") == "see\n[image image/png]"

    def test_an_error_of_the_tool_is_its_sentence(self, one: McpTools) -> None:
        with pytest.raises(TriviumError, match=r"^one_fails failed: no such city$"):
            called(one, "one_fails")

    def test_little_of_the_environment_is_handed_on(
        self, monkeypatch: pytest.MonkeyPatch, home: Path
    ) -> None:
        monkeypatch.setenv("SECRET_KEY", "sesame")
        with McpTools({"one": server(CITY="Rome")}) as tools:
            seen = json.loads(called(tools, "one_environment"))
        assert seen["CITY"] == "Rome"
        assert seen["TRIVIUM_HOME"] == str(home)
        assert "SECRET_KEY" not in seen

    def test_closing_ends_the_process(self) -> None:
        with McpTools({"one": server()}) as tools:
            called(tools, "one_echo")
            children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
            before = {pid for file in children for pid in file.read_text().split()}
        tools.close()
        assert before
        assert not any(ROGUE in _command(pid) for pid in before)


def _command(pid: str) -> str:
    file = Path(f"/proc/{pid}/cmdline")
    return file.read_text() if file.exists() else ""


class TestLeave:
    def test_a_command_needs_leave_to_run(self, one: McpTools) -> None:
        assert gate_of(one.tools[0]).effect == "run"

    def test_the_preview_shows_server_tool_and_arguments(self, one: McpTools) -> None:
        preview = gate_of(one.tools[0]).preview({"text": "hi"})
        assert preview.title == 'call echo of the MCP server "one"'
        assert preview.detail.splitlines()[1:] == ["tool: echo", "{", '  "text": "hi"', "}"]
        assert preview.detail.startswith(f"server: one ({sys.executable} {ROGUE}")

    def test_always_is_for_this_command_and_these_arguments(self, one: McpTools) -> None:
        with McpTools({"one": server("other")}) as tools:
            other = gate_of(tools.tools[0]).preview({"text": "hi"})
        mine = gate_of(one.tools[0])
        patterns = {mine.preview({"text": "hi"}).pattern, mine.preview({"text": "ho"}).pattern}
        assert len({*patterns, other.pattern}) == 3

    @pytest.mark.parametrize(("decision", "allowed"), [("no", False), ("once", True)])
    def test_a_call_goes_through_the_one_door(
        self, one: McpTools, decision: Decision, allowed: bool
    ) -> None:
        asked: list[Proposal] = []

        def approve(proposal: Proposal) -> Decision:
            asked.append(proposal)
            return decision

        executor = Executor(
            one.tools, Approvals(approve), Limits(), trusted=lambda: "", untrusted=list
        )
        result, error = executor.run(ToolCall("1", "one_echo", {"text": "hello"}))
        assert error is not allowed
        assert ("hello" in result) is allowed
        assert [proposal.tool for proposal in asked] == ["one_echo"]

    def test_arguments_that_break_the_schema_never_reach_the_server(self, one: McpTools) -> None:
        executor = Executor(
            one.tools, Approvals(lambda p: "once"), Limits(), trusted=lambda: "", untrusted=list
        )
        for arguments in ({"text": 3}, {"nonsense": "x"}):
            result, error = executor.run(ToolCall("1", "one_echo", arguments))
            assert error
            assert "one_echo" in result


class TestTrouble:
    def test_each_bad_server_costs_a_sentence_and_the_good_one_stays(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mcp_client, "START_SECONDS", 4.0)
        servers = {
            "good": server(),
            "crash": server("crash"),
            "silent": server("silent"),
            "missing": McpServer(command=("/no/such/program",)),
            "garbage": server("garbage"),
            "unreached": McpServer(url=NOWHERE),
            "both": McpServer(command=("x",), url=NOWHERE),
            "neither": McpServer(),
            "a name": server(),
            "ftp": McpServer(url="ftp://127.0.0.1/"),
        }
        start = time.monotonic()
        with McpTools(servers) as tools:
            assert time.monotonic() - start < 10
            assert called(tools, "good_echo", {"text": "x"}) == '{"text": "x"}'
            assert called(tools, "garbage_echo", {"text": "x"}) == '{"text": "x"}'
            assert sorted(tools.problems) == [
                '"a name" cannot name an MCP server: use up to 32 letters, digits, "-" and "_"',
                'the MCP server "both" needs either a command or a url',
                'the MCP server "crash" did not start: cannot find \\x1b[1mmy key',
                'the MCP server "missing" did not start: /no/such/program: '
                "No such file or directory",
                'the MCP server "neither" needs either a command or a url',
                'the MCP server "silent" did not list its tools in time; the chat goes on '
                "without it",
                'the MCP server "unreached" did not start: All connection attempts failed',
                'the url of the MCP server "ftp" is not one: ftp://127.0.0.1/',
            ]

    def test_one_that_dies_in_a_call_says_why_and_its_tools_are_gone(
        self, one: McpTools, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(Unavailable, match=r'"one" failed .* one_dies: out of\\x1b\[31m luck'):
            called(one, "one_dies")
        with pytest.raises(Unavailable, match='the MCP server "one"'):
            called(one, "one_echo")
        assert capfd.readouterr() == ("", "")  # nothing that a server writes reaches the terminal

    def test_one_that_is_slow_in_one_call_is_kept(
        self, one: McpTools, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mcp_connection, "CALL_SECONDS", 0.3)
        with pytest.raises(TriviumError, match="did not answer in time"):
            called(one, "one_sleeps")
        monkeypatch.setattr(mcp_connection, "CALL_SECONDS", 10)
        assert called(one, "one_echo", {"text": "x"}) == '{"text": "x"}'

    @pytest.mark.parametrize("name", ["one_hangs", "one_floods"])
    def test_one_that_hangs_or_floods_is_dropped(
        self, one: McpTools, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setattr(mcp_connection, "CALL_SECONDS", 0.3)
        monkeypatch.setattr(mcp_connection, "PING_SECONDS", 0.3)
        with pytest.raises(TriviumError, match="did not answer in time"):
            called(one, name)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                called(one, "one_echo")
            except Unavailable as error:
                assert "ended" in str(error)
                return
            except TriviumError:
                time.sleep(0.05)
        pytest.fail("the server was kept")

    def test_a_huge_result_is_cut_by_the_one_door(self, one: McpTools) -> None:
        limits = Limits(tool_characters=1000)
        executor = Executor(
            one.tools, Approvals(lambda p: "once"), limits, trusted=lambda: "", untrusted=list
        )
        result, error = executor.run(ToolCall("1", "one_huge", {}))
        assert not error
        assert len(result) < 1500
        assert "of 3,000,000 characters left out" in result

    def test_a_turn_that_is_stopped_leaves_the_call(self, one: McpTools) -> None:
        executor = Executor(
            one.tools,
            Approvals(lambda p: "once"),
            Limits(tool_seconds=0.5),
            trusted=lambda: "",
            untrusted=list,
        )
        start = time.monotonic()
        result, error = executor.run(ToolCall("1", "one_sleeps", {}))
        assert error
        assert "time" in result or "0.5 seconds" in result
        assert time.monotonic() - start < 2


class TestListing:
    def test_what_cannot_be_checked_here_is_left_out_and_the_rest_cut_short(self) -> None:
        with McpTools({"odd": server("odd")}) as tools:
            (tool,) = tools.tools
            faults = [p.split('"odd" ')[1].removesuffix("; it is left out") for p in tools.problems]
        assert faults == [
            "has a schema that points elsewhere",
            "has a schema that is not valid",
            "has a schema that is too long",
            'has an argument "runtime", which cannot be passed on',
            "has a schema that points elsewhere",
        ]
        assert tool.name == "odd_dots_and_spaces"
        assert "\x1b" not in tool.description
        assert len(tool.description) < 500

    def test_only_so_many_tools_are_taken(self) -> None:
        with McpTools({"many": server("many")}) as tools:
            assert len(tools.tools) == 64
            assert tools.problems == [
                'the MCP server "many" lists 100 tools; the first 64 are offered'
            ]

    def test_a_list_without_an_end_has_one(self) -> None:
        with McpTools({"endless": server("endless")}) as tools:
            assert len(tools.tools) <= 64

    def test_of_two_tools_with_one_name_the_first_is_kept(self) -> None:
        servers = {"a": server("many"), "a_t1": McpServer(command=("/no",))}
        with McpTools(servers) as tools:
            tools._offer(tools.tools[:2])
            assert tools.problems[-1] == 'two MCP tools are called "a_t1"; one is left out'
            assert len(tools.tools) == 64


class TestOffline:
    def test_forbids_urls_that_leave_the_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRIVIUM_OFFLINE", "1")
        with McpTools({"far": McpServer(url="http://203.0.113.1/mcp")}) as tools:
            assert tools.tools == []
            assert tools.problems == [
                'cannot reach the MCP server "far": TRIVIUM_OFFLINE=1 forbids the network; '
                "unset it to allow this"
            ]

    def test_allows_this_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRIVIUM_OFFLINE", "1")
        with McpTools({"near": McpServer(url=NOWHERE)}) as tools:
            assert tools.problems == [
                'the MCP server "near" did not start: All connection attempts failed'
            ]


def test_nothing_is_started_before_the_block() -> None:
    tools = McpTools({"one": server("crash")})
    tools.close()
    assert (tools.tools, tools.problems) == ([], [])
