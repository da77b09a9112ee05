"""PDF to text, a page at a time."""

import logging
from io import BytesIO

from trivium.retrieval.loaders.base import Budget, Declined, Extracted


def pdf(data: bytes) -> Extracted:
    """The text of every page, in the order in which the pages draw it.

    A page that cannot be read is empty as long as another can.

    Raises:
        Declined: when a password is needed or when no page holds text.
    """
    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL + 1)  # its remarks are not the user's
    reader = PdfReader(BytesIO(data))
    try:
        # Many files are encrypted with an empty password, only to carry permissions.
        locked = reader.is_encrypted and not reader.decrypt("")
    except (DependencyError, NotImplementedError):
        locked = True
    if locked:
        raise Declined("is encrypted")
    budget = Budget()
    pages: list[str] = []
    failure: Exception | None = None
    for page in reader.pages:
        try:
            text = page.extract_text().strip()
        except Exception as error:  # damage has no type of its own
            failure = error
            text = ""
        pages.append(budget.spend(text))
    if any(pages):
        return Extracted("pdf", tuple(pages), paged=True)
    if failure:
        raise failure
    raise Declined("holds no text (a scan?)" if pages else "holds no pages")
