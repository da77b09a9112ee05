"""Slash commands for what is kept: search over all conversations, names, exports."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from trivium.cli.terminal.words import age
from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.cli.terminal.loop import Chat

_FORMS = ("md", "json", "html")


def search(chat: "Chat", words: str) -> None:
    if not words:
        raise UsageError("what to search for? /search WORDS")
    found = chat.opened.sessions.search(words)
    if not found:
        chat.say(f"no message has the words {words}")
        return
    rows = [
        (hit.session, age(hit.node.created), hit.node.role, " ".join(hit.excerpt.split()))
        for hit in found
    ]
    chat.table(rows)


def save(chat: "Chat", name: str) -> None:
    opened = chat.opened
    if not name:
        chat.say(f"kept as {opened.agent.session.name}; /save NAME gives it another name")
        return
    opened.sessions.rename(opened.agent.session.name, name)
    chat.say(f"kept as {opened.agent.session.name}")


def export(chat: "Chat", target: str) -> None:
    """A file that exists is not overwritten."""
    from trivium.agent.export import export as exported

    opened = chat.opened
    session = opened.agent.session
    if target in ("", *_FORMS):
        target = f"{session.name}.{target or 'md'}"
    file = Path(target).expanduser()
    form = file.suffix.removeprefix(".").lower()
    if form not in _FORMS:
        raise UsageError(f"{target} has to end in .md, .json or .html")
    text = exported(opened.sessions, session, cast(Literal["md", "json", "html"], form))
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise UsageError(f"{target} exists; choose another name") from None
    chat.say(f"written to {file}")
