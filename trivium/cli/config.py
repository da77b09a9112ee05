"""`trivium config`: every setting, its value, and the place that decided it."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console

if TYPE_CHECKING:
    from trivium.config import Origin

app = typer.Typer(
    invoke_without_command=True,
    epilog="Later wins: built-in default, trivium.toml in the user's folder, the nearest "
    "trivium.toml at or above the working folder, the environment (TRIVIUM_TOP_K for top_k), the "
    "command line.",
)

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.callback()
def show(context: typer.Context, as_json: Json = False) -> None:
    """Show every setting, its value and where it comes from."""
    if context.invoked_subcommand:
        return
    from trivium.config import resolve

    origins = resolve()[1]
    if as_json:
        console.emit_json({o.name: {"value": o.value, "source": o.source} for o in origins})
    elif console.out().is_terminal:
        _table(origins)
    else:
        for origin in origins:
            row = (origin.name, _shown(origin.value), origin.source)
            sys.stdout.write("\t".join(map(console.clean, row)) + "\n")


@app.command()
def path() -> None:
    """Print where your own trivium.toml lies, or would lie."""
    from trivium.config import FILE_NAME
    from trivium.paths import home

    file = home() / FILE_NAME
    sys.stdout.write(f"{console.clean(str(file))}\n")
    if not file.is_file():
        console.note("It is not there yet; the defaults hold.")


def _shown(value: object) -> str:
    """As TOML would have it, but for strings, which need no quotes here; "unset" for None."""
    if value is None:
        return "unset"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _table(origins: "list[Origin]") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table("setting", "value", "from", box=SIMPLE_HEAD)
    for origin in origins:
        style = "dim" if origin.source == "default" else ""
        row = (origin.name, _shown(origin.value), origin.source)
        table.add_row(*(Text(console.clean(cell), style) for cell in row))
    console.out().print(table)
