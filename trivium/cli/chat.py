"""`trivium chat`: a conversation at the terminal, or one turn of it in a pipe."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.config import Settings
    from trivium.engines.base import Sampling

app = typer.Typer(add_completion=False)

LONGEST = 2048
"""Tokens of an answer when no setting says otherwise: that of `ask` is too short to talk."""


@app.command()
def chat(
    message: Annotated[
        str | None, typer.Argument(help="What to say first; piped input is added to it.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A catalogue name, file or server URL.")
    ] = None,
    session: Annotated[
        str | None, typer.Option(help="The conversation of this name, begun if it is new.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--continue", "-c", help="Go on with the latest conversation.")
    ] = False,
    system: Annotated[
        str | None, typer.Option(help="What the model is told before everything else.")
    ] = None,
    index: Annotated[
        list[str] | None,
        typer.Option("--index", "-i", help="An index to consult. Repeatable."),
    ] = None,
    pictures: Annotated[
        str | None, typer.Option(help="An index of pictures that the model may search.")
    ] = None,
    attach: Annotated[
        list[str] | None,
        typer.Option("--attach", "-a", help="A file or folder for the first message. Repeatable."),
    ] = None,
    tools: Annotated[
        Literal["auto", "on", "off"] | None,
        typer.Option(help="What the model may call; auto: nothing below a billion weights."),
    ] = None,
    mcp: Annotated[
        list[str] | None,
        typer.Option(help="An MCP server, a command or a URL, as [NAME=]SERVER. Repeatable."),
    ] = None,
    tool_file: Annotated[
        list[str] | None,
        typer.Option(help="A Python file with functions marked @tool. Repeatable."),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, help="0 is greedy and repeatable.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help=f"The longest answer, in tokens; {LONGEST} if unset.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Talk with a model. Without a terminal it is a filter: one message in, one answer out."""
    from trivium.cli.terminal.opening import Options
    from trivium.config import resolve

    if resume and session is not None:
        raise UsageError(f"give either --continue or --session {session}, not both")
    settings, origins = resolve(
        {
            "model": model,
            "system": system,
            "tools": tools,
            "tool_files": tuple(tool_file) if tool_file else None,
            "temperature": temperature,
            "max_tokens": max_tokens,
        }
    )
    chosen = any(o.name == "max_tokens" and o.source != "default" for o in origins)
    sampling = _sampling(settings, settings.max_tokens if chosen else LONGEST)
    options = Options(
        session, resume, tuple(index or ()), tuple(attach or ()), tuple(mcp or ()), pictures
    )
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        from trivium.cli.terminal.pipe import answer

        answer(_message(message), options, settings, sampling, as_json)
        return
    from trivium.cli.terminal.loop import Chat

    Chat(options, settings, sampling).run(message)


def _sampling(settings: "Settings", max_tokens: int) -> "Sampling":
    from trivium.engines.base import Sampling

    return Sampling(temperature=settings.temperature, max_tokens=max_tokens)


def _message(given: str | None) -> str:
    """The argument, then what is piped in."""
    piped = "" if sys.stdin.isatty() and given else sys.stdin.read()
    text = "\n\n".join(part for part in (given or "", piped.strip("\n")) if part.strip())
    if not text.strip():
        raise UsageError(
            'there is no message; write one, as in: echo "Who are you?" | trivium chat'
        )
    return text
