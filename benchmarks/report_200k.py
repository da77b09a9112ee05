"""200,000 records: how long a run takes to open, and its page to write and to open in a browser.

    python -m benchmarks.report_200k [--records N] [--browser chromium]

Each step runs in a process of its own, so that its peak memory is its own. The bar: at most 2 s
and 300 MB to open a run, and the same for its page in a browser.
"""

import argparse
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trivium.evals.base import Cell, Record, Row
from trivium.evals.store import PlannedCell, Runs

WORDS = Path(__file__).with_name("__init__.py").read_text() + (__doc__ or "")


def build(file: Path, count: int) -> None:
    """A run of four cells with two metrics and answers of 200 to 300 characters."""
    rng = random.Random(1)
    words = sorted({word.strip(".,:`'\"") for word in WORDS.split()})
    cells = [Cell(model, prompt) for model in ("small", "large") for prompt in ("plain", "steps")]
    per = count // len(cells)
    rows = [
        Row(f"q-{n:06}", {"question": " ".join(rng.choices(words, k=20))}, "yes", f"doc {n // 8}")
        for n in range(per)
    ]
    with Runs(file) as runs:
        planned = [PlannedCell(cell, "0" * 64) for cell in cells]
        name = runs.begin("bench", "0" * 64, {}, planned, rows, per * len(cells))
        for number, cell in enumerate(cells):
            for start in range(0, per, 5_000):
                shard = [
                    (number, n, _record(name, number * per + n, cell, rows[n], rng, words))
                    for n in range(start, min(start + 5_000, per))
                ]
                runs.commit(name, shard)
        runs.finish(name, {})


def _record(
    run: str, index: int, cell: Cell, row: Row, rng: random.Random, words: list[str]
) -> Record:
    text = " ".join(rng.choices(words, k=40))
    scores = {"exact": float(rng.random() < 0.6), "f1": round(rng.random(), 3)}
    return Record(
        run,
        index,
        row.id,
        0,
        cell.model,
        "",
        cell.prompt,
        "0" * 64,
        row.inputs,
        row.target,
        text,
        scores=scores,
        cluster=row.cluster,
        prompt_tokens=60,
        completion_tokens=50,
        seconds=rng.random(),
    )


def open_run(file: Path) -> None:
    """All that `trivium eval report RUN` shows in a terminal."""
    from trivium.evals.columns import of_run
    from trivium.evals.report.terminal import means
    from trivium.evals.summary import summarise

    with Runs(file) as runs:
        for row in means(summarise(of_run(runs, "bench"))).rows:
            print("   ", " ".join(row))


def write_page(file: Path) -> None:
    from trivium.evals.columns import of_run
    from trivium.evals.report.pack import Side
    from trivium.evals.report.page import Shown, page
    from trivium.evals.summary import summarise

    with Runs(file) as runs, file.with_suffix(".html").open("w", encoding="utf-8") as out:
        columns = of_run(runs, "bench")
        side = Side("bench", columns, runs.records("bench"))
        out.writelines(page("bench", [Shown(side, summarise(columns), {})]))


def browse(browser: str, page: Path) -> str:
    """Milliseconds until the rows stand there, as the page itself says; the peak of its process."""
    command = f"{browser} --headless --no-sandbox --disable-gpu --disable-background-networking"
    command += " --enable-logging=stderr --remote-debugging-port=0"
    ready, peak, end = None, 0, time.monotonic() + 60
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        log = Path(profile) / "log"
        with log.open("w") as out:
            started = subprocess.Popen(
                [*command.split(), f"--user-data-dir={profile}", page.as_uri()],
                stdout=subprocess.DEVNULL,
                stderr=out,
            )
            while ready is None and started.poll() is None and time.monotonic() < end:
                peak = max(peak, _renderer(profile))
                ready = re.search(r"ready after (\d+) ms", log.read_text(errors="replace"))
                time.sleep(0.02)
            peak = max(peak, _renderer(profile))
            started.terminate()
            started.wait()
    return f"{ready[1] if ready else 'never'} ms, {peak / 1e6:.0f} MB in the page's process"


def _renderer(profile: str) -> int:
    """Private bytes of the largest renderer of the browser with that profile."""
    largest = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
            if b"--type=renderer" not in line or profile.encode() not in line:
                continue
            found = re.search(r"RssAnon:\s+(\d+) kB", (folder / "status").read_text())
        except OSError:
            continue  # it has ended
        largest = max(largest, int(found[1]) * 1000 if found else 0)
    return largest


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--browser")
    parser.add_argument("--step")
    parser.add_argument("--file", type=Path)
    given = parser.parse_args()
    if given.step:
        {"open": open_run, "page": write_page}[given.step](given.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "runs.db"
        build(file, given.records)
        print(f"{given.records:,} records, {file.stat().st_size / 1e6:.0f} MB in SQLite")
        for step in ("open", "page"):
            start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, "-m", "benchmarks.report_200k", "--step", step]
            subprocess.run([*command, "--file", str(file)], check=True)
            took, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
            peak = used.ru_maxrss / 1e3
            print(f"{step}: {took:.2f} s, {cpu:.2f} s of CPU, with the start of Python; ", end="")
            print(f"{peak:.0f} MB at most so far")
        made = file.with_suffix(".html")
        print(f"the page has {made.stat().st_size / 1e6:.1f} MB")
        if given.browser:
            print(f"{given.browser}: {browse(given.browser, made)}")


if __name__ == "__main__":
    main()
