"""`trivium doctor`: is everything here that an answer needs? Down to one real generation."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from trivium.cli import console
from trivium.errors import TriviumError, Unavailable

if TYPE_CHECKING:
    from trivium.config import Settings

app = typer.Typer()

PACKAGES = (
    "llama-cpp-python",
    "faiss-cpu",
    "onnxruntime",
    "tokenizers",
    "sentence-transformers",
    "torch",
    "langchain",
    "pydantic",
    "typer",
    "rich",
)
LOW_DISK = 2 * 10**9
"""Bytes below which a model of the catalogue's middle no longer fits."""
CUDA_BUILD = (
    'CMAKE_ARGS="-DGGML_CUDA=on" pip install --force-reinstall --no-deps --no-cache-dir '
    "--no-binary llama-cpp-python llama-cpp-python"
)

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `fix` is the way out; `exit_code` is what a failure makes of the command."""

    name: str
    status: Status
    detail: str
    fix: str = ""
    exit_code: int = 0


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Check this installation: packages, machine, disk, models, and one real answer."""
    checks = []
    for check in examine():
        checks.append(check)
        if not as_json:
            _print(check)
    codes = {check.exit_code for check in checks if check.status == "fail"}
    if as_json:
        console.emit_json({"ok": not codes, "checks": [asdict(check) for check in checks]})
    if codes:  # 1 is graver than 5, which one pull may mend
        raise typer.Exit(min(codes))


def examine() -> Iterator[Check]:
    """Every check, cheap ones first; each is yielded as soon as it is known."""
    from trivium.config import load_settings

    settings = load_settings()
    yield _python()
    yield _packages()
    yield from _machine()
    yield _home()
    yield _network()
    yield _models()
    yield _embedder(settings)
    yield _answer(settings)


def _python() -> Check:
    import platform

    from trivium import __version__

    system = f"{platform.system()} {platform.machine()}"
    detail = f"{__version__} on Python {platform.python_version()}, {system}"
    return Check("trivium", "ok", detail)


def _packages() -> Check:
    """Versions by metadata: importing them all would take half a minute."""
    from importlib.metadata import PackageNotFoundError, version

    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check(
            "packages",
            "fail",
            f"missing: {', '.join(missing)}",
            f"run: pip install {' '.join(missing)}",
            1,
        )
    return Check("packages", "ok", ", ".join(found))


def _machine() -> Iterator[Check]:
    from trivium.models.hardware import detect

    machine = detect()
    memory = f"{_gb(machine.available)} of {_gb(machine.memory)} memory free"
    yield Check("machine", "ok", f"{machine.cores} cores, {memory}")
    yield _llama(gpus=bool(machine.gpus))
    cards = ", ".join(f"{g.name} ({_gb(g.free)} of {_gb(g.memory)} free)" for g in machine.gpus)
    yield Check("gpu", "ok", cards or "none that nvidia-smi reports; models run on the CPU")


def _llama(gpus: bool) -> Check:
    try:
        from trivium.engines.native import library

        llama_cpp = library()
        offload = bool(llama_cpp.llama_supports_gpu_offload())
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        fix = "run: pip install --force-reinstall --no-deps --no-cache-dir llama-cpp-python"
        return Check("llama.cpp", "fail", f"does not load: {error}", fix, 1)
    detail = f"{llama_cpp.__version__}, {'with' if offload else 'without'} GPU offload"
    if gpus and not offload:
        return Check("llama.cpp", "warn", detail, f"to use the GPU, run: {CUDA_BUILD}")
    return Check("llama.cpp", "ok", detail)


def _home() -> Check:
    """Whether the home can be written, or made where it is not there yet. Nothing is written."""
    import shutil

    from trivium.paths import home

    folder = home()
    place = next((p for p in (folder, *folder.parents) if p.exists()), Path("/"))
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        fix = "set TRIVIUM_HOME to a folder that you may write to"
        return Check("home", "fail", f"{folder} is not writable", fix, 1)
    free = shutil.disk_usage(place).free
    detail = f"{folder}, {_gb(free)} free"
    if free < LOW_DISK:
        fix = "free some space, or set TRIVIUM_HOME to a folder on another disk"
        return Check("home", "warn", detail, fix)
    return Check("home", "ok", detail)


def _network() -> Check:
    from trivium.network import offline

    return Check(
        "network", "ok", "ruled out: TRIVIUM_OFFLINE=1" if offline() else "used when asked"
    )


def _models() -> Check:
    from trivium.models import store

    try:
        pulled = store.all_pulled()
    except TriviumError as error:
        return _failure("models", error)
    names = ", ".join(f"{model.name} ({_gb(model.size)})" for model in pulled)
    return Check("models", "ok", names or "none pulled")


def _embedder(settings: "Settings") -> Check:
    from trivium.models import store

    return _try("embedder", lambda: f"{settings.embedder} at {store.resolve(settings.embedder)}")


def _answer(settings: "Settings") -> Check:
    return _try("answer", lambda: _generate(settings))


def _generate(settings: "Settings") -> str:
    """Load the model and let it write a sentence; tokens per second as a person would meet them."""
    from time import perf_counter

    from trivium.engines.base import Message, Request, Sampling
    from trivium.engines.load import load_engine

    start = perf_counter()
    engine = load_engine(settings.model, settings)
    loaded = perf_counter() - start
    try:
        question = (Message("user", "Say in one sentence what a library is."),)
        start = perf_counter()
        (answer,) = engine.generate([Request(question, sampling=Sampling(max_tokens=32))])
        wall = perf_counter() - start
    finally:
        engine.close()
    if not answer.completion_tokens:
        raise TriviumError(f"{settings.model} wrote nothing; try another model with TRIVIUM_MODEL")
    speed = answer.completion_tokens / (answer.timing.decode or wall)
    return f"{settings.model} loaded in {loaded:.1f} s and wrote {speed:.0f} tokens/s"


def _try(name: str, job: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", job())
    except (TriviumError, ImportError, OSError) as error:
        return _failure(name, error)


def _failure(name: str, error: Exception) -> Check:
    """A failed check from an error's sentence, whose way out stands after the last semicolon."""
    detail, _, fix = str(error).rpartition("; ")
    code = Unavailable.exit_code if isinstance(error, Unavailable) else 1
    return Check(name, "fail", detail or fix, fix if detail else "", code)


def _print(check: Check) -> None:
    """A row a check: coloured for a person, tab-separated with its fix in a pipe."""
    if not console.out().is_terminal:
        row = (check.status, check.name, check.detail, check.fix)
        sys.stdout.write("\t".join(map(console.clean, row)).rstrip("\t") + "\n")
        sys.stdout.flush()
        return
    from rich.text import Text

    colour = {"ok": "green", "warn": "yellow", "fail": "bold red"}[check.status]
    line = Text.assemble((f"{check.status:<5}", colour), (f"{check.name:<10}", "bold"))
    console.out().print(line.append(console.clean(check.detail)), soft_wrap=True)
    if check.fix:
        console.out().print(Text(f"{'':15}{console.clean(check.fix)}", colour), soft_wrap=True)


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
