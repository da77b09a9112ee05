"""Words as the index sees them: SQLite's own FTS5 tokenizer and Porter stemmer, for any text.

Attribution and search must agree on what "the same word" is. Rather than a second stemmer, the
texts go through an in-memory FTS5 table and come back as the terms it would have indexed.
"""

import re
import sqlite3
from collections.abc import Sequence

TOKENIZER = "porter unicode61 remove_diacritics 2"

STOP_WORDS = frozenset(
    """a about after all also am an and any are as at be because been before being between both but
    by can could did do does doing during each for from further had has have having he her here
    hers him his how i if in into is it its itself just may me might more most my no nor not of on
    once only or other our out over own same shall she should so some such than that the their
    them then there these they this those through to too under until up very was we were what when
    where which while who whom whose why will with would you your s t""".split()
)

_WORD = re.compile(r"\w+")


def stems(texts: Sequence[str]) -> list[list[str]]:
    """Each text's terms in order, stemmed and folded as in the index, stop words left out.

    A text of stop words alone keeps them: "to be or not to be" is still about something.
    """
    db = sqlite3.connect(":memory:")
    try:
        db.execute(f"CREATE VIRTUAL TABLE texts USING fts5(text, tokenize='{TOKENIZER}')")
        db.execute("CREATE VIRTUAL TABLE terms USING fts5vocab(texts, instance)")
        db.executemany(
            "INSERT INTO texts(rowid, text) VALUES (?, ?)",
            ((row, _content(text)) for row, text in enumerate(texts)),
        )
        found: list[list[str]] = [[] for _ in texts]
        for term, row in db.execute("SELECT term, doc FROM terms ORDER BY doc, offset"):
            found[row].append(term)
    finally:
        db.close()
    return found


def _content(text: str) -> str:
    words = _WORD.findall(text)
    kept = [word for word in words if word.lower() not in STOP_WORDS]
    return " ".join(kept or words)
