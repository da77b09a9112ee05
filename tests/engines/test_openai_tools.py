"""Tools, thinking and images with OpenAI-compatible servers, against a server in this process."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.server import VLLM, FakeServer, Reply, chat, delta, ended, fragment
from trivium.engines.base import Completion, Image, Message, Request, Sampling, Tool, ToolCall
from trivium.engines.openai import OpenAIEngine
from trivium.engines.openai_wire import CallReader
from trivium.engines.server import IMAGE_TOKENS
from trivium.errors import SchemaViolation, TriviumError, Unavailable, UsageError

CHAT = "/v1/chat/completions"
ADD = Tool(
    "add",
    "Add two whole numbers.",
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
)
NOW = Tool("now", "Tell the time.", {"type": "object", "properties": {}})
ASK = Request((Message("user", "2 + 3?"),), sampling=Sampling(max_tokens=50), tools=(ADD, NOW))
PNG = Image(b"\x89PNG", "image/png")
LOOK = Request((Message("user", "What is this?", images=(PNG,)),))


@pytest.fixture
def server() -> Iterator[FakeServer]:
    server = FakeServer()
    yield server
    server.close()


@pytest.fixture
def engine(server: FakeServer) -> Iterator[OpenAIEngine]:
    engine = OpenAIEngine(server.url, sleep=lambda _: None)
    yield engine
    engine.close()


def answered(
    engine: OpenAIEngine, server: FakeServer, request: Request, *events: Any
) -> Completion:
    server.on(CHAT, Reply(events=events))
    return engine.generate([request])[0]


def test_tools_and_the_choice_are_sent(server: FakeServer, engine: OpenAIEngine) -> None:
    server.on(CHAT, Reply(events=chat("five")))
    engine.generate([ASK])
    body = server.bodies(CHAT)[0]
    assert body["tools"][0] == {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Add two whole numbers.",
            "parameters": ADD.parameters,
        },
    }
    assert [tool["function"]["name"] for tool in body["tools"]] == ["add", "now"]
    assert body["tool_choice"] == "auto"
    engine.generate([replace(ASK, tool_choice="none"), replace(ASK, tools=())])
    sent = sorted(server.bodies(CHAT)[1:], key=lambda body: "tools" in body)
    assert "tools" not in sent[0]
    assert "tool_choice" not in sent[0]
    assert sent[1]["tool_choice"] == "none"


def test_a_call_is_put_together(server: FakeServer, engine: OpenAIEngine) -> None:
    server.on(
        CHAT,
        Reply(
            events=[
                delta(role="assistant", content="Let me "),
                delta(content="add."),
                fragment(0, id="c1", name="add"),
                fragment(0, arguments='{"a": 2,'),
                fragment(0, arguments=' "b": 3}'),
                fragment(1, id="c2", name="now", arguments="{}"),
                *ended(),
            ]
        ),
    )
    chunks = list(engine.stream(ASK))
    assert [chunk.text for chunk in chunks] == ["Let me ", "add.", ""]
    done = chunks[-1].completion
    assert done is not None
    assert (done.text, done.finish) == ("Let me add.", "stop")
    assert (done.prompt_tokens, done.completion_tokens) == (11, 5)
    assert done.tool_calls == (ToolCall("c1", "add", {"a": 2, "b": 3}), ToolCall("c2", "now", {}))


@pytest.mark.parametrize(
    "events",
    [
        pytest.param(
            [
                fragment(0, id="x", name="add", arguments='{"a": 1, "b": 1}'),
                fragment(0, id="y", name="add", arguments='{"a": 2, "b": 2}'),
            ],
            id="every index is 0",
        ),
        pytest.param(
            [
                fragment(None, id="x", name="add", arguments='{"a": 1, '),
                fragment(None, arguments='"b": 1}'),
                fragment(None, id="y", name="add", arguments='{"a": 2, "b": 2}'),
            ],
            id="no index",
        ),
        pytest.param(
            [
                fragment(0, id="x", name="add"),
                fragment(1, id="y", name="add"),
                fragment(0, id="x", arguments='{"a": 1, "b": 1}'),
                fragment(1, id="y", arguments='{"a": 2, "b": 2}'),
            ],
            id="interleaved, ids repeated",
        ),
    ],
)
def test_calls_of_untidy_servers(
    server: FakeServer, engine: OpenAIEngine, events: list[Any]
) -> None:
    done = answered(engine, server, ASK, *events, *ended())
    one, two = done.tool_calls
    assert (one, two) == (
        ToolCall("x", "add", {"a": 1, "b": 1}),
        ToolCall("y", "add", {"a": 2, "b": 2}),
    )


def test_an_object_for_arguments_and_no_id(server: FakeServer, engine: OpenAIEngine) -> None:
    function = {"name": "add", "arguments": {"a": 1, "b": 2}}
    events = [delta(tool_calls=[{"function": function}, {"function": {"name": "now"}, "index": 1}])]
    one, two = answered(engine, server, ASK, *events, *ended()).tool_calls
    assert (one.name, one.arguments, two.name, two.arguments) == (
        "add",
        {"a": 1, "b": 2},
        "now",
        {},
    )
    assert one.id.startswith("call_")
    assert one.id != two.id


@given(st.data())
def test_a_call_does_not_depend_on_where_it_was_cut(data: st.DataObject) -> None:
    arguments = json.dumps({"a": 20, "b": -3, "c": 'é "{}" \\ 你好'}, ensure_ascii=False)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(arguments)), max_size=6)))
    pieces = [arguments[i:j] for i, j in zip([0, *cuts], [*cuts, len(arguments)], strict=True)]
    reader = CallReader()
    reader.take([{"index": 0, "id": "c", "function": {"name": "add"}}])
    for piece in pieces:
        reader.take([{"index": 0, "function": {"arguments": piece}}])
    (call,) = reader.calls(ASK, "stop", 9)
    assert call.arguments == json.loads(arguments)


@pytest.mark.parametrize(
    ("arguments", "finish", "reason"),
    [
        ('{"a": 1}', "tool_calls", r"call of add is not valid: .* at \$: 'b' is a required"),
        ('{"a": 1, "b": "two"}', "tool_calls", r"breaks its schema at \$\.b"),
        ('{"a": 1, "b"', "length", r"call of add is not valid: .* stopped at 5 tokens"),
        ('{"a": 1, "b"', "stop", "call of add is not valid: the output is not JSON"),
        ("[1, 2]", "stop", "is not of type 'object'"),
    ],
)
def test_arguments_that_break_the_schema(
    server: FakeServer, engine: OpenAIEngine, arguments: str, finish: str, reason: str
) -> None:
    call = fragment(0, id="c", name="add", arguments=arguments)
    with pytest.raises(SchemaViolation, match=reason):
        answered(engine, server, ASK, call, *ended(finish))


def test_a_tool_that_was_not_offered(server: FakeServer, engine: OpenAIEngine) -> None:
    call = fragment(0, id="c", name="delete_all", arguments="{}")
    with pytest.raises(
        SchemaViolation, match="calls the tool 'delete_all'; offered were: add, now"
    ):
        answered(engine, server, ASK, call, *ended())
    with pytest.raises(SchemaViolation, match="offered were: none"):
        answered(engine, server, replace(ASK, tool_choice="none"), call, *ended())
    with pytest.raises(SchemaViolation, match="offered were: none"):
        answered(engine, server, replace(ASK, tools=()), call, *ended())


def test_a_demanded_call(server: FakeServer, engine: OpenAIEngine) -> None:
    must = replace(ASK, tool_choice="add")
    call = fragment(0, id="c", name="add", arguments='{"a": 1, "b": 2}')
    done = answered(engine, server, must, call, *ended("stop"))
    assert done.tool_calls[0].arguments == {"a": 1, "b": 2}
    choice = {"type": "function", "function": {"name": "add"}}
    assert server.bodies(CHAT)[0]["tool_choice"] == choice
    with pytest.raises(SchemaViolation, match="add had to be called and was not"):
        answered(engine, server, must, *chat("It is three."))
    with pytest.raises(SchemaViolation, match="add had to be called"):
        other = fragment(0, id="c", name="now")
        answered(engine, server, must, other, *ended())
    with pytest.raises(SchemaViolation, match="a tool had to be called"):
        answered(engine, server, replace(ASK, tool_choice="required"), *chat("Three."))
    with pytest.raises(SchemaViolation, match=r"stopped at 1 tokens before it called a tool"):
        asked = replace(ASK, tool_choice="required")
        answered(engine, server, asked, *chat("Well", finish="length"))


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (replace(ASK, schema={"type": "object"}), "tools, or a JSON Schema"),
        (replace(ASK, messages=(), prompt="2 + 3"), "tools need a conversation"),
        (replace(ASK, tools=(ADD, ADD)), "two tools are called add"),
        (replace(ASK, tool_choice="sub"), "tool_choice is sub, which is none of add, now"),
        (
            replace(ASK, tools=(Tool("odd", "", {"type": "thing"}),)),
            r"the tool odd has unusable parameters: the JSON Schema is not valid at \$\.type",
        ),
        (Request((Message("system", "Look", images=(PNG,)),)), "images belong to a user's turn"),
    ],
)
def test_what_cannot_be_asked(engine: OpenAIEngine, request_: Request, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        engine.stream(request_)


def test_a_conversation_with_calls_goes_back(server: FakeServer, engine: OpenAIEngine) -> None:
    server.on(CHAT, Reply(events=chat("Five.")))
    call = ToolCall("c1", "add", {"a": 2, "b": 3, "note": "é"})
    turns = (
        Message("user", "2 + 3?"),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", "5", tool_call_id="c1"),
    )
    engine.generate([replace(ASK, messages=turns)])
    assert server.bodies(CHAT)[0]["messages"] == [
        {"role": "user", "content": "2 + 3?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "add", "arguments": '{"a": 2, "b": 3, "note": "é"}'},
                }
            ],
        },
        {"role": "tool", "content": "5", "tool_call_id": "c1"},
    ]


def test_a_server_without_tools_says_so_itself(server: FakeServer, engine: OpenAIEngine) -> None:
    told = '"auto" tool choice requires --enable-auto-tool-choice'
    server.on(CHAT, Reply({"error": {"message": told}}, status=400))
    with pytest.raises(Unavailable, match="requires --enable-auto-tool-choice"):
        engine.generate([ASK])


def test_a_drop_inside_a_call_is_retried(server: FakeServer, engine: OpenAIEngine) -> None:
    call = fragment(0, id="c", name="now")
    server.on(CHAT, Reply(events=[call, *ended()], drop=1), Reply(events=[call, *ended()]))
    (chunk,) = engine.stream(ASK)
    assert chunk.completion is not None
    assert chunk.completion.tool_calls == (ToolCall("c", "now", {}),)


@pytest.mark.parametrize(
    "keys", [("reasoning",), ("reasoning_content",), ("reasoning", "reasoning_content")]
)
def test_thinking_is_kept_apart(
    server: FakeServer, engine: OpenAIEngine, keys: tuple[str, ...]
) -> None:
    def thought(text: str) -> Any:
        return delta(**dict.fromkeys(keys, text))

    events = [thought("Two and "), thought("three."), *chat("Five")]
    server.on(CHAT, Reply(events=events))
    chunks = list(engine.stream(replace(ASK, tools=())))
    assert [(chunk.thinking, chunk.text) for chunk in chunks] == [
        ("Two and ", ""),
        ("three.", ""),
        ("", "Five"),
        ("", ""),
    ]
    done = chunks[-1].completion
    assert done is not None
    assert (done.thinking, done.text) == ("Two and three.", "Five")


def test_a_drop_after_a_thought_is_an_error(server: FakeServer, engine: OpenAIEngine) -> None:
    server.on(CHAT, Reply(events=[delta(reasoning="Hm"), *chat("Five")], drop=1))
    with pytest.raises(Unavailable, match="the answer is incomplete"):
        list(engine.stream(ASK))


def test_tokens_that_the_server_had_in_its_cache(server: FakeServer, engine: OpenAIEngine) -> None:
    usage = {
        "prompt_tokens": 40,
        "completion_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": 32},
    }
    server.on(CHAT, Reply(events=[*chat("ok", usage=False)[:-1], {"usage": usage}, "[DONE]"]))
    done = engine.generate([ASK])[0]
    assert (done.prompt_tokens, done.reused_tokens) == (40, 32)


def test_images_are_sent_as_data_urls(server: FakeServer, engine: OpenAIEngine) -> None:
    assert engine.sees_images
    server.on(CHAT, Reply(events=chat("A cat.")))
    engine.generate([LOOK])
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}
    assert server.bodies(CHAT)[0]["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}
    ]
    engine.generate([Request((Message("user", "", images=(PNG, PNG)),))])
    assert server.bodies(CHAT)[1]["messages"][0]["content"] == [image, image]


@pytest.mark.parametrize(
    "told",
    [
        "At most 0 image(s) may be provided in one prompt.",
        "tiny is not a multimodal model",
        "image_url is only supported by certain models.",
    ],
)
def test_a_server_that_refuses_images(server: FakeServer, engine: OpenAIEngine, told: str) -> None:
    server.on(CHAT, Reply({"error": {"message": told}}, status=400))
    with pytest.raises(UsageError, match="refuses the images: ") as caught:
        engine.generate([LOOK])
    assert told in str(caught.value)
    with pytest.raises(TriviumError) as other:  # the same words about something else
        engine.generate([ASK])
    assert not isinstance(other.value, UsageError)


def llamacpp(server: FakeServer, *, vision: bool) -> None:
    """Let the server be llama.cpp's, which writes each prompt as a text of 4 tokens."""
    server.on("/v1/models", Reply({"data": [{"id": "tiny", "owned_by": "llamacpp"}]}))
    props = {"default_generation_settings": {"n_ctx": 4096}, "modalities": {"vision": vision}}
    server.on("/props", Reply(props))
    server.on("/apply-template", Reply({"prompt": "<user>Hello"}))
    server.on("/tokenize", Reply({"tokens": [1, 2, 3, 4]}))


