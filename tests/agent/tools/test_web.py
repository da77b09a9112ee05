"""Fetching a page: as text, within limits, and from no address that was not judged."""

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.agent.tools.calling import preview
from trivium.agent.tools import gate_of
from trivium.agent.tools.base import Run
from trivium.agent.tools.web import MAX_BYTES, fetch, fetch_tool, is_public, parsed
from trivium.errors import TriviumError, Unavailable

PAGE = b"<html><head><title>T</title><script>x()</script></head><body><p>Hello</p></body></html>"


class Handler(BaseHTTPRequestHandler):
    hits: list[tuple[str, str]]

    def do_GET(self) -> None:
        self.hits.append((self.headers["Host"], self.path))
        kind, _, rest = self.path[1:].partition("?")
        body, status, headers = PAGE, 200, {"Content-Type": "text/html; charset=utf-8"}
        if kind == "to":
            status, headers, body = 302, {"Location": rest}, b""
        elif kind == "json":
            body, headers = b'{"a": 1}', {"Content-Type": "application/json"}
        elif kind == "missing":
            status = 404
        elif kind == "huge":
            body = b"x" * (MAX_BYTES + 1)
        elif kind == "binary":
            body, headers = bytes(range(256)), {"Content-Type": "image/png"}
        elif kind == "empty":
            body = b""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if kind == "slow":
            time.sleep(2)
        try:
            self.wfile.write(body)
        except OSError:
            return

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[str]:
    Handler.hits = []
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()
    made.server_close()


def get(url: str, seconds: float = 10) -> str:
    return fetch(url, Run(time.monotonic() + seconds))


def test_a_page_is_read_as_text(server: str) -> None:
    assert get(f"{server}/page#part") == "# T\n\nHello"
    assert '"a": 1' in get(f"{server}/json")
    assert Handler.hits[0] == (server.removeprefix("http://"), "/page")


def test_redirects_on_the_host_that_the_user_named_are_followed(server: str) -> None:
    assert get(f"{server}/to?/to?/page") == "# T\n\nHello"
    assert [path for _, path in Handler.hits] == ["/to?/to?/page", "/to?/page", "/page"]


def test_redirects_have_an_end(server: str) -> None:
    with pytest.raises(TriviumError, match="redirects more than 5 times"):
        get(f"{server}/to?{server}/to?" * 7 + "/page")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("missing", "answers 404"),
        ("huge", "holds more than 4,194,304 bytes"),
        ("binary", "binary"),
        ("empty", "is empty"),
        ("to?http://localhost:1/x", "leads to the private address"),
        ("to?http://127.0.0.2/x", "leads to the private address 127.0.0.2"),
        ("to?http://10.0.0.1/x", "leads to the private address 10.0.0.1"),
        ("to?http://[::1]/x", "leads to the private address ::1"),
        ("to?ftp://example.com/x", "is not an http or https address"),
        ("to?http://a@example.com/x", "carries a user's name"),
    ],
)
def test_what_cannot_be_fetched_is_a_sentence(server: str, path: str, told: str) -> None:
    with pytest.raises(TriviumError, match=told):
        get(f"{server}/{path}")


def test_a_redirect_to_another_port_of_the_same_machine_is_refused(server: str) -> None:
    with pytest.raises(TriviumError, match="private address"):
        get(f"{server}/to?http://127.0.0.1:1/x")
    assert len(Handler.hits) == 1


def test_a_slow_page_is_given_up(server: str) -> None:
    began = time.monotonic()
    with pytest.raises(TriviumError, match=r"cannot fetch|did not arrive in time"):
        get(f"{server}/slow", seconds=0.5)
    assert time.monotonic() - began < 1.9


def test_a_closed_port_is_a_sentence() -> None:
    with pytest.raises(TriviumError, match=r"cannot fetch http://127\.0\.0\.1:1/"):
        get("http://127.0.0.1:1/")


def test_a_name_is_looked_up_once_and_that_address_is_used(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers with a public address first and a private one then."""
    port = server.rsplit(":", 1)[1]
    answers = iter(["93.184.215.14", "127.0.0.1"])
    asked: list[Any] = []
    real = socket.getaddrinfo

    def look_up(host: Any, *args: Any, **named: Any) -> Any:
        asked.append(host)
        if host == "rebind.example":
            return real(next(answers), *args, **named)
        return real(host, *args, **named)

    def connect(address: Any, *args: Any, **named: Any) -> Any:
        raise OSError(f"connects to {address[0]}")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(TriviumError, match=r"connects to 93\.184\.215\.14"):
        get(f"http://rebind.example:{port}/")
    assert asked.count("rebind.example") == 1
    assert Handler.hits == []


def test_one_private_address_among_several_is_enough_to_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def look_up(*args: Any, **named: Any) -> Any:
        return [(2, 1, 6, "", (ip, 0)) for ip in ("93.184.215.14", "192.168.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(TriviumError, match=r"private address 192\.168\.0\.1"):
        get("http://example.com/")


def test_offline_is_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVIUM_OFFLINE", "1")
    with pytest.raises(Unavailable, match="TRIVIUM_OFFLINE=1"):
        get("https://example.com/")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "::", "::1",
        "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_private_addresses(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["93.184.215.14", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_addresses(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "file:///etc/passwd", "ftp://example.com", "javascript:alert(1)",
        "http://", "http:///x", "http://user:pass@example.com", "http://exa\nmple.com", "data:,x",
        "http://[::1", "//example.com",
    ],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(TriviumError):
        parsed(url)


def test_the_user_sees_the_host_as_it_is() -> None:
    tools = [fetch_tool()]
    shown = preview(tools, "fetch_url", url="HTTPS://Ex\u0430mple.com/a b#c")
    assert "xn--" in shown.detail.split("\n")[1]
    assert "#c" not in shown.detail
    plain = preview(tools, "fetch_url", url="https://example.com/a?b=c")
    assert plain.title == "fetch https://example.com/a?b=c"
    assert plain.pattern == "https://example.com/a?b=c"
    assert plain.detail == "GET https://example.com/a?b=c\nfrom the host example.com"
    assert gate_of(tools[0]).effect == "network"
