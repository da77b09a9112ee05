"""Fetched data: pinned hashes, broken downloads, archives, mirrors, and the hub."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import tenacity

from tests.models.server import FileServer, serving
from tests.models.test_hub import BODIES, ETAGS, Hub
from trivium.cli.main import run
from trivium.errors import TriviumError, Unavailable, UsageError
from trivium.evals import fetch as module
from trivium.evals.data import load_rows, locate
from trivium.evals.fetch import Download, Source, fetch, fetchable, fetched, sources, wanted
from trivium.evals.suite import Data, load_suite, shipped_suites

ROWS = b'{"target": "yes", "pad": "' + b"x" * 60_000 + b'"}\n'


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr(tenacity, "wait_random_exponential", lambda **_: tenacity.wait_none())
    with serving() as running:
        yield running


def silent(label: str, done: int, total: int | None) -> None:
    """Nobody looks."""


def download(url: str, content: bytes, path: str | None = "rows.jsonl", **keys: Any) -> Download:
    digest = hashlib.sha256(content).hexdigest()
    members: dict[str, str] = keys.pop("members", {})
    return Download((url, *keys.pop("mirrors", ())), len(content), digest, path, members)


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a data set "toy" of these downloads be all that can be fetched."""

    def use(*downloads: Download) -> None:
        table = {"toy": Source("toy", "CC0", "this test", downloads)}
        monkeypatch.setattr(module, "sources", lambda: table)

    return use


def left(home: Path) -> set[str]:
    """Files under data/, without those of unfinished work."""
    folder = home / "data"
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    return {name for name in found if not name.startswith(".partial")}


