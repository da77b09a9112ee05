"""Settings and where each one came from.

Later wins: built-in default, `trivium.toml` in the user's folder, `trivium.toml` in the working
folder or the nearest parent that has one, `TRIVIUM_<NAME>` in the environment, the command line.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trivium.errors import UsageError
from trivium.network import install_guard, is_loopback
from trivium.paths import home

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FILE_NAME = "trivium.toml"

RUNS_CODE = ("mcp", "tool_files")
"""Settings that start programs. A folder's file may be somebody else's, so it cannot say them."""


class McpServer(BaseModel):
    """An MCP server: a command to start, or a URL to reach."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: tuple[str, ...] = ()
    url: str | None = None
    env: dict[str, str] = {}


class Settings(BaseModel):
    """Everything `trivium.toml` may say; a key that is not here is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = "smollm2-135m"
    """The chat model: a catalogue name, a path to a GGUF file, hf:ORG/REPO/FILE or a server URL."""
    embedder: str = "minilm-l6-v2"
    """The model that turns passages into vectors."""
    reranker: str | None = None
    """A cross-encoder, or "model" for the chat model's own relevance log-probability."""
    top_k: Annotated[int, Field(ge=1, le=100)] = 5
    """Passages given to the model."""
    context_length: Annotated[int, Field(ge=128)] | None = None
    """Tokens of context; the model's own maximum when unset, as memory allows."""
    gpu_layers: Annotated[int, Field(ge=-1)] | None = None
    """Layers on the GPU; -1 is all, unset is as many as fit its free memory."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Threads for a CPU model; the cores this process may use when unset."""
    weights: Literal["auto", "native", "f16"] = "auto"
    """The form to compute with; "auto": unpacked to F16 for batch work, as memory allows."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """0 is greedy and the same from run to run."""
    max_tokens: Annotated[int, Field(ge=1)] = 256
    """The longest answer, in tokens."""
    timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds to wait for a server between two pieces of its answer."""
    system: str = ""
    """What a chat tells the model before everything else."""
    tools: Literal["auto", "on", "off"] = "auto"
    """Whether a chat offers tools; "auto": to models of a billion weights and more, and servers."""
    tool_files: tuple[str, ...] = ()
    """Python files whose functions marked with `@tool` a chat offers."""
    mcp: dict[str, McpServer] = {}
    """MCP servers whose tools a chat offers, by name."""
    offline: bool = False
    """Refuse every outgoing connection; the same as TRIVIUM_OFFLINE=1."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A setting's value and the place that decided it."""

    name: str
    value: object
    source: str


def load_settings(overrides: Mapping[str, object] | None = None) -> Settings:
    """The settings in force. `overrides` are command-line values; None means "not given".

    Raises:
        UsageError: for an unknown key or a value out of range, naming the file or variable.
    """
    return resolve(overrides)[0]


def resolve(
    overrides: Mapping[str, object] | None = None,
) -> tuple[Settings, list[Origin]]:
    """The settings in force, and for each where it came from."""
    layers: list[tuple[str, dict[str, object]]] = []
    for file in _files():
        values = _read(file)
        if file.parent != home():
            _harmless(file, values)
        layers.append((str(file), values))
    for name in Settings.model_fields:
        value = os.environ.get(f"TRIVIUM_{name.upper()}")
        if value is not None:
            layers.append((f"TRIVIUM_{name.upper()}", {name: value}))
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    layers.append(("command line", given))

    merged: dict[str, object] = {}
    sources = dict.fromkeys(Settings.model_fields, "default")
    for source, values in layers:
        _check(source, values)
        merged |= values
        sources |= dict.fromkeys(values, source)
    settings = Settings.model_validate(merged)
    if settings.offline:  # the gate in trivium.network reads the environment alone
        os.environ["TRIVIUM_OFFLINE"] = "1"
        install_guard()
    origins = [Origin(name, getattr(settings, name), sources[name]) for name in sources]
    return settings, origins


def _files() -> list[Path]:
    """The user's file, then the nearest one at or above the working folder."""
    files = [home() / FILE_NAME]
    here = Path.cwd()
    files += [f for folder in (here, *here.parents) if (f := folder / FILE_NAME).is_file()][:1]
    return [file for file in dict.fromkeys(files) if file.is_file()]


def _read(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not valid TOML: {error}") from error
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error


def _harmless(file: Path, values: Mapping[str, object]) -> None:
    """Refuse what a stranger's folder must not decide: programs to run, machines to talk to."""
    own = home() / FILE_NAME
    for key in RUNS_CODE:
        if key in values:
            raise UsageError(
                f"{file}: {key}{_line_of(str(file), key)} starts programs, which a folder's file "
                f"may not; move it to {own}"
            )
    host = urlsplit(str(values.get("model", ""))).hostname
    if host and not is_loopback(host):
        raise UsageError(
            f"{file}: model{_line_of(str(file), 'model')} sends what you ask to {host}, which a "
            f"folder's file may not decide; move it to {own}, or set TRIVIUM_MODEL"
        )


def _check(source: str, values: dict[str, object]) -> None:
    """Validate one layer by itself, so that the error can name its place."""
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        raise UsageError(_explain(source, error.errors()[0])) from error


def _explain(source: str, problem: "ErrorDetails") -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = ", ".join(Settings.model_fields)
        return f'{source}: unknown setting "{key}"{_line_of(source, key)}; known are {known}'
    return (
        f"{source}: {key} = {problem['input']!r}{_line_of(source, key)} is not valid: "
        f"{problem['msg'][0].lower()}{problem['msg'][1:]}"
    )


def _line_of(source: str, key: str) -> str:
    """Where a key stands in a TOML file, which `tomllib` does not tell."""
    file = Path(source)
    if not file.is_file():
        return ""
    name = key.split(".")[0]
    lines = file.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if line.lstrip().lstrip("[").startswith(name):
            return f" (line {number})"
    return ""
