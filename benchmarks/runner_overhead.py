"""What the runner itself costs: milliseconds a row with an engine that answers at once.

    python -m benchmarks.runner_overhead [--rows 5000]

Three suites over rows of 300 characters: a written answer with an exact match; four choices after
five solved rows, as MMLU has them; and the first again, with every answer in the cache. Planning,
rendering, judging and storing are counted, reading the rows is not. Then the time to read what was
stored: every record, and their summary.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from trivium.engines.base import (
    Completion,
    Engine,
    Fingerprint,
    Request,
    Score,
    ScoreRequest,
    TokenLogprob,
)
from trivium.evals.cache import Cache
from trivium.evals.plan import make_plan
from trivium.evals.runner import run
from trivium.evals.store import Runs
from trivium.evals.suite import load_suite

BAR = 1.0
WORDS = "measure each claim twice and write the smaller one down ".split()


class Instant:
    """An engine that costs nothing: a fixed answer, a log-probability by length."""

    name = "instant"
    context_length = 1 << 20
    parameters = None
    sees_images = False
    fingerprint = Fingerprint("instant", "0" * 64, "none")

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        return [Completion("right", "stop", 1, 1) for _ in requests]

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        return [
            Score(-len(one.continuation), (TokenLogprob(one.continuation, -1.0),), False)
            for one in requests
        ]

    def count_tokens(self, request: Request) -> int:
        return 1

    def close(self) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5000)
    count = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRIVIUM_HOME"] = folder
        written, chosen = _suites(Path(folder), count)
        for what, suite in (
            ("written answers", written),
            ("four choices, five examples", chosen),
            ("written answers, cached", written),
        ):
            seconds = _time(suite)
            each = seconds / count * 1000
            print(f"{what}: {each:.3f} ms a row, {count} rows in {seconds:.2f} s (bar: {BAR} ms)")
        with Runs() as runs:
            began = time.perf_counter()
            read = sum(1 for _ in runs.records("written"))
            middle = time.perf_counter()
            runs.summary("written")
            ended = time.perf_counter()
        print(f"read {read} records: {middle - began:.3f} s; summary: {ended - middle:.3f} s")


def _time(suite: Path) -> float:
    plan = make_plan(load_suite(suite), ["instant"])
    engine: Engine = Instant()  # type: ignore[assignment]  # it has no `stream`, which nobody calls
    with Runs() as runs, Cache() as cache:
        began = time.perf_counter()
        run(plan, lambda name: engine, runs=runs, cache=cache)
        return time.perf_counter() - began


def _suites(folder: Path, count: int) -> tuple[Path, Path]:
    with (folder / "rows.jsonl").open("w") as file:
        for number in range(count):
            words = [WORDS[(number * 7 + at) % len(WORDS)] for at in range(55)]
            row = {"question": f"{number} {' '.join(words)}", "target": "B", "kind": "k"}
            file.write(json.dumps(row) + "\n")
    prompt = {"name": "p", "system": "About {{ kind }}.", "user": "{{ question }}\nAnswer:"}
    base = {"prompts": [prompt], "data": {"file": "rows.jsonl"}}
    choosing = {
        "chat": False,
        "method": "choose",
        "choices": ["A", "B", "C", "D"],
        "examples": {"data": {"file": "rows.jsonl", "limit": 10}, "k": 5},
        "scorers": ["choice"],
    }
    suites = []
    for name, keys in (("written", {"scorers": ["exact"]}), ("chosen", choosing)):
        suite = folder / f"{name}.yaml"
        suite.write_text(yaml.safe_dump({"name": name} | base | keys))
        suites.append(suite)
    return suites[0], suites[1]


if __name__ == "__main__":
    main()