def test_a_file_with_the_right_hash_is_kept_and_found(
    server: FileServer,
    offer: Callable[..., None],
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.files["/rows.jsonl"] = ROWS
    offer(download(server.url("/rows.jsonl"), ROWS))
    with pytest.raises(UsageError, match="run: trivium eval fetch toy"):
        locate("toy/rows.jsonl", tmp_path)
    assert server.requests == []  # nothing is fetched unasked
    assert run(["eval", "fetch", "toy"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{home / 'data' / 'toy'}\n"
    assert f"toy: 60 kB, licence: CC0, from {server.url('/rows.jsonl')}" in err
    assert locate("toy/rows.jsonl", tmp_path) == home / "data" / "toy" / "rows.jsonl"
    assert load_rows(Data(file="toy/rows.jsonl"), tmp_path)[0].target == "yes"
    assert run(["eval", "fetch", "toy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"name": "toy", "path": str(home / "data" / "toy")}
    ]
    assert len(server.requests) == 1
    assert not list((home / "data" / ".partial").glob("*/*"))


def test_what_lies_nearer_is_taken_first(
    server: FileServer,
    offer: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.files["/rows.jsonl"] = ROWS
    offer(download(server.url("/rows.jsonl"), ROWS))
    place = fetch("toy", silent)
    shared, beside = tmp_path / "shared", tmp_path / "suite"
    monkeypatch.setenv("TRIVIUM_DATA", str(shared))
    for folder, expected in ((shared, place), (beside, shared / "toy")):
        assert locate("toy/rows.jsonl", beside) == expected / "rows.jsonl"
        (folder / "toy").mkdir(parents=True)
        (folder / "toy" / "rows.jsonl").write_text("{}")
    assert locate("toy/rows.jsonl", beside) == beside / "toy" / "rows.jsonl"


def test_a_wrong_hash_leaves_nothing(
    server: FileServer, offer: Callable[..., None], home: Path, tmp_path: Path
) -> None:
    server.files["/rows.jsonl"] = ROWS[:-2] + b"!\n"
    offer(download(server.url("/rows.jsonl"), ROWS))
    with pytest.raises(Unavailable, match=r"rows.jsonl has sha256 [0-9a-f]{64} instead of"):
        fetch("toy", silent)
    assert left(home) == set()
    assert fetched("toy/rows.jsonl") is None
    with pytest.raises(UsageError, match=r"there is no toy/rows\.jsonl"):
        locate("toy/rows.jsonl", tmp_path)
    server.files["/rows.jsonl"] = ROWS  # and nothing of the wrong bytes is used again
    server.requests.clear()
    assert (fetch("toy", silent) / "rows.jsonl").read_bytes() == ROWS
    assert server.requests == [("/rows.jsonl", None)]


def test_a_broken_download_goes_on_where_it_stopped(
    server: FileServer, offer: Callable[..., None], home: Path
) -> None:
    server.files["/rows.jsonl"] = ROWS
    server.faults = [("cut", 40_000), 503, 503, 503, 503, 503]
    offer(download(server.url("/rows.jsonl"), ROWS))
    with pytest.raises(Unavailable, match="what has arrived is kept"):
        fetch("toy", silent)
    assert left(home) == set()
    server.requests.clear()
    server.faults = []
    assert (fetch("toy", silent) / "rows.jsonl").read_bytes() == ROWS
    assert server.requests == [("/rows.jsonl", "bytes=40000-")]


def test_only_named_members_of_an_archive_are_kept(
    server: FileServer, offer: Callable[..., None], home: Path, tmp_path: Path
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("deep/rows.jsonl", ROWS)
        archive.writestr("../../evil", b"evil")
        archive.writestr("notes", b"notes")
    server.files["/toy.zip"] = packed.getvalue()
    members = {"deep/rows.jsonl": "test/rows.jsonl"}
    offer(download(server.url("/toy.zip"), packed.getvalue(), None, members=members))
    assert fetchable("toy/test") == fetchable("toy/test/rows.jsonl") == "toy"
    assert fetchable("toy/notes") is None
    fetch("toy", silent)
    assert left(home) == {"toy/test/rows.jsonl"}
    assert not list(tmp_path.rglob("evil"))
    offer(download(server.url("/toy.zip"), packed.getvalue(), None, members={"none": "none"}))
    with pytest.raises(TriviumError, match="is in the way and lacks files of toy"):
        fetch("toy", silent)


def test_several_files_appear_together_and_mirrors_are_tried(
    server: FileServer, offer: Callable[..., None], home: Path
) -> None:
    server.files["/b"] = ROWS
    first = download(server.url("/a"), ROWS, "a.jsonl", mirrors=[server.url("/b")])
    second = download(server.url("/c"), b"{}", "c.jsonl")
    offer(first, second)
    with pytest.raises(Unavailable, match="the server answered 404"):
        fetch("toy", silent)
    assert left(home) == set()
    server.files["/c"] = b"{}"
    fetch("toy", silent)
    assert left(home) == {"toy/a.jsonl", "toy/c.jsonl"}


def test_offline_is_one_sentence(
    offer: Callable[..., None], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIVIUM_OFFLINE", "1")
    offer(download("https://data.example/rows.jsonl", ROWS))
    forbidden = "TRIVIUM_OFFLINE=1 forbids the network; unset it to allow this"
    for name, what in (
        ("toy", "https://data.example/rows.jsonl"),
        ("hf:org/toy/rows.parquet", "hf:datasets/org/toy/rows.parquet from the hub"),
    ):
        with pytest.raises(Unavailable) as refused:
            fetch(name, silent)
        assert str(refused.value) == f"cannot download {what}: {forbidden}"
    assert left(home) == set()


def test_names_that_cannot_be_fetched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert wanted("truthfulqa_mc1") == wanted("truthfulqa") == ["truthfulqa"]
    assert wanted("mmlu") == ["mmlu"]
    (tmp_path / "own.yaml").write_text(
        "name: own\nprompts: [{name: p, user: x}]\ndata: {file: own.jsonl}\n"
    )
    assert run(["eval", "fetch", str(tmp_path / "own.yaml")]) == 2
    assert "nothing is known to fetch for own, whose rows are own.jsonl" in capsys.readouterr().err
    assert run(["eval", "fetch", "nothing"]) == 2
    assert "there is no suite nothing" in capsys.readouterr().err
    assert run(["eval", "fetch", "hf:toy"]) == 2
    assert (
        '"hf:toy" is not of the form hf:org/repo/file.parquet[@revision]' in capsys.readouterr().err
    )


def test_the_list_shows_size_and_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", "fetch"]) == 0
    assert "hellaswag\t12 MB\tMIT\t\n" in capsys.readouterr().out
    assert run(["eval", "fetch", "--json"]) == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert found.keys() == sources().keys()
    assert (found["sst2"]["size"], found["sst2"]["fetched"]) == (7439277, False)


def test_every_classic_task_can_be_fetched_and_is_pinned() -> None:
    classic = {name for name in shipped_suites() if fetchable(load_suite(name).data.file)}
    assert len(classic) >= 13
    for name in classic:
        suite = load_suite(name)
        if suite.examples and not (suite.folder / suite.examples.data.file).exists():
            assert fetchable(suite.examples.data.file) in sources()
    for source in sources().values():
        assert source.licence
        assert source.checksum
        for one in source.downloads:
            assert re.fullmatch("[0-9a-f]{64}", one.sha256)
            assert one.size is None or one.size > 0
            assert bool(one.path) != bool(one.members)
            assert all(not path.startswith("/") and ".." not in path for path in one.kept())
            for url in one.urls:
                assert url.startswith(("https://", "hf:datasets/"))
                if "raw.githubusercontent.com" in url or url.startswith("hf:"):
                    assert re.search("[/@][0-9a-f]{40}(/|$)", url), f"{url} names no commit"
    (mmlu,) = sources()["mmlu"].downloads
    assert len(mmlu.members) == 2 * 57
    assert mmlu.members["data/test/virology_test.csv"] == "test/virology_test.csv"


def test_pins_are_those_of_the_files(data: Path) -> None:
    """Where the data sets lie beside the checkout; of BBQ, only some categories do."""
    held = set()
    for name in sources().keys() - {"boolq", "mmlu"}:  # other bytes there, and no archive
        for one in sources()[name].downloads:
            file = data / name / str(one.path)
            if file.is_file():
                content = file.read_bytes()
                assert (len(content), hashlib.sha256(content).hexdigest()) == (one.size, one.sha256)
                held.add(name)
    assert held >= {
        "agnews",
        "bbq",
        "crows_pairs",
        "gsm8k",
        "multi30k",
        "wikitext2",
        "winobias",
        "winogender",
        "xquad",
    }


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A hub with one data set, org/toy."""
    import pyarrow as pa
    from pyarrow import parquet

    packed = io.BytesIO()
    parquet.write_table(pa.table({"q": ["a", "b"], "target": ["x", "y"]}), packed)
    monkeypatch.setitem(BODIES, "data/rows.parquet", packed.getvalue())
    digest = hashlib.sha256(packed.getvalue()).hexdigest()
    monkeypatch.setitem(ETAGS, "data/rows.parquet", digest)
    server = ThreadingHTTPServer(("127.0.0.1", 0), OnlyData)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


class OnlyData(Hub):
    """Has data sets and no models."""

    def parse_request(self) -> bool:
        good = super().parse_request()
        if good and not self.path.startswith("/datasets/org/toy/"):
            self.path = "/org/none/resolve/main/none"
        return good


def test_a_file_of_the_hub(endpoint: str, home: Path, tmp_path: Path) -> None:
    reference = "hf:org/toy/data/rows.parquet@v1"
    suite = tmp_path / "own.yaml"
    suite.write_text(
        f"name: own\nprompts: [{{name: p, user: '{{{{ q }}}}'}}]\ndata: {{file: '{reference}'}}\n"
    )
    loaded = load_suite(suite)
    with pytest.raises(UsageError) as missing:
        load_rows(loaded.data, loaded.folder)
    assert str(missing.value) == (
        f"{reference} is not fetched; run: trivium eval fetch {reference}"
    )
    # the hub's library reads HF_ENDPOINT once, when it is imported
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": ""}

    def fetch_it(name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "trivium", "eval", "fetch", name],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=False,
        )

    done = fetch_it(str(suite))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{locate(reference, tmp_path)}\n"
    assert locate(reference, tmp_path).is_relative_to(home / "data" / "hub")
    rows = load_rows(loaded.data, loaded.folder)
    assert [(row.inputs["q"], row.target) for row in rows] == [("a", "x"), ("b", "y")]
    refused = fetch_it("hf:org/toy/data/none.parquet")
    assert refused.returncode == 5
    assert "has no such file" in refused.stderr
    assert "https://huggingface.co/datasets/org/toy/tree/main" in refused.stderr
