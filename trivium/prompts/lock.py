"""A lock file: which content each prompt's version has, so that a change cannot go unseen."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trivium.errors import UsageError
from trivium.paths import atomic_write
from trivium.prompts.base import Prompt

FILE_NAME = "prompts.lock"

State = Literal["same", "new", "changed", "raised", "gone"]


@dataclass(frozen=True, slots=True)
class Locked:
    version: int
    hash: str


@dataclass(frozen=True, slots=True)
class Change:
    """How a prompt stands to the lock file.

    "changed": another content under the same version. "raised": another content and version.
    """

    name: str
    state: State


def read_lock(file: Path) -> dict[str, Locked]:
    """Name -> version and hash; empty where there is no file yet.

    Raises:
        UsageError: when the file is no lock file.
    """
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        return {name: Locked(int(one["version"]), str(one["hash"])) for name, one in said.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"{file} is not a lock file of prompts; delete it and run trivium prompts lock"
        ) from error


def write_lock(file: Path, prompts: Iterable[Prompt]) -> None:
    """Write what the prompts are now, one a line, so that a version control system shows each."""
    rows = [
        f'  {json.dumps(one.name)}: {{"version": {one.version}, "hash": "{one.hash}"}}'
        for one in sorted(prompts, key=lambda one: one.name)
    ]
    with atomic_write(file) as opened:
        opened.write(("{\n" + ",\n".join(rows) + "\n}\n").encode())


def changes(locked: Mapping[str, Locked], prompts: Iterable[Prompt]) -> list[Change]:
    """How every prompt stands to the lock, by name; those that are gone too."""
    found = {one.name: _state(locked.get(one.name), one) for one in prompts}
    found |= dict.fromkeys(locked.keys() - found.keys(), "gone")
    return [Change(name, found[name]) for name in sorted(found)]


def _state(before: Locked | None, now: Prompt) -> State:
    if before is None:
        return "new"
    if before.hash == now.hash:
        return "same" if before.version == now.version else "raised"
    return "changed" if before.version == now.version else "raised"
