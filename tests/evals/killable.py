"""A run in a process of its own, which ends itself with SIGKILL after the seconds it is given.

`python -m tests.evals.killable SUITE LOG [SECONDS]`: every prompt that the engine is asked is a
line of LOG. When the run is done, its id is printed.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.scripted import ScriptedEngine
from trivium.engines.base import Completion, Request
from trivium.evals.cache import Cache
from trivium.evals.plan import make_plan
from trivium.evals.runner import run
from trivium.evals.store import Runs
from trivium.evals.suite import load_suite

SECONDS_A_CALL = 0.05


class SlowEngine(ScriptedEngine):
    """Takes its time, answers with the prompt's length, and logs what it is asked."""

    def __init__(self, log: Path) -> None:
        super().__init__(default=lambda request: str(len(request.messages[-1].content) % 3))
        self._log = log

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        with self._log.open("a") as log:
            log.writelines(f"{request.messages[-1].content}\n" for request in requests)
        time.sleep(SECONDS_A_CALL)
        return super().generate(requests)


def main(suite: str, log: str, seconds: str = "") -> None:
    plan = make_plan(load_suite(suite), ["slow"])
    if seconds:
        timer = threading.Timer(float(seconds), os.kill, (os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()
    with Runs() as runs, Cache(enabled=False) as cache:
        run_id = run(plan, lambda name: SlowEngine(Path(log)), runs=runs, cache=cache)
    sys.stdout.write(f"{run_id}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
