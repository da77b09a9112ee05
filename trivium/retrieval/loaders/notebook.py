"""Jupyter notebooks: prose as Markdown, code between fences, outputs left out."""

import logging

from trivium.retrieval.loaders.base import Extracted
from trivium.retrieval.loaders.text import decode


def notebook(data: bytes) -> Extracted:
    """The cells in order. Notebooks of any version are read as version 4."""
    import nbformat

    logging.getLogger("traitlets").setLevel(logging.CRITICAL + 1)  # remarks on missing cell ids
    book = nbformat.reads(decode(data), as_version=4)  # type: ignore[no-untyped-call]
    language = book.metadata.get("kernelspec", {}).get("language", "python")
    parts = []
    for cell in book.cells:
        source = cell.source.strip("\n")
        if not source.strip():
            continue
        parts.append(f"```{language}\n{source}\n```" if cell.cell_type == "code" else source)
    return Extracted("notebook", ("\n\n".join(parts),), language=str(language))
