import json
import os
import subprocess
import sys
import threading

import pytest

from trivium.cli.console import emit_json


def test_json_holds_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": "a\x1b[31m\x9b2J\x7f\u202eb é 漢 \n"}
    for line in (True, False):
        emit_json(value, line=line)
        shown = capsys.readouterr().out
        assert json.loads(shown) == value
        assert "é 漢" in shown
        assert not any(0x7F <= ord(c) <= 0x9F or c in "\x1b\u202e" for c in shown)


BUSY = """
import sys
from trivium.cli import console
with console.progress() as bar:
    task = bar.add_task("looking", total=2)
    console.emit_json({"a": 1}, line=True)
    sys.stdout.write("b\\tc\\n")
    bar.advance(task)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_results_below_a_bar_reach_the_pipe_and_not_the_terminal() -> None:
    ours, theirs = os.openpty()
    shown: list[bytes] = []

    def drain() -> None:
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # how Linux says that the other end is closed
                return
            if not part:
                return
            shown.append(part)

    reader = threading.Thread(target=drain)
    reader.start()
    try:
        done = subprocess.run(
            [sys.executable, "-c", BUSY],
            stdout=subprocess.PIPE,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm"},
            check=True,
        )
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)
    assert done.stdout == b'{"a": 1}\nb\tc\n'
    assert b"looking" in b"".join(shown) and b'"a"' not in b"".join(shown)
