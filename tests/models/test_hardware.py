import os
import subprocess
from pathlib import Path

import pytest

from trivium.models import hardware
from trivium.models.hardware import Gpu


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000\n", None), ("200000 100000\n", 2.0), ("50000 100000", 0.5), ("150000", 1.5)],
)
def test_cgroup_v2_quota(text: str, cores: float | None) -> None:
    assert hardware.parse_cpu_max(text) == cores


@pytest.mark.parametrize(
    ("quota", "period", "cores"),
    [("-1\n", "100000\n", None), ("400000", "100000", 4.0), ("x", "1", None), ("1", "0", None)],
)
def test_cgroup_v1_quota(quota: str, period: str, cores: float | None) -> None:
    assert hardware.parse_cpu_quota(quota, period) == cores


@pytest.mark.parametrize(
    ("text", "limit"),
    [("max\n", None), ("9223372036854771712\n", None), ("2147483648\n", 2 << 30)],
)
def test_memory_limits(text: str, limit: int | None) -> None:
    assert hardware.parse_memory_limit(text) == limit


def test_groups_of_both_versions() -> None:
    text = "12:cpu,cpuacct:/docker/x\n5:memory:/docker/y\n0::/user.slice/a:b\n"
    assert hardware.parse_cgroup(text) == {
        "cpu": "/docker/x",
        "cpuacct": "/docker/x",
        "memory": "/docker/y",
        "": "/user.slice/a:b",
    }


def test_gpus_in_mebibytes_with_commas_and_gaps() -> None:
    text = "NVIDIA H100, 80GB, 81559, 80000\nTesla T4, [N/A], [N/A]\nTesla T4, 15360, 512\n"
    assert hardware.parse_gpus(text) == (
        Gpu("NVIDIA H100, 80GB", 81559 << 20, 80000 << 20),
        Gpu("Tesla T4", 15360 << 20, 512 << 20),
    )
    assert hardware.parse_gpus("No devices were found\n") == ()


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A control group file system of the test's own; this process is in /outer/inner."""
    (tmp_path / "self").write_text("0::/outer/inner\n3:memory:/outer\n4:cpu:/\n")
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "memory" / "outer").mkdir(parents=True)
    (tmp_path / "cpu").mkdir()
    monkeypatch.setattr(hardware, "_CGROUPS", tmp_path)
    monkeypatch.setattr(hardware, "_SELF", tmp_path / "self")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))
    monkeypatch.setattr("psutil.cpu_count", lambda logical=True: 64 if logical else 32)
    return tmp_path


def test_the_tightest_quota_on_the_way_up_decides(cgroups: Path) -> None:
    assert hardware.usable_cores() == 32
    (cgroups / "outer" / "cpu.max").write_text("350000 100000")
    (cgroups / "outer" / "inner" / "cpu.max").write_text("max 100000")
    assert hardware.usable_cores() == 3
    (cgroups / "cpu" / "cpu.cfs_quota_us").write_text("50000")
    (cgroups / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert hardware.usable_cores() == 1


def test_affinity_limits_the_cores(cgroups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5})
    assert hardware.usable_cores() == 2


def test_a_memory_limit_counts_instead_of_the_machine(cgroups: Path) -> None:
    (cgroups / "memory" / "outer" / "memory.limit_in_bytes").write_text(str(64 << 20))
    (cgroups / "memory" / "outer" / "memory.usage_in_bytes").write_text(str(16 << 20))
    found = hardware.detect()
    assert (found.memory, found.available) == (64 << 20, 48 << 20)
    (cgroups / "outer" / "inner" / "memory.max").write_text(str(32 << 20))
    (cgroups / "outer" / "inner" / "memory.current").write_text(str(40 << 20))
    found = hardware.detect()
    assert (found.memory, found.available) == (32 << 20, 0)


def test_a_driver_that_fails_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise subprocess.CalledProcessError(9, "nvidia-smi")

    monkeypatch.setattr("shutil.which", lambda name: "/bin/nvidia-smi")
    monkeypatch.setattr(subprocess, "run", fail)
    assert hardware.detect().gpus == ()
