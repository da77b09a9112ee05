"""Writing inside the workspace: a whole file, or one place in it. The user sees the difference."""

from collections.abc import Mapping
from difflib import unified_diff
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from trivium.agent.base import Preview
from trivium.agent.tools.base import make
from trivium.agent.workspace import Workspace
from trivium.errors import TriviumError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

CHARACTERS = 1_000_000
"""Of a text that is written."""

File = Annotated[str, Field(description="File in the workspace")]


def editing_tools(workspace: Workspace) -> "list[BaseTool]":
    """write_file and patch_file."""

    def write_file(
        path: File, content: Annotated[str, Field(description="All that the file shall hold")]
    ) -> str:
        workspace.write(path, _encoded(content))
        return f"done: {len(content)} characters"

    def patch_file(
        path: File,
        old_text: Annotated[str, Field(description="Text that stands in the file exactly once")],
        new_text: Annotated[str, Field(description="Text that replaces it")],
    ) -> str:
        workspace.write(path, _encoded(_patched(workspace, path, old_text, new_text)[1]))
        return "done"

    def preview_write(arguments: Mapping[str, object]) -> Preview:
        path, content = str(arguments["path"]), str(arguments["content"])
        _encoded(content)
        return _preview("write", workspace, path, _before(workspace, path), content)

    def preview_patch(arguments: Mapping[str, object]) -> Preview:
        path = str(arguments["path"])
        before, after = _patched(
            workspace, path, str(arguments["old_text"]), str(arguments["new_text"])
        )
        return _preview("change", workspace, path, before, after)

    return [
        make(write_file, "Write a file, replacing what it held.", "write", preview_write),
        make(patch_file, "Replace one piece of text in a file.", "write", preview_patch),
    ]


def _preview(verb: str, workspace: Workspace, path: str, before: str | None, after: str) -> Preview:
    place = workspace.resolve(path)
    name = workspace.name(place)
    kind = "" if before is not None else " (new)"
    return Preview(f"{verb} {name}{kind}", diff(name, before, after), str(place))


def diff(name: str, before: str | None, after: str) -> str:
    """A unified diff; lines end at newlines and at nothing else, so that none can be hidden."""
    lines = unified_diff(
        [] if before is None else _lines(before),
        _lines(after),
        "/dev/null" if before is None else name,
        name,
        lineterm="",
    )
    return "\n".join(lines) or f"{name} stays as it is"


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    if lines[-1]:
        lines[-1] += "\n\\ No newline at end of file"
        return lines
    return lines[:-1]


def _before(workspace: Workspace, path: str) -> str | None:
    """What the file holds now, None when there is none."""
    if not workspace.resolve(path).exists():
        return None
    return workspace.read(path).decode(errors="backslashreplace")


def _patched(workspace: Workspace, path: str, old: str, new: str) -> tuple[str, str]:
    """The text before and after. In a file with CRLF, so do the lines of both texts end."""
    try:
        text = workspace.read(path).decode()
    except UnicodeDecodeError as error:
        raise TriviumError(f"{path} is not UTF-8 text") from error
    if "\r\n" in text and "\r\n" not in old:
        old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
    count = text.count(old) if old else 0
    if count != 1:
        how_often = f"{count} times" if count else "not"
        raise TriviumError(
            f"old_text stands {how_often} in {path}; read the file again, and give text that "
            "stands there exactly once"
        )
    return text, text.replace(old, new)


def _encoded(text: str) -> bytes:
    if len(text) > CHARACTERS:
        raise TriviumError(f"{len(text):,} characters are more than {CHARACTERS:,}")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise TriviumError("the text holds half a character, which no file can") from error
