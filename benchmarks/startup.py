"""Start-up: `trivium --version` against a bare Typer program that only knows its version.

    python -m benchmarks.startup [--rounds 20]

Both are started by the same interpreter as scripts of their own, in turns. The bar is a median of
at most 1.3 times the bare program's.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BAR = 1.3

BARE = '''
from typing import Annotated

import typer

app = typer.Typer()


def show(asked: bool) -> None:
    if asked:
        typer.echo("bare 0.1.0")
        raise typer.Exit


@app.callback()
def root(version: Annotated[bool, typer.Option("--version", callback=show)] = False) -> None:
    """A program that only knows its version."""


@app.command()
def nothing() -> None: ...


app()
'''

TRIVIUM = """
from trivium.cli.main import main

main()
"""


def seconds(script: Path) -> float:
    """Wall time of one start."""
    start = time.perf_counter()
    subprocess.run([sys.executable, str(script), "--version"], check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        ours, bare = Path(folder, "ours.py"), Path(folder, "bare.py")
        ours.write_text(TRIVIUM, encoding="utf-8")
        bare.write_text(BARE, encoding="utf-8")
        seconds(ours), seconds(bare)  # the first start writes bytecode and warms the disk cache
        times = [(seconds(ours), seconds(bare)) for _ in range(rounds)]
    one, other = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"trivium --version  {1000 * one:6.1f} ms, median of {rounds}")
    print(f"bare typer         {1000 * other:6.1f} ms")
    print(f"ratio {one / other:.2f}, at most {BAR} wanted")
    sys.exit(one / other > BAR)


if __name__ == "__main__":
    main()
