"""`trivium index`: make indexes of documents, keep them up to date, search them."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console
from trivium.errors import TriviumError, UsageError

if TYPE_CHECKING:
    from trivium.retrieval.base import Hit, Mode, Report
    from trivium.retrieval.index import Index
    from trivium.retrieval.indexing import OnProgress

app = typer.Typer(no_args_is_help=True, help="Build, keep and search indexes of documents.")

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Name = Annotated[str, typer.Argument(help="The index.")]
Named = Annotated[str, typer.Option("--index", "-i", help="The index.")]

SNIPPET = 160


@app.command()
def add(
    paths: Annotated[list[str], typer.Argument(help="Files and folders; - is standard input.")],
    index: Named = "default",
    include: Annotated[
        list[str] | None, typer.Option(help="Only these, as in .gitignore: '*.md'. Repeatable.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Not these, as in .gitignore. Repeatable.")
    ] = None,
    max_mb: Annotated[float, typer.Option(min=0.001, help="Skip larger files, in MB.")] = 64,
    as_json: Json = False,
) -> None:
    """Index files and folders, made if need be, and remember them for `update`.

    What did not change is left alone; what cannot be read is skipped and named.
    """
    files = [path for path in paths if path != "-"]
    for path in files:  # before an index is made for nothing
        if not Path(path).expanduser().exists():
            raise UsageError(f"{path} does not exist")
    start = time.perf_counter()
    with _open(index, create=True) as opened:
        report = None
        if files:
            with _progress() as shown:
                report = opened.add(
                    files,
                    include=include or (),
                    exclude=exclude or (),
                    max_bytes=int(max_mb * 1_000_000),
                    on_progress=shown,
                )
        if "-" in paths:
            from trivium.retrieval.load import load_bytes

            piped = opened.add_document(load_bytes("-", sys.stdin.buffer.read()))
            report = _sum(report, piped) if report else piped
    assert report is not None
    _show(report, time.perf_counter() - start, as_json)
    if not report.added + report.changed + report.unchanged:
        why = f"{len(report.skipped)} skipped" if report.skipped else "there are no documents"
        raise TriviumError(
            f"nothing could be read in {', '.join(paths)}: {why}; "
            "docs/documents.md lists what is read"
        )


@app.command()
def update(name: Name = "default", as_json: Json = False) -> None:
    """Bring an index in step with the files and folders that were added to it."""
    start = time.perf_counter()
    with _open(name) as opened, _progress() as shown:
        report = opened.update(shown)
    _show(report, time.perf_counter() - start, as_json)


@app.command()
def status(name: Name = "default", as_json: Json = False) -> None:
    """Show what an index holds, and what `update` would find."""
    from dataclasses import asdict

    with _open(name) as opened:
        found = opened.status()
    if as_json:
        console.emit_json(asdict(found))
        return
    pending = f"{found.new} new, {found.changed} changed, {found.deleted} deleted"
    rows = [
        ("index", found.name),
        ("folder", found.folder),
        ("documents", f"{found.documents:,}"),
        ("passages", f"{found.passages:,}"),
        ("size", console.size(found.size)),
        ("embedder", f"{found.embedder} ({found.embedder_fingerprint})"),
        ("fingerprint", found.fingerprint),
        *(("from", root) for root in found.roots),
        ("since then", pending if found.new + found.changed + found.deleted else "nothing new"),
    ]
    console.table(("", ""), rows)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="Words or a question.")],
    index: Named = "default",
    count: Annotated[
        int, typer.Option("--top-k", "-k", min=1, max=1000, help="Passages to show.")
    ] = 5,
    mode: Annotated[str, typer.Option(help="hybrid, bm25 or dense.")] = "hybrid",
    rerank: Annotated[
        str | None, typer.Option(help='A cross-encoder, or "model" for the chat model.')
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show each score.")] = False,
    as_json: Json = False,
) -> None:
    """Show the passages that fit best, without asking a model. Exit 3 when there are none."""
    query = query.encode(errors="replace").decode()  # an argument may be bytes that are no text
    if not query.strip():
        raise UsageError("the query is empty")
    hits = _hits(query, index, count, _mode(mode), rerank)
    if as_json:
        console.emit_json([_row(hit) for hit in hits])
    elif explain:
        _explain(hits, query)
    else:
        _list(hits, query)
    if not hits:
        from trivium.errors import NotInDocuments

        raise NotInDocuments(f'nothing in the index "{index}" has to do with "{query}"')


@app.command()
def rm(
    name: Name,
    paths: Annotated[
        list[str] | None, typer.Argument(help="Take only these documents or folders out.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete an index, or take documents out of it. The files themselves stay."""
    from trivium.retrieval.index import delete, folder_of

    if paths:
        with _open(name) as opened:
            count = opened.remove(paths)
        if not count:
            raise UsageError(f'the index "{name}" holds nothing under {", ".join(paths)}')
        console.note(f'{count} documents left the index "{name}"')
        return
    if folder_of(name).is_dir() and not yes:
        if not sys.stdin.isatty():
            raise UsageError(f'say --yes to delete the index "{name}" without being asked')
        typer.confirm(f'Delete the index "{name}"?', abort=True, err=True)
    delete(name)
    console.note(f'the index "{name}" is deleted')


