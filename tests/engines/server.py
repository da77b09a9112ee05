"""A small OpenAI-compatible server in this process, which does what a test tells it to."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODELS = {"data": [{"id": "tiny", "owned_by": "test"}]}
VLLM = {"data": [{"id": "tiny", "owned_by": "vllm", "max_model_len": 100}]}


@dataclass
class Reply:
    """What to answer: a JSON value, or the events of a stream.

    With `drop`, the connection is lost after that many events.
    """

    value: Any = None
    events: Sequence[Any] | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop: int | None = None


@dataclass
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    body: Any
    headers: dict[str, str]


Responder = Callable[[Asked], Reply]


class FakeServer:
    """Answers each path with its enqueued replies in order, the last one for ever."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._replies: dict[str, list[Reply | Responder]] = {}
        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.01,))
        self._thread.start()
        self.on("/v1/models", Reply(MODELS))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._httpd.server_address[1]}/v1"

    def on(self, path: str, *replies: Reply | Responder) -> None:
        self._replies[path] = list(replies)

    def bodies(self, path: str) -> list[Any]:
        return [asked.body for asked in self.asked if asked.path == path]

    def close(self) -> None:
        self._httpd.shutdown()
        self._thread.join()
        self._httpd.server_close()

    def _next(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        queue = self._replies.get(asked.path)
        if not queue:
            return Reply({"error": {"message": "no such path"}}, status=404)
        reply = queue.pop(0) if len(queue) > 1 else queue[0]
        return reply(asked) if callable(reply) else reply

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name http.server calls
                self._serve(None)

            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                self._serve(json.loads(self.rfile.read(size)))

            def _serve(self, body: Any) -> None:
                asked = Asked(self.command, self.path, body, dict(self.headers))
                reply = server._next(asked)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.events is None:
                    data = json.dumps(reply.value).encode()
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                else:
                    self._stream(reply.events, reply.drop)

            def _stream(self, events: Sequence[Any], drop: int | None) -> None:
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for event in events if drop is None else events[:drop]:
                    text = event if isinstance(event, str) else json.dumps(event)
                    data = f"data: {text}\n\n".encode()
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                if drop is None:
                    self.wfile.write(b"0\r\n\r\n")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def chat(*pieces: str, finish: str = "stop", usage: bool = True) -> list[Any]:
    """The events of a streamed chat answer."""
    events: list[Any] = [{"choices": [{"delta": {"role": "assistant", "content": ""}}]}]
    events += [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
    events.append({"choices": [{"delta": {}, "finish_reason": finish}]})
    if usage:
        count = {"prompt_tokens": 11, "completion_tokens": len(pieces)}
        events.append({"choices": [], "usage": count})
    return [*events, "[DONE]"]


def delta(**fields: Any) -> Any:
    """One event of a streamed chat answer."""
    return {"choices": [{"delta": fields}]}


def fragment(index: int | None, *, id: str = "", name: str = "", arguments: str = "") -> Any:
    """One event with a piece of a tool call; what is empty is left out, as servers do."""
    function = {k: v for k, v in {"name": name, "arguments": arguments}.items() if v}
    place = {k: v for k, v in {"index": index, "id": id}.items() if v not in (None, "")}
    return delta(tool_calls=[{**place, "type": "function", "function": function}])


def ended(finish: str = "tool_calls", tokens: int = 5) -> list[Any]:
    """The end of a streamed chat answer."""
    usage = {"prompt_tokens": 11, "completion_tokens": tokens}
    return [
        {"choices": [{"delta": {}, "finish_reason": finish}]},
        {"choices": [], "usage": usage},
        "[DONE]",
    ]
