"""`trivium images index | status | forget`: what an index of pictures holds."""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console
from trivium.errors import TriviumError, UsageError

if TYPE_CHECKING:
    from trivium.images.index import PictureIndex
    from trivium.images.indexing import Report

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Named = Annotated[str, typer.Option("--index", "-i", help="The index.")]

NAMED = 10
"""Refused files that are named on the screen."""


def opened(name: str) -> "PictureIndex":
    """The index of this name, with the model that it was made with."""
    from trivium.images.index import PictureIndex

    return PictureIndex.open(name)


@contextmanager
def _made(name: str, model: str | None, form: str | None) -> "Iterator[PictureIndex]":
    """The index of this name, made if need be. A model that is named has to be its own."""
    from typing import get_args

    from trivium.images.base import MODEL
    from trivium.images.encoder import Form, load_encoder
    from trivium.images.index import PictureIndex, folder_of, model_of
    from trivium.images.store import FILE

    if form is not None and form not in get_args(Form):
        raise UsageError(f'--form "{form}" is not one of {", ".join(get_args(Form))}')
    held = model_of(name) if (folder_of(name) / FILE).is_file() else ("", "")
    if model and Path(model).expanduser().is_dir():
        model = str(Path(model).expanduser().absolute())  # it is looked for from elsewhere later
    model, form = model or held[0] or MODEL, form or held[1] or "auto"
    encoder = load_encoder(model, form=form)  # type: ignore[arg-type]
    with PictureIndex.create(name, encoder=encoder, form=form) as index:
        yield index


def index(
    folders: Annotated[
        list[str] | None,
        typer.Argument(help="Folders or pictures; without any, all that were indexed before."),
    ] = None,
    index: Named = "default",
    model: Annotated[
        str | None, typer.Option(help="A model of the catalogue, or a folder with one.")
    ] = None,
    form: Annotated[str | None, typer.Option(help="auto, torch, onnx or int8.")] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Pictures of folders that are missing leave, too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Index folders of pictures, or bring an index in step with its folders.

    What did not change is left alone. What is no whole picture is counted with its reason.
    """
    start = time.perf_counter()
    with _made(index, model, form) as opened, console.progress() as bar:
        task = bar.add_task("Indexing", total=None)

        def shown(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        if not folders and not opened.store.roots():
            raise UsageError("say which folders to index")
        report = (
            opened.add(folders, prune=prune, on_progress=shown)
            if folders
            else opened.update(prune=prune, on_progress=shown)
        )
    _report(report, time.perf_counter() - start, as_json)
    if not report.pictures:
        why = f"{len(report.refused)} refused" if report.refused else "there are no pictures"
        raise TriviumError(
            f"nothing could be indexed: {why}; docs/images.md lists the formats that are read"
        )


def status(index: Named = "default", as_json: Json = False) -> None:
    """Show what an index holds, and what indexing again would find."""
    from dataclasses import asdict

    with opened(index) as held:
        found = held.status()
    if as_json:
        console.emit_json(asdict(found))
        return
    pending = f"{found.new:,} new, {found.changed:,} changed, {found.deleted:,} deleted"
    rows = [
        ("index", found.name),
        ("folder", found.folder),
        ("pictures", f"{found.pictures:,}"),
        *((f"refused: {reason}", f"{count:,}") for reason, count in sorted(found.refused.items())),
        ("size", console.size(found.size)),
        ("model", f"{found.model} ({found.model_fingerprint})"),
        *(("from", printable(root)) for root in found.roots),
        ("since then", pending if found.new + found.changed + found.deleted else "nothing new"),
    ]
    console.table(("", ""), rows)


def forget(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Pictures or folders to take out.")
    ] = None,
    index: Named = "default",
    everything: Annotated[bool, typer.Option("--all", help="Delete the whole index.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Take pictures or folders out of an index, or delete it. The files themselves stay."""
    if bool(paths) == everything:
        raise UsageError("say which pictures or folders to forget, or --all")
    if paths:
        with opened(index) as held:
            count = held.forget(paths)
        if not count:
            raise UsageError(f'the index "{index}" holds nothing under {", ".join(paths)}')
        console.note(f'{count:,} files left the index "{index}"')
        return
    from trivium.images.index import delete, existing

    existing(index)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f'say --yes to delete the index "{index}" without being asked')
        typer.confirm(f'Delete the index "{index}"?', abort=True, err=True)
    delete(index)
    console.note(f'the index "{index}" is deleted')


def printable(path: str) -> str:
    """A path for a person: relative where it can be, on one line, what is no text replaced."""
    text = os.fsencode(console.short(path)).decode(errors="replace")
    return console.clean(text).replace("\n", "\ufffd").replace("\t", "\ufffd")


def _report(report: "Report", seconds: float, as_json: bool) -> None:
    reasons = Counter(one.reason for one in report.refused)
    if as_json:
        from dataclasses import asdict

        extra = {"reasons": dict(sorted(reasons.items())), "seconds": round(seconds, 3)}
        console.emit_json(asdict(report) | extra)
        return
    for one in report.refused[:NAMED]:
        console.note(f"{one.reason}: {printable(one.path)} ({one.detail})")
    if len(report.refused) > NAMED:
        console.note(f"and {len(report.refused) - NAMED:,} more; --json lists all")
    for missing in report.missing:
        console.note(
            f"{printable(missing)} is not there or empty: its pictures stay in the index; "
            "--prune lets them leave"
        )
    counts = [
        (report.added, "added"),
        (report.changed, "changed"),
        (report.unchanged, "unchanged"),
        (report.removed, "removed"),
        (report.kept, "kept"),
        *((count, reason) for reason, count in sorted(reasons.items())),
        (report.others, "of other kinds"),
    ]
    files = ", ".join(f"{count:,} {what}" for count, what in counts if count) or "no files"
    console.note(
        f"{files}; {report.pictures:,} pictures indexed, {report.embedded:,} embedded "
        f"in {seconds:.1f} s"
    )
