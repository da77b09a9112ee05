"""A page from the web as text: every address that is connected to is checked first.

A name is looked up once, each of its addresses is judged, and the connection goes to the address
that was judged, so that a name server which answers differently a second time gains nothing.
"""

import ipaddress
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from trivium.agent.base import Preview
from trivium.agent.tools.base import Run, current, make
from trivium.errors import TriviumError
from trivium.network import require_online
from trivium.retrieval.load import load_bytes

if TYPE_CHECKING:
    import httpx
    from langchain_core.tools import BaseTool

SECONDS = 30.0
MAX_BYTES = 4 * 1024 * 1024
REDIRECTS = 5

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/pdf": ".pdf",
    "application/json": ".json",
    "text/csv": ".csv",
    "text/markdown": ".md",
}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def fetch_tool() -> "BaseTool":
    """fetch_url."""

    def fetch_url(
        url: Annotated[str, Field(description="Address, beginning with http:// or https://")],
    ) -> str:
        return fetch(url, current(SECONDS))

    def preview(arguments: Mapping[str, object]) -> Preview:
        url = parsed(str(arguments["url"]))
        return Preview(f"fetch {url}", f"GET {url}\nfrom the host {_ascii_host(url)}", str(url))

    return make(fetch_url, "Fetch a web page and read its text.", "network", preview)


def parsed(text: str) -> "httpx.URL":
    """An address that may be fetched, in the one form in which it is shown and used.

    Raises:
        TriviumError: when it is not http or https, or carries a user's name.
    """
    import httpx

    try:
        url = httpx.URL(text)
        known = url.scheme in ("http", "https") and bool(url.host)
    except (httpx.InvalidURL, ValueError) as error:
        raise TriviumError(f"{text[:200]!r} is not an address: {error}") from error
    if not known:
        raise TriviumError(f"{text[:200]!r} is not an http or https address")
    if url.userinfo:
        raise TriviumError(f"{text[:200]!r} carries a user's name, which can hide the real host")
    return url.copy_with(fragment=None)


def fetch(text: str, run: Run) -> str:
    """The text of a page, following redirects to public hosts.

    Raises:
        Unavailable: under TRIVIUM_OFFLINE=1.
        TriviumError: when an address is private and not what `text` names itself, or the page
            cannot be fetched, is too large, or holds no text.
    """
    import httpx

    url = parsed(text)
    allowed = (_ascii_host(url), url.port or url.scheme) if _names_private(url) else None
    # The environment's proxies would connect to addresses that were not judged here.
    with httpx.Client(trust_env=False, headers={"User-Agent": "trivium"}) as client:
        for _ in range(REDIRECTS + 1):
            own = allowed == (_ascii_host(url), url.port or url.scheme)
            kind, data, location = _get(client, url, _address(url, private=own), run)
            if location is None:
                suffix = _SUFFIXES.get(kind, ".txt" if kind.startswith("text/") else "")
                return load_bytes(_name(url) + suffix, data).text
            url = parsed(str(url.join(location)))
    raise TriviumError(f"{text[:200]!r} redirects more than {REDIRECTS} times")


def _get(
    client: "httpx.Client", url: "httpx.URL", address: Address, run: Run
) -> tuple[str, bytes, str | None]:
    """Media type, body, and where a redirect leads (None: it is none)."""
    import httpx

    host = _ascii_host(url)
    # The name goes into the header and the certificate's check, the connection to the address.
    request = client.build_request(
        "GET",
        url.copy_with(host=str(address)),
        headers={"Host": url.netloc.decode("ascii")},
        extensions={"sni_hostname": host},
        timeout=min(10.0, max(run.left, 0.1)),
    )
    try:
        response = client.send(request, stream=True)
        try:
            if response.is_redirect:
                return "", b"", response.headers["location"]
            if response.is_error:
                raise TriviumError(f"{url} answers {response.status_code}")
            kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
            data = bytearray()
            for piece in response.iter_bytes(65536):
                data += piece
                if len(data) > MAX_BYTES:
                    raise TriviumError(f"{url} holds more than {MAX_BYTES:,} bytes")
                if run.left == 0:
                    raise TriviumError(f"{url} did not arrive in time")
            return kind, bytes(data), None
        finally:
            response.close()
    except httpx.HTTPError as error:
        raise TriviumError(f"cannot fetch {url}: {error or type(error).__name__}") from error


def _address(url: "httpx.URL", *, private: bool) -> Address:
    """The address to connect to.

    Raises:
        Unavailable: under TRIVIUM_OFFLINE=1, unless it is this machine.
        TriviumError: when there is none, or one of them is private and may not be.
    """
    host = _ascii_host(url)
    require_online(f"fetch {url}", host)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TriviumError(f"cannot find the host {host}: {error}") from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).split("%")[0]) for entry in found]
    for address in addresses:
        if not private and not is_public(address):
            raise TriviumError(
                f"{url} leads to the private address {address}, which is fetched only when the "
                "address itself names it"
            )
    return addresses[0]


def is_public(address: Address) -> bool:
    """Whether an address is on the internet, seen through the forms that embed another one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.teredo:
            inner = address.teredo[1]
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def _names_private(url: "httpx.URL") -> bool:
    """Whether the address says by itself that it is private: a literal address or localhost."""
    host = _ascii_host(url)
    if host == "localhost":
        return True
    try:
        return not is_public(ipaddress.ip_address(host))
    except ValueError:
        return False


def _ascii_host(url: "httpx.URL") -> str:
    return url.raw_host.decode("ascii").strip("[]").rstrip(".").lower()


def _name(url: "httpx.URL") -> str:
    return str(url)[:200]