def test_llama_cpps_server_tells_whether_it_sees(server: FakeServer) -> None:
    llamacpp(server, vision=True)
    assert OpenAIEngine(server.url).sees_images
    llamacpp(server, vision=False)
    blind = OpenAIEngine(server.url)
    assert not blind.sees_images
    with pytest.raises(UsageError, match="takes no images; choose a model that sees"):
        blind.generate([LOOK])
    assert server.bodies(CHAT) == []


def test_tools_are_counted(server: FakeServer) -> None:
    server.on("/v1/models", Reply(VLLM))
    server.on("/tokenize", Reply({"count": 60, "tokens": list(range(60))}))
    server.on(CHAT, Reply(events=chat("ok")))
    engine = OpenAIEngine(server.url)
    assert engine.count_tokens(ASK) == 60
    sent = server.bodies("/tokenize")[0]
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["add", "now"]
    assert "tool_choice" not in sent
    engine.generate([replace(ASK, sampling=Sampling())])
    assert server.bodies(CHAT)[0]["max_tokens"] == 40


def test_llama_cpps_server_renders_tools_before_it_counts(server: FakeServer) -> None:
    llamacpp(server, vision=True)
    assert OpenAIEngine(server.url).count_tokens(ASK) == 4
    assert len(server.bodies("/apply-template")[0]["tools"]) == 2


def test_what_no_server_counts_is_estimated(server: FakeServer, engine: OpenAIEngine) -> None:
    plain = replace(ASK, tools=())
    assert engine.count_tokens(ASK) > engine.count_tokens(plain) == 6 // 3 + 8
    called = Message("assistant", "", tool_calls=(ToolCall("c", "add", {"a": 1}),))
    longer = replace(plain, messages=(*plain.messages, called))
    assert engine.count_tokens(longer) == 10 + 8 + len('{"a": 1}add') // 3 + 8
    assert engine.count_tokens(LOOK) == 13 // 3 + 8 + IMAGE_TOKENS
    server.on("/v1/models", Reply(VLLM))
    server.on("/tokenize", Reply({"count": 60, "tokens": list(range(60))}))
    assert OpenAIEngine(server.url).count_tokens(LOOK) == 13 // 3 + 8 + IMAGE_TOKENS
