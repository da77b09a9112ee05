"""`trivium eval fetch`: bring the data of suites here, verified."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console

if TYPE_CHECKING:
    from trivium.evals.fetch import Source


def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Suites, data sets, or hf:ORG/NAME/FILE[@REVISION] of the hub."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Download data sets and verify them; without a name, show which there are.

    Each is held against a pinned sha256 before it is used, and kept under data/ of your folder.
    """
    from trivium.cli.models import download_bar
    from trivium.evals import fetch as data

    if not names:
        _show(as_json)
        return
    results: list[object] = []
    for name in dict.fromkeys(one for given in names for one in data.wanted(given)):
        if (source := data.sources().get(name)) is not None:
            what = f"{_size(source)}, licence: {source.licence}"
            console.note(f"{name}: {what}, from {source.downloads[0].urls[0]}")
        with download_bar() as report:
            path = data.fetch(name, report)
        results.append({"name": name, "path": str(path)})
        if not as_json:
            sys.stdout.write(f"{console.clean(str(path))}\n")
    if as_json:
        console.emit_json(results)


def _show(as_json: bool) -> None:
    from trivium.evals.fetch import sources

    if as_json:
        console.emit_json(
            [
                {
                    "name": one.name,
                    "licence": one.licence,
                    "size": one.size,
                    "urls": [url for download in one.downloads for url in download.urls],
                    "sha256": [download.sha256 for download in one.downloads],
                    "checksum": one.checksum,
                    "fetched": one.folder.is_dir(),
                }
                for one in sources().values()
            ]
        )
        return
    console.table(
        ("data set", "download", "licence", ""),
        [
            (one.name, _size(one), one.licence, "here" if one.folder.is_dir() else "")
            for one in sources().values()
        ],
    )


def _size(source: "Source") -> str:
    return "size unknown" if source.size is None else console.size(source.size)
