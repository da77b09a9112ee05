"""The text of a prompt file to begin with."""

import re

from trivium.errors import UsageError
from trivium.prompts.base import Prompt
from trivium.prompts.files import NAME

_BLANK = """\
name: {name}
description: Say in one line what it does.
version: 1
licence: Apache-2.0
tags: []
variables:
  input: {{input: true, description: The text to work on.}}
system: |
  You are a careful assistant.
user: |
  {{{{ input }}}}
"""


def blank(name: str) -> str:
    """A prompt that works and waits to be edited.

    Raises:
        UsageError: when `name` is none for a prompt.
    """
    return _BLANK.format(name=_checked(name))


def copied(prompt: Prompt, name: str) -> str:
    """The file of `prompt` under another name, its comments kept, as version 1.

    Raises:
        UsageError: when `name` is none for a prompt.
    """
    assert prompt.path is not None
    text = prompt.path.read_text(encoding="utf-8-sig")
    text = re.sub(r"^name:.*$", f"name: {_checked(name)}", text, count=1, flags=re.MULTILINE)
    return re.sub(r"^version:.*$", "version: 1", text, count=1, flags=re.MULTILINE)


def _checked(name: str) -> str:
    if not re.fullmatch(NAME, name):
        raise UsageError(f'"{name}" is no name for a prompt; use small letters, digits, - and _')
    return name
