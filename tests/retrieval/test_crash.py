"""kill -9 and crowds: an index is whole whatever happened to those who wrote it."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.embedder import WordEmbedder
from tests.retrieval.contents import contents
from trivium.retrieval.index import Index

KILLS = 20
FILES = 120

WRITE = """
import sys
from pathlib import Path
from tests.embedder import WordEmbedder
from trivium.retrieval import indexing
from trivium.retrieval.index import Index
indexing.GROUP = 8  # many transactions, so that a kill meets all kinds of moments
print("ready", flush=True)
with Index.create(Path(sys.argv[1]), embedder=WordEmbedder()) as index:
    print(index.add(sys.argv[2:]).passages)
"""

ASK = """
import sys
from pathlib import Path
from tests.embedder import WordEmbedder
from trivium.retrieval.index import Index
with Index.open(Path(sys.argv[1]), embedder=WordEmbedder()) as index:
    for _ in range(30):
        for hit in index.search("river number seven", 5):
            passage = hit.passage
            assert index.text(passage.path)[passage.start : passage.end] == passage.text
"""


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    draw = random.Random(0)
    words = "river flows north south east west number one two seven delta spring".split()
    for number in range(FILES):
        file = folder / f"{number % 4}" / f"{number:03}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        paragraphs = [" ".join(draw.choices(words, k=25)) + "." for _ in range(3)]
        file.write_text(f"# River {number}\n\n" + "\n\n".join(paragraphs) + "\n")
    return folder


def start(code: str, *arguments: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path.cwd()
    )


def finish(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def in_one_go(tmp_path: Path, docs: Path) -> Path:
    folder = tmp_path / "whole"
    with Index.create(folder, embedder=WordEmbedder()) as index:
        index.add([docs])
    return folder


def test_killed_at_random_moments_it_ends_as_if_built_in_one_go(tmp_path: Path, docs: Path) -> None:
    began = time.perf_counter()
    process = start(WRITE, tmp_path / "trial", docs)
    assert process.stdout is not None
    process.stdout.readline()
    ready = time.perf_counter() - began
    finish(process)
    working = time.perf_counter() - began - ready

    draw = random.Random(1)
    killed = 0
    whole = contents(tmp_path / "trial")
    while killed < KILLS:
        process = start(WRITE, tmp_path / "index", docs)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(draw.uniform(0, working))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        # What is there at any time is whole: it can be read, and all of it is right.
        assert set(contents(tmp_path / "index")) <= set(whole)
        if process.returncode == -signal.SIGKILL:
            killed += 1
        else:  # it was done before the signal came: begin again
            shutil.rmtree(tmp_path / "index")

    finish(start(WRITE, tmp_path / "index", docs))
    assert contents(tmp_path / "index") == contents(in_one_go(tmp_path, docs))
    with Index.open(tmp_path / "index", embedder=WordEmbedder()) as index:
        found = index.search("river number seven", 10)
    with Index.open(tmp_path / "whole", embedder=WordEmbedder()) as index:
        wanted = index.search("river number seven", 10)
    assert [(h.passage.path, h.passage.start, h.cosine) for h in found] == [
        (h.passage.path, h.passage.start, h.cosine) for h in wanted
    ]


def test_two_writers_and_a_reader_do_not_disturb_each_other(tmp_path: Path, docs: Path) -> None:
    with Index.create(tmp_path / "index", embedder=WordEmbedder()) as index:
        index.add([docs / "0"])
    together = [
        start(WRITE, tmp_path / "index", docs / "1", docs / "2"),
        start(WRITE, tmp_path / "index", docs / "2", docs / "3"),
        start(ASK, tmp_path / "index"),
    ]
    for process in together:
        finish(process)
    with Index.open(tmp_path / "index", embedder=WordEmbedder()) as index:
        assert len(index.documents()) == FILES
    assert contents(tmp_path / "index") == contents(in_one_go(tmp_path, docs))
