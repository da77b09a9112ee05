"""The terminal chat: from Enter to a prompt, and the CPU that streaming Markdown takes.

    python -m benchmarks.chat_start [--rounds 10]

The prompt is bare prompt_toolkit's beside ours, in turns: each is a process in a terminal of its
own, timed until its prompt is on the screen. The bar is 0.5 s. The Markdown is 1,000 tokens that
come at 50 a second, by a clock that does not wait; the bar is 0.5 s of CPU, and rendering the whole
answer anew ten times a second stands beside it.
"""

import argparse
import io
import statistics
import sys
import time
from collections.abc import Callable

import pexpect
from rich.console import Console
from rich.markdown import Markdown

from trivium.cli.terminal.markdown import REPAINT, MarkdownStream

START_BAR = 0.5
MARKDOWN_BAR = 0.5
PACE = 0.02

BARE = "from prompt_toolkit import PromptSession; PromptSession('> ').prompt()"

PAGE = """## Tides

The **Moon** pulls the sea twice a day, and the Sun helps at new and full Moon.

1. Gravity draws the water of the near side most.
2. Inertia leaves that of the far side behind.

```python
def height(hour: float) -> float:
    return 2.0 * math.sin(hour / 6.2)  # metres
```

| place | metres |
|---|---:|
| Fundy | 16 |

"""


def start(code: list[str]) -> float:
    """Seconds until a prompt stands."""
    begin = time.perf_counter()
    child = pexpect.spawn(sys.executable, code, encoding="utf-8", dimensions=(24, 80), timeout=60)
    child.expect_exact(">")
    seconds = time.perf_counter() - begin
    child.close(force=True)
    return seconds


def console() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100, height=40)


def streamed(pieces: list[str]) -> float:
    """Seconds of CPU for `pieces`, one every PACE; the clock counts what painting takes as well."""
    skipped = 0.0
    began = time.process_time()
    markdown = MarkdownStream(console(), lambda: time.perf_counter() + skipped)
    for piece in pieces:
        markdown.feed(piece)
        skipped += PACE
    markdown.close()
    return time.process_time() - began


def rendered_anew(pieces: list[str]) -> float:
    """Seconds of CPU when the whole answer is rendered at every painting."""
    out, every = console(), round(REPAINT / PACE)
    began = time.process_time()
    for end in range(every, len(pieces) + 1, every):
        out.print(Markdown("".join(pieces[:end])))
    return time.process_time() - began


def median(measure: Callable[[], float], rounds: int) -> float:
    return statistics.median(measure() for _ in range(rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    ours, bare = ["-m", "trivium.cli.main", "chat"], ["-c", BARE]
    start(ours), start(bare)  # the first start writes bytecode and warms the disk cache
    times = [(start(ours), start(bare)) for _ in range(rounds)]
    prompt, least = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"trivium chat         {prompt:6.2f} s to a prompt, median of {rounds}")
    print(f"bare prompt_toolkit  {least:6.2f} s")
    print(f"ratio {prompt / least:.2f}; at most {START_BAR} s wanted")

    pieces = [f"{word} " for word in (PAGE * 30).split(" ")][:1000]
    streamed(pieces)
    cpu = median(lambda: streamed(pieces), 3)
    whole = median(lambda: rendered_anew(pieces), 1)
    print(f"streamed Markdown    {cpu:6.2f} s of CPU for 1,000 tokens at 50 a second")
    print(f"rendered anew        {whole:6.2f} s")
    print(f"ratio {cpu / whole:.3f}; at most {MARKDOWN_BAR} s wanted")
    sys.exit(prompt > START_BAR or cpu > MARKDOWN_BAR)


if __name__ == "__main__":
    main()
