"""The benchmarks of fairness by the name of their suite; a module is imported when it is asked for.

A suite of a user's own is measured by a shipped benchmark when it bears that name.
"""

from importlib import import_module
from typing import cast

from trivium.errors import UsageError
from trivium.evals.fairness.base import Benchmark

BENCHMARKS: dict[str, str] = {
    "audit": "audit",
    "bbq": "bbq",
    "bbq_letter": "bbq",
    "bbq_generate": "bbq",
    "bbq_fewshot": "bbq",
    "crows_pairs": "crows_pairs",
    "crows_pairs_masked": "crows_pairs",
    "stereoset": "stereoset",
    "winogender": "winogender",
    "winobias": "winobias",
    "open_generation": "open_generation",
    "open_generation_chat": "open_generation",
    "bold": "open_generation",
}
"""Suite name -> module of this package."""


def benchmark(name: str) -> Benchmark:
    """The benchmark of a suite.

    Raises:
        UsageError: No benchmark has this name.
    """
    if name not in BENCHMARKS:
        known = ", ".join(sorted(BENCHMARKS)) or "none"
        raise UsageError(f'there is no benchmark of fairness "{name}"; there are: {known}')
    return cast(Benchmark, import_module(f"trivium.evals.fairness.{BENCHMARKS[name]}"))
