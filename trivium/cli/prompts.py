"""`trivium prompts`: the prompt library, yours and the shipped one."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console
from trivium.cli.prompts_optimize import optimize
from trivium.cli.run import Json, Model, Name, Vars, rendered_with, run, standard_input, values_of
from trivium.errors import GateFailed, TriviumError, UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from trivium.prompts.base import Prompt, Rendered
    from trivium.prompts.diff import Line
    from trivium.prompts.files import Found

app = typer.Typer(no_args_is_help=True, help="List, show, render, run, check and improve prompts.")
app.command("run")(run)
app.command("optimize")(optimize)


@app.command("list")
def list_prompts(
    tag: Annotated[str | None, typer.Option(help="Only prompts with this tag.")] = None,
    as_json: Json = False,
) -> None:
    """Show every prompt and where it is found: ./prompts, then your folder, then the shipped."""
    from trivium.prompts.files import load_prompt, prompt_files

    rows: list[tuple[Found, Prompt]] = []
    for found in prompt_files():
        try:
            prompt = load_prompt(found.path)
        except UsageError as error:  # one broken file must not hide the others
            console.note(f"skipped: {error}")
            continue
        if tag is None or tag in prompt.tags:
            rows.append((found, prompt))
    if as_json:
        console.emit_json(
            [_summary(prompt) | {"place": f.place, "shadowed": f.shadowed} for f, prompt in rows]
        )
        return
    console.table(
        ("name", "version", "found in", "what it does"),
        [
            (
                prompt.name,
                str(prompt.version),
                f"{found.place} (shadowed)" if found.shadowed else found.place,
                prompt.description,
            )
            for found, prompt in rows
        ],
        ["dim" if found.shadowed else "" for found, _ in rows],
    )


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show a prompt: what it is for, its variables, its text, its examples."""
    from trivium.prompts.files import find_prompt

    prompt = find_prompt(name)
    if as_json:
        console.emit_json(_whole(prompt))
        return
    out = console.out()
    out.print(_bold(prompt.name, f"version {prompt.version}, {prompt.hash[:16]}, {prompt.path}"))
    out.print(console.clean(prompt.description))
    for variable in prompt.variables:
        default = "required" if variable.required else f"default {variable.default!r}"
        kind = " or ".join(variable.choices) or variable.type
        piped = ", standard input" if variable == prompt.input else ""
        line = f"--var {variable.name}=...  {kind}, {default}{piped}"
        out.print(_bold("  ", console.clean(f"{line}  {variable.description}")))
    for role, text in (("system", prompt.system), ("user", prompt.user)):
        if text:
            out.print()
            out.print(_bold(role))
            out.print(console.clean(text.strip("\n")))
    if prompt.examples:
        shots = prompt.shots
        count = len(prompt.examples) if shots.k is None else shots.k
        out.print()
        out.print(_bold("examples", f"{count} of {len(prompt.examples)}, {shots.selector}"))
        for one in prompt.examples:
            inputs = ", ".join(f"{key}: {value}" for key, value in one.inputs.items())
            out.print(console.clean(f"{inputs} -> {one.output}".replace("\n", " ")))
    if suite := _suite(prompt):
        out.print()
        out.print(_bold("suite", f"trivium eval run {suite}"), soft_wrap=True)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What to call it: small letters, digits, - and _.")],
    source: Annotated[
        str | None, typer.Option("--from", help="A prompt to begin with, in place of a blank one.")
    ] = None,
) -> None:
    """Write ./prompts/NAME.yaml to edit; a shipped prompt of that name is then passed over."""
    from trivium.paths import atomic_write
    from trivium.prompts.files import find_prompt, parse_prompt
    from trivium.prompts.new import blank, copied

    target = Path("prompts") / f"{name}.yaml"
    if target.exists():
        raise UsageError(f"{target} is there already; edit it, or choose another name")
    text = copied(find_prompt(source), name) if source else blank(name)
    parse_prompt(
        text, target
    )  # what the copy would lack, such as a file of examples, is told first
    with atomic_write(target) as file:
        file.write(text.encode())
    sys.stdout.write(f"{target}\n")


@app.command()
def render(name: Name, var: Vars = None, model: Model = None, as_json: Json = False) -> None:
    """Print what a model would be sent, examples and schema with it; no model is loaded.

    The one exception: examples that are chosen by the model's own likelihood.
    """
    from trivium.config import load_settings
    from trivium.prompts.files import find_prompt

    settings = load_settings({"model": model})
    prompt = find_prompt(name)
    values = values_of(prompt, var or [])
    engine = None
    if prompt.examples and prompt.shots.selector == "likelihood":
        from trivium.engines.load import load_engine

        engine = load_engine(settings.model, settings)
    try:
        rendered = rendered_with(prompt, values, settings, engine)
    finally:
        if engine is not None:
            engine.close()
    if as_json:
        console.emit_json(_messages(rendered) | {"prompt": prompt.name, "hash": prompt.hash})
        return
    for message in rendered.messages:
        console.out().print(_bold(f"[{message.role}]"))
        console.out().print(console.clean(message.content), soft_wrap=True)
    if rendered.schema is not None:
        console.out().print(_bold("[schema]"))
        console.emit_json(rendered.schema)


