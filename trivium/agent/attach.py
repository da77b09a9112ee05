"""A file or folder that the user puts beside a message: its text whole, an index, or a picture."""

from collections.abc import Callable
from pathlib import Path

from trivium.agent.base import Attachment
from trivium.engines.base import Engine, Image, Request
from trivium.errors import TriviumError, UsageError
from trivium.paths import absolute
from trivium.retrieval.base import Document, Skipped
from trivium.retrieval.load import load_bytes, read_bytes

MOST_PER_TOKEN = 16
"""Characters that a token may stand for; a longer text is large, and is not counted first."""


def attach(
    path: str | Path,
    *,
    engine: Engine,
    embedder_name: str,
    limit_tokens: int,
    on_progress: Callable[[int, int], None] | None = None,
    on_skipped: Callable[[Skipped], None] | None = None,
) -> Attachment:
    """Read what lies at `path` for a conversation with `engine`.

    A text of at most `limit_tokens` comes whole; a longer one, or a folder, is indexed, and the
    index kept for the next time. `on_progress(done, total)` counts the files of a folder;
    `on_skipped` is told of each that could not be read.

    Raises:
        UsageError: when nothing is there, or it is a picture and the model sees none.
        LoadError: when the file is damaged, encrypted, binary, empty or too large.
        TriviumError: when nothing in a folder can be read.
    """
    place = absolute(path)
    if not place.exists():
        raise UsageError(f"{path} does not exist")
    if place.is_dir():
        return _indexed(path, place, embedder_name, on_progress, on_skipped)
    data = read_bytes(place)
    media_type = picture(data)
    if media_type:
        if not engine.sees_images:
            raise UsageError(
                f"{path} is a picture, and {engine.name} cannot see; choose a model that does"
            )
        return Attachment(str(path), "image", image=Image(data, media_type))
    document = load_bytes(str(place), data)
    if _is_small(document, engine, limit_tokens):
        return Attachment(str(path), "text", text=document.text)
    return _indexed(path, place, embedder_name, on_progress, on_skipped)


def picture(data: bytes) -> str | None:
    """The media type of the formats that vision models take, by their first bytes."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def _is_small(document: Document, engine: Engine, limit: int) -> bool:
    if len(document.text) > MOST_PER_TOKEN * limit:
        return False
    return engine.count_tokens(Request(prompt=document.text)) <= limit


def _indexed(
    path: str | Path,
    place: Path,
    embedder_name: str,
    on_progress: Callable[[int, int], None] | None,
    on_skipped: Callable[[Skipped], None] | None,
) -> Attachment:
    from trivium.retrieval.adhoc import index_of
    from trivium.retrieval.embed import load_embedder

    index, report = index_of([str(place)], load_embedder(embedder_name), on_progress)
    with index:
        name = index.name
    if on_skipped:
        for skipped in report.skipped:
            on_skipped(skipped)
    if not report.passages:
        why = f": {len(report.skipped)} skipped" if report.skipped else ""
        raise TriviumError(f"nothing in {path} can be read{why}")
    return Attachment(str(path), "index", index=name)
