"""The tools of `trivium mcp`, called as a client of the SDK calls them, in this process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.shared.memory import create_connected_server_and_client_session as connected
from mcp.types import (
    CallToolResult,
    GetPromptResult,
    ListPromptsResult,
    ListToolsResult,
    TextContent,
)

from tests.embedder import WordEmbedder
from tests.scripted import ScriptedEngine
from trivium.agent.mcp_server import AROUND, MOST, Library, make_server
from trivium.config import Settings
from trivium.errors import UsageError
from trivium.retrieval.index import Index, delete

NILE = "The Nile flows north through eleven countries. The Nile ends in the Mediterranean Sea."
BREAD = "Bread is baked from flour, water and salt."
QUESTION = "Where does the Nile end?"


def embedder() -> WordEmbedder:
    return WordEmbedder(Settings().embedder)


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> list[ScriptedEngine]:
    """The embedder and the model are fakes; the model is noted when it is loaded."""
    loaded: list[ScriptedEngine] = []

    def load(name: str, settings: Settings) -> ScriptedEngine:
        loaded.append(ScriptedEngine(default="The Nile ends in the Mediterranean Sea."))
        return loaded[-1]

    monkeypatch.setattr("trivium.retrieval.embed.load_embedder", WordEmbedder)
    monkeypatch.setattr("trivium.engines.load.load_engine", load)
    return loaded


@pytest.fixture
def rivers(tmp_path: Path) -> Path:
    """A document of the index "rivers"; another index is called "kitchen"."""
    for name, text in (("rivers", NILE), ("kitchen", BREAD)):
        file = tmp_path / f"{name}.txt"
        file.write_text(text)
        with Index.create(name, embedder=embedder()) as index:
            index.add([file])
    return tmp_path / "rivers.txt"


@pytest.fixture
def library(rivers: Path) -> Iterator[Library]:
    library = Library((), Settings())
    yield library
    library.close()


def call(library: Library, tool: str, **arguments: Any) -> CallToolResult:
    async def talk() -> CallToolResult:
        async with connected(make_server(library)._mcp_server) as client:
            return await client.call_tool(tool, arguments)

    return anyio.run(talk)


def result(library: Library, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool gives, once it is the same as text and as structure."""
    got = call(library, tool, **arguments)
    (block,) = got.content
    assert isinstance(block, TextContent)
    assert not got.isError, block.text
    assert got.structuredContent is not None
    assert json.loads(block.text) == got.structuredContent
    return got.structuredContent


def error(library: Library, tool: str, **arguments: Any) -> str:
    got = call(library, tool, **arguments)
    (block,) = got.content
    assert isinstance(block, TextContent)
    assert got.isError
    return block.text


class TestTools:
    def test_all_of_them_only_read(self, library: Library) -> None:
        async def talk() -> ListToolsResult:
            async with connected(make_server(library)._mcp_server) as client:
                return await client.list_tools()

        tools = anyio.run(talk).tools
        assert [tool.name for tool in tools] == ["list_indexes", "search", "ask", "read"]
        for tool in tools:
            assert tool.description
            assert tool.annotations is not None
            assert tool.annotations.readOnlyHint is True

    def test_indexes_are_listed_with_what_they_hold(self, library: Library) -> None:
        figures = {"documents": 1, "passages": 1, "embedder": embedder().name}
        assert result(library, "list_indexes") == {
            "indexes": [{"name": "kitchen"} | figures, {"name": "rivers"} | figures]
        }

    def test_search_gives_places_and_scores(self, library: Library, rivers: Path) -> None:
        (passage,) = result(library, "search", index="rivers", query="Nile", k=3)["passages"]
        assert (passage["path"], passage["start"], passage["end"]) == (str(rivers), 0, len(NILE))
        assert passage["text"] == NILE
        assert passage["bm25_rank"] == passage["dense_rank"] == 1
        assert passage["score"] == pytest.approx(2 / 61)

    def test_ask_gives_the_document_of_the_command(
        self, library: Library, models: list[ScriptedEngine]
    ) -> None:
        answer = result(library, "ask", index="rivers", question=QUESTION)
        assert answer["found"]
        assert answer["answer"] == "The Nile ends in the Mediterranean Sea."
        assert answer["index"]["name"] == "rivers"
        for citation in answer["citations"]:
            assert NILE[citation["start"] : citation["end"]] == citation["text"]
        result(library, "ask", index="rivers", question=QUESTION)
        assert len(models) == 1  # loaded once, and not before it was needed

    def test_what_the_documents_do_not_say_is_no_error(self, library: Library) -> None:
        answer = result(library, "ask", index="kitchen", question="Who won the chess match?")
        assert (answer["found"], answer["answer"]) == (False, None)

    def test_read_gives_a_span_in_its_context(self, library: Library, rivers: Path) -> None:
        got = result(library, "read", index="rivers", path=str(rivers), start=4, end=8)
        assert got == {
            "path": str(rivers),
            "start": 4,
            "end": 8,
            "length": len(NILE),
            "before": "The ",
            "text": "Nile",
            "after": NILE[8:][:AROUND],
        }

    def test_read_gives_a_long_document_a_piece_at_a_time(
        self, library: Library, tmp_path: Path
    ) -> None:
        long = tmp_path / "long.txt"
        long.write_text("Words and words. " * 2000)
        with Index.open("kitchen", embedder=embedder()) as index:
            index.add([long])
        got = result(library, "read", index="kitchen", path=str(long))
        assert (got["end"], len(got["text"]), got["length"]) == (MOST, MOST, 34_000)
        rest = result(library, "read", index="kitchen", path=str(long), start=MOST)
        assert got["text"] + rest["text"] == long.read_text()


