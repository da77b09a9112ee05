"""From a row to what a model is asked: the prompt filled, its examples chosen."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium.engines.base import Engine, Message
from trivium.errors import UsageError
from trivium.evals.base import Row
from trivium.evals.suite import Inline, Suite
from trivium.prompts.base import Example, Prompt, Variable, VariableType

if TYPE_CHECKING:
    from trivium.retrieval.base import Embedder

Select = Callable[[Mapping[str, object]], Sequence[Example]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A filled prompt: a conversation, or plain text when `messages` is empty."""

    messages: tuple[Message, ...] = ()
    prompt: str = ""
    schema: Mapping[str, object] | None = None


class Asker:
    """Fills one prompt for the rows of a suite."""

    def __init__(
        self, suite: Suite, prompt: Prompt, pool: Sequence[Row], engine: Engine | None = None
    ) -> None:
        """`engine` is the model to be asked, which one selector of examples listens to."""
        self._suite = suite
        self._prompt = prompt
        self._engine = engine
        self._pools = _by_match(suite, pool)
        self._selectors: dict[str, Select] = {}
        self._chosen: dict[str, Sequence[Example]] = {}

    def asked(self, row: Row) -> Asked:
        """What the model is asked for `row`.

        Raises:
            UsageError: when the row does not fill the prompt.
        """
        rendered = self._prompt.render(row.inputs, self._examples(row))
        if self._suite.chat:
            return Asked(rendered.messages, schema=rendered.schema)
        return Asked(prompt=plain(rendered.messages, self._suite.delimiter), schema=rendered.schema)

    def order(self, row: Row) -> tuple[bytes, str]:
        """A key that puts rows whose prompts begin alike beside each other.

        The first part is the hash of all before the row's own words. A row that cannot be asked
        comes first; it fails when it is its turn.
        """
        try:
            messages = self._prompt.render(row.inputs, self._examples(row)).messages
        except UsageError:
            return b"", ""
        before = json.dumps([(one.role, one.content) for one in messages[:-1]])
        return hashlib.sha256(before.encode()).digest(), messages[-1].content

    def _examples(self, row: Row) -> Sequence[Example]:
        """The suite's examples for a row, or the prompt's own where the suite has no section."""
        section = self._suite.examples
        if section is not None and section.k == 0:
            return ()
        if row.id not in self._chosen:  # some selectors ask a model, and rows are looked at twice
            group = _group(row, section.match if section else None)
            self._chosen[row.id] = self._select(group)(row.inputs)
        return self._chosen[row.id]

    def _select(self, group: str) -> Select:
        if group not in self._selectors:
            self._selectors[group] = self._selector(group)
        return self._selectors[group]

    def _selector(self, group: str) -> Select:
        from trivium.prompts.select import selector

        section = self._suite.examples
        if section is None:
            return own_examples(self._prompt, self._engine)
        pool = self._pools.get(group)
        if not pool:
            raise UsageError(f'there are no examples for "{group}" to choose from')
        names = [one.name for one in self._prompt.variables]
        embedder = _embedder(section.selector)
        return selector(
            section.selector, pool, section.k, section.seed, embedder, self._engine, on=names
        )


def own_examples(prompt: Prompt, engine: Engine | None) -> Select:
    """A function from a row's inputs to the prompt's own examples, as its `shots` say."""
    from trivium.prompts.select import own_selector

    return own_selector(prompt, _embedder(prompt.shots.selector), engine)


def _embedder(selector: str) -> "Embedder | None":
    """The default embedder, for the selectors that compare meanings."""
    if selector not in ("nearest", "mmr"):
        return None
    from trivium.config import load_settings
    from trivium.retrieval.embed import load_embedder

    return load_embedder(load_settings().embedder)


def plain(messages: Sequence[Message], delimiter: str) -> str:
    """A conversation as plain text for a base model: turns and answers, an empty line between.

    Each answer follows its turn after `delimiter`; the last turn is left to be answered.
    """
    parts: list[str] = []
    for message in messages:
        if message.role == "assistant" and parts:
            parts[-1] += delimiter + message.content
        elif message.content:
            parts.append(message.content)
    return "\n\n".join(parts)


def inline(given: Inline, sample: Mapping[str, object]) -> Prompt:
    """A prompt written in a suite; its variables are the columns it uses, typed as in `sample`.

    Raises:
        UsageError: when it is no template.
    """
    from jinja2 import TemplateSyntaxError, meta
    from jinja2.sandbox import SandboxedEnvironment

    names: set[str] = set()
    for part in (given.system, given.user):
        try:
            names |= meta.find_undeclared_variables(SandboxedEnvironment().parse(part))
        except TemplateSyntaxError as error:
            raise UsageError(
                f'the prompt "{given.name}", line {error.lineno}: {error.message}'
            ) from error
    missing = sorted(names - sample.keys())
    if missing:
        raise UsageError(
            f'the prompt "{given.name}" uses "{missing[0]}", which is no column of the rows; '
            f"they have {', '.join(sample)}"
        )
    variables = tuple(Variable(name, _type(sample[name])) for name in sorted(names))
    return Prompt(given.name, given.user, given.system, variables=variables)


def _type(value: object) -> VariableType:
    if isinstance(value, Mapping):
        return "object"
    return "list" if isinstance(value, list | tuple) else "string"


def _by_match(suite: Suite, pool: Sequence[Row]) -> dict[str, list[Example]]:
    """Solved rows as examples, by the column that must agree with the row's ("" for all)."""
    match = suite.examples.match if suite.examples else None
    found: dict[str, list[Example]] = {}
    for row in pool:
        inputs = {name: _text(value) for name, value in row.inputs.items()}
        example = Example(inputs, _text(_first(row.target)))
        found.setdefault(_group(row, match), []).append(example)
    return found


def _group(row: Row, match: str | None) -> str:
    if match is None:
        return ""
    if match not in row.inputs:
        raise UsageError(f'row {row.id} has no column "{match}" to match examples by')
    return str(row.inputs[match])


def _first(target: object) -> object:
    """What an example says: one of the accepted answers is enough."""
    return target[0] if isinstance(target, list) and target else target


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
