"""Multiple choice: lm-evaluation-harness's own transformers backend against the batch engine.

    python -m benchmarks.lm_eval [MODEL] [--rows 25] [--python INTERPRETER]

The same weights and the same strings on both sides: MMLU 5-shot, `--rows` of each of 8 subjects,
and as many of BoolQ zero-shot as of MMLU together. The harness runs in an environment of its own,
whose interpreter is `--python` or `TRIVIUM_LM_EVAL_PYTHON`:

    python -m venv DIR
    DIR/bin/pip install -c constraints.txt torch transformers gguf 'lm_eval[hf]==0.4.13'

It computes in float32 with the numbers of the batch engine's own file, F16 where memory allows. It
takes one-token choices of a row from one pass. Its batch size is the fastest of 1, 4, 8 and 16 on
the first `TRIED` rows of each subject. Sides take turns by subject, and loading is timed on
neither: its seconds are those of `loglikelihood` and ours those of `score`, tokenizing included.

A row's choices agree when both sides choose the same; where the harness's two best lie within 1e-3,
or ours do, a row that differs is a tie. Bars: 5 times faster on MMLU; no row differs beyond ties.
"""

import argparse
import csv
import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import numpy as np

from benchmarks.batch_score import SUBJECTS, Row, boolq, mmlu
from benchmarks.data import data_folder
from trivium.engines.base import ScoreRequest
from trivium.engines.batch import BatchEngine
from trivium.engines.unpack import choose_form

