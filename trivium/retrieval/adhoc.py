"""An index for paths named on the command line, kept so that the second question is quick."""

import hashlib
import sys
from collections.abc import Callable

from trivium.paths import absolute
from trivium.retrieval.base import Embedder, Report
from trivium.retrieval.index import Index

STDIN = "-"


def index_of(
    paths: list[str], embedder: Embedder, on_progress: Callable[[int, int], None] | None = None
) -> tuple[Index, Report]:
    """The index of exactly these paths, brought up to date.

    It is named after the absolute paths and the embedder, and holds standard input's text when
    `paths` contains "-"; that text is part of the name, since it cannot be read again.
    """
    files = [path for path in paths if path != STDIN]
    piped = sys.stdin.buffer.read() if STDIN in paths else None
    key = [embedder.fingerprint, *sorted(str(absolute(path)) for path in files)]
    if piped is not None:
        key.append(hashlib.sha256(piped).hexdigest())
    name = "ask-" + hashlib.sha256("\n".join(key).encode()).hexdigest()[:16]
    index = Index.create(name, embedder=embedder)
    report = Report(0, 0, 0, 0, 0, 0)
    if files:
        report = index.add(files, on_progress=on_progress)
    if piped is not None:
        from trivium.retrieval.load import load_bytes

        report = index.add_document(load_bytes(STDIN, piped))
    return index, report
