"""The plan of what to do with duplicates: a YAML file that a person reads, edits and applies."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trivium.errors import UsageError
from trivium.images.base import Picture
from trivium.images.best import Best
from trivium.images.duplicates import Group, Tier

_HEAD = """\
# Duplicates: {groups} groups, {trash} of {files} files to the trash, {bytes}.
#
# Read it, change what you do not agree with, then:   trivium images duplicates apply FILE
# "action" is keep or trash. A group must keep at least one file; delete a whole group from this
# file to leave it alone. A file that has changed since is not touched. Nothing is ever deleted:
# files go to the trash, and   trivium images duplicates undo FILE   brings them back.
#
# Tiers: bytes (the files are equal), pixels (the pictures are equal, upright), near (a copy that
# was resized, recompressed, cropped, turned, mirrored or lit), similar (alike to a model: look!).
version: 1
groups:"""
_ESCAPED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class File(BaseModel):
    """One copy. `why` is for the reader alone."""

    model_config = ConfigDict(extra="forbid")

    path: str
    action: Literal["keep", "trash"]
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    why: str = ""


class PlannedGroup(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tier: Tier
    files: list[File]


class Plan(BaseModel):
    """What `apply` carries out."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1]
    groups: list[PlannedGroup]


def make_plan(groups: Sequence[Group], bests: Sequence[Best]) -> Plan:
    """Keep the best copy of each group and trash the others; of a similar group, keep all."""
    planned = []
    for group, best in zip(groups, bests, strict=True):
        others = [one for one in group.pictures if one != best.picture]
        action: Literal["keep", "trash"] = "keep" if group.tier == "similar" else "trash"
        kept = File(path=best.picture.path, action="keep", sha256=best.picture.sha256, why=best.why)
        copies = [
            File(
                path=one.path, action=action, sha256=one.sha256, why=_why(group, one, best.picture)
            )
            for one in others
        ]
        planned.append(PlannedGroup(tier=group.tier, files=[kept, *copies]))
    return Plan(version=1, groups=planned)


def write_plan(plan: Plan, sizes: dict[str, int]) -> Iterator[str]:
    """The file's lines; `sizes` are the files' bytes, by path."""
    files = [one for group in plan.groups for one in group.files]
    trash = [one for one in files if one.action == "trash"]
    freed = f"{sum(sizes[one.path] for one in trash) / 1e6:,.1f} MB"
    none = "" if plan.groups else " []"
    head = _HEAD.format(groups=len(plan.groups), trash=len(trash), files=len(files), bytes=freed)
    yield head + none + "\n"
    for number, group in enumerate(plan.groups, start=1):
        yield f"\n  # {number}\n  - tier: {group.tier}\n    files:\n"
        for one in group.files:
            yield f"      - action: {one.action}\n"
            yield f"        path: {quoted(one.path)}\n"
            yield f"        why: {quoted(one.why)}\n"
            yield f"        sha256: {quoted(one.sha256)}\n"


def read_plan(text: str, name: str) -> Plan:
    """A plan as `write_plan` wrote it and a person may have changed it.

    Raises:
        UsageError: when it is none, a group would keep nothing, or a file stands in it twice.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as quick
    if "\\ud" in text:  # a name with bytes that are no text, which libyaml refuses
        loader = yaml.SafeLoader
    try:
        data: Any = yaml.load(text, loader)  # noqa: S506 - either is safe
        plan = Plan.model_validate(data)
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{name} is not a plan of duplicates: {_first(error)}") from error
    seen: set[str] = set()
    for number, group in enumerate(plan.groups, start=1):
        for one in group.files:
            if not Path(one.path).is_absolute():
                raise UsageError(f"{name}, group {number}: {one.path} is not an absolute path")
            if one.path in seen:
                raise UsageError(f"{name}, group {number}: {one.path} stands in the plan twice")
            seen.add(one.path)
        if group.files and not any(one.action == "keep" for one in group.files):
            raise UsageError(
                f"{name}, group {number}, would keep none of its {len(group.files)} files: set "
                'the action of one to "keep", or delete the group'
            )
    return plan


def quoted(text: str) -> str:
    """A YAML double-quoted scalar (YAML 1.2, 5.7) of printable characters only, whatever `text`
    holds: what bytes that are no text became comes back as it was."""
    return (
        '"' + "".join(_ESCAPED.get(c) or (c if c.isprintable() else _code(c)) for c in text) + '"'
    )


def _code(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _why(group: Group, one: Picture, best: Picture) -> str:
    link = group.link(one, best)
    what = {
        "bytes": "the same bytes",
        "pixels": "the same pixels",
        "near": f"near, correlation {link.score:.3f}",
        "similar": f"similar, cosine {link.score:.3f}",
    }[link.tier]
    return f"{what}; {one.width} × {one.height}, {one.size / 1e3:,.0f} kB"


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        one = error.errors()[0]
        return f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
    return re.sub(r"\s+", " ", str(error))