BAR = 5.0
TIE = 1e-3  # in log-probability
SIZES = (1, 4, 8, 16)
TRIED = 2  # rows of each subject that decide the batch size
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Harness:
    """lm-evaluation-harness in a process of its own; `evaluate` is one task."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._read()

    def evaluate(self, rows: Sequence[Row], targets: Sequence[int], batch: int) -> dict[str, Any]:
        file = self._folder / f"rows-{time.monotonic_ns()}.jsonl"  # its name is a key of a cache
        with file.open("w", encoding="utf-8") as lines:
            for row, target in zip(rows, targets, strict=True):
                one = {"prompt": row.prompt, "choices": row.choices, "target": target}
                lines.write(json.dumps(one) + "\n")
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"rows": str(file), "batch": batch}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the harness ended; what it said is in the file named above")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def harness(python: str, gguf: Path, weights: Path | None, threads: int) -> Iterator[Harness]:
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        log = Path(gettempdir()) / "trivium-lm-eval.log"
        print(f"what the harness says is in {log}")
        settings = dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TQDM_DISABLE"), "1")
        settings |= dict.fromkeys(THREADS, str(threads)) | {"HF_HOME": str(folder / "hub")}
        worker = Path(__file__).parent / "workers" / "harness.py"
        command = [python, str(worker), str(gguf), str(weights or folder / "weights")]
        with (
            log.open("w") as errors,
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | settings,
            ) as process,
        ):
            try:
                yield Harness(process, folder)
            finally:
                process.kill()


@dataclass(slots=True)
class Tally:
    """What both sides took for a task, and what they said."""

    ours: float = 0.0
    theirs: float = 0.0
    right: list[int] = field(default_factory=list)
    mine: list[list[float]] = field(default_factory=list)
    other: list[list[float]] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)


def mmlu_targets(subject: str, rows: int) -> list[int]:
    file = data_folder() / "mmlu" / "test" / f"{subject}_test.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        return ["ABCD".index(cells[5]) for cells in islice(csv.reader(lines), rows)]


def boolq_targets(rows: int) -> list[int]:
    with (data_folder() / "boolq" / "dev.jsonl").open(encoding="utf-8") as lines:
        return [0 if json.loads(line)["answer"] == "True" else 1 for line in islice(lines, rows)]


def measure(
    rows: Sequence[Row],
    targets: list[int],
    engine: BatchEngine,
    other: Harness,
    size: int,
    t: Tally,
) -> None:
    requests = [ScoreRequest(choice, prompt=row.prompt) for row in rows for choice in row.choices]
    start = time.perf_counter()
    scores = iter(engine.score(requests))
    t.ours += time.perf_counter() - start
    t.mine += [[next(scores).logprob for _ in row.choices] for row in rows]
    said = other.evaluate(rows, targets, size)
    t.theirs += said["seconds"]
    t.other += said["logprobs"]
    t.accuracy += [said["accuracy"]] * len(rows)
    t.right += targets


def report(task: str, t: Tally, bar: float | None) -> None:
    rows = len(t.right)
    ours = sum(int(np.argmax(one)) == right for one, right in zip(t.mine, t.right, strict=True))
    differences = np.abs(
        np.concatenate([np.subtract(*pair) for pair in zip(t.mine, t.other, strict=True)])
    )
    print(f"{task}: {rows} rows")
    print(f"  batch engine            {t.ours:9.1f} s")
    verdict = "" if bar is None else f"  (bar {bar}: {_held(t.theirs / t.ours >= bar)})"
    print(f"  lm-evaluation-harness   {t.theirs:9.1f} s  {t.theirs / t.ours:6.2f} times{verdict}")
    print(f"  accuracy                {ours / rows:9.4f}    harness {np.mean(t.accuracy):.4f}")
    print(
        f"  log-probabilities differ by {differences.mean():.5f}, at most {differences.max():.5f}"
    )
    beyond = 0
    for at, (mine, other) in enumerate(zip(t.mine, t.other, strict=True)):
        if np.argmax(mine) == np.argmax(other):
            continue
        margin = min(_margin(mine), _margin(other))
        beyond += margin >= TIE
        print(f"  row {at} differs; two best apart by {_margin(mine):.5f} and {_margin(other):.5f}")
    print(f"  differing choices beyond ties {beyond}  (bar 0: {_held(beyond == 0)})")


def _margin(logprobs: Sequence[float]) -> float:
    best = sorted(logprobs)[-2:]
    return best[1] - best[0]


def _held(holds: bool) -> str:
    return "holds" if holds else "MISSED"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--rows", type=int, default=25)
    parser.add_argument("--python", default=os.environ.get("TRIVIUM_LM_EVAL_PYTHON"))
    parser.add_argument("--weights", type=Path, help="a folder to keep the unpacked weights in")
    options = parser.parse_args()
    if not options.python:
        print(
            "not run: name an interpreter that has lm_eval, by --python or "
            "TRIVIUM_LM_EVAL_PYTHON; the head of benchmarks/lm_eval.py says how to make one"
        )
        return

    from trivium.models import hardware, store

    path = store.resolve(options.model)
    engine = BatchEngine(path, name=options.model)
    threads = hardware.usable_cores()
    print(f"weights: {engine.fingerprint.settings['weights']}, {threads} threads on either side")
    parts = {
        name: (mmlu(name, options.rows), mmlu_targets(name, options.rows)) for name in SUBJECTS
    }
    with harness(options.python, choose_form(path, "auto")[0], options.weights, threads) as other:
        some = [row for rows, _ in parts.values() for row in rows[:TRIED]]
        tried = {size: other.evaluate(some, [0] * len(some), size)["seconds"] for size in SIZES}
        best = min(tried, key=lambda size: tried[size])
        print(f"harness, {len(some)} rows in batches of:", end="")
        print(*(f" {size}: {seconds:.1f} s" for size, seconds in tried.items()), sep=",")
        tally = Tally()
        for rows, targets in parts.values():
            measure(rows, targets, engine, other, best, tally)
        report("MMLU", tally, BAR)
        count = options.rows * len(SUBJECTS)
        tally = Tally()
        measure(boolq(count), boolq_targets(count), engine, other, best, tally)
        report("BoolQ", tally, None)
    engine.close()


if __name__ == "__main__":
    main()
