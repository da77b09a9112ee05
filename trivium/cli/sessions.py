"""`trivium sessions`: what was said in all conversations, and copies of it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, get_args

import typer

from trivium.cli import console
from trivium.errors import NotInDocuments, UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from trivium.agent.base import Node, Session
    from trivium.agent.export import Form
    from trivium.agent.sessions import Sessions

app = typer.Typer(no_args_is_help=True, help="List, search, show, fork and export conversations.")

Row = TypeVar("Row")
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Name = Annotated[str, typer.Argument(help="The session.")]


@app.command("list")
def list_sessions(as_json: Json = False) -> None:
    """Show your conversations, the one last written to first."""
    from trivium.agent.export import when

    found = _read(lambda sessions: sessions.all())
    if as_json:
        console.emit_json([asdict(session) for session in found])
        return
    rows = [
        (session.name, f"{session.messages:,}", session.model, when(session.updated))
        for session in found
    ]
    console.table(("name", "messages", "model", "last"), rows)
    if not rows:
        console.note("There are no conversations; begin one with: trivium chat")


@app.command()
def search(
    words: Annotated[list[str], typer.Argument(help="Words, all of which a message must have.")],
    count: Annotated[
        int, typer.Option("--top-k", "-k", min=1, max=1000, help="Messages to show.")
    ] = 20,
    as_json: Json = False,
) -> None:
    """Search all conversations, best first. Exit 3 when there is nothing."""
    query = " ".join(words).encode(errors="replace").decode()  # may be bytes that are no text
    if not query.strip():
        raise UsageError("there are no words to search for")
    found = _read(lambda sessions: sessions.search(query, count))
    if as_json:
        keys = ("id", "role", "created")
        console.emit_json(
            [
                {"session": one.session}
                | {key: getattr(one.node, key) for key in keys}
                | {"excerpt": one.excerpt, "score": one.score}
                for one in found
            ]
        )
    elif console.out().is_terminal:
        for one in found:
            console.out().print(_heading(one.node, one.session))
            console.indented(_marked(one.excerpt))
    else:
        rows = [(one.session, str(one.node.id), one.node.role, one.excerpt) for one in found]
        console.table((), rows)
    if not found:
        raise NotInDocuments(f'no message has all words of "{query}"')


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Print the branch of a conversation that is open, each message with its number."""
    from trivium.agent.export import export

    with _open() as sessions:
        session = sessions.get(name)
        if as_json:
            sys.stdout.write(export(sessions, session, "json"))
            return
        path = sessions.path(session.head)
    for node in path:
        console.out().print(_heading(node))
        _print(node)


@app.command()
def fork(
    name: Name,
    at: Annotated[
        int | None, typer.Option("--at", help="The last message to take; `show` has its number.")
    ] = None,
    new: Annotated[str | None, typer.Option("--name", help="What to call the copy.")] = None,
    as_json: Json = False,
) -> None:
    """Copy a conversation up to a message, to go on from there."""
    with _open() as sessions:
        session = sessions.get(name)
        end = session.head if at is None else at
        if end is None:
            raise UsageError(f'the session "{name}" has no messages to copy')
        made = sessions.fork(session.id, end, new)
    _changed(made, as_json)


@app.command()
def export(
    name: Name,
    form: Annotated[
        str | None,
        typer.Option("--format", "-f", help="md, json or html; by -o's ending, else md."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file in place of standard output.")
    ] = None,
) -> None:
    """Write a conversation as Markdown, as JSON (all its branches) or as one HTML page."""
    from trivium.agent.export import export as written
    from trivium.paths import atomic_write

    chosen = _form(form, output)
    with _open() as sessions:
        text = written(sessions, sessions.get(name), chosen)
    if output is None:
        # A session's JSON has no control characters left, and must stay what it is.
        sys.stdout.write(text if chosen == "json" else console.clean(text))
        return
    with atomic_write(output) as file:
        file.write(text.encode())
    console.note(f"{console.short(str(output))} holds {name}")


@app.command()
def rename(
    name: Name,
    new: Annotated[str, typer.Argument(help="Its new name.")],
    as_json: Json = False,
) -> None:
    """Give a conversation another name."""
    with _open() as sessions:
        made = sessions.rename(name, new)
    _changed(made, as_json)


@app.command()
def rm(
    names: Annotated[list[str], typer.Argument(help="The sessions.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete conversations with all their branches. They cannot be brought back."""
    with _open() as sessions:
        unique = list(dict.fromkeys(names))
        for name in unique:  # before the first one is gone
            sessions.get(name)
        shown = ", ".join(f'"{name}"' for name in unique)
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError(f"say --yes to delete {shown} without being asked")
            typer.confirm(console.clean(f"Delete {shown}?"), abort=True, err=True)
        for name in unique:
            sessions.delete(name)
            console.note(f'the session "{name}" is deleted')


def _read(ask: "Callable[[Sessions], list[Row]]") -> "list[Row]":
    """What the conversations say; where there are none, no file is made to say so."""
    from trivium.agent.sessions import Sessions, default_file

    if not default_file().exists():
        return []
    with Sessions() as sessions:
        return ask(sessions)


@contextmanager
def _open() -> "Iterator[Sessions]":
    from trivium.agent.sessions import Sessions, default_file

    if not default_file().exists():
        raise UsageError("there are no sessions yet; begin one with: trivium chat")
    with Sessions() as sessions:
        yield sessions


def _form(form: str | None, output: Path | None) -> "Form":
    from trivium.agent.export import Form

    ending = {".html": "html", ".htm": "html", ".json": "json"}
    asked = form or (ending.get(output.suffix.lower(), "md") if output else "md")
    for known in get_args(Form):
        if asked == known:
            found: Form = known
            return found
    raise UsageError(f'--format "{asked}" is not one of {", ".join(get_args(Form))}')


def _changed(session: "Session", as_json: bool) -> None:
    """The session's name, which the next command will want."""
    if as_json:
        console.emit_json(asdict(session))
    else:
        sys.stdout.write(f"{session.name}\n")


def _heading(node: "Node", session: str = "") -> "Text":
    from rich.text import Text

    from trivium.agent.export import when

    text = Text().append(f"[{node.id}] ", "cyan")
    text.append(f"{session} " if session else "", "bold")
    text.append(node.role, "" if session else "bold")
    text.append(f"  {when(node.created)}", "dim")
    text.append("  pinned" if node.pinned else "", "dim")
    text.append("" if node.state == "complete" else f"  {node.state}", "yellow")
    return text


def _print(node: "Node") -> None:
    """All of a message but what its attachments hold."""
    from rich.text import Text

    from trivium.agent.export import arguments, place

    parts = [Text(console.clean(node.thinking.strip()), "dim italic")]
    parts.append(Text(console.clean(node.content.strip()), "dim" if node.role == "tool" else ""))
    lines = [f"attached {one.name}" for one in node.attachments]
    lines += [f"calls {call.name} {arguments(call)}" for call in node.tool_calls]
    lines += [f"[{n}] {place(one)}" for n, one in enumerate(node.citations, start=1)]
    parts.append(Text(console.clean("\n".join(lines)), "cyan"))
    for part in filter(None, parts):
        console.indented(part)
    console.out().print()


def _marked(excerpt: str) -> "Text":
    """An excerpt on one line, its [marked] words in bold."""
    from rich.text import Text

    text = Text(" ".join(console.clean(excerpt).split()))
    text.highlight_regex(r"\[[^\[\]]+\]", "bold")
    return text
