"""YAML that people write, read strictly: no key twice, no aliases, and every value has a line."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml

from trivium.errors import UsageError

At = Sequence[int | str]
"""The way to a value: keys and positions."""

_SURROGATE = re.compile("[\ud800-\udfff]")
"""What an escape such as "\\ud83d" leaves, and no UTF-8 can hold."""


class _Strict(yaml.SafeLoader):
    """A safe loader that refuses what is never meant in such a file.

    YAML would take the last of two equal keys; an alias can stand for itself, or for gigabytes.
    PyYAML's scalars are those of YAML 1.1, where a label `no` is false and `19:45` is 1185; here
    they are those of JSON, as in YAML 1.2.
    """

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases are not read", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        value = super().construct_scalar(node)
        if isinstance(value, str) and _SURROGATE.search(value):
            raise yaml.MarkedYAMLError(
                problem="a text holds half of a character", problem_mark=node.start_mark
            )
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is no text", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f'"{key.value}" stands twice', problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("null", r"null|~|", ["n", "~", ""]),
    ("bool", r"true|false", ["t", "f"]),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", list("-+0123456789")),
):
    _Strict.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )


def read_mapping(text: str, file: Path) -> tuple[dict[str, object], yaml.MappingNode]:
    """The keys of a YAML document and its nodes, for `line_of`.

    Raises:
        UsageError: naming `file` and the line.
    """
    try:
        loader = _Strict(text)
        node = loader.get_single_node()
        values = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{file}{line} is not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UsageError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict) or not isinstance(node, yaml.MappingNode):
        raise UsageError(f"{file} holds no keys such as name: and user:")
    return {str(key): value for key, value in values.items()}, node


def line_of(tree: yaml.Node, at: At) -> int:
    """The line (from 1) of the key or value that `at` leads to, as far as the file has it."""
    line, node = 1, tree
    for part in at:
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                break
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def text_line(tree: yaml.MappingNode, key: str) -> int | None:
    """The line on which the text under `key` begins: of a block ("|") the one below."""
    for name, value in tree.value:
        if name.value == key:
            line: int = value.start_mark.line + 1
            return line + 1 if value.style in ("|", ">") else line
    return None
