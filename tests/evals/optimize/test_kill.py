"""kill -9 at any moment: the same search goes on, and ends in the same result."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from tests.evals.optimize.parity import write_task


def attempt(suite: Path, home: Path, log: Path, seconds: float | None = None) -> tuple[int, str]:
    arguments = [sys.executable, "-m", "tests.evals.optimize.killable", str(suite), str(log)]
    arguments += [] if seconds is None else [f"{seconds:.3f}"]
    done = subprocess.run(
        arguments,
        env=os.environ | {"TRIVIUM_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, done.stdout.strip()


def test_kills_leave_the_same_result_and_little_is_asked_twice(tmp_path: Path) -> None:
    suite = write_task(tmp_path, rows=90)
    _, expected = attempt(suite, tmp_path / "calm", tmp_path / "calm.log")
    assert "Candidate" in expected
    once = (tmp_path / "calm.log").read_text().splitlines()
    assert len(once) == len(set(once))

    dice, kills, log = random.Random(2), 0, tmp_path / "stormy.log"
    for _ in range(5):
        code, found = attempt(suite, tmp_path / "stormy", log, dice.uniform(0.05, 0.6))
        if code == 0:
            break
        kills += 1
    else:
        code, found = attempt(suite, tmp_path / "stormy", log)

    assert kills >= 3  # else it was too quick to be killed
    assert (code, found) == (0, expected)
    asked = log.read_text().splitlines()
    assert set(asked) == set(once)
    assert len(asked) <= len(once) + kills * 16  # a shard a kill
