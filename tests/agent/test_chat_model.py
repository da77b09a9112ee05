"""An engine as a LangChain chat model: what goes in, what comes out, and what stops it."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any, TypedDict

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.load import dumpd
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
)
from langchain_core.tools import tool
from pydantic import BaseModel, ValidationError

from tests.scripted import ScriptedEngine
from trivium.agent.chat_model import Cancelled, ChatEngine
from trivium.engines.base import (
    Chunk,
    Completion,
    Message,
    Request,
    Sampling,
    Tool,
    ToolCall,
)
from trivium.errors import ContextOverflow, UsageError

CALL = ToolCall("c1", "add", {"a": 2, "b": 3, "note": "é"})
CALLING = Completion("Let me see.", "stop", 0, 9, tool_calls=(CALL,), reused_tokens=1)


@tool
def add(a: int, b: int) -> int:
    """Add two whole numbers."""
    return a + b


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


class ThinkingEngine(ScriptedEngine):
    """Thinks in two pieces before it answers "Five." """

    def stream(self, request: Request) -> Iterator[Chunk]:
        self.requests.append(request)
        yield Chunk("", thinking="Two and ")
        yield Chunk("", thinking="three.")
        yield Chunk("Five.", Completion("Five.", "stop", 4, 6, thinking="Two and three."))


class EndlessEngine(ScriptedEngine):
    """Counts until nobody listens; `closed_early` tells that the stream was closed."""

    closed_early = False

    def stream(self, request: Request) -> Iterator[Chunk]:
        try:
            for number in range(1_000_000):
                yield Chunk(f"{number} ")
        finally:
            self.closed_early = True


def model(*replies: Any, **settings: Any) -> ChatEngine:
    return ChatEngine(engine=ScriptedEngine(*replies), **settings)


def asked(chat: ChatEngine) -> Request:
    """The last request that reached the engine."""
    assert isinstance(chat.engine, ScriptedEngine)
    return chat.engine.requests[-1]


def test_an_answer_with_its_figures() -> None:
    seen: list[Completion] = []
    chat = model(CALLING, on_completion=seen.append)
    answer = chat.invoke("How much is it?")
    assert isinstance(answer, AIMessage)
    assert answer.content == "Let me see."
    assert answer.tool_calls == [
        {"name": "add", "args": {"a": 2, "b": 3, "note": "é"}, "id": "c1", "type": "tool_call"}
    ]
    assert answer.usage_metadata == {
        "input_tokens": 4,
        "output_tokens": 9,
        "total_tokens": 13,
        "input_token_details": {"cache_read": 1},
    }
    assert answer.response_metadata == {
        "model_provider": "trivium",
        "model_name": "scripted",
        "finish_reason": "tool_calls",
        "fingerprint": chat.engine.fingerprint.id,
    }
    assert seen == [replace(CALLING, prompt_tokens=4)]


def test_a_stream_is_the_answer_in_pieces() -> None:
    seen: list[Completion] = []
    chat = model("One two three", CALLING, on_completion=seen.append)
    first = list(chat.stream("Count"))
    assert [chunk.content for chunk in first] == ["One ", "two ", "three"]
    assert [chunk.usage_metadata is None for chunk in first] == [True, True, False]
    assert first[-1].response_metadata["finish_reason"] == "stop"
    second = list(chat.stream("Count"))
    whole = second[0] + second[1] + second[2]
    assert whole.tool_calls == [
        {"name": "add", "args": {"a": 2, "b": 3, "note": "é"}, "id": "c1", "type": "tool_call"}
    ]
    assert (
        whole.usage_metadata
        == chat.model_copy(update={"engine": ScriptedEngine(CALLING)})
        .invoke("Count")
        .usage_metadata
    )
    assert len(seen) == 3


def test_thinking_is_reasoning_to_langchain() -> None:
    chat = ChatEngine(engine=ThinkingEngine())
    pieces = list(chat.stream("2 + 3?"))
    assert [piece.additional_kwargs for piece in pieces] == [
        {"reasoning_content": "Two and "},
        {"reasoning_content": "three."},
        {},
    ]
    whole = pieces[0] + pieces[1] + pieces[2]
    assert whole.content_blocks == [
        {"type": "reasoning", "reasoning": "Two and three."},
        {"type": "text", "text": "Five."},
    ]
    answer = model(Completion("Five.", "stop", 0, 6, thinking="Hm")).invoke("2 + 3?")
    assert answer.additional_kwargs == {"reasoning_content": "Hm"}


def test_it_streams_where_the_caller_is_async() -> None:
    """Pieces arrive one by one, each while the event loop is free for others."""
    gate = threading.Event()

    class Waiting(ScriptedEngine):
        def stream(self, request: Request) -> Iterator[Chunk]:
            yield Chunk("One ")
            assert gate.wait(5)
            yield Chunk("two", Completion("One two", "stop", 1, 2))

    async def read() -> list[str]:
        pieces = []
        async for piece in ChatEngine(engine=Waiting()).astream("Count"):
            pieces.append(str(piece.content))
            gate.set()
        return pieces

    assert asyncio.run(read()) == ["One ", "two"]


def test_sampling_of_the_model_of_the_constructor_and_of_the_call() -> None:
    warm = Sampling(temperature=0.5, top_k=40, seed=3, stop=("END",))
    chat = model("a", "b", "c", sampling=warm, max_tokens=9)
    chat.invoke("Go")
    assert asked(chat).sampling == replace(warm, max_tokens=9)
    chat.invoke("Go", temperature=0.1, top_k=None, max_tokens=5, stop=["\n"])
    assert asked(chat).sampling == replace(warm, temperature=0.1, max_tokens=5, stop=("\n",))
    chat.bind(seed=7, stop=[]).invoke("Go")
    assert asked(chat).sampling == replace(warm, max_tokens=9, seed=7, stop=())
    assert model(temperature=1, stop="END").sampling == Sampling(temperature=1, stop=("END",))


def test_what_is_not_known_is_an_error() -> None:
    with pytest.raises(ValidationError, match="temprature"):
        model(temprature=0.5)
    with pytest.raises(UsageError, match="takes no model; it takes max_tokens, min_p"):
        model("a").invoke("Go", model="other")
    with pytest.raises(UsageError, match="takes no parallel_tool_calls"):
        model("a").bind_tools([add], parallel_tool_calls=False).invoke("Go")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, "auto"),
        ("auto", "auto"),
        (False, "auto"),
        ("any", "required"),
        (True, "required"),
        ("required", "required"),
        ("none", "none"),
        ("add", "add"),
        ({"type": "function", "function": {"name": "add"}}, "add"),
    ],
)
def test_the_choice_of_a_tool(choice: Any, expected: str) -> None:
    chat = model(CALLING)
    chat.bind_tools([add], tool_choice=choice).invoke("2 + 3?")
    assert asked(chat).tool_choice == expected


def test_tools_of_every_kind() -> None:
    def now() -> str:
        """Tell the time."""
        return "noon"

    loose = {"title": "Loose", "type": "object", "properties": {"x": {"type": "string"}}}
    anthropic = {"name": "pick", "description": "Pick one.", "input_schema": {"type": "object"}}
    chat = model(CALLING)
    chat.bind_tools([add, now, Person, loose, anthropic]).invoke("Go")
    tools = asked(chat).tools
    assert [offered.name for offered in tools] == ["add", "now", "Person", "Loose", "pick"]
    assert tools[0] == Tool(
        "add",
        "Add two whole numbers.",
        {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    )
    assert tools[1].parameters == {"type": "object", "properties": {}}
    assert tools[2].description == "Somebody."


def test_tools_that_are_not_there() -> None:
    with pytest.raises(UsageError, match="no tool is named sub; there are add"):
        model().bind_tools([add], tool_choice="sub")
    with pytest.raises(UsageError, match="names no function"):
        model().bind_tools([add], tool_choice={"type": "tool"})
    with pytest.raises(UsageError, match="'web_search_preview' runs nowhere here"):
        model().bind_tools([{"type": "web_search_preview"}])


def test_structured_output_by_a_call() -> None:
    call = ToolCall("c", "Person", {"name": "Ann", "age": 7})
    chat = model(Completion("", "stop", 0, 1, tool_calls=(call,)))
    assert chat.with_structured_output(Person).invoke("Who?") == Person(name="Ann", age=7)
    assert asked(chat).tool_choice == "Person"
    assert [offered.name for offered in asked(chat).tools] == ["Person"]


def test_structured_output_by_a_schema() -> None:
    class Place(TypedDict):
        """Somewhere."""

        city: str

    ann = '{"name": "Ann", "age": 7}'
    chat = model(ann, '{"city": "Rome"}', '{"age": "old"}', '{"name": "Bo", "age": 8}')
    made = chat.with_structured_output(Person, method="json_schema").invoke("Who?")
    assert made == Person(name="Ann", age=7)
    schema = asked(chat).schema
    assert schema is not None
    assert schema["required"] == ["name", "age"]
    assert asked(chat).tools == ()
    place = chat.with_structured_output(Place, method="json_schema").invoke("Where?")
    assert place == {"city": "Rome"}
    raw = chat.with_structured_output(Person, method="json_mode", include_raw=True)
    answer = raw.invoke("Who?")
    assert asked(chat).schema == {"type": "object"}
    assert (answer["raw"].content, answer["parsed"]) == ('{"age": "old"}', None)
    assert "validation error" in str(answer["parsing_error"])
    answer = raw.invoke("Who?")
    assert (answer["parsed"], answer["parsing_error"]) == (Person(name="Bo", age=8), None)


def test_response_formats_of_openai() -> None:
    chat = model("{}", "{}", "hi")
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array"}}}
    chat.invoke("Go", response_format=form)
    assert asked(chat).schema == {"type": "array"}
    chat.invoke("Go", response_format={"type": "json_object"})
    assert asked(chat).schema == {"type": "object"}
    chat.invoke("Go", response_format={"type": "text"})
    assert asked(chat).schema is None
    with pytest.raises(UsageError, match="holds no JSON Schema"):
        chat.invoke("Go", response_format={"type": "xml"})
    with pytest.raises(ValueError, match="takes no colour"):
        chat.with_structured_output(Person, method="json_schema", colour="red")


def test_a_stream_stops_when_it_is_cancelled() -> None:
    engine, cancel = EndlessEngine(), threading.Event()
    chat = ChatEngine(engine=engine, cancel=cancel)
    read = []
    with pytest.raises(Cancelled):
        for chunk in chat.stream("Count"):
            read.append(chunk.content)
            if len(read) == 3:
                cancel.set()
    assert read == ["0 ", "1 ", "2 "]
    assert engine.closed_early
    with pytest.raises(Cancelled):
        chat.invoke("Count")
    assert Cancelled.exit_code == 130


def test_a_whole_answer_is_cancelled_from_another_thread() -> None:
    engine, cancel = EndlessEngine(), threading.Event()
    timer = threading.Timer(0.05, cancel.set)
    timer.start()
    with pytest.raises(Cancelled):
        ChatEngine(engine=engine, cancel=cancel).invoke("Count")
    assert engine.closed_early


def test_a_stream_that_nobody_reads_on_is_closed() -> None:
    engine = EndlessEngine()
    stream = ChatEngine(engine=engine).stream("Count")
    assert next(stream).content == "0 "
    stream.close()  # type: ignore[attr-defined]  # LangChain calls it an Iterator
    assert engine.closed_early


def test_an_engine_with_one_cache_is_asked_by_one_thread_at_a_time() -> None:
    class OneCache(ScriptedEngine):
        inside = most = 0

        def generate(self, requests: Any) -> list[Completion]:
            self.inside += 1
            self.most = max(self.most, self.inside)
            time.sleep(0.01)
            self.inside -= 1
            return super().generate(requests)

        def save_state(self, file: Any) -> int:
            return 0

        def load_state(self, file: Any) -> int:
            return 0

    engine = OneCache(default=lambda request: request.messages[-1].content)
    chats = [ChatEngine(engine=engine), ChatEngine(engine=engine)]
    words = [str(number) for number in range(8)]
    assert [answer.content for answer in chats[0].batch([*words])] == words

    async def both() -> None:
        await asyncio.gather(*(chat.ainvoke("x") for chat in chats * 3))

    asyncio.run(both())
    assert engine.most == 1


def test_langchains_agent_runs_on_it() -> None:
    from langchain.agents import create_agent

    call = ToolCall("c1", "add", {"a": 2, "b": 3})
    chat = model(Completion("", "stop", 0, 1, tool_calls=(call,)), "It is five.")
    agent = create_agent(chat, [add], system_prompt="Be brief.")
    inputs: Any = {"messages": [HumanMessage("2 + 3?")]}

    async def read() -> list[str]:
        stream: Any = agent.astream(inputs, stream_mode="messages")
        return [piece.content async for piece, _ in stream if piece.content]

    assert asyncio.run(read()) == ["5", "It ", "is ", "five."]
    assert asked(chat).messages == (
        Message("system", "Be brief."),
        Message("user", "2 + 3?"),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", "5", tool_call_id="c1"),
    )
    assert [offered.name for offered in asked(chat).tools] == ["add"]


def test_tokens_are_the_engines() -> None:
    chat = model()
    assert chat.get_num_tokens("one two three") == 3
    assert chat.get_num_tokens_from_messages([HumanMessage("one two")], [add]) == 2
    with pytest.raises(NotImplementedError):
        chat.get_token_ids("one")


def test_what_langchain_may_know_of_the_engine() -> None:
    engine = ScriptedEngine(sees_images=True, context_length=77)
    chat = ChatEngine(engine=engine, sampling=Sampling(max_tokens=5))
    assert chat.profile == {
        "max_input_tokens": 77,
        "text_inputs": True,
        "image_inputs": True,
        "tool_calling": True,
    }
    assert chat._get_ls_params(stop=["x"], temperature=0.5) == {
        "ls_provider": "trivium",
        "ls_model_name": "scripted",
        "ls_model_type": "chat",
        "ls_temperature": 0.5,
        "ls_max_tokens": 5,
        "ls_stop": ["x"],
    }
    assert chat.asdict() == {
        "_type": "trivium",
        "model_name": "scripted",
        "sampling": asdict(Sampling(max_tokens=5)),
    }


def test_an_answer_can_be_written_as_json() -> None:
    answer = model(CALLING).invoke("Go")
    assert json.loads(json.dumps(dumpd(answer)))["kwargs"]["content"] == "Let me see."


def test_langchains_cache_knows_weights_and_sampling_apart() -> None:
    cache = InMemoryCache()
    chat = model("one", "two", cache=cache)
    assert [chat.invoke("Go").content for _ in range(2)] == ["one", "one"]
    assert chat.invoke("Go", temperature=0.5).content == "two"
    other = ChatEngine(engine=ScriptedEngine("three", name="other"), cache=cache)
    assert other.invoke("Go").content == "three"


def test_errors_of_the_engine_come_through() -> None:
    with pytest.raises(ContextOverflow, match="needs 3 tokens"):
        list(model(ContextOverflow("prompt needs 3 tokens")).stream("Go"))
