"""A prompt as the text of a plain prompt file, with a comment that says how it was found."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from trivium.errors import TriviumError
from trivium.prompts.base import Prompt, Shots, Variable
from trivium.prompts.files import parse_prompt


class _Dumper(yaml.SafeDumper):
    """Text is always quoted or in a block, so that no reader takes a label for a number."""

    def ignore_aliases(self, data: Any) -> bool:
        return True  # prompt files have none


class _Block(str):
    """Text that people read and edit, in lines of its own."""


_Dumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)
_Dumper.add_representer(
    _Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
)


def prompt_text(prompt: Prompt, file: Path, comment: Sequence[str] = ()) -> str:
    """The file that says `prompt`; `comment` stands at its top, each item a line.

    Raises:
        TriviumError: when `file` would not read as the same prompt.
    """
    keys: list[tuple[str, object]] = [
        ("name", prompt.name),
        ("description", prompt.description),
        ("version", prompt.version),
        ("licence", prompt.licence),
        ("tags", list(prompt.tags)),
        ("variables", {one.name: _variable(one) for one in prompt.variables}),
        ("system", _Block(prompt.system)),
        ("user", _Block(prompt.user)),
        ("examples", [_example(one) for one in prompt.examples]),
        ("shots", _shots(prompt.shots)),
        ("schema", prompt.schema),
    ]
    lines = [f"# {' '.join(line.split())}\n" for line in comment]
    for key, value in keys:
        if value or key in ("name", "version", "user"):
            lines.append(_dumped(key, value))
    text = "".join(lines)
    if parse_prompt(text, file).hash != prompt.hash:
        raise TriviumError(f"{file} would not say the same as the prompt that was found")
    return text


def _dumped(key: str, value: object) -> str:
    """One key with its value; the keys are plain, as a person would write them."""
    text: str = yaml.dump(
        {_Plain(key): _plain_keys(value)}, Dumper=_Dumper, sort_keys=False, allow_unicode=True,
        width=10**6,
    )  # fmt: skip
    return text


class _Plain(str):
    """A key."""


_Dumper.add_representer(
    _Plain, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text)
)


def _plain_keys(value: object) -> object:
    if isinstance(value, dict):
        return {_Plain(key): _plain_keys(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_keys(one) for one in value]
    return value


def _variable(one: Variable) -> dict[str, object]:
    said: dict[str, object] = {}
    if one.type != "string":
        said["type"] = one.type
    if one.input:
        said["input"] = True
    if not one.required:
        said["default"] = one.default
    if one.choices:
        said["choices"] = list(one.choices)
    if one.description:
        said["description"] = one.description
    return said


def _example(one: Any) -> dict[str, object]:
    output = _Block(one.output) if "\n" in one.output else one.output
    return {"inputs": dict(one.inputs), "output": output}


def _shots(shots: Shots) -> dict[str, object]:
    """What differs from the defaults."""
    usual = Shots()
    return {
        key: getattr(shots, key)
        for key in ("selector", "k", "seed", "order")
        if getattr(shots, key) != getattr(usual, key)
    }
