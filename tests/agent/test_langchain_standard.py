"""LangChain's own standard suites for chat models (langchain-tests), against three engines.

The scripted one needs no answers; a server that plays a capable model gives every answer that the
suite asks for; the default model shows that a real, very small one is fit to be asked as well.

What is skipped, and why: a loaded engine is no JSON and has no environment variables, so that there
is nothing to write and read back (`test_serdes`) or to initialise (`test_init_from_env`); an engine
is one model, so that no call can name another (`*_model_override`); messages carry text and images,
and a tool's result text alone (`test_pdf_*`, `test_audio_inputs`, `test_image_tool_message`);
connections are not recorded (`test_stream_time`). With the default model, the tests of tools,
schemas and images are skipped: it sees none, and does not do by itself what those tests expect.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Literal

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests
from pydantic import BaseModel

from tests.agent import capable
from tests.engines.server import FakeServer
from tests.scripted import ScriptedEngine
from trivium.agent.chat_model import ChatEngine
from trivium.engines.base import Engine, Sampling
from trivium.engines.llama import LlamaEngine
from trivium.engines.openai import OpenAIEngine


class TestScripted(ChatModelUnitTests):
    """What needs no answer."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatEngine

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"engine": ScriptedEngine()}


@pytest.fixture(scope="class")
def served(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give the class an engine for a server that plays a capable model."""
    server = FakeServer()
    server.on("/v1/chat/completions", capable.answer)
    request.cls.engine = OpenAIEngine(server.url)
    yield
    request.cls.engine.close()
    server.close()


@pytest.fixture
def picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """One grey pixel instead of the picture that the suite would download."""
    rows = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (
            (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
            (b"IDAT", zlib.compress(b"\0\x80")),
            (b"IEND", b""),
        )
    )
    pixel = SimpleNamespace(content=b"\x89PNG\r\n\x1a\n" + rows)
    monkeypatch.setattr("httpx.get", lambda url, **options: pixel)


@pytest.mark.usefixtures("served", "picture")
class TestServer(ChatModelIntegrationTests):
    """A server's own tool calls, thinking, schemas and images."""

    engine: ClassVar[Engine]

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatEngine

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"engine": self.engine}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supported_usage_metadata_details(self) -> dict[Literal["invoke", "stream"], list[Any]]:
        return {"invoke": ["cache_read_input"], "stream": ["cache_read_input"]}

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        chat = ChatEngine(engine=self.engine)
        if not stream:
            return chat.invoke("Hello")
        first, *rest = chat.stream("Hello")
        for chunk in rest:
            first += chunk
        return first


@pytest.fixture(scope="class")
def default_model(request: pytest.FixtureRequest, model_cache: Path) -> Iterator[None]:
    """Give the class an engine with the default model."""
    file = model_cache / "smollm2-135m" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    request.cls.engine = LlamaEngine(file, name="smollm2-135m", context_length=1024, threads=1)
    yield
    request.cls.engine.close()


@pytest.mark.model
@pytest.mark.usefixtures("default_model")
class TestDefaultModel(ChatModelIntegrationTests):
    """A model of 135 million weights, in this process: what can be asked of so small a one.

    It does not call the right tool with the right arguments unless it is made to, and a joke that
    it writes into a schema may never end; see `test_a_small_model_is_made_to_call`.
    """

    engine: ClassVar[Engine]

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatEngine

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"engine": self.engine, "max_tokens": 8}

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False

    def test_a_small_model_is_made_to_call(self) -> None:
        class Lamp(BaseModel):
            """Switch the lamp."""

            on: bool
            colour: Literal["red", "blue"]

        chat = ChatEngine(engine=self.engine, sampling=Sampling(max_tokens=64))
        for method in ("function_calling", "json_schema"):
            asked = chat.with_structured_output(Lamp, method=method)
            assert isinstance(asked.invoke("Blue light, please."), Lamp)
            assert [type(made) for made in asked.stream("Blue light, please.")] == [Lamp]
