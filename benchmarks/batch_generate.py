"""Writing 64 answers of 64 tokens: the batch engine against one at a time.

    python -m benchmarks.batch_generate [MODEL] [--prompts 64] [--tokens 64]

Prompts are news of AG News to be summed up, greedy, through the chat template. One at a time is
timed on every fourth prompt, on the native form of the weights (what a user had before) and on the
batch engine's, before and after the batch: machines are seldom quiet. An end token ends an answer
early on either side, so that speeds are in new tokens a second. The bar is a ratio of 2 to the
faster of the two.
"""

import argparse
import csv
import time
from collections.abc import Sequence
from itertools import islice

from benchmarks.data import data_folder
from trivium.engines.base import Completion, Engine, Message, Request, Sampling
from trivium.engines.batch import BatchEngine
from trivium.engines.llama import LlamaEngine

BAR = 2.0
EVERY = 4  # of the prompts, one is answered alone


def prompts(count: int, tokens: int) -> list[Request]:
    with (data_folder() / "agnews" / "test.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(islice(csv.reader(lines), count))
    return [
        Request(
            (Message("user", f"Explain this news to a child: {row[1]}. {row[2]}"),),
            sampling=Sampling(max_tokens=tokens),
        )
        for row in rows
    ]


def alone(engine: Engine, requests: Sequence[Request]) -> tuple[list[Completion], float]:
    start = time.perf_counter()
    answers = [engine.generate([request])[0] for request in requests]
    return answers, time.perf_counter() - start


def speed(answers: Sequence[Completion], seconds: float) -> float:
    return sum(answer.completion_tokens for answer in answers) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64)
    options = parser.parse_args()

    from trivium.models import store

    path = store.resolve(options.model)
    engine = BatchEngine(path, name=options.model, context_length=2048)
    native = LlamaEngine(path, name=options.model, context_length=2048)
    requests = prompts(options.prompts, options.tokens)
    some = requests[::EVERY]
    half = len(some) // 2

    first, early = alone(engine, some[:half])
    natives, early_native = alone(native, some[:half])
    start = time.perf_counter()
    together = engine.generate(requests)
    seconds = time.perf_counter() - start
    second, late = alone(engine, some[half:])
    more, late_native = alone(native, some[half:])

    singles = [*first, *second]
    ours = speed(together, seconds)
    same = speed(singles, early + late)
    theirs = speed([*natives, *more], early_native + late_native)
    form = engine.fingerprint.settings["weights"]
    print(f"{len(requests)} together, {form:6}      {ours:7.1f} tokens/s in {seconds:.1f} s")
    print(f"one at a time, {form:6}    {same:7.1f} tokens/s ({len(singles)} prompts)")
    print(f"one at a time, native    {theirs:7.1f} tokens/s ({len(singles)} prompts)")
    ratio = ours / max(same, theirs)
    verdict = "holds" if ratio >= BAR else "MISSED"
    print(f"ratio to the faster      {ratio:7.2f}  (bar {BAR}: {verdict})")
    equal = sum(a.text == b.text for a, b in zip(together[::EVERY], singles, strict=True))
    print(f"the same text, same form {equal} of {len(singles)}")
    engine.close()
    native.close()


if __name__ == "__main__":
    main()
