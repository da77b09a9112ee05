"""`trivium images caption`: what a model that sees says of pictures."""

import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console
from trivium.cli.images_index import printable
from trivium.cli.run import Vars, values_of
from trivium.errors import TriviumError

if TYPE_CHECKING:
    from trivium.images.caption import Captioned


def caption(
    paths: Annotated[list[str], typer.Argument(help="Pictures and folders.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A server with a vision model, by its URL.")
    ] = None,
    prompt: Annotated[
        str, typer.Option("--prompt", help="A prompt of the library, or a prompt file's path.")
    ] = "alt-text",
    var: Vars = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines on stdout.")] = False,
) -> None:
    """Describe pictures by a vision model: alternative texts, or what another prompt asks for.

    The pictures are sent to the server that you name. Exit 5 when its model sees none.
    """
    from trivium.config import load_settings
    from trivium.engines.base import Sampling
    from trivium.engines.load import is_server, load_engine
    from trivium.images.caption import blind, values_for
    from trivium.images.caption import caption as run
    from trivium.images.look import pictures_at
    from trivium.prompts.files import find_prompt
    from trivium.prompts.render import fill

    settings = load_settings({"model": model})
    asked = find_prompt(prompt)
    values = values_for(asked, values_of(asked, var or [], piped=False))
    fill(asked, values)  # what is missing is told before a model is asked
    names = [str(path) for path in pictures_at(paths)]
    if not is_server(settings.model):  # no model in this process sees; none is loaded to say so
        raise blind(settings.model)
    engine = load_engine(settings.model, settings)
    sampling = Sampling(temperature=settings.temperature, max_tokens=settings.max_tokens)
    found = []
    try:
        with console.progress() as bar:
            task = bar.add_task("describing", total=len(names))
            for one in run(engine, asked, values, names, sampling):
                found.append(one)
                _show(one, as_json)
                bar.advance(task)
    finally:
        engine.close()
    _count(found)


def _show(one: "Captioned", as_json: bool) -> None:
    if as_json:
        if one.reason is None:
            row = {"path": one.name, "caption": one.caption, "finish": one.finish}
        else:
            row = {"path": one.name, "refused": one.reason, "detail": one.detail}
        console.emit_json(row, line=True)
        return
    path = printable(one.name)
    if one.reason is not None:
        console.note(f"{one.reason}: {path}" + (f" ({one.detail})" if one.detail else ""))
        return
    text = " ".join(console.clean(one.caption).split())
    if console.out().is_terminal:
        from rich.text import Text

        console.out().print(Text(path, "bold"))
        console.indented(Text(text))
    else:
        sys.stdout.write(f"{path}\t{text}\n")
        sys.stdout.flush()


def _count(found: "list[Captioned]") -> None:
    reasons = sorted(Counter(one.reason for one in found if one.reason).items())
    told = len(found) - sum(count for _, count in reasons)
    counts = [(told, "captioned"), *((count, reason) for reason, count in reasons)]
    said = ", ".join(f"{count:,} {what}" for count, what in counts)
    if cut := sum(one.finish == "length" for one in found):
        console.note(f"cut at the setting max_tokens: {cut:,}")
    if not told:
        raise TriviumError(f"no picture has a caption: {said}")
    console.note(said)