@app.command("list")
def list_indexes(as_json: Json = False) -> None:
    """Show the indexes that you have made."""
    from trivium.retrieval.index import names, overview

    rows = []
    for name in names():
        try:
            rows.append((name, *overview(name)))
        except TriviumError as error:  # one damaged index should not hide the others
            console.note(str(error))
    if as_json:
        keys = ("name", "documents", "passages", "size", "embedder")
        console.emit_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    shown = [
        (name, f"{documents:,}", f"{passages:,}", console.size(size), embedder)
        for name, documents, passages, size, embedder in rows
    ]
    console.table(("name", "documents", "passages", "size", "embedder"), shown)
    if not rows:
        console.note("There are no indexes; make one with: trivium index add PATH")


@app.command()
def watch(name: Name = "default") -> None:
    """Keep an index in step with its files as they change, until Ctrl-C."""
    from trivium.retrieval.watch import changes

    with _open(name) as opened:
        roots = [Path(root) for root in opened.status().roots]
        if not roots:
            raise UsageError(f'the index "{name}" has no folder to watch; add one to it')
        console.note(f"watching {', '.join(map(str, roots))}; Ctrl-C ends it")
        for _ in changes(roots):
            before = opened.contents()
            opened.update()
            for what, path in _differences(before, opened.contents()):
                sys.stdout.write(f"{what}\t{console.clean(console.short(path))}\n")
            sys.stdout.flush()


def _differences(before: "dict[str, str]", after: "dict[str, str]") -> Iterator[tuple[str, str]]:
    """What became of which document, by path."""
    for path in sorted(before.keys() | after.keys()):
        if path not in before:
            yield "added", path
        elif path not in after:
            yield "removed", path
        elif before[path] != after[path]:
            yield "changed", path


@contextmanager
def _open(name: str, *, create: bool = False) -> "Iterator[Index]":
    from trivium.config import load_settings
    from trivium.retrieval.embed import load_embedder
    from trivium.retrieval.index import Index

    embedder = load_embedder(load_settings().embedder)
    make = Index.create if create else Index.open
    with make(name, embedder=embedder) as index:
        yield index


def _hits(query: str, index: str, count: int, mode: "Mode", rerank: str | None) -> "list[Hit]":
    from trivium.config import load_settings
    from trivium.retrieval.rerank import BY_MODEL, load_reranker

    settings = load_settings({"reranker": rerank})
    with _open(index) as opened:
        engine = None
        if settings.reranker == BY_MODEL:
            from trivium.engines.load import load_engine

            engine = load_engine(settings.model, settings)
        try:
            reranker = load_reranker(settings.reranker, engine)
            return opened.search(query, count, mode=mode, reranker=reranker)
        finally:
            if engine:
                engine.close()


