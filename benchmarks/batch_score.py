"""Multiple choice by log-likelihood: the batch engine against one request at a time.

    python -m benchmarks.batch_score [MODEL] [--rows 25] [--tasks mmlu boolq agnews] [--native 5]

MMLU 5-shot (8 subjects), BoolQ and AG News zero-shot, `--rows` of each subject or task. A request
is a prompt and one choice; one at a time, without reuse, each is a pass over its prompt. The passes
of a row's choices are the same work, so that one is timed and counted for each choice. Passes on
the native form of the weights, which is what a user had before, are timed on every `--native`th row
and scaled by tokens (0: not at all); those on the batch engine's form on every row, and the scores
are compared with theirs. "Of the limit" is the speed of the unique tokens over the bare prefill of
one sequence of 1,024 tokens, same build and form, in chunks of 256 or 512, whichever is faster; "of
own length" is the same with sequences as long as the requests, since attention takes longer there.
Sides take turns by subject, since machines are seldom quiet.
"""

import argparse
import csv
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import numpy.typing as npt

from benchmarks.data import data_folder
from trivium.engines.base import ScoreRequest
from trivium.engines.batch import BatchEngine
from trivium.engines.llama import CHUNK
from trivium.engines.native import Context, Weights
from trivium.engines.scoring import BATCH
from trivium.engines.unpack import choose_form

PREFILL = 1024  # tokens of the bare prefill
SUBJECTS = (
    "abstract_algebra astronomy college_computer_science high_school_us_history machine_learning "
    "moral_disputes professional_medicine world_religions"
).split()


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt and the choices that may follow it."""

    prompt: str
    choices: tuple[str, ...]


@dataclass(slots=True)
class Tally:
    """Seconds and tokens of every side of a task, and how far the scores differ."""

    rows: int = 0
    unique: int = 0
    decoded: int = 0
    tree: float = 0.0
    native: float = 0.0
    same: float = 0.0
    bare: list[float] = field(default_factory=list)
    own: float = 0.0  # seconds of the unique tokens at the speed of a bare sequence of own length
    agreed: int = 0
    differences: list[float] = field(default_factory=list)


def mmlu(subject: str, rows: int) -> list[Row]:
    """5-shot, as in the authors' code (Hendrycks et al. 2021, arXiv:2009.03300)."""

    def block(cells: list[str], answer: str) -> str:
        lines = [cells[0], *(f"{x}. {cell}" for x, cell in zip("ABCD", cells[1:5], strict=True))]
        return "\n".join([*lines, f"Answer:{answer}"])

    def read(split: str) -> list[list[str]]:
        file = data_folder() / "mmlu" / split / f"{subject}_{split}.csv"
        with file.open(encoding="utf-8", newline="") as lines:
            return list(csv.reader(lines))

    shots = "".join(block(cells, f" {cells[5]}") + "\n\n" for cells in read("dev")[:5])
    name = subject.replace("_", " ")
    head = f"The following are multiple choice questions (with answers) about {name}.\n\n"
    choices = (" A", " B", " C", " D")
    return [Row(head + shots + block(cells, ""), choices) for cells in read("test")[:rows]]


def boolq(rows: int) -> list[Row]:
    with (data_folder() / "boolq" / "dev.jsonl").open(encoding="utf-8") as lines:
        found = [json.loads(line) for line in islice(lines, rows)]
    return [
        Row(f"{row['passage']}\nQuestion: {row['question']}?\nAnswer:", (" yes", " no"))
        for row in found
    ]


def agnews(rows: int) -> list[Row]:
    topics = (" World", " Sports", " Business", " Technology")
    with (data_folder() / "agnews" / "test.csv").open(encoding="utf-8", newline="") as lines:
        found = list(islice(csv.reader(lines), rows))
    return [Row(f"News: {row[1]}. {row[2]}\nTopic:", topics) for row in found]


def parts(task: str, rows: int) -> Iterator[list[Row]]:
    """A task in the pieces by which the sides take turns."""
    if task == "mmlu":
        yield from (mmlu(subject, rows) for subject in SUBJECTS)
    else:
        yield boolq(rows) if task == "boolq" else agnews(rows)


