"""kill -9 in mid-answer: what was committed is there, and so is the half answer, marked."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from trivium.agent.base import Node
from trivium.agent.sessions import Sessions

KILLS = 20

TALK = """
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from trivium.agent.base import Node
from trivium.agent.sessions import Sessions

def tell(*what):  # one write of the system: a line is there whole or not at all
    sys.stdout.write(" ".join(map(str, what)) + "\\n")
    sys.stdout.flush()

with Sessions(Path(sys.argv[1])) as sessions:
    session = sessions.get("talk")
    with sessions.hold(session.id):
        tell("ready")
        for turn in count():
            asked = sessions.append(session.id, Node("user", f"question {turn}"))
            tell("committed", asked.id, asked.content)
            draft = sessions.begin(session.id, Node("assistant", ""))
            tell("begun", draft.id)
            text = ""
            for word in range(20):
                text += f"word{word} "
                sessions.write(draft.id, text)
                tell("written", draft.id, len(text))
            done = sessions.finish(replace(draft, content=text + "end"))
            tell("committed", done.id, done.content)
"""


def killed(file: Path, seconds: float) -> list[list[str]]:
    """What the program said it had done before it was killed, a list of words a line."""
    command = [sys.executable, "-c", TALK, str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    out, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL
    return [line.split(" ", 2) for line in out.splitlines()]


def check(file: Path, told: list[list[str]]) -> set[int]:
    """Everything that was told is there; the last message if it was cut in the middle."""
    db = sqlite3.connect(file)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    db.execute("INSERT INTO words(words, rank) VALUES ('integrity-check', 1)")
    db.close()
    with Sessions(file) as sessions:
        session = sessions.get("talk")
        with sessions.hold(session.id):  # the dead program's lock is gone
            path = {node.id: node for node in sessions.path(session.head)}
        for what, key, *rest in told:
            node = path[int(key)]
            if what == "committed":
                assert (node.content, node.state) == (rest[0], "complete")
            elif what == "written":
                assert len(node.content) >= int(rest[0])
        last = list(path.values())[-1]
        whole = "".join(f"word{n} " for n in range(20))
        assert all(node.state != "writing" for node in path.values())
        assert last.state == "complete" or whole.startswith(last.content)
        return {last.id} if last.state == "interrupted" else set()


def test_twenty_kills_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "sessions.db"
    with Sessions(file) as sessions:
        sessions.create("talk")
    draw = random.Random(0)
    told: list[list[str]] = []
    cut: set[int] = set()
    for _ in range(KILLS):
        told += killed(file, draw.uniform(0, 0.15))
        cut |= check(file, told)
    assert cut, "no answer was met in its middle"
    with Sessions(file) as sessions:
        session = sessions.get("talk")
        halves = {n.id for n in sessions.path(session.head) if n.state == "interrupted"}
        assert halves == cut
        kept = sessions.append(session.id, Node("user", "and it goes on"))
        assert sessions.search("goes on")[0].node == kept
