import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.models.test_gguf import write
from trivium import paths
from trivium.cli import console
from trivium.cli.models import app
from trivium.errors import Unavailable, UsageError
from trivium.models.hardware import Gpu, Hardware


@pytest.fixture(autouse=True)
def _fresh_consoles() -> Iterator[None]:
    """Consoles are kept for a process; a runner gives every test streams of its own."""
    console.out.cache_clear()
    console.err.cache_clear()
    yield
    console.out.cache_clear()
    console.err.cache_clear()


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin)


def output(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write(tmp_path / "tiny.gguf", template="{{ messages }}\x1b[31m")


def test_list_in_a_pipe_is_tab_separated() -> None:
    lines = [line.split("\t") for line in run("list").stdout.splitlines()]
    assert lines[0] == ["smollm2-135m", "chat", "135M", "8192", "400 MB", "Apache-2.0", ""]
    assert {len(line) for line in lines} == {7}


def test_list_as_json_tells_what_is_pulled(tiny: Path) -> None:
    assert all(not row["pulled"] for row in output("list"))
    output("pull", str(tiny))
    (row,) = output("list", "--pulled")
    assert row["name"] == "tiny"
    assert row["path"] == str(paths.models() / "tiny" / "tiny.gguf")


def test_pull_prints_the_path_and_rm_deletes_it(tiny: Path) -> None:
    printed = Path(run("pull", str(tiny)).stdout.strip())
    assert printed.read_bytes() == tiny.read_bytes()
    (removed,) = output("rm", "tiny")
    assert removed["name"] == "tiny"
    assert removed["freed"] >= tiny.stat().st_size
    assert not printed.exists()
    assert isinstance(run("rm", "tiny").exception, Unavailable)


def test_info_shows_the_files_own_words_without_control_sequences(tiny: Path) -> None:
    shown = run("info", str(tiny)).stdout
    assert "gguf architecture\tllama" in shown
    assert "gguf chat template\tyes" in shown
    assert shown.endswith("chat template:\n{{ messages }}\n")
    assert output("info", str(tiny))["gguf"]["context_length"] == 512


def test_info_on_what_is_not_pulled_says_how_to_pull_it() -> None:
    assert "path\tnot pulled; run: trivium models pull qwen3-8b" in run("info", "qwen3-8b").stdout
    assert output("info", "qwen3-8b")["gguf"] is None
    assert isinstance(run("info", "qwen33-8b").exception, UsageError)


def test_recommend_names_the_machine_and_judges_every_chat_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Hardware(8, 32 * 10**9, 30 * 10**9, (Gpu("Tesla T4", 16 * 10**9, 15 * 10**9),))
    monkeypatch.setattr("trivium.models.hardware.detect", lambda: machine)
    result = run("recommend")
    assert "8 cores, 30.0 GB of 32.0 GB memory free, Tesla T4 (15.0 GB free)" in result.stderr
    assert result.stdout.splitlines()[0].split("\t")[:2] == ["qwen2.5-14b", "GPU"]
    value = output("recommend")
    assert value["hardware"]["gpus"][0]["name"] == "Tesla T4"
    assert value["models"][0]["fit"] == "gpu"


def test_a_licence_is_a_question_to_a_person_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVIUM_OFFLINE", "1")
    error = run("pull", "gemma3-270m").exception
    assert isinstance(error, UsageError)
    assert "read it, then run: trivium models pull gemma3-270m --accept-licence" in str(error)

    monkeypatch.setattr("trivium.cli.models._person_present", lambda: True)
    refused = run("pull", "gemma3-270m", stdin="n\n")
    assert "https://ai.google.dev/gemma/terms" in refused.stderr
    assert isinstance(refused.exception, UsageError)
    agreed = run("pull", "gemma3-270m", stdin="y\n")
    assert isinstance(agreed.exception, Unavailable), "only the network is missing now"
    again = run("pull", "gemma3-270m", stdin="")
    assert "Accept?" not in again.stderr
