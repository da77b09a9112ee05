"""`trivium mcp`: the indexes for other programs, over the Model Context Protocol."""

import sys
from typing import Annotated

import typer

from trivium.cli import console

app = typer.Typer(add_completion=False)


@app.command()
def mcp(
    index: Annotated[
        list[str] | None,
        typer.Option("--index", "-i", help="Offer this index alone. Repeatable; all without it."),
    ] = None,
    pictures: Annotated[
        list[str] | None,
        typer.Option(help="Offer this index of pictures as well. Repeatable; none without it."),
    ] = None,
    http: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, metavar="PORT", help="Listen on this port of 127.0.0.1; 0 is any."
        ),
    ] = None,
) -> None:
    """Offer your indexes to other programs over MCP: to search, ask and read, never to change.

    Without --http it speaks on its standard input and output, as programs that start it expect.
    """
    from trivium.agent.mcp_server import serve
    from trivium.config import load_settings

    if http is None and sys.stdin.isatty():
        console.note("waiting for an MCP client on standard input; Ctrl-C ends it")
    serve(
        index or (),
        load_settings(),
        http,
        lambda url: console.note(f"listening on {url}"),
        pictures or (),
    )
