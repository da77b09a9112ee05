"""`trivium images search | similar`: by words, by pictures, or by both."""

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

_SIDE = 128  # pixels that a thumbnail is made from

Count = Annotated[int, typer.Option("--top-k", "-k", min=1, max=100_000, help="Pictures to show.")]
BeyondChance = Annotated[
    bool, typer.Option("--beyond-chance", help="Only what is nearer than chance would be.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on stdout.")]
AsPaths = Annotated[bool, typer.Option("--paths", help="Paths alone.")]
Thumbnails = Annotated[str, typer.Option(help="auto, off, kitty, iterm, sixel or blocks.")]
Null = Annotated[bool, typer.Option("--null", "-0", help="Paths ended by NUL, for xargs -0.")]


def search(
    query: Annotated[
        str, typer.Argument(help="Words: 'dog', 'dog + beach*2 - \"black and white\"'.")
    ] = "",
    like: Annotated[
        list[str] | None, typer.Option(help="A picture to be like, or 'PICTURE*2'. Repeatable.")
    ] = None,
    unlike: Annotated[
        list[str] | None, typer.Option(help="A picture to be unlike. Repeatable.")
    ] = None,
    index: Named = "default",
    count: Count = 20,
    after: Annotated[
        str | None, typer.Option(help="Taken in or after 2024, 2024-06 or 2024-06-01.")
    ] = None,
    before: Annotated[str | None, typer.Option(help="Taken before that begins.")] = None,
    under: Annotated[str | None, typer.Option(help="Only in this folder.")] = None,
    beyond_chance: BeyondChance = False,
    as_json: AsJson = False,
    as_paths: AsPaths = False,
    thumbnails: Thumbnails = "auto",
    null: Null = False,
) -> None:
    """Show the pictures nearest to words or pictures. Exit 3 when there are none.

    In a pipe, paths alone.
    """
    if as_json and (as_paths or null):
        raise UsageError("say either --json or --paths")
    query = query.encode(errors="replace").decode()  # an argument may be bytes that are no text
    with opened(index) as held:
        hits = held.search(
            query,
            like=like or (),
            unlike=unlike or (),
            k=count,
            after=after,
            before=before,
            under=under,
            beyond_chance=beyond_chance,
        )
    if as_json:
        for hit in hits:
            console.emit_json(_row(hit), line=True)
    elif as_paths or null or not console.out().is_terminal:
        _paths(hits, b"\0" if null else b"\n")
    else:
        _show(hits, thumbnails)
    if not hits:
        chance = ", beyond what chance gives" if beyond_chance else ""
        raise NotInDocuments(f'the index "{index}" has no picture of that kind{chance}')


def similar(
    picture: Annotated[str, typer.Argument(help="A picture, in the index or not.")],
    index: Named = "default",
    count: Count = 20,
    beyond_chance: BeyondChance = False,
    as_json: AsJson = False,
    as_paths: AsPaths = False,
    thumbnails: Thumbnails = "auto",
    null: Null = False,
) -> None:
    """Show the pictures nearest to one, as `search --like` does. Exit 3 when there are none.

    In a pipe, paths alone.
    """
    search(
        like=[picture],
        index=index,
        count=count,
        beyond_chance=beyond_chance,
        as_json=as_json,
        as_paths=as_paths,
        thumbnails=thumbnails,
        null=null,
    )


def _row(hit: "Hit") -> dict[str, object]:
    from dataclasses import asdict

    row = asdict(hit)
    return row.pop("picture") | row  # type: ignore[no-any-return]


def _paths(hits: "list[Hit]", end: bytes) -> None:
    """The very bytes of the names, but for a terminal, which would obey some of them."""
    safe = sys.stdout.isatty() and end == b"\n"
    for hit in hits:
        path = hit.picture.path
        sys.stdout.buffer.write((printable(path).encode() if safe else os.fsencode(path)) + end)
    sys.stdout.buffer.flush()


def _show(hits: "list[Hit]", thumbnails: str) -> None:
    """A table, or where the terminal shows pictures each with its figures below."""
    from trivium.images.thumbnails import detect, thumbnail

    protocol = detect(os.environ, console.out().is_terminal, thumbnails)
    if protocol is None:
        _table(hits)
        return
    from trivium.images.decode import Refused, decode

    for rank, hit in enumerate(hits, start=1):
        path = hit.picture.path
        try:
            image = decode(Path(path).read_bytes(), path, _SIDE).image
        except (OSError, Refused):  # gone or changed since it was indexed
            shown = ""
        else:
            shown = thumbnail(image, protocol) + "\n"
        figures = (
            f"cosine {hit.cosine:.3f}, {hit.percentile:.1f} % here, "
            f"{hit.background:.1f} % by chance{', beyond chance' if hit.beyond_chance else ''}"
        )
        taken = f", {hit.picture.taken[:10]}" if hit.picture.taken else ""
        sys.stdout.write(f"{shown}[{rank}] {printable(path)}{taken}\n    {figures}\n\n")
    sys.stdout.flush()


def _table(hits: "list[Hit]") -> None:
    rows = [
        (
            str(rank),
            printable(hit.picture.path),
            f"{hit.picture.width} × {hit.picture.height}",
            (hit.picture.taken or "")[:10],
            f"{hit.cosine:.3f}",
            f"{hit.percentile:.1f}",
            f"{hit.background:.1f}",
            "yes" if hit.beyond_chance else "no",
        )
        for rank, hit in enumerate(hits, start=1)
    ]
    header = ("", "picture", "size", "taken", "cosine", "% here", "% by chance", "beyond chance")
    console.table(header, rows, ["" if hit.beyond_chance else "dim" for hit in hits])
