"""Write docs/reference.md from the commands, the settings and the exit codes; or check it.

    python scripts/reference.py [--check]

It reads the parameters themselves rather than rendered help, so a terminal's width has no part.
"""

import argparse
import ast
import inspect
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from typer.main import get_command

from trivium.cli.lazy import COMMANDS, SHARED, load
from trivium.cli.main import app
from trivium.config import Settings
from trivium.errors import TriviumError

FILE = Path(__file__).parent.parent / "docs" / "reference.md"


def reference() -> str:
    """The whole page."""
    root: Any = get_command(app)
    shared = [param for param in root.params if param.name in SHARED]
    parts = [
        "# Reference",
        "Generated from the code by `make reference`; `make lint` checks that it is current.",
        "## trivium",
        _heading(root),
        "These options stand before or after the command's name, for every command:",
        *_table(("option", "what it does"), [_option(param) for param in shared]),
        "These stand alone:",
        *_table(
            ("option", "what it does"),
            [_option(param) for param in root.params if param.name not in SHARED],
        ),
    ]
    for name in COMMANDS:
        parts += _command(f"trivium {name}", load(name, []))
    parts += ["## Settings", *_settings(), "## Exit codes", *_exit_codes()]
    return "\n\n".join(parts) + "\n"


def _command(path: str, command: Any) -> Iterator[str]:
    """A command's section, and those of the commands below it."""
    yield f"## {path}"
    yield _heading(command)
    children = getattr(command, "commands", {})
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    usage = " ".join([path, "[OPTIONS]", *map(_placeholder, arguments)])
    yield f"    {usage}{' [COMMAND]' if children else ''}"
    if arguments:
        rows = [(f"`{_placeholder(p)}`", p.help or "") for p in arguments]
        yield from _table(("argument", "what it is"), rows)
    options = [_option(p) for p in command.params if p.param_type_name == "option"]
    if options:
        yield from _table(("option", "what it does"), options)
    if command.epilog:
        yield _flat(command.epilog)
    for name, child in children.items():
        yield from _command(f"{path} {name}", child)


def _heading(command: Any) -> str:
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(map(_flat, paragraphs))


def _placeholder(param: Any) -> str:
    name = (param.metavar or param.name).upper()
    name += "..." if param.nargs == -1 else ""
    return name if param.required else f"[{name}]"


def _option(param: Any) -> tuple[str, str]:
    names = ", ".join(f"`{name}`" for name in (*param.opts, *param.secondary_opts))
    value = "" if param.is_flag else f" {_value(param)}"
    default = param.default
    if param.is_flag or default is None or callable(default) or param.multiple:
        return names + value, param.help or ""
    return names + value, f"{param.help or ''} Default: {default}.".strip()


def _value(param: Any) -> str:
    """What an option takes: its choices, its range, or its type in capitals."""
    kind = param.type
    if getattr(kind, "choices", None):
        return "|".join(str(choice) for choice in kind.choices)
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    name = str(kind.name).replace(" range", "")
    word: str = param.metavar or {"str": "TEXT", "int": "INTEGER"}.get(name, name.upper())
    if low is None and high is None:
        return word
    if high is None:
        return f"{word} (from {low:g})"
    return f"{word} ({low:g} to {high:g})" if low is not None else f"{word} (to {high:g})"


def _settings() -> Iterator[str]:
    """The settings with the docstrings that stand below them in the code."""
    yield (
        "In `trivium.toml` by these names, in the environment as `TRIVIUM_<NAME>`. Later wins: "
        "built-in default, `trivium.toml` in your own folder (`trivium config path`), the nearest "
        "`trivium.toml` at or above the working folder, the environment, the command line. "
        "`trivium config` shows what holds and why."
    )
    (body,) = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(body, ast.ClassDef)
    meanings = {
        before.target.id: after.value.value
        for before, after in itertools.pairwise(body.body)
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    }
    rows = []
    for name, field in Settings.model_fields.items():
        default = "unset" if field.default is None else str(field.default).lower()
        rows.append((f"`{name}`", default, _flat(str(meanings[name]))))
    yield from _table(("setting", "default", "what it means"), rows)


def _exit_codes() -> Iterator[str]:
    rows = [("0", "Done.")]
    kinds: list[type[TriviumError]] = [TriviumError, *TriviumError.__subclasses__()]
    for kind in sorted(kinds, key=lambda kind: kind.exit_code):
        rows.append((str(kind.exit_code), _flat(inspect.getdoc(kind) or "")))
    rows += [
        ("130", "Interrupted by Ctrl-C."),
        ("141", "The reader of a pipe, such as `head`, closed it."),
    ]
    yield from _table(("exit code", "what it means"), rows)


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in (header, *rows))
    lines = ["| " + " | ".join(cells) + " |" for cells in escaped]
    lines.insert(1, "|" + "---|" * len(header))
    yield "\n".join(lines)


def _flat(text: str) -> str:
    return " ".join(text.split())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="fail when the file is not current")
    text = reference()
    if not parser.parse_args().check:
        FILE.write_text(text, encoding="utf-8")
    elif not FILE.is_file() or FILE.read_text(encoding="utf-8") != text:
        sys.exit("docs/reference.md is not what the commands say; run: make reference")


if __name__ == "__main__":
    main()
