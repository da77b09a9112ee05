import json
from pathlib import Path
from typing import Any

import pytest

from trivium.cli import doctor
from trivium.cli.doctor import Check
from trivium.cli.main import run
from trivium.models.hardware import Gpu, Hardware


def checks(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    value = json.loads(capsys.readouterr().out)
    return {check["name"]: check for check in value["checks"]}


@pytest.mark.model
@pytest.mark.usefixtures("real_models")
def test_all_is_well_with_the_models_and_one_real_answer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["doctor", "--json"]) == 0
    found = checks(capsys)
    assert {check["status"] for check in found.values()} <= {"ok", "warn"}
    assert "tokens/s" in found["answer"]["detail"]
    assert "smollm2-135m" in found["models"]["detail"]


def test_without_the_models_it_says_what_to_run_and_exits_with_5(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", "--json"]) == 5
    found = checks(capsys)
    assert found["answer"]["detail"] == '"smollm2-135m" is not pulled'
    assert found["answer"]["fix"] == "run: trivium models pull smollm2-135m"
    assert found["home"]["status"] == "ok"
    assert not home.exists(), "looking must not write"


def test_a_home_that_cannot_be_is_a_failure_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "file" / "home"))
    assert run(["doctor", "--json"]) == 1, "graver than the missing model"
    assert "TRIVIUM_HOME" in checks(capsys)["home"]["fix"]


def test_a_gpu_that_llama_cpp_cannot_use_is_a_warning_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llama_cpp.llama_supports_gpu_offload", lambda: False)
    machine = Hardware(8, 32 * 10**9, 30 * 10**9, (Gpu("Tesla T4", 16 * 10**9, 15 * 10**9),))
    monkeypatch.setattr("trivium.models.hardware.detect", lambda: machine)
    cores, llama, gpu = doctor._machine()
    assert cores.detail == "8 cores, 30.0 GB of 32.0 GB memory free"
    assert (llama.status, "GGML_CUDA=on" in llama.fix) == ("warn", True)
    assert gpu.detail == "Tesla T4 (15.0 GB of 16.0 GB free)"


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("typer", "no-such-package"))
    check = doctor._packages()
    assert (check.status, check.detail) == ("fail", "missing: no-such-package")


def test_in_a_pipe_a_check_is_a_line_with_its_way_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Check("home", "ok", "here"), Check("disk", "warn", "low\x1b[1m", "free some")]
    monkeypatch.setattr(doctor, "examine", lambda: iter(found))
    assert run(["doctor"]) == 0, "a warning is not a failure"
    assert capsys.readouterr().out == "ok\thome\there\nwarn\tdisk\tlow\tfree some\n"
