"""`trivium images gallery`: pictures as one HTML file that works offline."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console
from trivium.cli.images_index import Named, opened, printable
from trivium.errors import NotInDocuments, UsageError

if TYPE_CHECKING:
    from trivium.images.base import Hit


def gallery(
    query: Annotated[
        str | None,
        typer.Argument(help="Words to search an index for; without, paths from standard input."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The HTML file; one that is there is replaced.")
    ] = Path("gallery.html"),
    index: Named = "default",
    count: Annotated[
        int, typer.Option("--top-k", "-k", min=1, max=100_000, help="Pictures to show of a search.")
    ] = 200,
    title: Annotated[str | None, typer.Option(help="The page's heading.")] = None,
) -> None:
    """Write pictures to one HTML file that needs no network, with thumbnails inside.

    Paths are one to a line, or ended by NUL as `search -0` writes them.
    """
    from trivium.images.gallery import gallery as page
    from trivium.paths import atomic_write

    if query is not None:
        query = query.encode(errors="replace").decode()
        with opened(index) as held:
            hits = held.search(query, k=count)
        if not hits:
            raise NotInDocuments(f'the index "{index}" has no picture of that kind')
        paths, details = [hit.picture.path for hit in hits], [_detail(hit) for hit in hits]
    else:
        paths, details = _from_stdin(), []
    with console.progress() as bar, atomic_write(output) as file:
        bar.add_task("Writing", total=None)
        for part in page(title or query or "Pictures", paths, details):
            file.write(part.encode())
    console.note(f"{len(paths):,} pictures in {printable(str(output))}")


def _detail(hit: "Hit") -> str:
    size = f"{hit.picture.width} × {hit.picture.height}"
    return f"{hit.cosine:.3f}, better than {hit.percentile:.1f} % here; {size}"


def _from_stdin() -> list[str]:
    if sys.stdin.isatty():
        raise UsageError("say what to search for, or pipe paths in: trivium images search … -0 |")
    data = sys.stdin.buffer.read()
    parts = data.split(b"\0") if b"\0" in data else data.split(b"\n")
    found = [os.fsdecode(part.removesuffix(b"\r")) for part in parts if part.strip()]
    if not found:
        raise UsageError("standard input names no pictures")
    return found
