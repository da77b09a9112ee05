"""The table of commands, and a group that imports a command's module when it is called.

The first page and the completion of command names read the table alone, so neither of them waits
for numpy, pydantic or a model's library.
"""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

COMMANDS: dict[str, tuple[str, str]] = {
    "chat": ("trivium.cli.chat", "Talk with a model, with documents, files and tools at hand."),
    "ask": ("trivium.cli.ask", "Ask your documents; every quote is a verbatim span of a file."),
    "sessions": (
        "trivium.cli.sessions",
        "List, search, show, fork and export conversations.",
    ),
    "run": ("trivium.cli.run", "Run a prompt of the library over what you pipe in."),
    "prompts": ("trivium.cli.prompts", "List, show, render, run, check and improve prompts."),
    "eval": ("trivium.cli.eval", "Run suites of prompts, models and data, and compare them."),
    "fairness": (
        "trivium.cli.fairness",
        "Measure bias, audit a prompt, report, and gate on it.",
    ),
    "batch": ("trivium.cli.batch", "Run a prompt over rows, resumable."),
    "index": ("trivium.cli.index", "Build, keep and search indexes of documents."),
    "images": ("trivium.cli.images", "Index, search, sort and compare pictures."),
    "models": ("trivium.cli.models", "List, pull, remove and inspect models."),
    "mcp": ("trivium.cli.mcp", "Offer your indexes to other programs over MCP."),
    "train": ("trivium.cli.train", "Train models from scratch, and go on with a run."),
    "config": ("trivium.cli.config", "Show every setting and where it comes from."),
    "doctor": ("trivium.cli.doctor", "Check this installation, down to one real answer."),
}
"""Name -> module with a `typer.Typer()` called `app`, and the line of help on the first page."""

SHARED = ("quiet", "verbose", "debug")
"""Options of `trivium` that every command takes as well, so that they may stand anywhere."""


class LazyGroup(TyperGroup):
    """A group whose commands are stubs with a name and a line of help, until one is resolved."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, stub, rest = super().resolve_command(ctx, args)
        if name is None or stub is None:
            return name, stub, rest
        return name, load(name, [p for p in self.params if p.name in SHARED]), rest


def add_stubs(app: typer.Typer) -> None:
    """Give `app` a stub for every row of the table."""

    def stub() -> None: ...

    for name, (_, line) in COMMANDS.items():
        app.command(name, help=line)(stub)


def load(name: str, shared: list[Any]) -> Any:
    """Import the command `name` and give it, and all below it, the `shared` options."""
    app: typer.Typer = import_module(COMMANDS[name][0]).app
    app.rich_markup_mode = None  # plain help, like the first page, and no import of rich for it
    command = get_command(app)
    command.name = name
    # `get_command` takes every app for the first of its program, where completion is installed.
    completion = ("install_completion", "show_completion")
    command.params = [p for p in command.params if p.name not in completion]
    _share(command, shared)
    return command


def _share(command: Any, shared: list[Any]) -> None:
    command.params = [*command.params, *shared]
    for child in getattr(command, "commands", {}).values():
        _share(child, shared)