class Passes:
    """One pass a request, nothing reused: llama.cpp with one sequence, chunks of a prompt."""

    def __init__(self, weights: Weights, threads: int) -> None:
        self.weights = weights
        self._context = Context(
            weights, length=8192, threads=threads, chunk=max(CHUNK, BATCH), flash_attention=True
        )

    def prefill(self, tokens: list[int], chunk: int = CHUNK) -> float:
        """Seconds for a pass over the tokens."""
        start = time.perf_counter()
        self._context.keep(0)
        for at in range(0, len(tokens), chunk):
            self._context.decode(tokens[at : at + chunk])
        self._context.logits()
        return time.perf_counter() - start

    def bare(self, length: int) -> float:
        """Tokens a second of one sequence of that length."""
        tokens = [1000 + at % PREFILL for at in range(length)]
        return length / min(self.prefill(tokens), self.prefill(tokens, BATCH))

    def score(self, row: Row) -> tuple[float, npt.NDArray[np.float64]]:
        """Seconds for one pass a choice, and the choices' log-probabilities, shape (choices,)."""
        prompt = self.weights.tokenize(row.prompt, special=True)
        seconds = self.prefill(prompt)
        logits = self._context.logits().astype(np.float64)
        logits -= logits.max()
        logits -= np.log(np.exp(logits).sum())
        spelt = [self.weights.tokenize_inside(choice, special=False) for choice in row.choices]
        if any(len(tokens) != 1 for tokens in spelt):
            raise SystemExit(f"the choices {row.choices} are not of one token each")
        return seconds * len(spelt), logits[[tokens[0] for tokens in spelt]]


def measure(
    rows: list[Row], engine: BatchEngine, native: Passes, same: Passes, every: int, t: Tally
) -> None:
    requests = [ScoreRequest(choice, prompt=row.prompt) for row in rows for choice in row.choices]
    prompts = [same.weights.tokenize(row.prompt, special=True) for row in rows]
    unique = len({tuple(one[:end]) for one in prompts for end in range(1, len(one) + 1)})
    t.unique += unique
    t.rows += len(rows)
    if every:
        spent = sum(native.score(row)[0] for row in rows[::every])
        t.native += spent * sum(map(len, prompts)) / sum(map(len, prompts[::every]))

    before = same.bare(PREFILL)
    held = engine.decoded_tokens
    start = time.perf_counter()
    scores = engine.score(requests)
    t.tree += time.perf_counter() - start
    t.decoded += engine.decoded_tokens - held
    t.bare += [before, same.bare(PREFILL)]
    t.own += unique / same.bare(sum(map(len, prompts)) // len(prompts))

    size = len(rows[0].choices)
    for at, row in enumerate(rows):
        seconds, alone = same.score(row)
        t.same += seconds
        ours = np.array([score.logprob for score in scores[at * size : (at + 1) * size]])
        t.agreed += int(ours.argmax() == alone.argmax())
        t.differences += np.abs(ours - alone).tolist()


def report(task: str, t: Tally, bars: dict[str, float]) -> None:
    limit = float(np.mean(t.bare))
    results = {
        "native": t.native / t.tree,
        "decoded": t.decoded / t.unique,
        "limit": t.unique / t.tree / limit,
        "agree": t.agreed / t.rows,
        "difference": float(np.mean(t.differences)),
    }
    print(f"{task}: {t.rows} rows, {len(t.differences)} requests, {t.unique} unique tokens")
    print(f"  batch engine                      {t.tree:9.1f} s")
    if t.native:
        print(
            f"  one at a time, native form        {t.native:9.1f} s  {results['native']:6.1f} times"
        )
    print(f"  one at a time, the engine's form  {t.same:9.1f} s  {t.same / t.tree:6.1f} times")
    print(
        f"  bare prefill, the engine's form   {limit:9.0f} tokens/s; tree {t.unique / t.tree:.0f}"
    )
    print(f"  of the speed of bare sequences of own length  {t.own / t.tree:.4f}")
    print(f"  largest difference of a log-probability {max(t.differences):.4f}")
    for name, value in results.items():
        if name in bars and (t.native or name != "native"):
            bar = bars[name]
            holds = value <= bar if name in ("decoded", "difference") else value >= bar
            print(f"  {name:10} {value:8.4f}  (bar {bar}: {'holds' if holds else 'MISSED'})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--rows", type=int, default=25)
    parser.add_argument("--tasks", nargs="+", default=["mmlu", "boolq", "agnews"])
    parser.add_argument("--native", type=int, default=5, metavar="EVERY", help="0: not at all")
    options = parser.parse_args()

    from trivium.models import hardware, store

    path = store.resolve(options.model)
    threads = hardware.usable_cores()
    engine = BatchEngine(path, name=options.model)
    print(f"weights: {engine.fingerprint.settings['weights']}, {threads} threads")
    native = Passes(Weights(path), threads)
    same = Passes(Weights(choose_form(path, "auto")[0]), threads)
    every = {"decoded": 1.05, "agree": 0.995, "difference": 0.01}
    for task in options.tasks:
        tally = Tally()
        for rows in parts(task, options.rows):
            measure(rows, engine, native, same, options.native, tally)
        bars = {"native": 20, "limit": 0.85} if task == "mmlu" else {"native": 1.5}
        report(task, tally, every | bars)
    engine.close()


if __name__ == "__main__":
    main()
