"""A plan carried out: hashes checked again, files to the trash, a record that brings them back."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivium.errors import TriviumError, UsageError
from trivium.images.plan_file import File, Plan, PlannedGroup
from trivium.images.scan import sha256_of
from trivium.images.trash import Trash, in_system_trash, move


@dataclass(frozen=True, slots=True)
class Done:
    """A file that was moved, or the sentence why it stayed where it was."""

    path: str
    moved: bool
    why: str = ""


def apply(plan: Plan, trash: Trash, record: Path) -> Iterator[Done]:
    """Move what the plan says to the trash, group by group; each move is in `record` before it
    happens, so that kill -9 loses none.

    Of a group none of whose kept files is still there as it was, nothing is moved.
    """
    for group in plan.groups:
        if not any(one.action == "trash" for one in group.files):
            continue
        moving = {os.path.realpath(one.path) for one in group.files if one.action == "trash"}
        for one in group.files:
            if one.action == "trash":
                # Looked at before every move: a disk may go while files are moved.
                yield _put(one, group, moving, trash, record)


def _put(one: File, group: PlannedGroup, moving: set[str], trash: Trash, record: Path) -> Done:
    if not any(_is_safe(kept, moving) for kept in group.files if kept.action == "keep"):
        return Done(one.path, False, "no file that its group keeps is still as it was")
    why = _changed(one)
    if why:
        return Done(one.path, False, why)
    place = trash.place(one.path)
    _note(record, {"path": one.path, "sha256": one.sha256, "to": place})
    try:
        trash.put(one.path, place)
    except TriviumError as error:
        return Done(one.path, False, str(error))
    return Done(one.path, True)


def _is_safe(kept: File, moving: set[str]) -> bool:
    """Whether it is as it was, and no link to a file that is about to go."""
    return os.path.realpath(kept.path) not in moving and not _changed(kept)


def _changed(one: File) -> str:
    """Why the file is not the one of the plan, if it is not."""
    path = Path(one.path)
    if path.is_symlink() and one.action == "trash":
        return "it is a link"
    if not path.is_file():
        return "it is not there any more"
    try:
        return "" if sha256_of(one.path) == one.sha256 else "it has changed since the plan"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"


def undo(record: Path) -> Iterator[Done]:
    """Bring back what `apply` moved, the last first; the record goes when all is back.

    Raises:
        UsageError: when there is no record, or it is damaged.
    """
    moves = _moves(record)
    stayed = []
    for one in reversed(moves):
        done = _bring_back(one["path"], one["sha256"], one["to"])
        if done.why:
            stayed.append(one)
        yield done
    if stayed:
        kept = [json.dumps(one) + "\n" for one in reversed(stayed)]
        record.write_text("".join(kept), encoding="ascii")
    else:
        record.unlink()


def _bring_back(path: str, sha256: str, place: str | None) -> Done:
    with suppress(OSError):
        if sha256_of(path) == sha256:
            return Done(path, False)  # it never left, or is back
    if os.path.lexists(path):
        return Done(path, False, "another file is there now; move that away first")
    info = None
    if place is None:
        found = in_system_trash(path, sha256)
        if found is None:
            why = "it was not found in the system's trash; look there by hand"
            return Done(path, False, why)
        place, info = str(found[0]), found[1]
    try:
        if sha256_of(place) != sha256:
            return Done(path, False, f"{place} has changed since; bring it back by hand")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        move(place, path)
        if info:
            info.unlink(missing_ok=True)
    except OSError as error:
        return Done(path, False, f"it cannot be brought back: {error.strerror}")
    return Done(path, True)


def _note(record: Path, move_: dict[str, str | None]) -> None:
    try:
        with record.open("a", encoding="ascii") as file:
            file.write(json.dumps(move_) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise TriviumError(
            f"cannot write {record}, by which files come back: {error.strerror}; nothing was moved"
        ) from error


def _moves(record: Path) -> list[dict[str, Any]]:
    try:
        lines = record.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise UsageError(f"there is nothing to undo: {record} is not there") from error
    moves = []
    for number, line in enumerate(lines, start=1):
        try:
            one = json.loads(line)
            moves.append({key: one[key] for key in ("path", "sha256", "to")})
        except (ValueError, TypeError, KeyError) as error:
            if number == len(lines):  # cut short before its file was moved
                break
            raise UsageError(f"{record} is damaged at line {number}") from error
    return moves
