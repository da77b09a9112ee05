"""`trivium models`: which models there are, which are here, which fit this machine."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console

if TYPE_CHECKING:
    from trivium.models.catalogue import Entry
    from trivium.models.gguf import Metadata
    from trivium.models.hardware import Hardware
    from trivium.models.store import Pulled

app = typer.Typer(no_args_is_help=True, help="List, pull, remove and inspect models.")

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Names = Annotated[
    list[str],
    typer.Argument(help="A catalogue name, hf:ORG/REPO/FILE.gguf[@REVISION], a URL or a path."),
]


@app.command("list")
def list_models(
    pulled: Annotated[bool, typer.Option("--pulled", help="Only what is on this disk.")] = False,
    as_json: Json = False,
) -> None:
    """Show the catalogue and everything that is pulled."""
    from trivium.models import store
    from trivium.models.catalogue import catalogue

    here = {model.name: model for model in store.all_pulled()}
    entries = [entry for entry in catalogue().values() if entry.name in here or not pulled]
    strangers = [model for name, model in here.items() if name not in catalogue()]
    if as_json:
        rows = [_entry_json(entry, here.get(entry.name)) for entry in entries]
        console.emit_json([*rows, *map(_stranger_json, strangers)])
        return
    table: list[tuple[str, ...]] = [
        (
            entry.name,
            entry.kind,
            _count(entry.parameters),
            str(entry.context_length),
            console.size(entry.memory),
            entry.licence,
            "pulled" if entry.name in here else "",
        )
        for entry in entries
    ]
    table += [(model.name, "", "", "", "", "", "pulled") for model in strangers]
    console.table(("name", "kind", "weights", "context", "memory", "licence", ""), table)


@app.command()
def pull(
    names: Names,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept the model's licence; asked once.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Download models, verify them and keep them. A broken download is resumed."""
    from trivium.models.pull import pull as bring

    results: list[object] = []
    for name in names:
        accept = accept_licence or _agrees(name)
        with download_bar() as report:
            path = bring(name, accept_licence=accept, on_progress=report)
        results.append({"name": name, "path": str(path)})
        if not as_json:
            sys.stdout.write(f"{console.clean(str(path))}\n")
    if as_json:
        console.emit_json(results)


@app.command()
def rm(names: Names, as_json: Json = False) -> None:
    """Delete pulled models from this disk."""
    from trivium.models import store

    results: list[object] = []
    for name in names:
        freed = store.remove(name)
        results.append({"name": name, "freed": freed})
        console.note(f"removed {name}, {console.size(freed)} freed")
    if as_json:
        console.emit_json(results)


@app.command()
def info(
    name: Annotated[str, typer.Argument(help="A catalogue name, a reference or a path.")],
    as_json: Json = False,
) -> None:
    """Show a model's facts and, if it is here, what its GGUF file says about itself."""
    from trivium.models import gguf, store
    from trivium.models.catalogue import catalogue

    entry, model = catalogue().get(name), store.pulled(store.folder_name(name))
    path: Path | None = None
    if entry is None or model is not None:
        path = store.resolve(name)  # which explains itself when there is nothing
    metadata = gguf.read(path) if path is not None and path.is_file() else None
    if as_json:
        facts = _entry_json(entry, model) if entry else {"name": name, "path": str(path)}
        console.emit_json(facts | {"gguf": _metadata_json(metadata)})
        return
    console.table(("", ""), [*_entry_rows(name, entry, path), *_metadata_rows(metadata)])
    if metadata is not None and metadata.chat_template:
        console.out().print("\nchat template:", console.clean(metadata.chat_template), sep="\n")


@app.command()
def recommend(as_json: Json = False) -> None:
    """Say which chat models fit this machine's memory and GPU, best first."""
    from dataclasses import asdict

    from trivium.models.hardware import detect
    from trivium.models.recommend import recommend as judge

    hardware = detect()
    found = judge(hardware)
    if as_json:
        models = [
            {
                "name": item.entry.name,
                "fit": item.fit,
                "memory": item.entry.memory,
                "reason": item.reason,
            }
            for item in found
        ]
        console.emit_json({"hardware": asdict(hardware), "models": models})
        return
    console.note(_machine(hardware))
    words = {"gpu": "GPU", "gpu-part": "GPU, part", "cpu": "CPU", "too-large": "too large"}
    rows = [(item.entry.name, words[item.fit], item.reason) for item in found]
    console.table(("name", "fits", "why"), rows)


