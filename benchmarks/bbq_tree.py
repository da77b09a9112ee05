"""BBQ through the runner: tokens decoded against those of the tree, and against single requests.

    python -m benchmarks.bbq_tree [MODEL] [--suite bbq] [--limit N] [--every 50]

A whole run of the suite on the batch engine, stored as any run, in a folder that is thrown away.
"Unique" are the tokens of one prefix tree over all prompts and answers of the run; what the run's
shards decode beyond that is decoded twice. The other side is one request for each answer: a pass
over its own prompt and the answer, nothing reused, on the native form of the weights, which is what
a user had before. It is timed on every `--every`-th row, between shards, since machines are seldom
quiet, and scaled by tokens. `--limit` takes the first rows, so that templates stay whole.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from benchmarks.batch_score import Passes
from benchmarks.data import data_folder
from trivium.engines.batch import BatchEngine
from trivium.engines.native import Weights
from trivium.engines.prefix_tree import PrefixTree
from trivium.evals.asking import Asker
from trivium.evals.cache import Cache
from trivium.evals.plan import Plan, make_plan
from trivium.evals.runner import Progress, run
from trivium.evals.store import Runs
from trivium.evals.suite import load_suite

DECODED, SPEED = 1.1, 8.0


def requests_of(plan: Plan, weights: Weights) -> list[list[tuple[list[int], list[int]]]]:
    """Prompt and answer as tokens, for each answer of each row."""
    asker = Asker(plan.suite, plan.prompts[0], plan.pool)
    lead, offered = plan.suite.delimiter, plan.suite.choices
    found = []
    for row in plan.rows:
        prompt = weights.tokenize(asker.asked(row).prompt, special=True)
        texts = row.inputs[offered] if isinstance(offered, str) else offered
        answers = [str(text) for text in texts] if isinstance(texts, list) else []
        found.append(
            [(prompt, weights.tokenize_inside(lead + text, special=False)) for text in answers]
        )
    return found


def measure(model: str, suite: str, limit: int | None, every: int) -> None:
    from trivium.models import hardware, store

    said = load_suite(suite)
    said = said.model_copy(update={"data": said.data.model_copy(update={"seed": None})})
    plan = make_plan(said, [model], limit=limit)
    path = store.resolve(model)
    native = Weights(path)
    requests = requests_of(plan, native)
    tree = PrefixTree()
    for number, (prompt, answer) in enumerate(pair for row in requests for pair in row):
        tree.add(number, prompt, answer)

    passes, sample = Passes(native, hardware.usable_cores()), requests[::every]
    timed = tokens = 0
    seconds = aside = 0.0

    def watch(progress: Progress) -> None:
        nonlocal timed, tokens, seconds, aside
        began = time.perf_counter()
        while timed < len(sample) * progress.done / progress.total:
            for prompt, answer in sample[timed]:
                seconds += passes.prefill(prompt + answer[:-1])
                tokens += len(prompt) + len(answer) - 1
            timed += 1
        aside += time.perf_counter() - began

    engine = BatchEngine(path, name=model)
    form = engine.fingerprint.settings["weights"]
    with (
        tempfile.TemporaryDirectory() as folder,
        Runs(Path(folder) / "runs.db") as runs,
        Cache(Path(folder) / "cache.db") as cache,
    ):
        start = time.perf_counter()
        name = run(plan, lambda _: engine, runs=runs, cache=cache, watch=watch)
        whole = time.perf_counter() - start - aside
        failed = runs.get(name).failed
    decoded, alone = engine.decoded_tokens, seconds * tree.added / tokens
    print(
        f"{suite}: {len(plan.rows)} rows, {tree.added:,} tokens of requests, {failed} rows failed"
    )
    print(f"  batch engine, weights {form}:  {whole:8.1f} s  {len(plan.rows) / whole:7.2f} rows/s")
    print(
        f"  one request an answer:     {alone:8.1f} s  {len(plan.rows) / alone:7.2f} rows/s  "
        f"(from {timed} rows)"
    )
    verdict("decoded / unique tokens", decoded / tree.size, DECODED, at_most=True)
    verdict("rows a second, times", alone / whole, SPEED, at_most=False)
    print(f"  {decoded:,} tokens decoded, {tree.size:,} unique")


def verdict(name: str, value: float, bar: float, *, at_most: bool) -> None:
    holds = value <= bar if at_most else value >= bar
    print(f"  {name:24} {value:7.3f}  (bar {bar}: {'holds' if holds else 'MISSED'})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--suite", default="bbq", choices=["bbq", "bbq_letter", "bbq_fewshot"])
    parser.add_argument("--limit", type=int)
    parser.add_argument("--every", type=int, default=50)
    options = parser.parse_args()
    os.environ.setdefault("TRIVIUM_DATA", str(data_folder()))
    measure(options.model, options.suite, options.limit, options.every)


if __name__ == "__main__":
    main()
