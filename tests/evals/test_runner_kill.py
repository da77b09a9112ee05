"""kill -9 at any moment: the run goes on, repeats at most one shard, and reads the same."""

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from tests.evals.suites import write_suite
from trivium.evals.store import Runs

ROWS, SHARD, KILLS = 320, 8, 20


def attempt(suite: Path, home: Path, log: Path, seconds: float | None) -> tuple[int, str]:
    """Run in a process of its own; its exit code, and what it printed."""
    arguments = [sys.executable, "-m", "tests.evals.killable", str(suite), str(log)]
    arguments += [] if seconds is None else [f"{seconds:.3f}"]
    done = subprocess.run(
        arguments,
        env=os.environ | {"TRIVIUM_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, done.stdout.strip()


def report(home: Path, run: str) -> bytes:
    """All that a report could be made of."""
    with Runs(home / "runs" / "runs.db") as runs:
        records = [asdict(record) for record in runs.records(run)]
        return json.dumps([runs.summary(run).to_dict(), records]).encode()


def test_twenty_kills_leave_the_same_report(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, ROWS, shard=SHARD, repeats=2, scorers=["exact", "numeric"])
    calm, stormy = tmp_path / "calm", tmp_path / "stormy"
    log = tmp_path / "asked"
    _, expected = attempt(suite, calm, tmp_path / "calm.log", None)

    dice, kills = random.Random(4), 0
    while kills < KILLS:
        code, run = attempt(suite, stormy, log, dice.uniform(0.0, 0.3))
        if code == 0:
            break
        kills += 1
    if kills == KILLS:
        _, run = attempt(suite, stormy, log, None)

    assert kills >= 15  # else it was too quick to be killed
    assert run == expected
    assert report(stormy, run) == report(calm, expected)
    asked = log.read_text().splitlines()
    assert set(asked) == {f"{n}+{n}" for n in range(ROWS)}
    assert len(asked) <= 2 * ROWS + kills * SHARD
