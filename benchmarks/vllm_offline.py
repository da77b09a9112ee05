"""vLLM's offline engine against the batch engine: the same weights, the same requests.

    python -m benchmarks.vllm_offline [MODEL] [--rows 2] [--python INTERPRETER] [--folder FOLDER]

MMLU 5-shot, `--rows` of each of 4 subjects, and as many greedy answers of at most 24 tokens to
news of AG News. vLLM computes in float32 with the weights in `FOLDER`, which scripts/hf_folder.py
makes from MODEL's file, the batch engine with F16; a process of its own runs it, by the
interpreter `--python`. Both are what `make test-vllm` makes, and the defaults.

MMLU is scored twice. `of the prompts` are the tokens decoded, of those of all requests' prompts:
the four choices that share a request of vLLM's make it 0.25, and what is less comes from its cache.
Bars: log-probabilities differ by at most 0.02 on average, the choices are the same, and less than
0.2 is decoded in vLLM's first pass.
"""

import argparse
import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.batch_score import SUBJECTS, Row, agnews, mmlu
from trivium.engines.base import Engine, Message, Request, Sampling, ScoreRequest

BAR = 0.02
SHARE = 0.2
WORDS = 24  # tokens of an answer

Job = dict[str, Any]


def scored(job: Job) -> list[ScoreRequest]:
    return [
        ScoreRequest(choice, prompt=prompt) for prompt, choices in job["rows"] for choice in choices
    ]


def asked(job: Job) -> list[Request]:
    sampling = Sampling(max_tokens=WORDS)
    return [Request((Message("user", text),), sampling=sampling) for text in job["news"]]


def measure(engine: Any, job: Job) -> Job:
    """One side: seconds, tokens decoded, log-probabilities, answers."""
    done: Job = {"prompts": _tokens(engine, scored(job)), "seconds": [], "decoded": []}
    for _ in range(2):
        before, start = engine.decoded_tokens, time.perf_counter()
        done["logprobs"] = [score.logprob for score in engine.score(scored(job))]
        done["seconds"].append(time.perf_counter() - start)
        done["decoded"].append(engine.decoded_tokens - before)
    start = time.perf_counter()
    answers = engine.generate(asked(job))
    done["writing"] = time.perf_counter() - start
    done["answers"] = [(one.text, one.prompt_tokens) for one in answers]
    done["library"] = engine.fingerprint.library
    return done


def _tokens(engine: Engine, requests: Sequence[ScoreRequest]) -> int:
    return sum(engine.count_tokens(Request(prompt=request.prompt)) for request in requests)


def serve(folder: Path, file: Path) -> None:
    """vLLM's side, in its own environment: the job in `file`, whose place the result takes."""
    from trivium.engines.vllm import VllmEngine

    engine = VllmEngine(folder, context_length=4096)
    file.write_text(json.dumps(measure(engine, json.loads(file.read_text()))))
    engine.close()


def other_side(python: str, folder: Path, job: Job) -> Job:
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / "job.json"
        file.write_text(json.dumps(job))
        settings = {"TRIVIUM_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
        command = [python, "-m", "benchmarks.vllm_offline", "--serve", str(file)]
        subprocess.run([*command, "--folder", str(folder)], check=True, env=os.environ | settings)
        found: Job = json.loads(file.read_text())
        return found


def report(rows: Sequence[Row], ours: Job, theirs: Job) -> None:
    shape = (len(rows), -1)
    mine, other = (np.reshape(side["logprobs"], shape) for side in (ours, theirs))
    differences = np.abs(mine - other)
    same = int((mine.argmax(axis=1) == other.argmax(axis=1)).sum())
    print(f"MMLU, {len(rows)} rows, {mine.size} requests, {ours['prompts']} tokens of prompts")
    sides = (("batch engine, F16", ours), (f"{theirs['library']}, float32", theirs))
    for name, side in sides:
        share = [decoded / side["prompts"] for decoded in side["decoded"]]
        times = ", again ".join(f"{seconds:.1f} s" for seconds in side["seconds"])
        print(f"  {name:22} {times}; of the prompts {share[0]:.3f}, again {share[1]:.3f}")
    mean = float(differences.mean())
    print(f"  mean difference {mean:.4f}, largest {differences.max():.4f}  ({_bar(mean <= BAR)})")
    print(f"  same choice {same} of {len(rows)}  ({_bar(same == len(rows))})")
    cached = theirs["decoded"][0] < SHARE * theirs["prompts"]
    print(f"  vLLM decoded less than {SHARE} of the prompts  ({_bar(cached)})")
    pairs = list(zip(ours["answers"], theirs["answers"], strict=True))
    texts = sum(one[0] == two[0] for one, two in pairs)
    lengths = sum(one[1] == two[1] for one, two in pairs)
    print(f"AG News, {len(pairs)} answers of at most {WORDS} tokens")
    for name, side in sides:
        print(f"  {name:22} {side['writing']:.1f} s")
    print(f"  the same text {texts}, prompts of the same length {lengths}")


def _bar(holds: bool) -> str:
    return "bar holds" if holds else "bar MISSED"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--rows", type=int, default=2)
    parser.add_argument("--python", default=".venv-vllm/bin/python")
    parser.add_argument("--folder", type=Path, default=Path(".cache/smollm2-135m-hf"))
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.folder, options.serve)
        return
    if not Path(options.python).exists() or not options.folder.is_dir():
        print("not run: there is no vLLM or no model for it; `make test-vllm` makes both")
        return

    from trivium.engines.batch import BatchEngine
    from trivium.models import store

    rows = [row for subject in SUBJECTS[:4] for row in mmlu(subject, options.rows)]
    job = {
        "rows": [(row.prompt, row.choices) for row in rows],
        "news": [row.prompt.removesuffix("\nTopic:") for row in agnews(len(rows))],
    }
    theirs = other_side(options.python, options.folder, job)
    engine = BatchEngine(store.resolve(options.model), name=options.model)
    ours = measure(engine, job)
    engine.close()
    report(rows, ours, theirs)


if __name__ == "__main__":
    main()