@app.command()
def lint(
    names: Annotated[
        list[str] | None, typer.Argument(help="Prompts or prompt files; all of them when none.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Test rows (JSON lines, CSV, Parquet): none may be an example."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Look for what is wrong in prompts: unused and undefined variables, long or leaked examples.

    Exit 1 when something is.
    """
    from trivium.prompts.files import find_prompt, load_prompt, prompt_files
    from trivium.prompts.lint import Finding
    from trivium.prompts.lint import lint as check

    rows = []
    if data is not None:
        from trivium.evals.data import read

        rows = list(read(data, None))
    visible = [one.path for one in prompt_files() if not one.shadowed]
    findings: list[Finding] = []
    for one in names or visible:
        try:
            prompt = find_prompt(one) if isinstance(one, str) else load_prompt(one)
        except UsageError as error:
            where, _, message = str(error).partition(": ")
            findings.append(Finding("template", where, message))
            continue
        findings += check(prompt, rows)
    if as_json:
        console.emit_json([asdict(one) for one in findings])
    else:
        for finding in findings:
            sys.stdout.write(console.clean(f"{finding}\n"))
    count = len(names or visible)
    if findings:
        raise TriviumError(f"{len(findings)} findings in {count} prompts")
    console.note(f"{count} prompts are fine")


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="A prompt or prompt file; - is standard input.")],
    new: Annotated[str, typer.Argument(help="The other version.")],
    var: Vars = None,
    as_json: Json = False,
) -> None:
    """Show two versions of a prompt, rendered with the same values, side by side."""
    from trivium.prompts.diff import diff as compare

    first, second = _version(old), _version(new)
    values = values_of(first, [], piped=False)
    for one in var or []:
        known = [p for p in (first, second) if one.partition("=")[0] in _names(p)]
        values |= values_of((known or [first])[0], [one], piped=False)
    lines = compare(first, second, values)
    if as_json:
        console.emit_json(
            {
                "old": _summary(first),
                "new": _summary(second),
                "same": all(line.mark == " " for line in lines),
                "lines": [[line.left, line.mark, line.right] for line in lines],
            }
        )
        return
    _side_by_side(first, second, lines)


@app.command()
def lock(
    folder: Annotated[Path, typer.Argument(help="Where the prompts lie.")] = Path("prompts"),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 6 when a prompt has changed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write versions and hashes of a folder's prompts to prompts.lock, and tell what changed."""
    from trivium.prompts.files import load_prompt
    from trivium.prompts.lock import FILE_NAME, changes, read_lock, write_lock

    prompts = [load_prompt(file) for file in sorted(folder.glob("*.yaml"))]
    if not prompts:
        raise UsageError(f"there are no prompts in {folder.absolute()}; trivium prompts new NAME")
    file = folder / FILE_NAME
    found = changes(read_lock(file), prompts)
    moved = [one for one in found if one.state != "same"]
    if as_json:
        console.emit_json([asdict(one) for one in found])
    else:
        console.table(("name", "state"), [(one.name, one.state) for one in moved])
    if not check:
        write_lock(file, prompts)
        console.note(f"{file} holds {len(prompts)} prompts")
    elif moved:
        raise GateFailed(f"{len(moved)} prompts are not as {file} says; see trivium prompts lock")
    for one in moved:
        if one.state == "changed":
            console.note(f"{one.name} has changed under the same version; raise its version")


def _suite(prompt: "Prompt") -> Path | None:
    """The suite that lies beside a prompt of the library, or of your own."""
    file = prompt.path.parent / "suites" / f"{prompt.name}.yaml" if prompt.path else None
    return file if file and file.is_file() else None


def _version(name: str) -> "Prompt":
    from trivium.prompts.files import find_prompt, parse_prompt

    if name != "-":
        return find_prompt(name)
    return parse_prompt(standard_input(), Path("standard input"))


def _names(prompt: "Prompt") -> set[str]:
    return {one.name for one in prompt.variables}


def _side_by_side(first: "Prompt", second: "Prompt", lines: "Sequence[Line]") -> None:
    """Two columns in a terminal; for a pipe, the lines of both with a mark before each."""
    heads = [f"{one.path} version {one.version}, {one.hash[:16]}" for one in (first, second)]
    if not console.out().is_terminal:
        console.table((), [(line.mark, line.left, line.right) for line in lines])
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, expand=True)
    table.add_column(Text(console.clean(heads[0])), ratio=1)
    table.add_column("", width=1)
    table.add_column(Text(console.clean(heads[1])), ratio=1)
    styles = {" ": ("", ""), "|": ("red", "green"), "<": ("red", ""), ">": ("", "green")}
    for line in lines:
        left, right = styles[line.mark]
        table.add_row(
            Text(console.clean(line.left), left),
            line.mark,
            Text(console.clean(line.right), right),
        )
    console.out().print(table)


def _bold(text: str, rest: str = "") -> "Text":
    from rich.text import Text

    return Text(console.clean(text), "bold").append(
        f" {console.clean(rest)}" if rest else "", "dim"
    )


def _summary(prompt: "Prompt") -> dict[str, object]:
    return {
        "name": prompt.name,
        "version": prompt.version,
        "hash": prompt.hash,
        "description": prompt.description,
        "tags": list(prompt.tags),
        "licence": prompt.licence,
        "path": str(prompt.path),
    }


def _whole(prompt: "Prompt") -> dict[str, object]:
    return _summary(prompt) | {
        "variables": [asdict(one) for one in prompt.variables],
        "system": prompt.system,
        "user": prompt.user,
        "examples": [{"inputs": dict(one.inputs), "output": one.output} for one in prompt.examples],
        "shots": asdict(prompt.shots),
        "schema": prompt.schema,
        "suite": str(suite) if (suite := _suite(prompt)) else None,
    }


def _messages(rendered: "Rendered") -> dict[str, object]:
    return {
        "messages": [{"role": one.role, "content": one.content} for one in rendered.messages],
        "schema": rendered.schema,
    }