class TestBadCalls:
    @pytest.mark.parametrize("tool", ["search", "ask", "read"])
    @pytest.mark.parametrize("name", ["nowhere", "../rivers", "", "ask-0123456789abcdef"])
    def test_an_unknown_index_names_those_there_are(
        self, library: Library, tool: str, name: str
    ) -> None:
        arguments = {"search": {"query": "x"}, "ask": {"question": "x"}, "read": {"path": "x"}}
        text = error(library, tool, index=name, **arguments[tool])
        assert text == (
            f'Error executing tool {tool}: there is no index "{name}"; there are: kitchen, rivers'
        )

    @pytest.mark.parametrize(
        ("tool", "arguments", "says"),
        [
            ("search", {"query": "  "}, "the query is empty"),
            ("search", {"query": "x", "k": 0}, "greater than or equal to 1"),
            ("search", {"query": "x", "k": "many"}, "valid integer"),
            ("search", {}, "Field required"),
            ("ask", {"question": " "}, "the question is empty"),
            ("read", {"path": "/etc/passwd"}, '/etc/passwd is not in the index "rivers"'),
            ("read", {"path": "x", "start": -1}, "greater than or equal to 0"),
        ],
    )
    def test_bad_arguments_are_errors_of_the_protocol(
        self, library: Library, tool: str, arguments: dict[str, Any], says: str
    ) -> None:
        assert says in error(library, tool, index="rivers", **arguments)

    @pytest.mark.parametrize(
        ("start", "end", "says"),
        [
            (5, 4, r"[5, 4) is not a span"),
            (0, None, ""),
            (len(NILE) + 1, None, "is behind the end"),
            (0, 10_000_000, ""),
        ],
    )
    def test_spans_are_checked(
        self, library: Library, rivers: Path, start: int, end: int | None, says: str
    ) -> None:
        arguments = {"index": "rivers", "path": str(rivers), "start": start, "end": end}
        if says:
            assert says in error(library, "read", **arguments)
        else:
            assert result(library, "read", **arguments)["text"] == NILE

    def test_an_unknown_tool_is_an_error(self, library: Library) -> None:
        assert "Unknown tool: rm" in error(library, "rm")


class TestOffering:
    def test_only_the_named_indexes_are_offered(self, rivers: Path) -> None:
        library = Library(["kitchen"], Settings())
        assert [i["name"] for i in result(library, "list_indexes")["indexes"]] == ["kitchen"]
        assert "there are: kitchen" in error(library, "search", index="rivers", query="Nile")
        library.close()

    def test_one_that_does_not_exist_is_refused_at_once(self, rivers: Path) -> None:
        with pytest.raises(UsageError, match='"nowhere"; there are: kitchen, rivers'):
            Library(["nowhere"], Settings())

    def test_indexes_may_come_change_and_go(self, library: Library, tmp_path: Path) -> None:
        search = {"index": "rivers", "query": "Amazon", "k": 1}
        result(library, "search", **search)
        (tmp_path / "amazon.txt").write_text("The Amazon rises in Peru.")
        with Index.open("rivers", embedder=embedder()) as index:
            index.add([tmp_path / "amazon.txt"])
        assert "Peru" in result(library, "search", **search)["passages"][0]["text"]
        delete("rivers")
        assert "there are: kitchen" in error(library, "search", **search)
        with Index.create("rivers", embedder=embedder()) as index:
            index.add([tmp_path / "kitchen.txt"])
        assert result(library, "search", **search)["passages"][0]["text"] == BREAD

    def test_a_damaged_index_does_not_hide_the_others(self, library: Library, home: Path) -> None:
        (home / "indexes" / "rivers" / "index.db").write_bytes(b"nonsense" * 200)
        kitchen, rivers = result(library, "list_indexes")["indexes"]
        assert kitchen["documents"] == 1
        assert set(rivers) == {"name", "error"}

    def test_a_model_that_cannot_be_had_is_an_error_of_the_call(
        self, rivers: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("trivium.engines.load.load_engine", _gone)
        library = Library((), Settings())
        assert "is not pulled" in error(library, "ask", index="rivers", question=QUESTION)
        library.close()


def _gone(name: str, settings: Settings) -> None:
    from trivium.errors import Unavailable

    raise Unavailable(f"{name} is not pulled")


def test_the_prompts_of_the_library_are_offered(library: Library) -> None:
    async def talk() -> tuple[ListPromptsResult, GetPromptResult]:
        async with connected(make_server(library)._mcp_server) as client:
            listed = await client.list_prompts()
            return listed, await client.get_prompt("sentiment", {"text": "What a day!"})

    listed, got = anyio.run(talk)
    (sentiment,) = [prompt for prompt in listed.prompts if prompt.name == "sentiment"]
    assert sentiment.arguments is not None
    assert [(one.name, one.required) for one in sentiment.arguments] == [
        ("text", True),
        ("labels", False),
    ]
    first, *_, last = got.messages
    assert isinstance(first.content, TextContent)
    assert first.content.text.startswith("You classify the sentiment of texts.")
    assert last.role == "user"
    assert isinstance(last.content, TextContent)
    assert last.content.text == "What a day!"
    assert [message.role for message in got.messages[:2]] == ["user", "assistant"]


def test_a_prompt_without_its_text_is_an_error(library: Library) -> None:
    async def talk() -> None:
        async with connected(make_server(library)._mcp_server) as client:
            await client.get_prompt("sentiment", {})

    with pytest.raises(BaseException) as raised:  # in a group, as anyio raises it
        anyio.run(talk)
    assert "text" in str(raised.getrepr())
