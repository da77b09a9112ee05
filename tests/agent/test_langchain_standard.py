"""LangChain's own standard suites for chat models (langchain-tests), against three engines.

The scripted one needs no answers; a server that plays a capable model gives every answer that the
suite asks for; the default model shows that a real, very small one is fit to be asked as well.

What is skipped, and why: a loaded engine is no JSON and has no environment variables, so that there
is nothing to write and read back (`test_serdes`) or to initialise (`test_init_from_env`); an engine
is one model, so that no call can name another (`*_model_override`); messages carry text and images,
and a tool's result text alone (`test_pdf_*`, `test_audio_inputs`, `test_image_tool_message`);
connections are not recorded (`test_stream_time`).
"""

import struct
import zlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar, Literal

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from tests.agent import capable
from tests.engines.server import FakeServer
from tests.scripted import ScriptedEngine
from trivium.agent.chat_model import ChatEngine
from trivium.engines.base import Engine
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
