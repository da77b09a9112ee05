"""Two versions of a prompt, rendered with the same values, line beside line."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from trivium.prompts.base import Prompt
from trivium.prompts.lint import sample_values

Mark = Literal[" ", "|", "<", ">"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of each side: equal (" "), changed ("|"), or on one side alone ("<", ">")."""

    left: str
    mark: Mark
    right: str


def diff(old: Prompt, new: Prompt, values: Mapping[str, object] | None = None) -> list[Line]:
    """The renderings of both, aligned; a value that is not given stands as «its name».

    Raises:
        UsageError: when one of them cannot be rendered.
    """
    left, right = shown(old, values), shown(new, values)
    lines: list[Line] = []
    for tag, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        pairs = max(b - a, d - c)
        for step in range(pairs):
            one = left[a + step] if a + step < b else None
            two = right[c + step] if c + step < d else None
            mark: Mark = " " if tag == "equal" else "|"
            if one is None or two is None:
                mark = ">" if one is None else "<"
            lines.append(Line(one or "", mark, two or ""))
    return lines


def shown(prompt: Prompt, values: Mapping[str, object] | None = None) -> list[str]:
    """A rendering as lines: every message under its role, then the schema.

    All examples are shown, in the file's order: a diff is no place for a selector's choice.
    """
    given = sample_values(prompt) | dict(values or {})
    rendered = prompt.render(given, prompt.examples)
    lines: list[str] = []
    for message in rendered.messages:
        lines += [f"[{message.role}]", *message.content.split("\n")]
    if rendered.schema is not None:
        lines += ["[schema]", *json.dumps(rendered.schema, indent=2).split("\n")]
    return lines
