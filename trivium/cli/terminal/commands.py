"""The slash commands: one table, from which help, completion and dispatch come."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

from trivium.cli.terminal import branch, keep, library, setup
from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.cli.terminal.loop import Chat

Kind = Literal["", "path", "model", "index", "pictures", "knob", "switch", "command", "prompt"]


@dataclass(frozen=True, slots=True)
class Command:
    """What follows a slash. `kind` says what its argument is completed from."""

    name: str
    arguments: str
    line: str
    act: "Callable[[Chat, str], None]"
    kind: Kind = ""


def _help(chat: "Chat", argument: str) -> None:
    wanted = [find(argument.removeprefix("/"))] if argument else list(COMMANDS.values())
    chat.table([(f"/{c.name} {c.arguments}".rstrip(), c.line) for c in wanted])
    if not argument:
        chat.say(
            "Enter sends; Alt-Enter, or a backslash at the end, begins a new line; "
            "Ctrl-C stops an answer; Ctrl-X Ctrl-E opens your editor."
        )


def _quit(chat: "Chat", _: str) -> None:
    chat.leaving = True


_TABLE = (
    Command("help", "[COMMAND]", "Show the commands.", _help, "command"),
    Command("model", "[NAME]", "Show the model, or go on with another.", setup.model, "model"),
    Command("system", "[TEXT|off]", "Show or set what the model is told first.", setup.system),
    Command("prompt", "[NAME TEXT]", "Say a prompt of the library.", library.prompt, "prompt"),
    Command(
        "attach", "[PATH]", "Put a file or folder beside the next message.", setup.attach, "path"
    ),
    Command("docs", "[NAME…|off]", "Show or choose the indexes to consult.", setup.docs, "index"),
    Command(
        "pictures",
        "[NAME|off]",
        "Show or choose the index of pictures to search.",
        setup.pictures,
        "pictures",
    ),
    Command(
        "similar",
        "[PATH]",
        "List the pictures nearest to one, or to the attached.",
        setup.similar,
        "path",
    ),
    Command(
        "tools", "[on|off]", "Show what the model may call, or switch it.", setup.tools, "switch"
    ),
    Command("undo", "", "Take the last question and answer back.", branch.undo),
    Command("retry", "", "Answer the last message again, as a new branch.", branch.retry),
    Command("edit", "", "Change your last message, as a new branch.", branch.edit),
    Command("fork", "[NAME]", "Go on in a copy of this conversation.", branch.fork),
    Command("branches", "[NUMBER]", "List the branches, or open one.", branch.branches),
    Command("search", "WORDS", "Search all conversations.", keep.search),
    Command("save", "NAME", "Give this conversation a name; it is always kept.", keep.save),
    Command(
        "export",
        "FILE",
        "Write it as Markdown, JSON or HTML (.md .json .html).",
        keep.export,
        "path",
    ),
    Command("compact", "", "Summarise older turns to make room.", branch.compact),
    Command("context", "", "Show what the context is used for.", branch.context),
    Command("set", "[NAME VALUE]", "Show or set how the next token is chosen.", setup.set_, "knob"),
    Command(
        "pin",
        "[NUMBER]",
        "Keep a message, the last or one of /context, out of summaries; or no longer.",
        branch.pin,
    ),
    Command("quit", "", "Leave, as Ctrl-D does.", _quit),
)
COMMANDS = {command.name: command for command in _TABLE}


def is_command(text: str) -> bool:
    """Whether a message is a command: a slash and a word. A path has a second slash."""
    return re.match(r"/[A-Za-z]*(\s|$)", text) is not None


def find(name: str) -> Command:
    """The command of that name.

    Raises:
        UsageError: when there is none, with the nearest names.
    """
    if command := COMMANDS.get(name.lower()):
        return command
    near = [known for known in COMMANDS if name and known.startswith(name.lower())]
    near = near or get_close_matches(name.lower(), COMMANDS, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(f'/{n}' for n in near)}?" if near else "see /help"
    raise UsageError(f"there is no command /{name}; {hint}")


def dispatch(chat: "Chat", text: str) -> None:
    """Run the command in `text`.

    Raises:
        TriviumError: what the command raises, or that there is none of the name.
    """
    name, _, argument = text[1:].partition(" ")
    find(name.strip()).act(chat, argument.strip())
