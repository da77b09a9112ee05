"""`trivium config`: every setting, its value, and the place that decided it."""

import sys
from typing import Annotated

import typer

from trivium.cli import console

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
    else:
        rows = [(o.name, _shown(o.value), o.source) for o in origins]
        styles = ["dim" if o.source == "default" else "" for o in origins]
        console.table(("setting", "value", "from"), rows, styles)


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
