"""Memory of many conversations: milliseconds to search 100,000 messages and to open one of 10,000.

    python -m benchmarks.sessions [--messages 100000]

Messages are made of sentences of XQuAD-en and Cranfield, one to six each, in sessions of 100 and
one of 10,000 that is a single branch. Searched are XQuAD's questions, as they are and by their
three longest words, and the commonest words there are. Opening is a new `Sessions`, the session by
name and the whole path to its head; importing the libraries is left out.
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.cranfield import read
from benchmarks.data import data_folder, load_xquad
from trivium.agent.base import Node
from trivium.agent.records import STORED, to_row
from trivium.agent.sessions import Sessions
from trivium.retrieval.sentences import sentences

LONG = 10_000
SHORT = 100
COMMON = ["the", "the of", "is the a", "flow", "flow pressure", "the flow of the boundary layer"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    count = parser.parse_args().messages
    paragraphs, questions = load_xquad()
    texts = paragraphs + list(read(data_folder())[0].values())
    pool = [text[start:end] for text in texts for start, end in sentences(text)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sessions.db"
        with Sessions(file) as sessions:
            draw = random.Random(0)
            _fill(sessions, "long", LONG, pool, draw)
            for number in range((count - LONG) // SHORT):
                _fill(sessions, f"short-{number}", SHORT, pool, draw)
        print(f"{count} messages, {file.stat().st_size / 1e6:.0f} MB")

        seconds = [_open(file) for _ in range(5)]
        print(
            f"open a session of {LONG} messages: median {statistics.median(seconds):.3f} s, "
            f"worst {max(seconds):.3f} s (bar: 0.5 s)"
        )
        asked = [question.text for question in questions[:200]]
        longest = [" ".join(sorted(text.split(), key=len)[-3:]) for text in asked]
        with Sessions(file) as sessions:
            sessions.search("warm")
            for what, queries in (
                ("questions, whole", asked),
                ("their three longest words", longest),
                ("one word of each", [text.split()[-1] for text in longest]),
                ("commonest words", COMMON * 10),
            ):
                times = sorted(_search(sessions, query) for query in queries)
                print(
                    f"search for {what}: median {statistics.median(times):.1f} ms, 95 % under "
                    f"{times[len(times) * 95 // 100]:.1f} ms, worst {times[-1]:.1f} ms (bar: 50)"
                )


def _fill(sessions: Sessions, name: str, count: int, pool: list[str], draw: random.Random) -> None:
    """A session of `count` messages in one transaction: 100,000 of them would take a while."""
    key = sessions.create(name).id
    parent = None
    with sessions._db.write() as db:
        for number in range(count):
            text = " ".join(draw.choices(pool, k=draw.randint(1, 6)))
            node = Node(
                "assistant" if number % 2 else "user", text, session=key, parent=parent,
                created=float(number),
            )  # fmt: skip
            marks = ",".join("?" * len(to_row(node)))
            sql = f"INSERT INTO nodes({STORED}) VALUES ({marks})"
            parent = db.execute(sql, to_row(node)).lastrowid
    sessions.set_head(key, parent)


def _open(file: Path) -> float:
    start = time.perf_counter()
    with Sessions(file) as sessions:
        path = sessions.path(sessions.get("long").head)
    assert len(path) == LONG
    return time.perf_counter() - start


def _search(sessions: Sessions, query: str) -> float:
    start = time.perf_counter()
    sessions.search(query)
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    main()
