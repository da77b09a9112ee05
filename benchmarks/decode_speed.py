"""Streaming decode speed: `LlamaEngine.stream` against llama-cpp-python's own bare loop.

    python -m benchmarks.decode_speed [MODEL] [--tokens 128] [--rounds 5]

Both sides load the same file with the same threads, take the same prompt tokens and write the same
number of tokens greedily, in turns. Only the decoding is timed, from the first new token to the
last. The bar is a ratio of at least 0.97.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trivium.engines.base import Request, Sampling
from trivium.engines.llama import CHUNK, LlamaEngine
from trivium.engines.native import library, repacks

PROMPT = "The history of the sea is long. At first there was only water, and then"
BAR = 0.97


def engine_speed(engine: LlamaEngine, count: int) -> float:
    """Tokens per second of our stream, the decoding of each token to text included."""
    times: list[float] = []
    request = Request(prompt=PROMPT, sampling=Sampling(max_tokens=count))
    for chunk in engine.stream(request):
        times.append(time.perf_counter())
        done = chunk.completion
    assert done is not None
    assert done.completion_tokens == count, "the model stopped early: choose another prompt"
    return (count - 1) / (times[-1] - times[0])


def bare_speed(llama: Any, count: int) -> float:
    """Tokens per second of `Llama.generate` and `detokenize`, nothing around them."""
    tokens = llama.tokenize(PROMPT.encode(), add_bos=False)
    llama.reset()
    times: list[float] = []
    for token in llama.generate(tokens, temp=0.0, top_k=1, repeat_penalty=1.0):
        llama.detokenize([token])
        times.append(time.perf_counter())
        if len(times) == count:
            break
    return (count - 1) / (times[-1] - times[0])


def bare_llama(model: Path, threads: int) -> Any:
    """`llama_cpp.Llama` with our layout of the weights, which it has no parameter for."""
    lib = library()
    defaults = lib.llama_cpp.llama_model_default_params

    def params() -> Any:
        values = defaults()
        values.use_extra_bufts = repacks()
        return values

    lib.llama_cpp.llama_model_default_params = params
    return lib.Llama(
        str(model),
        n_ctx=1024,
        n_batch=CHUNK,
        n_ubatch=CHUNK,
        n_threads=threads,
        n_threads_batch=threads,
        verbose=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    from trivium.models import hardware, store

    path = Path(options.model)
    path = path if path.is_file() else store.resolve(options.model)
    threads = hardware.usable_cores()
    engine = LlamaEngine(path, context_length=1024, threads=threads)
    llama = bare_llama(path, threads)

    sides: dict[str, Callable[[], float]] = {
        "trivium": lambda: engine_speed(engine, options.tokens),
        "bare loop": lambda: bare_speed(llama, options.tokens),
    }
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for run in sides.values():  # warm up: the first pass reads the weights from disk
        run()
    for _ in range(options.rounds):
        for name, run in sides.items():
            speeds[name].append(run())
    ours, theirs = (statistics.median(speeds[name]) for name in sides)
    for name, values in speeds.items():
        runs = " ".join(f"{value:.1f}" for value in values)
        print(f"{name:10} {statistics.median(values):7.1f} tokens/s  ({runs})")
    verdict = "holds" if ours / theirs >= BAR else "MISSED"
    print(f"ratio      {ours / theirs:7.3f}  (bar {BAR}: {verdict})")
    engine.close()


if __name__ == "__main__":
    main()
