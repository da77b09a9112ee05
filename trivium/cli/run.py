"""`trivium run`: a prompt of the library over what is piped in."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console
from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.config import Settings
    from trivium.engines.base import Completion, Engine, Request
    from trivium.prompts.base import Prompt, Rendered

app = typer.Typer(add_completion=False)

Name = Annotated[str, typer.Argument(help="A prompt of the library, or a prompt file's path.")]
Vars = Annotated[
    list[str] | None,
    typer.Option("--var", help="NAME=VALUE, or NAME=@FILE for a file's text. Repeatable."),
]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help="A catalogue name, file or server URL.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def run(
    name: Name,
    var: Vars = None,
    model: Model = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="The longest answer, in tokens.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, help="0 is greedy and repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="For temperatures above 0.")] = 0,
    as_json: Json = False,
) -> None:
    """Run a prompt over what you pipe in. Exit 7 when the answer breaks the prompt's schema."""
    from trivium.config import load_settings
    from trivium.engines.base import Request, Sampling
    from trivium.engines.load import load_engine
    from trivium.prompts.files import find_prompt
    from trivium.prompts.render import fill

    settings = load_settings({"model": model, "max_tokens": max_tokens, "temperature": temperature})
    prompt = find_prompt(name)
    values = values_of(prompt, var or [])
    fill(prompt, values)  # what is missing is told before a model is loaded
    engine = load_engine(settings.model, settings)
    try:
        rendered = rendered_with(prompt, values, settings, engine)
        sampling = Sampling(
            temperature=settings.temperature, max_tokens=settings.max_tokens, seed=seed
        )
        request = Request(rendered.messages, sampling=sampling, schema=rendered.schema)
        if as_json or rendered.schema is not None:
            completion = engine.generate([request])[0]
            _show(prompt, engine, completion, rendered.schema is not None, as_json)
        else:
            completion = _stream(engine, request)
    finally:
        engine.close()
    if completion.finish == "length":
        console.note("The answer reached its token limit; raise it with --max-tokens.")
    console.detail(f"{prompt.name} version {prompt.version}, {prompt.hash[:16]}, {engine.name}")


def values_of(prompt: "Prompt", said: list[str], *, piped: bool = True) -> dict[str, object]:
    """The values that --var and standard input give.

    Raises:
        UsageError: for one that the prompt has no variable for, or that is not NAME=VALUE.
    """
    known = [one.name for one in prompt.variables]
    values: dict[str, object] = {}
    for one in said:
        name, equals, value = one.partition("=")
        if not equals:
            raise UsageError(f'--var "{one}" is not NAME=VALUE')
        if name not in known:
            raise UsageError(
                f'"{prompt.name}" has no variable "{name}"; it has {", ".join(known) or "none"}'
            )
        values[name] = _value(value)
    blank = prompt.input
    if piped and blank is not None and blank.name not in values and not sys.stdin.isatty():
        text = standard_input()
        if text.strip():
            values[blank.name] = text.rstrip("\n")
        elif blank.required:
            raise UsageError(
                f"standard input is empty; pipe in the {blank.name}, or --var {blank.name}=..."
            )
    return values


def _value(text: str) -> str:
    if not text.startswith("@"):
        return text
    if text.startswith("@@"):  # an at sign that is meant
        return text[1:]
    file = Path(text[1:]).expanduser()
    try:
        return file.read_text(encoding="utf-8").rstrip("\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise UsageError(
            f"cannot read {file}: {error.strerror or error}; write @@ for an at sign"
        ) from error


def standard_input() -> str:
    """All of it, as text.

    Raises:
        UsageError: when it is not UTF-8.
    """
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"standard input is not UTF-8: {error.reason} at byte {error.start}"
        ) from error


def rendered_with(
    prompt: "Prompt",
    values: Mapping[str, object],
    settings: "Settings",
    engine: "Engine | None" = None,
) -> "Rendered":
    """The prompt with its examples, chosen by the settings' embedder or by `engine` if need be."""
    from trivium.prompts.select import own_selector

    embedder = None
    if prompt.examples and prompt.shots.selector in ("nearest", "mmr"):
        from trivium.retrieval.embed import load_embedder

        embedder = load_embedder(settings.embedder)
    return prompt.render(values, own_selector(prompt, embedder, engine)(values))


def _stream(engine: "Engine", request: "Request") -> "Completion":
    """The answer on stdout as it is written."""
    completion = None
    ended = True
    for chunk in engine.stream(request):
        if text := console.clean(chunk.text):
            sys.stdout.write(text)
            sys.stdout.flush()
            ended = text.endswith("\n")
        completion = chunk.completion or completion
    if not ended:
        sys.stdout.write("\n")
    assert completion is not None
    return completion


def _show(
    prompt: "Prompt", engine: "Engine", completion: "Completion", structured: bool, as_json: bool
) -> None:
    if not as_json:
        # JSON has no raw control characters that matter to a pipe, and must stay what it is
        plain = sys.stdout.isatty()
        sys.stdout.write((console.clean(completion.text) if plain else completion.text) + "\n")
        return
    document: dict[str, object] = {
        "prompt": prompt.name,
        "version": prompt.version,
        "hash": prompt.hash,
        "model": engine.name,
        "fingerprint": engine.fingerprint.id,
        "output": completion.text,
        "finish": completion.finish,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
    }
    if structured:
        document["data"] = json.loads(completion.text)
    console.emit_json(document)
