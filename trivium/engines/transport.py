"""HTTP to a model server: patience with a busy one, one sentence for a broken one.

A request is sent again after 429, 5xx or a lost connection, with exponential back-off or after the
server's own `Retry-After`, until something of the answer has been used. Streams are server-sent
events (WHATWG HTML, section 9.2), of which model servers use the `data` field alone.
"""

import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from trivium.errors import Unavailable, UsageError
from trivium.network import is_loopback, require_online

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

Event = dict[str, Any]
T = TypeVar("T")

ATTEMPTS = 5
LONGEST_WAIT = 60.0  # seconds; a server that asks for more is reported, not waited for
BUSY = {408, 429, 500, 502, 503, 504}
"""Statuses that may pass: the request is sent again."""


class Refused(Unavailable):
    """The server answered with an error status; `detail` is its own explanation."""

    def __init__(self, message: str, *, status: int, detail: str, body: object = None) -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail
        self.body = body


class _AgainError(Exception):
    """Worth another attempt; `error` is what the user sees when attempts are used up."""

    def __init__(self, error: Unavailable, wait: float | None = None) -> None:
        self.error = error
        self.wait = wait


class Transport:
    """A connection pool to one server. It may be used from several threads."""

    def __init__(
        self,
        base: str,
        *,
        api_key: str | None = None,
        timeout: float = 60.0,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`base` is "http://host:port/v1"; `timeout` is in seconds between two pieces of an answer.

        Raises:
            UsageError: when `base` is not such a URL or the key cannot be sent.
            Unavailable: under TRIVIUM_OFFLINE=1, unless the host is this machine.
        """
        import httpx

        host = _host(base)
        require_online(f"reach {host}", host)
        self._base = base.rstrip("/")
        self._root = self._base.removesuffix("/v1")
        self._host = urlsplit(base).netloc
        self._key = _printable(api_key)
        self._timeout = timeout
        self._attempts = attempts
        self._sleep = sleep
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=timeout,
            # a proxy is for other machines: under TRIVIUM_OFFLINE it must not be asked for this one
            trust_env=not is_loopback(host),
        )

    def get(self, path: str) -> Any:
        """The JSON at `path`; one that begins with "//" is at the server's root, outside /v1."""
        return self._retried(lambda: self._json("GET", path, None))

    def post(self, path: str, body: Event) -> Any:
        """Send `body` as JSON and return the JSON answer.

        Raises:
            Refused: when the server answers with an error status, after the retries.
            Unavailable: when it cannot be reached, is too slow or does not speak JSON.
        """
        return self._retried(lambda: self._json("POST", path, body))

    def events(self, path: str, body: Event, begun: Callable[[Event], bool]) -> Iterator[Event]:
        """The events of a streamed answer.

        Until `begun(event)` is true nothing has been used, so that a failure may still be retried.
        It raises like `post`, and `Unavailable` when the stream ends before "[DONE]".
        """
        return self._retried(lambda: self._begin(path, body, begun))

    def close(self) -> None:
        self._client.close()

    def _url(self, path: str) -> str:
        return self._root + path[1:] if path.startswith("//") else self._base + path

    def _json(self, method: str, path: str, body: Event | None) -> Any:
        with self._translated():
            response = self._client.request(method, self._url(path), json=body)
        self._check(response)
        try:
            return response.json()
        except ValueError as error:
            raise Unavailable(
                f"{self._url(path)} does not answer in JSON; is this an OpenAI-compatible server?"
            ) from error

    def _begin(self, path: str, body: Event, begun: Callable[[Event], bool]) -> Iterator[Event]:
        events = self._stream(path, body)
        held: list[Event] = []
        try:
            for event in events:
                held.append(event)
                if begun(event):
                    break
        except BaseException:
            events.close()
            raise
        return chain(held, self._rest(events))

    def _rest(self, events: Iterator[Event]) -> Iterator[Event]:
        """What follows the point of no return: a failure here is final."""
        try:
            yield from events
        except _AgainError as again:
            raise Unavailable(f"{again.error}; the answer is incomplete") from again

    def _stream(self, path: str, body: Event) -> Generator[Event, None, None]:
        with (
            self._translated(),
            self._client.stream("POST", self._url(path), json=body) as response,
        ):
            if response.is_error or response.is_redirect:
                response.read()
            self._check(response)
            for data in sse_data(response.iter_bytes()):
                if data.strip() == "[DONE]":
                    return
                yield self._event(data)
        raise _AgainError(Unavailable(f"{self._host} broke off its answer"))

    def _event(self, data: str) -> Event:
        try:
            event = json.loads(data)
        except ValueError as error:
            raise Unavailable(f"{self._host} sent a broken event: {data[:80]!r}") from error
        if not isinstance(event, dict):
            raise Unavailable(f"{self._host} sent an event that is no object: {data[:80]!r}")
        if event.get("error"):
            detail = self._redacted(_explanation(event))
            raise Refused(
                f"{self._host} stopped with an error: {detail}", status=200, detail=detail
            )
        return event

    def _retried(self, attempt: Callable[[], T]) -> T:
        import tenacity

        back_off = tenacity.wait_exponential(0.5, max=15) + tenacity.wait_random(0, 0.5)

        def wait(state: "RetryCallState") -> float:
            failure = state.outcome.exception() if state.outcome else None
            asked = failure.wait if isinstance(failure, _AgainError) else None
            return back_off(state) if asked is None else asked

        try:
            return tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(_AgainError),
                stop=tenacity.stop_after_attempt(self._attempts),
                wait=wait,
                sleep=self._sleep,
                reraise=True,
            )(attempt)
        except _AgainError as again:
            raise again.error from again

    def _check(self, response: "httpx.Response") -> None:
        """Raise for anything but a success."""
        if response.is_success:
            return
        status = response.status_code
        try:
            body: object = response.json()
        except ValueError:
            body = response.text
        detail = self._redacted(_explanation(body))
        error = Refused(self._sentence(status, detail), status=status, detail=detail, body=body)
        if status not in BUSY:
            raise error
        wait = _seconds(response.headers.get("Retry-After"))
        if wait is not None and wait > LONGEST_WAIT:
            raise error
        raise _AgainError(error, wait)

    def _sentence(self, status: int, detail: str) -> str:
        if status in (401, 403):
            key = (
                "does not accept TRIVIUM_API_KEY"
                if self._key
                else "wants a key: set TRIVIUM_API_KEY"
            )
            return f"{self._host} {key} (status {status})"
        if 300 <= status < 400:
            return f"{self._host} redirects elsewhere (status {status}); give the final URL"
        return f"{self._host} answered with status {status}: {detail}"

    def _redacted(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """httpx's errors as ours, of which lost connections may be tried again."""
        import httpx

        try:
            yield
        except httpx.ConnectError as error:
            raise _AgainError(
                Unavailable(f"cannot reach {self._host}: {error}; is the server running?")
            ) from error
        except httpx.ConnectTimeout as error:
            raise _AgainError(
                Unavailable(f"{self._host} did not accept a connection in {self._timeout:g} s")
            ) from error
        except httpx.TimeoutException as error:
            raise Unavailable(
                f"{self._host} sent nothing for {self._timeout:g} s; "
                "raise the timeout setting or ask for less"
            ) from error
        except httpx.TransportError as error:
            raise _AgainError(
                Unavailable(f"lost the connection to {self._host}: {error}")
            ) from error


def sse_data(pieces: Iterable[bytes]) -> Iterator[str]:
    """The `data` of each event in a stream of bytes cut anywhere.

    Lines end with CR, LF or CRLF and nothing else: httpx's own `iter_lines` also breaks at U+2028
    and others, which may stand inside JSON strings.
    """
    data: list[str] = []
    for line in _lines(pieces):
        if not line:
            if data:
                yield "\n".join(data)
            data = []
        elif line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" ").decode("utf-8", "replace"))
    if data:  # some servers leave out the last empty line
        yield "\n".join(data)


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for piece in pieces:
        *whole, held = (held + piece).splitlines(keepends=True) or [b""]
        if held.endswith(b"\n"):  # after a lone CR, LF may still come
            whole.append(held)
            held = b""
        for line in whole:
            yield line.rstrip(b"\r\n")
    if held:
        yield held.rstrip(b"\r\n")


def _host(base: str) -> str:
    try:
        parts = urlsplit(base)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{base} is not a URL: {error}") from error
    if parts.username or parts.password:
        raise UsageError("a server's URL must not hold a password; set TRIVIUM_API_KEY instead")
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"{base} is not a server's URL; write http://host:port/v1#model")
    return host


def _printable(key: str | None) -> str:
    """The key as it may stand in a header. It is never part of a message."""
    key = (key or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise UsageError("TRIVIUM_API_KEY holds characters that no HTTP header may carry")
    return key


def _explanation(body: object) -> str:
    """What the server says went wrong, from the shapes in which servers say it."""
    for key in ("error", "message", "detail"):
        if isinstance(body, dict) and body.get(key):
            body = body[key]
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= 300 else text[:299] + "…"


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` in seconds (RFC 9110, 10.2.3: a number or a date); None when unreadable."""
    if not retry_after:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
