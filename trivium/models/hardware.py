"""What this process may use: cores, memory and GPUs.

A container's limits count, not the machine's: Linux tells them by CPU affinity and by control
groups (Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/).
"""

import math
import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_SELF = Path("/proc/self/cgroup")
_UNLIMITED = 1 << 60
"""cgroup v1 says "no limit" with a number near 2^63."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """An NVIDIA GPU; memory in bytes."""

    name: str
    memory: int
    free: int


@dataclass(frozen=True, slots=True)
class Hardware:
    """Usable cores, memory in bytes (total and available now, limits included), and GPUs."""

    cores: int
    memory: int
    available: int
    gpus: tuple[Gpu, ...] = ()

    @property
    def gpu_free(self) -> int:
        """Free memory of all GPUs together: llama.cpp splits the layers of a model over them."""
        return sum(gpu.free for gpu in self.gpus)


def detect() -> Hardware:
    """Look at this machine. Nothing is raised: what cannot be read does not limit."""
    import psutil

    memory = psutil.virtual_memory()
    total, available = memory.total, memory.available
    limit, used = _memory_limit()
    if limit is not None and limit < total:
        total, available = limit, min(available, max(0, limit - used))
    return Hardware(usable_cores(), total, available, _gpus())


def usable_cores() -> int:
    """Cores that this process may keep busy: physical ones, affinity and quotas respected.

    Two threads of one core share its arithmetic units, so more threads than physical cores slow
    matrix products down rather than speed them up.
    """
    import psutil

    try:
        logical = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity to ask for
        logical = os.cpu_count() or 1
    cores = min(logical, psutil.cpu_count(logical=False) or logical)
    quota = _cpu_quota()
    return max(1, min(cores, math.floor(quota)) if quota is not None else cores)


def parse_cpu_max(text: str) -> float | None:
    """cgroup v2's `cpu.max`, "QUOTA PERIOD" in microseconds or "max PERIOD", as a core count."""
    quota, _, period = text.strip().partition(" ")
    if quota == "max" or not quota.isdigit():
        return None
    return int(quota) / int(period or 100_000)


def parse_cpu_quota(quota: str, period: str) -> float | None:
    """cgroup v1's `cpu.cfs_quota_us` (-1 for none) and `cpu.cfs_period_us`, as a core count."""
    try:
        allowed, span = int(quota), int(period)
    except ValueError:
        return None
    return allowed / span if allowed > 0 and span > 0 else None


def parse_memory_limit(text: str) -> int | None:
    """`memory.max` (v2) or `memory.limit_in_bytes` (v1) in bytes, None for "no limit"."""
    text = text.strip()
    if not text.isdigit() or int(text) >= _UNLIMITED:
        return None
    return int(text)


def parse_cgroup(text: str) -> dict[str, str]:
    """`/proc/self/cgroup` as controller -> group; cgroup v2's one group has the key ""."""
    groups: dict[str, str] = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, colon, group = rest.partition(":")
        if colon:
            groups |= dict.fromkeys(controllers.split(","), group)
    return groups


def parse_gpus(text: str) -> tuple[Gpu, ...]:
    """Lines of `nvidia-smi --query-gpu=name,memory.total,memory.free` (csv, noheader, nounits).

    nvidia-smi counts in MiB, and writes "[N/A]" for what a card does not tell.
    """
    gpus = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.rsplit(",", 2)]
        if len(fields) == 3 and fields[1].isdigit() and fields[2].isdigit():
            gpus.append(Gpu(fields[0], int(fields[1]) << 20, int(fields[2]) << 20))
    return tuple(gpus)


def _cpu_quota() -> float | None:
    """The tightest quota of this process's group and of every group above it."""
    quotas = [parse_cpu_max(text) for text in _read_upwards("", "cpu.max")]
    v1 = zip(
        _read_upwards("cpu", "cpu.cfs_quota_us"),
        _read_upwards("cpu", "cpu.cfs_period_us"),
        strict=False,
    )
    quotas += [parse_cpu_quota(quota, period) for quota, period in v1]
    return min((quota for quota in quotas if quota is not None), default=None)


def _memory_limit() -> tuple[int | None, int]:
    """The tightest memory limit, with what is used of it, in bytes."""
    found: list[tuple[int, int]] = []
    for controller, limit_file, usage_file in (
        ("", "memory.max", "memory.current"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        limits = _read_upwards(controller, limit_file)
        usages = _read_upwards(controller, usage_file)
        for limit_text, usage_text in zip(limits, usages, strict=False):
            limit, usage = parse_memory_limit(limit_text), parse_memory_limit(usage_text)
            if limit is not None:
                found.append((limit, usage or 0))
    return min(found) if found else (None, 0)


def _read_upwards(controller: str, name: str) -> list[str]:
    """The file `name` of this process's group and of those above it, innermost first."""
    try:
        group = parse_cgroup(_SELF.read_text(encoding="utf-8")).get(controller)
    except OSError:
        return []
    if group is None:
        return []
    root = _CGROUPS / controller
    folder = root / group.lstrip("/")
    texts = []
    for place in (folder, *folder.parents):
        with suppress(OSError):  # in a container the group's own path is often not mounted
            texts.append((place / name).read_text(encoding="utf-8"))
        if place == root:
            break
    return texts


def _gpus() -> tuple[Gpu, ...]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    command = [tool, "--query-gpu=name,memory.total,memory.free"]
    try:
        found = subprocess.run(
            [*command, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()  # a driver that does not answer is as good as no GPU
    return parse_gpus(found.stdout)
