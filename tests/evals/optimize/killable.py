"""A search in a process of its own, which ends itself with SIGKILL after the seconds it is given.

`python -m tests.evals.optimize.killable SUITE LOG [SECONDS]`: every prompt that the engine is asked
is a line of LOG. When the search is done, its result is printed.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.evals.optimize.parity import learns
from tests.scripted import ScriptedEngine
from trivium.engines.base import Completion, Request
from trivium.evals.cache import Cache
from trivium.evals.helpers import Helpers
from trivium.evals.optimize.base import Options
from trivium.evals.optimize.run import optimize, state_file
from trivium.evals.plan import make_plan
from trivium.evals.suite import load_suite


class SlowEngine(ScriptedEngine):
    """Takes its time, and logs what it is asked."""

    def __init__(self, log: Path) -> None:
        super().__init__(default=learns)
        self._log = log

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        with self._log.open("a") as log:
            log.writelines(f"{[m.content for m in one.messages]}\n" for one in requests)
        time.sleep(0.02)
        return super().generate(requests)


def main(suite: str, log: str, seconds: str = "") -> None:
    plan = make_plan(load_suite(suite), ["slow"])
    if seconds:
        timer = threading.Timer(float(seconds), os.kill, (os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()
    cache = Cache(state_file(plan))
    with cache, Helpers(lambda name: SlowEngine(Path(log)), cache) as helpers:
        result = optimize(plan, helpers, cache, Options(proposals=0, shots=2, budget=20_000))
    sys.stdout.write(f"{result}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
