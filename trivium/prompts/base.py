"""A prompt: a named, versioned template with typed variables, examples and a content hash.

Plain frozen data. A prompt knows nothing of models, rows or files; `trivium.prompts.files` reads
one, `trivium.prompts.render` fills one.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trivium.engines.base import Message

VariableType = Literal["string", "integer", "number", "boolean", "list", "object"]
Order = Literal["chosen", "reversed", "shuffled"]
SelectorName = Literal["fixed", "random", "balanced", "nearest", "mmr", "likelihood"]


@dataclass(frozen=True, slots=True)
class Variable:
    """A blank in a prompt. Unless `required`, `default` fills it.

    `choices`, where there are any, are all it may be. Standard input fills the one that is `input`.
    """

    name: str
    type: VariableType = "string"
    description: str = ""
    required: bool = True
    default: object = None
    choices: tuple[str, ...] = ()
    input: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """A solved row: what the prompt is filled with, and what the model should then say."""

    inputs: Mapping[str, str]
    output: str


@dataclass(frozen=True, slots=True)
class Shots:
    """How a prompt's examples are chosen: `k` of them (None: all), by `selector`, in `order`.

    "reversed" puts what a selector likes best next to the question. `seed` is for what is random.
    """

    selector: SelectorName = "fixed"
    k: int | None = None
    seed: int = 0
    order: Order = "chosen"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A filled prompt: the conversation to send, and the JSON Schema of the answer, if any."""

    messages: tuple[Message, ...]
    schema: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a prompt file says.

    `system` and `user` are jinja templates. `schema` is a JSON Schema in which {"$var": NAME}
    stands for the value of a variable. `lines` tells where "user", "variables.NAME", "examples.0"
    and the like begin in the file `path`, for messages alone.
    """

    name: str
    user: str
    system: str = ""
    description: str = ""
    version: int = 1
    variables: tuple[Variable, ...] = ()
    examples: tuple[Example, ...] = ()
    shots: Shots = Shots()
    schema: Mapping[str, object] | None = None
    tags: tuple[str, ...] = ()
    licence: str = ""
    path: Path | None = None
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def hash(self) -> str:
        """SHA-256, in hexadecimal, of all that changes a rendering and of nothing else.

        The order of a schema's keys is kept: models write their JSON in that order.
        """
        shots = self.shots
        content = {
            "system": self.system,
            "user": self.user,
            "variables": sorted(
                [one.name, one.type, one.required, one.default, list(one.choices)]
                for one in self.variables
            ),
            "examples": [[dict(sorted(one.inputs.items())), one.output] for one in self.examples],
            "shots": [shots.selector, shots.k, shots.seed, shots.order],
            "schema": self.schema,
        }
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()

    @property
    def input(self) -> Variable | None:
        """The variable that standard input fills: marked `input`, or of that name."""
        marked = [one for one in self.variables if one.input]
        return next(iter([*marked, *(one for one in self.variables if one.name == "input")]), None)

    def render(
        self, values: Mapping[str, object], examples: Sequence[Example] | None = None
    ) -> Rendered:
        """Fill the prompt. Values that it has no variable for are left aside.

        `examples` are shown in their order; None means the prompt's own, as its `shots` say.

        Raises:
            UsageError: for a value that is missing or of the wrong type, a template that does not
                work, or an example that is the very row it should help with; with file and line.
        """
        from trivium.prompts.render import render  # jinja is not needed to list prompts

        return render(self, values, examples)

    def where(self, key: str) -> str:
        """The file and line of `key` ("user", "variables.text"), to begin a message with."""
        name = str(self.path) if self.path else f'the prompt "{self.name}"'
        line = self.lines.get(key)
        return f"{name}, line {line}" if self.path and line else name
