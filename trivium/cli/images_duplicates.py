"""`trivium images duplicates`: find copies, plan, apply, undo."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console
from trivium.cli.images_index import Json, printable
from trivium.errors import TriviumError, UsageError

if TYPE_CHECKING:
    from trivium.images.applying import Done
    from trivium.images.base import Vectors
    from trivium.images.best import Best
    from trivium.images.duplicates import Group, Tier
    from trivium.images.scan import OnProgress, Scan

app = typer.Typer(no_args_is_help=True, help="Find copies of pictures, and trash what you choose.")

PlanFile = Annotated[Path, typer.Argument(help="The plan that `find` wrote.", metavar="PLAN")]


@app.command()
def find(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Folders and pictures; without any, an index's.")
    ] = None,
    index: Annotated[
        str | None,
        typer.Option("--index", "-i", help="Pictures of this index, with its model's opinion."),
    ] = None,
    tier: Annotated[
        str, typer.Option(help="How alike at least: bytes, pixels, near or similar.")
    ] = "near",
    cosine: Annotated[
        float | None, typer.Option(min=0, max=1, help="What is similar, for --tier similar.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the plan there, not to stdout.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find duplicates and write a plan: what to keep, what to trash. Nothing is moved.

    PATHS need no index and no model. With an index, its model's embeddings have to agree.
    """
    if output is not None and os.path.lexists(output):
        raise UsageError(f"{output} is there already; name another file, or move it away")
    if output is not None and as_json:
        raise UsageError("say either --output or --json")
    if cosine is not None and tier != "similar":
        raise UsageError("--cosine is for --tier similar")
    from trivium.images.best import propose
    from trivium.images.duplicates import find_duplicates

    held, vectors = _scanned(paths or [], index)
    for refusal in held.refused:
        console.note(f"{refusal.reason}: {printable(refusal.path)} ({refusal.detail})")
    groups = find_duplicates(held.pictures, held.prints, vectors, tier=_tier(tier), cosine=cosine)
    bests = [propose(group.pictures) for group in groups]
    if as_json:
        console.emit_json(_json(held, groups, bests))
    else:
        _write(groups, bests, output)
    copies = sum(len(group.pictures) - 1 for group in groups)
    console.note(
        f"{len(held.pictures):,} pictures, {len(held.refused):,} refused; {len(groups):,} groups "
        f"with {copies:,} copies" + (f", in {printable(str(output))}" if output else "")
    )


@app.command()
def apply(
    plan: PlanFile,
    trash: Annotated[
        Path | None, typer.Option(help="A folder to move files to, not the system's trash.")
    ] = None,
) -> None:
    """Move what a plan says to the trash, after checking that every file is as it was.

    Files that changed stay, and so does a group whose kept files did. Exit 1 when any stayed.
    """
    from trivium.images.applying import apply as carry_out
    from trivium.images.plan_file import read_plan
    from trivium.images.trash import FolderTrash, SystemTrash
    from trivium.paths import absolute

    try:
        text = plan.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{plan} cannot be read: {error}") from error
    chosen = FolderTrash(absolute(trash)) if trash else SystemTrash()
    _tell(carry_out(read_plan(text, str(plan)), chosen, _record(plan)), "trashed")


@app.command()
def undo(plan: PlanFile) -> None:
    """Bring back what `apply` moved. Exit 1 when a file could not be brought back."""
    from trivium.images.applying import undo as bring_back

    _tell(bring_back(_record(plan)), "brought back")


def _record(plan: Path) -> Path:
    return plan.with_name(f"{plan.name}.undo")


def _scanned(paths: list[str], index: str | None) -> "tuple[Scan, Vectors | None]":
    from trivium.images.look import pictures_at
    from trivium.images.scan import scan, scan_index

    with _progress() as shown:
        if paths and index is None:
            return scan([str(file) for file in pictures_at(paths)], shown), None
        return scan_index(index or "default", paths, shown)


@contextmanager
def _progress() -> "Iterator[OnProgress]":
    with console.progress() as bar:
        task = bar.add_task("Reading", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tier(name: str) -> "Tier":
    from trivium.images.duplicates import TIERS

    for known in TIERS:
        if name == known:
            return known
    raise UsageError(f'--tier "{name}" is not one of {", ".join(TIERS)}')


def _write(groups: "list[Group]", bests: "list[Best]", output: Path | None) -> None:
    from trivium.images.plan_file import make_plan, write_plan
    from trivium.paths import atomic_write

    sizes = {one.path: one.size for group in groups for one in group.pictures}
    text = "".join(write_plan(make_plan(groups, bests), sizes))
    if output is None:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
        return
    with atomic_write(output) as file:
        file.write(text.encode())


def _json(held: "Scan", groups: "list[Group]", bests: "list[Best]") -> dict[str, object]:
    shown = []
    for group, best in zip(groups, bests, strict=True):
        files = [
            asdict(one) | {"keep": one == best.picture} | asdict(group.link(one, best.picture))
            for one in group.pictures
        ]
        shown.append({"tier": group.tier, "why": best.why, "files": files})
    return {
        "pictures": len(held.pictures),
        "refused": [asdict(one) for one in held.refused],
        "groups": shown,
    }


def _tell(done: "Iterator[Done]", word: str) -> None:
    moved = stayed = 0
    for one in done:
        if one.moved:
            moved += 1
            sys.stdout.write(f"{word}\t{printable(one.path)}\n")
        elif one.why:
            stayed += 1
            console.note(f"stays: {printable(one.path)}: {one.why}")
    console.note(f"{moved:,} files {word}")
    if stayed:
        raise TriviumError(f"{stayed:,} files stayed where they are; the reasons are above")
