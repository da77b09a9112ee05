"""The tools of `trivium mcp`, called as a client of the SDK calls them, in this process."""

import json
import subprocess
import sys
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
from tests.images.made import ColourEncoder, save
from tests.scripted import ScriptedEngine
from trivium.agent.mcp_server import AROUND, MOST, Library, make_server
from trivium.config import Settings
from trivium.errors import UsageError
from trivium.images.index import PictureIndex
from trivium.images.index import delete as delete_pictures
from trivium.retrieval.index import Index, delete

ROOT = Path(__file__).parents[2]
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


class TestPictures:
    @pytest.fixture
    def photos(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder with a red and a green picture, in the index "photos"."""
        monkeypatch.setattr(
            "trivium.images.encoder.load_encoder", lambda name, form="auto": ColourEncoder()
        )
        folder = tmp_path / "photos"
        for colour in ("red", "green"):
            save(folder / f"{colour}.png", colour)
        self.index(folder)
        return folder

    @staticmethod
    def index(folder: Path) -> None:
        with PictureIndex.create("photos", encoder=ColourEncoder()) as index:
            index.add([folder])

    @pytest.fixture
    def library(self, photos: Path) -> Iterator[Library]:
        library = Library((), Settings(), ["photos"])
        yield library
        library.close()

    def test_words_find_pictures_and_say_what_the_match_is_worth(
        self, library: Library, photos: Path
    ) -> None:
        found = result(library, "search_pictures", index="photos", words="green", k=1)
        (hit,) = found["pictures"]
        assert (hit["path"], hit["width"], hit["format"]) == (str(photos / "green.png"), 24, "PNG")
        assert hit["percentile"] == 100
        assert hit["cosine"] > 0.99
        assert isinstance(hit["beyond_chance"], bool)
        assert len(result(library, "search_pictures", index="photos", words="red")["pictures"]) == 2

    def test_the_tool_is_there_for_those_that_are_named_and_only_reads(
        self, library: Library
    ) -> None:
        async def listed(offered: Library) -> ListToolsResult:
            async with connected(make_server(offered)._mcp_server) as client:
                return await client.list_tools()

        *_, tool = anyio.run(listed, library).tools
        assert tool.name == "search_pictures"
        assert tool.annotations is not None
        assert tool.annotations.readOnlyHint is True
        assert tool.inputSchema["properties"]["index"]["description"] == "One of: photos."
        without = anyio.run(listed, Library((), Settings())).tools
        assert "search_pictures" not in [tool.name for tool in without]

    def test_another_index_is_refused_though_it_exists(
        self, library: Library, photos: Path, tmp_path: Path
    ) -> None:
        with PictureIndex.create("private", encoder=ColourEncoder()) as index:
            index.add([photos])
        for name in ("private", str(tmp_path), "../private"):
            told = error(library, "search_pictures", index=name, words="red")
            assert f'there is no index of pictures "{name}"; there are: photos' in told
        with pytest.raises(UsageError, match='there is no index of pictures "none"'):
            Library((), Settings(), ["photos", "none"])

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"words": " "}, "the query is empty"),
            ({"words": "red", "k": 0}, "greater than or equal to 1"),
            ({"words": "red", "k": 101}, "less than or equal to 100"),
            ({}, "words"),
        ],
    )
    def test_wrong_arguments_are_errors_of_the_call(
        self, library: Library, arguments: dict[str, Any], said: str
    ) -> None:
        assert said in error(library, "search_pictures", index="photos", **arguments)

    def test_a_name_that_is_no_text_is_sent_as_text(self, library: Library, photos: Path) -> None:
        (photos / "red.png").rename(photos / "r\udcff\n.png")
        self.index(photos)
        found = result(library, "search_pictures", index="photos", words="red", k=1)
        assert found["pictures"][0]["path"] == str(photos / "r\\xff\n.png")

    def test_an_index_that_was_made_anew_is_opened_anew(
        self, library: Library, photos: Path
    ) -> None:
        result(library, "search_pictures", index="photos", words="red")
        delete_pictures("photos")
        assert "there is no index" in error(library, "search_pictures", index="photos", words="red")
        (photos / "red.png").unlink()
        self.index(photos)
        found = result(library, "search_pictures", index="photos", words="red")["pictures"]
        assert [Path(hit["path"]).name for hit in found] == ["green.png"]

    def test_a_search_imports_no_torch(self, photos: Path) -> None:
        code = (
            "import sys\n"
            "from tests.images.made import ColourEncoder\n"
            "from trivium.agent.mcp_server import Library, make_server\n"
            "from trivium.config import Settings\n"
            "from trivium.images import encoder\n"
            "encoder.load_encoder = lambda name, form='auto': ColourEncoder()\n"
            "library = Library((), Settings(), ['photos'])\n"
            "make_server(library)\n"
            "print(len(library.search_pictures('photos', 'red', 2)['pictures']))\n"
            "print(sorted({'torch', 'transformers', 'langchain_core'} & sys.modules.keys()))\n"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert ended.stdout.split("\n") == ["2", "[]", ""]