def _agrees(name: str) -> bool:
    """Ask a person once; a script has to say --accept-licence."""
    from trivium.models import licences
    from trivium.models.catalogue import catalogue

    entry = catalogue().get(name)
    if entry is None or licences.accepted(entry) or not _person_present():
        return False
    question = f"{entry.name} comes under the {entry.licence} licence: {entry.licence_url}\nAccept?"
    return typer.confirm(question, err=True)


def _person_present() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


@contextmanager
def download_bar() -> Iterator[Callable[[str, int, int | None], None]]:
    """Progress in bytes on stderr; silent under -q and without a terminal."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    hidden = console.verbosity() <= console.Verbosity.QUIET or not console.err().is_terminal
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console.err(),
        transient=True,
        disable=hidden,
    )
    tasks: dict[str, TaskID] = {}

    def report(label: str, done: int, total: int | None) -> None:
        if label not in tasks:
            tasks[label] = progress.add_task(console.clean(label), total=total)
        progress.update(tasks[label], completed=done, total=total)

    with progress:
        yield report


def _entry_json(entry: "Entry", model: "Pulled | None") -> dict[str, object]:
    return {
        "name": entry.name,
        "kind": entry.kind,
        "parameters": entry.parameters,
        "context_length": entry.context_length,
        "licence": entry.licence,
        "accept_licence": entry.accept_licence,
        "memory": entry.memory,
        "size": model.size if model else entry.size,
        "pulled": model is not None,
        "path": str(model.path) if model else None,
    }


def _stranger_json(model: "Pulled") -> dict[str, object]:
    """A pulled model by its manifest alone."""
    from dataclasses import asdict

    return {
        "name": model.name,
        "pulled": True,
        "path": str(model.path),
        "size": model.size,
        "files": [asdict(file) for file in model.files],
    }


def _metadata_json(metadata: "Metadata | None") -> dict[str, object] | None:
    from dataclasses import asdict

    return None if metadata is None else asdict(metadata)


def _entry_rows(name: str, entry: "Entry | None", path: Path | None) -> list[tuple[str, str]]:
    rows = [("name", name)]
    if entry is not None:
        rows += [
            ("kind", entry.kind),
            ("weights", _count(entry.parameters)),
            ("context", f"{entry.context_length} tokens"),
            ("memory", console.size(entry.memory)),
            ("licence", " ".join(filter(None, (entry.licence, entry.licence_url)))),
        ]
        rows += [("note", entry.note)] if entry.note else []
        sources = dict.fromkeys(part for file in entry.files for part in file.sources[0])
        rows += [("source", source) for source in list(sources)[:4]]
    rows.append(("path", str(path) if path else f"not pulled; run: trivium models pull {name}"))
    return rows


def _metadata_rows(metadata: "Metadata | None") -> list[tuple[str, str]]:
    if metadata is None:
        return []
    facts = {
        "gguf name": metadata.name,
        "gguf architecture": metadata.architecture,
        "gguf quantisation": metadata.quantisation,
        "gguf weights": _count(metadata.parameters),
        "gguf context": metadata.context_length and f"{metadata.context_length} tokens",
        "gguf layers": metadata.layers and str(metadata.layers),
        "gguf embedding": metadata.embedding_length and str(metadata.embedding_length),
        "gguf vocabulary": metadata.vocabulary and f"{metadata.vocabulary} tokens",
        "gguf licence": metadata.licence,
        "gguf chat template": "yes" if metadata.chat_template else "none",
        "gguf size": console.size(metadata.size),
    }
    return [(label, str(value)) for label, value in facts.items() if value]


def _machine(hardware: "Hardware") -> str:
    cards = ", ".join(f"{gpu.name} ({console.size(gpu.free)} free)" for gpu in hardware.gpus)
    memory = f"{console.size(hardware.available)} of {console.size(hardware.memory)} memory free"
    return f"{hardware.cores} cores, {memory}, {cards or 'no NVIDIA GPU'}"


def _count(weights: int) -> str:
    """134515008 as "135M"."""
    if not weights:
        return ""
    return f"{weights / 1e9:.3g}B" if weights >= 1e9 else f"{weights / 1e6:.0f}M"
