"""Going on with a long conversation: its prompt decoded again, against its KV state loaded.

    python -m benchmarks.resume [MODEL] [--context TOKENS] [--rounds 3]

A conversation that fills the model's context but for a last short turn is decoded, answered and
saved. Then both sides get that conversation with one more question and are timed to the first
token of the answer, the reading and checking of the state included. The answers have to be the
same, to the letter and the last bit of every log-probability. The bar is a ratio of at least 10.
"""

import argparse
import random
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from trivium.engines.base import Completion, Message, Request, Sampling
from trivium.engines.llama import LlamaEngine

BAR = 10
ROOM = 96  # tokens left for the last question and its answer
QUESTION = Message("user", "Which of these was the oldest?")
WORDS = (
    "ship harbour winter garden letter river captain market window mountain road castle morning "
    "horse bridge village summer island candle forest"
).split()


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds to the first token, and the answer."""

    seconds: float
    answer: Completion


def conversation(engine: LlamaEngine) -> Request:
    """Turns of generated sentences, as many as the context holds."""
    draw = random.Random(0)
    messages: tuple[Message, ...] = (Message("system", "You tell of the old days."),)
    while True:
        a, b, c = draw.sample(WORDS, 3)
        year = draw.randint(1500, 1900)
        more = (
            Message("user", f"What happened to the {a} near the {b} in {year}?"),
            Message("assistant", f"In {year} the {a} was sold for a {c}, and the {b} stood empty."),
        )
        longer = Request((*messages, *more, QUESTION))
        if engine.count_tokens(longer) > engine.context_length - ROOM:
            return Request((*messages, QUESTION), sampling=Sampling(max_tokens=8), logprobs=0)
        messages = (*messages, *more)


def go_on(engine: LlamaEngine, request: Request, state: Path | None) -> Run:
    start = time.perf_counter()
    if state is not None:
        engine.load_state(state)
    first = 0.0
    for chunk in engine.stream(request):
        first = first or time.perf_counter() - start
        done = chunk.completion
    assert done is not None
    return Run(first, done)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--context", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    from trivium.models import store

    path = Path(options.model)
    path = path if path.is_file() else store.resolve(options.model)

    def opened() -> LlamaEngine:
        return LlamaEngine(path, name=options.model, context_length=options.context)

    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "conversation.kv"
        engine = opened()
        request = conversation(engine)
        answered = engine.generate([replace(request, logprobs=None)])[0]
        start = time.perf_counter()
        held = engine.save_state(state)
        saving = time.perf_counter() - start
        engine.close()
        more = (Message("assistant", answered.text), Message("user", "Why?"))
        request = replace(request, messages=request.messages + more)

        sides: dict[str, list[Run]] = {"prefill": [], "load_state": []}
        for _ in range(options.rounds):
            for name, runs in sides.items():
                engine = opened()  # as a new process would
                runs.append(go_on(engine, request, state if name == "load_state" else None))
                engine.close()
        size = state.stat().st_size / 1e6
    report(sides, held, saving, size)


def report(sides: dict[str, list[Run]], held: int, saving: float, size: float) -> None:
    answers = [run.answer for runs in sides.values() for run in runs]
    same = {(answer.text, answer.logprobs) for answer in answers}
    assert len(same) == 1, "the two sides answer differently"
    print(f"saved {held} tokens, {size:.0f} MB, in {saving:.2f} s")
    middle = {}
    for name, runs in sides.items():
        middle[name] = statistics.median(run.seconds for run in runs)
        last = runs[-1].answer
        each = " ".join(f"{run.seconds:.2f}" for run in runs)
        print(
            f"{name:10} {middle[name]:7.2f} s to the first token  ({each}), "
            f"{last.reused_tokens} of {last.prompt_tokens} tokens reused"
        )
    ratio = middle["prefill"] / middle["load_state"]
    print(f"ratio      {ratio:7.1f}  (bar {BAR}: {'holds' if ratio >= BAR else 'MISSED'})")


if __name__ == "__main__":
    main()
