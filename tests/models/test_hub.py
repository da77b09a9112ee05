"""The hub's own library against a small hub in the test, in a process of its own.

The library reads HF_ENDPOINT once, when it is imported.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from trivium.errors import UsageError
from trivium.models import hub

WEIGHTS = bytes(range(256)) * 1000
CONFIG = b'{"hidden_size": 8}\n'
COMMIT = "c" * 40
ETAGS = {
    "m.gguf": hashlib.sha256(WEIGHTS).hexdigest(),
    "config.gguf": hashlib.sha1(b"blob %d\0" % len(CONFIG) + CONFIG).hexdigest(),
    "bad.gguf": "0" * 64,
}
BODIES = {"m.gguf": WEIGHTS, "config.gguf": CONFIG, "bad.gguf": WEIGHTS}


class Hub(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Silence."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        repo, _, rest = self.path.lstrip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        problem = {"org/gated": (403, "GatedRepo"), "org/none": (404, "RepoNotFound")}.get(repo)
        if problem is None and revision not in ("main", "v1", COMMIT):
            problem = (404, "RevisionNotFound")
        if problem is None and name not in BODIES:
            problem = (404, "EntryNotFound")
        self.send_response(problem[0] if problem else 200)
        if problem:
            self.send_header("X-Error-Code", problem[1])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{ETAGS[name]}"')
        self.send_header("Content-Length", str(len(BODIES[name])))
        self.end_headers()
        if body:
            self.wfile.write(BODIES[name])


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


PROGRAM = """
import json, sys
from trivium.errors import TriviumError
from trivium.models import store
from trivium.models.pull import pull
answers = []
for name in sys.argv[1:]:
    seen = []
    try:
        path = pull(name, on_progress=lambda label, done, total: seen.append((done, total)))
        (file,) = [f for m in store.all_pulled() if m.name == name for f in m.files]
        answers.append([str(path), file.sha256, file.revision, seen[-1:]])
    except TriviumError as error:
        answers.append([error.exit_code, str(error)])
print(json.dumps(answers))
"""


def test_files_are_verified_pinned_and_refusals_are_sentences(
    endpoint: str, home: Path, tmp_path: Path
) -> None:
    names = [
        "hf:org/repo/m.gguf",
        "hf:org/repo/config.gguf@v1",
        "hf:org/repo/bad.gguf",
        "hf:org/repo/none.gguf",
        "hf:org/repo/m.gguf@v9",
        "hf:org/none/m.gguf",
        "hf:org/gated/m.gguf",
    ]
    hub_settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": ""}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names],
        env=os.environ | hub_settings,
        stdout=subprocess.PIPE,
        check=True,
    )
    good, small, *bad = json.loads(done.stdout)
    size = len(WEIGHTS)
    assert Path(good[0]).read_bytes() == WEIGHTS
    assert good[1:] == [ETAGS["m.gguf"], COMMIT, [[size, size]]]
    assert Path(small[0]).read_bytes() == CONFIG
    assert {exit_code for exit_code, _ in bad} == {5}
    wrong, missing, revision, repository, gated = (message for _, message in bad)
    assert f"bad.gguf has sha256 {ETAGS['m.gguf']} instead of {'0' * 64}" in wrong
    assert "the repository org/repo has no such file" in missing
    assert "the repository org/repo has no such revision" in revision
    assert "the hub has no repository org/none" in repository
    assert "is gated: accept its terms at https://huggingface.co/org/gated" in gated
    assert not list((home / "models").rglob("bad.gguf"))


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("hf:org/repo/m.gguf", ("org/repo", "m.gguf", None)),
        ("hf:org/repo/deep/m.gguf@v1.0", ("org/repo", "deep/m.gguf", "v1.0")),
    ],
)
def test_references_are_taken_apart(source: str, parts: tuple[str, str, str | None]) -> None:
    assert hub.parse(source) == parts


@pytest.mark.parametrize("source", ["hf:repo/m.gguf", "hf:", "hf:org/repo/", "hf:a b/c/m.gguf"])
def test_other_forms_are_refused(source: str) -> None:
    with pytest.raises(UsageError, match="not of the form hf:org/repo/file"):
        hub.parse(source)
