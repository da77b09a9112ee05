"""Reading inside the workspace: a file, a list of files, lines that match."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from trivium.agent.base import Preview
from trivium.agent.tools.base import current, make
from trivium.agent.workspace import Workspace
from trivium.errors import TriviumError
from trivium.retrieval.load import load_bytes
from trivium.retrieval.walk import find_files

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

CHARACTERS = 12_000
"""Of a file, in one call."""

ENTRIES = 300
"""Files listed, and lines found, in one call."""

SEARCHED = 4 * 1024 * 1024
"""Bytes of the largest file that is searched."""

SEARCH_SECONDS = 10.0

_LINE = 300
_DOCUMENTS = frozenset((".pdf", ".docx", ".pptx", ".xlsx", ".xlsm"))

Folder = Annotated[str, Field(description="Folder in the workspace; . is all of it")]


def reading_tools(workspace: Workspace) -> "list[BaseTool]":
    """read_file, list_files and search_files."""

    def read_file(
        path: Annotated[str, Field(description="File in the workspace")],
        first_line: Annotated[int, Field(ge=1, description="Line to begin with")] = 1,
        last_line: Annotated[int, Field(ge=0, description="Line to end with; 0 is the last")] = 0,
    ) -> str:
        text = _text(path, workspace.read(path))
        return _lines(path, text.split("\n"), first_line, last_line)

    def list_files(folder: Folder = ".") -> str:
        names = [shown_name(workspace.name(file)) for file in _files(workspace, folder)]
        left = len(names) - ENTRIES
        more = f"\n[{left} more files: list a folder]" if left > 0 else ""
        return "\n".join(names[:ENTRIES]) + more if names else f"{folder} holds no files"

    def search_files(
        text: Annotated[str, Field(description="Words to find, or a regular expression")],
        folder: Folder = ".",
        regex: Annotated[bool, Field(description="Whether text is a regular expression")] = False,
    ) -> str:
        found = list(_found(workspace, folder, _matcher(text, regex)))
        more = f"\n[only the first {ENTRIES} lines]" if len(found) > ENTRIES else ""
        return "\n".join(found[:ENTRIES]) + more if found else "nothing found"

    def preview(name: str, argument: str) -> Callable[[Mapping[str, object]], Preview]:
        def show(arguments: Mapping[str, object]) -> Preview:
            place = workspace.resolve(str(arguments[argument]))
            what = f" for {arguments['text']}" if "text" in arguments else ""
            return Preview(f"{name} {workspace.name(place)}{what}", f"{place}{what}", str(place))

        return show

    return [
        make(
            read_file,
            "Read a file: text, code, PDF or office document.",
            "read",
            preview("read", "path"),
        ),
        make(list_files, "List the files in a folder.", "read", preview("list", "folder")),
        make(
            search_files,
            "Find the lines in files that hold some words or match a regular expression.",
            "read",
            preview("search", "folder"),
        ),
    ]


def shown_name(name: str) -> str:
    """A file's name on one line: it may hold newlines or worse."""
    return name if name.isprintable() else ascii(name)


def _text(path: str, data: bytes) -> str:
    """Text as it stands in the file, so that it can be patched; documents by their loaders."""
    if Path(path).suffix.lower() not in _DOCUMENTS and not data.startswith(b"%PDF-"):
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = "\0"
        if "\0" not in text:
            return text.replace("\r\n", "\n")
    return load_bytes(path, data).text


def _lines(path: str, lines: list[str], first: int, last: int) -> str:
    """Whole lines up to the limit, and what to ask for next."""
    if lines[-1] == "":
        lines = lines[:-1]
    if not lines:
        return f"{path} is empty"
    if first > len(lines):
        raise TriviumError(f"{path} has {len(lines)} lines, so none is number {first}")
    end = min(last or len(lines), len(lines))
    shown = first - 1
    size = 0
    while shown < end and (size := size + len(lines[shown]) + 1) <= CHARACTERS:
        shown += 1
    if shown == first - 1 and end >= first:
        return lines[shown][:CHARACTERS] + f"\n[line {first} is {len(lines[shown]):,} characters]"
    text = "\n".join(lines[first - 1 : shown])
    if first == 1 and shown == len(lines):
        return text
    rest = f"; go on with first_line={shown + 1}" if shown < end else ""
    return f"{text}\n[lines {first} to {shown} of {len(lines)}{rest}]"


def _files(workspace: Workspace, folder: str) -> list[Path]:
    """Real paths inside, in the order of their names; what is hidden or ignored is left out."""
    start = workspace.resolve(folder)
    if not start.is_dir():
        raise TriviumError(f"{folder} is not a folder")
    found, _ = find_files([start], include=["*"], within=workspace.root)
    inside = []
    for file in found:
        try:
            inside.append(workspace.resolve(str(file)))
        except TriviumError:  # a name with control characters, or a link out
            continue
    return list(dict.fromkeys(inside))


def _matcher(text: str, is_regex: bool) -> Callable[[str, float], bool]:
    """Whether a line matches, within so many seconds.

    Python's own `re` cannot be interrupted, and a pattern such as (a+)+$ takes for ever.
    """
    import regex

    if not is_regex:
        words = text.casefold().split()
        if not words:
            raise TriviumError("search_files needs words to look for")
        return lambda line, seconds: (
            all(word in line for word in words) or all(word in line.casefold() for word in words)
        )
    try:
        pattern = regex.compile(text)
    except regex.error as error:
        raise TriviumError(f"{text!r} is not a regular expression: {error}") from error
    return lambda line, seconds: bool(pattern.search(line, timeout=seconds, concurrent=True))


def _found(
    workspace: Workspace, folder: str, matches: Callable[[str, float], bool]
) -> Iterator[str]:
    """Lines as "name:number: text", one more than are shown at most."""
    run = current(SEARCH_SECONDS)
    count = 0
    for file in _files(workspace, folder):
        name = workspace.name(file)
        try:
            data = workspace.read(name, SEARCHED)
        except TriviumError:  # too large, unreadable, or gone
            continue
        if b"\0" in data:
            continue
        for number, line in enumerate(data.decode(errors="replace").split("\n"), start=1):
            try:
                if run.left == 0:
                    raise TimeoutError
                hit = matches(line, run.left)
            except TimeoutError as error:
                raise TriviumError(
                    f"the search took more than {SEARCH_SECONDS:g} seconds; "
                    "search a smaller folder, or for something simpler"
                ) from error
            if hit:
                yield f"{name}:{number}: {line.strip()[:_LINE]}"
                count += 1
                if count > ENTRIES:
                    return
