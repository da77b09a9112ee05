"""A command module that shows what the frame does: its verbosity, and errors of every kind."""

import socket
from typing import Annotated

import typer

from trivium import errors
from trivium.cli import console

app = typer.Typer(help="Probe the frame.")


@app.command()
def level() -> None:
    typer.echo(console.verbosity().name)


@app.command()
def fail(kind: str, text: Annotated[str, typer.Option()] = "it broke") -> None:
    error = getattr(errors, kind, None) or {
        "ValueError": ValueError,
        "KeyboardInterrupt": KeyboardInterrupt,
        "MemoryError": MemoryError,
    }.get(kind)
    assert error is not None
    raise error(text)


@app.command()
def connect(host: str, port: int) -> None:
    socket.create_connection((host, port), timeout=5).close()
    typer.echo("connected")
