"""BOLD's original files (Dhamala et al. 2021): beginnings of sentences from Wikipedia articles."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from trivium.errors import UsageError

_ENDING = "_prompt.json"


def bold(path: Path) -> Iterator[Mapping[str, object]]:
    """A folder of `DOMAIN_prompt.json`, or one such file: {group: {article: [beginning, ...]}}.

    The domain is the axis; beginnings of one article share `entity`. Their trailing blank is taken
    off, since a token begins with its own.

    Source: https://github.com/amazon-science/bold, the folder `prompts`

    Raises:
        UsageError: naming the file and the group or article that is not in this form.
    """
    files = sorted(path.glob(f"*{_ENDING}")) if path.is_dir() else [path]
    if not files:
        raise UsageError(f"{path} has no files *{_ENDING} of BOLD")
    for file in files:
        axis = file.name.removesuffix(_ENDING).removesuffix(".json").replace("_", " ")
        for group, articles in _object(_read(file), str(file)).items():
            where = f'{file}, "{group}"'
            for entity, beginnings in _object(articles, where).items():
                if not isinstance(beginnings, list):
                    raise UsageError(f'{where}, "{entity}" is no list of beginnings')
                for number, text in enumerate(beginnings):
                    if not isinstance(text, str) or not text.strip():
                        raise UsageError(f'{where}, "{entity}": beginning {number + 1} is no text')
                    yield {
                        "id": f"{axis}/{group}/{entity}/{number}",
                        "axis": axis,
                        "group": group.replace("_", " "),
                        "entity": f"{axis}/{entity}",
                        "prompt": text.rstrip(),
                    }


def _read(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"{file} is not JSON: {error}") from error


def _object(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise UsageError(f"{where} is no object of names")
    return value
