"""Memory of scoring: a thousand, ten thousand and a hundred thousand requests.

    python -m benchmarks.score_memory [MODEL] [--requests 1000 10000 100000]

Every size runs in a process of its own. A row is one of `PROMPTS` prompts and four choices of one
token each, so that a hundred thousand requests have no more unique tokens than a thousand. Counted
is the most memory that `score` ever held beyond what was there before it, its results included and
the requests not. The keys and values take the same for any number; the bar is 1 kB for each request
more, which is about what a result of a few tokens takes by itself.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

from trivium.engines.base import ScoreRequest
from trivium.engines.batch import BatchEngine

BAR = 1024  # bytes for each request more
PROMPTS, CHOICES = 64, (" A", " B", " C", " D")


def requests(count: int) -> list[ScoreRequest]:
    return [
        ScoreRequest(CHOICES[at % 4], prompt=f"Question {at // 4 % PROMPTS}.\nAnswer:")
        for at in range(count)
    ]


def measure(model: str, count: int) -> dict[str, float]:
    from trivium.models import store

    engine = BatchEngine(store.resolve(model), name=model)
    engine.score(requests(4 * PROMPTS))  # pages of weights are resident, buffers were made once
    asked = requests(count)
    before = _peak()
    start = time.perf_counter()
    scores = engine.score(asked)
    seconds = time.perf_counter() - start
    peak = _peak() - before
    engine.close()
    return {"peak": peak, "seconds": seconds, "scores": len(scores)}


def _peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--requests", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.model, options.one)))
        return
    found = []
    for count in options.requests:
        command = [sys.executable, "-m", "benchmarks.score_memory", options.model]
        done = subprocess.run(
            [*command, "--one", str(count)], check=True, stdout=subprocess.PIPE, text=True
        )
        one = json.loads(done.stdout)
        found.append(one["peak"])
        print(f"{count:8} requests {one['peak'] / 1e6:8.1f} MB more {one['seconds']:8.1f} s")
    least, most = options.requests[0], options.requests[-1]
    if most > least:
        each = (found[-1] - found[0]) / (most - least)
        print(
            f"bytes for each more {each:8.0f}  (bar {BAR}: {'holds' if each <= BAR else 'MISSED'})"
        )


if __name__ == "__main__":
    main()
