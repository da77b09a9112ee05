"""Which chat models of the catalogue fit a machine, best first."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from trivium.models.catalogue import Entry, catalogue
from trivium.models.hardware import Hardware

Fit = Literal["gpu", "gpu-part", "cpu", "too-large"]
_ORDER: dict[Fit, int] = {"gpu": 0, "gpu-part": 1, "cpu": 2, "too-large": 3}

_HEADROOM = 0.9
"""The share of free memory a model may take: the system and the index need the rest."""
_CPU_PARAMETERS_PER_CORE = 1_500_000_000
"""Above this many weights a core, a CPU writes fewer than about four tokens a second.

Decoding is bound by reading the weights: two AVX2 cores read 135 million of them 98 times a second.
"""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A model, how it fits, and one sentence that says why."""

    entry: Entry
    fit: Fit
    reason: str

    @property
    def fits(self) -> bool:
        return self.fit != "too-large"


def recommend(hardware: Hardware, entries: Iterable[Entry] | None = None) -> list[Recommendation]:
    """Every chat model with its fit, best first.

    Whole on the GPU comes before the rest, and there the larger model is the better one. On the
    CPU a model that the cores can drive at reading speed comes before a larger, slower one.
    """
    known = catalogue().values() if entries is None else entries
    found = [_judge(entry, hardware) for entry in known if entry.kind == "chat"]
    return sorted(found, key=lambda item: _rank(item, hardware))


def _judge(entry: Entry, hardware: Hardware) -> Recommendation:
    need = _gigabytes(entry.memory)
    gpu, memory = hardware.gpu_free * _HEADROOM, hardware.available * _HEADROOM
    if entry.memory <= gpu:
        where = f"the {_gigabytes(hardware.gpu_free)} free on {_cards(hardware)}"
        return Recommendation(entry, "gpu", f"needs {need}, fits {where} whole")
    if hardware.gpus and entry.memory <= gpu + memory:
        share = int(100 * gpu / entry.memory)
        reason = f"needs {need}: about {share}% on {_cards(hardware)}, the rest in main memory"
        return Recommendation(entry, "gpu-part", reason)
    if entry.memory <= memory:
        reason = f"needs {need} of {_gigabytes(hardware.available)} free memory"
        if _slow(entry, hardware):
            reason += f", but is slow on {_cores(hardware)}"
        return Recommendation(entry, "cpu", reason)
    free = _gigabytes(hardware.available + hardware.gpu_free)
    return Recommendation(entry, "too-large", f"needs {need}, and {free} is free")


def _rank(item: Recommendation, hardware: Hardware) -> tuple[int, bool, int]:
    """Smaller is better. Among slow or too large ones, the smallest comes first."""
    slow = item.fit in ("cpu", "gpu-part") and _slow(item.entry, hardware)
    size = item.entry.parameters
    return _ORDER[item.fit], slow, size if slow or not item.fits else -size


def _slow(entry: Entry, hardware: Hardware) -> bool:
    return entry.parameters > _CPU_PARAMETERS_PER_CORE * hardware.cores


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def _cores(hardware: Hardware) -> str:
    return "1 core" if hardware.cores == 1 else f"{hardware.cores} cores"


def _cards(hardware: Hardware) -> str:
    if len(hardware.gpus) > 1:
        return f"{len(hardware.gpus)} GPUs"
    return hardware.gpus[0].name