@contextmanager
def _progress() -> "Iterator[OnProgress]":
    with console.progress() as bar:
        task = bar.add_task("Indexing", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _mode(mode: str) -> "Mode":
    from typing import get_args

    from trivium.retrieval.base import Mode

    for known in get_args(Mode):
        if mode == known:
            found: Mode = known
            return found
    raise UsageError(f'--mode "{mode}" is not one of {", ".join(get_args(Mode))}')


def _sum(one: "Report", other: "Report") -> "Report":
    from trivium.retrieval.base import Report

    return Report(
        one.added + other.added,
        one.changed + other.changed,
        one.unchanged + other.unchanged,
        one.removed + other.removed,
        other.passages,
        one.embedded + other.embedded,
        one.skipped + other.skipped,
    )


def _show(report: "Report", seconds: float, as_json: bool) -> None:
    if as_json:
        from dataclasses import asdict

        console.emit_json(asdict(report) | {"seconds": round(seconds, 3)})
        return
    for skipped in report.skipped:
        console.note(f"skipped {console.short(skipped.path)}: {skipped.reason}")
    _line(report, seconds)


def _line(report: "Report", seconds: float | None = None) -> None:
    counts = [
        (report.added, "added"),
        (report.changed, "changed"),
        (report.unchanged, "unchanged"),
        (report.removed, "removed"),
        (len(report.skipped), "skipped"),
    ]
    files = ", ".join(f"{count:,} {what}" for count, what in counts if count) or "no files"
    took = f" in {seconds:.1f} s" if seconds is not None else ""
    console.note(f"{files}; {report.passages:,} passages, {report.embedded:,} embedded{took}")


def _row(hit: "Hit") -> dict[str, object]:
    from dataclasses import asdict

    row = asdict(hit)
    return row.pop("passage") | row  # type: ignore[no-any-return]


def _list(hits: "list[Hit]", query: str) -> None:
    from rich.text import Text

    if not console.out().is_terminal:
        passages = [hit.passage for hit in hits]
        rows = [
            (
                str(rank),
                console.short(p.path),
                str(p.page or ""),
                p.heading,
                _snippet(p.text, query),
            )
            for rank, p in enumerate(passages, start=1)
        ]
        console.table(("rank", "path", "page", "heading", "text"), rows)
        return
    for rank, hit in enumerate(hits, start=1):
        passage = hit.passage
        place = console.place(rank, passage.path, passage.page, passage.start, passage.heading)
        console.out().print(place)
        console.indented(Text(_snippet(passage.text, query)))


def _explain(hits: "list[Hit]", query: str) -> None:
    def figure(value: float | None, rank: int | None = None) -> str:
        if value is None:
            return "-"
        return f"{value:.3f}" + (f" (#{rank})" if rank else "")

    rows = [
        (
            str(rank),
            f"{hit.score:.4f}",
            figure(hit.bm25, hit.bm25_rank),
            figure(hit.cosine, hit.dense_rank),
            figure(hit.rerank),
            f"{console.short(hit.passage.path)}:{hit.passage.start}",
            _snippet(hit.passage.text, query, 60),
        )
        for rank, hit in enumerate(hits, start=1)
    ]
    header = ("", "score", "bm25", "cosine", "rerank", "where", "text")
    console.table(header, rows)


def _snippet(text: str, query: str, length: int = SNIPPET) -> str:
    """One line of a passage, from the sentence on that shares the most words with the query."""
    from textwrap import shorten

    from trivium.retrieval.sentences import sentences
    from trivium.retrieval.words import stems

    spans = sentences(text)
    asked, *told = map(set, stems([query, *(text[start:end] for start, end in spans)]))
    best = max(zip(told, spans, strict=True), key=lambda one: len(asked & one[0]), default=None)
    start = best[1][0] if best else 0
    return "… " * bool(start) + shorten(console.clean(text[start:]), length, placeholder=" …")
