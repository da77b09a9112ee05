"""A file from a URL, with resume, retries and progress.

What has arrived stays in the work folder as `<digest>.part` with its validator beside it, so that
a later try, or a later process, asks for the rest alone (RFC 9110: Range and If-Range).
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trivium import paths
from trivium.errors import Unavailable
from trivium.models.fetched import Fetched, OnProgress
from trivium.network import require_online

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

_ATTEMPTS = 5
"""Tries without a single new byte before we give up."""
_TIMEOUT = 30.0
"""Seconds without a byte before a connection counts as lost."""


class _TryAgainError(Exception):
    """The server is busy or lost the connection; the message is the reason."""


@dataclass(frozen=True, slots=True)
class _Part:
    """An unfinished download: the bytes so far, and what they are a part of."""

    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def begin(self, validator: str | None, total: int | None) -> None:
        """Forget what is here and remember what comes now."""
        self.path.unlink(missing_ok=True)
        record = {"validator": validator, "total": total}
        with paths.atomic_write(self._record) as file:
            file.write(json.dumps(record).encode())

    def known(self) -> tuple[str | None, int | None]:
        """The validator (ETag or Last-Modified) and the whole size in bytes."""
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
            return record["validator"], record["total"]
        except (OSError, ValueError, KeyError, TypeError):
            return None, None

    @property
    def _record(self) -> Path:
        return self.path.with_suffix(".json")


def from_url(source: str, work: Path, label: str, on_progress: OnProgress) -> Fetched:
    """Download `source` into `work`, going on where an earlier try stopped.

    Raises:
        Unavailable: when the server does not have it, or stays out of reach after retries.
    """
    import httpx
    from tenacity import Retrying, retry_if_exception_type, wait_random_exponential

    url = httpx.URL(source).copy_with(fragment=None)
    require_online(f"download {url}", url.host)
    part = _Part(work / f"{hashlib.sha256(str(url).encode()).hexdigest()[:16]}.part")
    retrying = Retrying(
        retry=retry_if_exception_type((_TryAgainError, httpx.TransportError)),
        wait=wait_random_exponential(multiplier=0.5, max=10),
        stop=_Patience(part),
        reraise=True,
    )
    try:
        with httpx.Client(follow_redirects=True, timeout=_TIMEOUT) as client:
            total = retrying(_continue, client, url, part, label, on_progress)
    except (_TryAgainError, httpx.TransportError) as error:
        raise Unavailable(
            f"cannot download {url}: {str(error) or type(error).__name__}; "
            "what has arrived is kept, so pull again to go on"
        ) from error
    return Fetched(part.path, size=total)


class _Patience:
    """Give up after `_ATTEMPTS` tries in a row that brought nothing; any progress starts afresh."""

    def __init__(self, part: _Part) -> None:
        self._part = part
        self._size = part.size
        self._idle = 0

    def __call__(self, retry_state: "RetryCallState") -> bool:
        size = self._part.size
        self._idle = 0 if size > self._size else self._idle + 1
        self._size = size
        return self._idle >= _ATTEMPTS


def _continue(
    client: "httpx.Client", url: "httpx.URL", part: _Part, label: str, on_progress: OnProgress
) -> int | None:
    """One try. Returns the whole size in bytes if the server told it."""
    validator, total = part.known()
    have = part.size
    if total is not None and have == total:
        return total
    headers = {"Accept-Encoding": "identity"}  # a range counts bytes of the file, not of a zip
    if have and validator is not None:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 416:  # the file has become shorter than what we have
            part.begin(None, None)
            raise _TryAgainError(f"{url} changed while it was downloaded")
        _check_status(response, url)
        if response.status_code != 206:
            total = _length(response)
            part.begin(_validator(response), total)
            have = 0
        with part.path.open("ab") as file:
            # As they arrive: a fixed block size would lose what is buffered when the line drops.
            for block in response.iter_raw():
                file.write(block)
                file.flush()  # `_Patience` and a successor go by the size on the disk
                have += len(block)
                on_progress(label, have, total)
    return total


def _check_status(response: "httpx.Response", url: "httpx.URL") -> None:
    status = response.status_code
    if status == 429 or status >= 500:
        raise _TryAgainError(f"the server answered {status} {response.reason_phrase}")
    if status in (401, 403):
        raise Unavailable(f"{url} may not be read without leave (status {status})")
    if status not in (200, 206):
        raise Unavailable(f"{url} cannot be downloaded: the server answered {status}")


def _validator(response: "httpx.Response") -> str | None:
    """What If-Range may carry: a strong ETag, or else a date; a weak ETag may not."""
    etag: str | None = response.headers.get("ETag")
    if etag is not None and not etag.startswith("W/"):
        return etag
    modified: str | None = response.headers.get("Last-Modified")
    return modified


def _length(response: "httpx.Response") -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None
