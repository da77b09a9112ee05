"""The one gate to the network: nothing passes it under TRIVIUM_OFFLINE=1, or unasked.

Two layers. `require_online` is called where a download begins and gives the sentence that a user
can act on. `install_guard` watches the interpreter's own audit events, so that a library which
opens a socket behind our back is stopped as well.
"""

import ipaddress
import os
import sys

from trivium.errors import Unavailable

_TRUE = {"1", "true", "yes", "on"}
_guarded = False


def offline() -> bool:
    """True when the user has ruled the network out with TRIVIUM_OFFLINE."""
    return os.environ.get("TRIVIUM_OFFLINE", "").strip().lower() in _TRUE


def is_loopback(host: str) -> bool:
    """True for this machine's own addresses, which are not "the network"."""
    if host in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]").split("%")[0]).is_loopback
    except ValueError:
        return False


def require_online(purpose: str, host: str | None = None) -> None:
    """Raise unless the network may be used for `purpose` ("pull smollm2-135m", say).

    Raises:
        Unavailable: under TRIVIUM_OFFLINE=1, unless `host` is this machine.
    """
    if offline() and not (host is not None and is_loopback(host)):
        raise Unavailable(
            f"cannot {purpose}: TRIVIUM_OFFLINE=1 forbids the network; unset it to allow this"
        )


def install_guard() -> None:
    """Under TRIVIUM_OFFLINE=1, make every connection and look-up that leaves this machine an error.

    An audit hook (PEP 578) cannot be removed, so it is added once and reads the setting each time.
    """
    global _guarded
    if _guarded or not offline():
        return
    _guarded = True
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

    def watch(event: str, args: tuple[object, ...]) -> None:
        if event == "socket.getaddrinfo":
            host = args[0]
        elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
            host = args[1][0]
        else:
            return
        name = host.decode() if isinstance(host, bytes) else str(host or "")
        require_online(f"connect to {name}", name)

    sys.addaudithook(watch)
