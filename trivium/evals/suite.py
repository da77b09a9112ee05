"""A suite: models x prompts over data, judged by scorers; one YAML file."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trivium.errors import UsageError
from trivium.prompts.files import LIBRARY
from trivium.prompts.yaml_file import line_of, read_mapping

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SHIPPED = Path(__file__).parent / "tasks"
Method = Literal["generate", "choose", "likelihood"]
Format = Literal[
    "jsonl",
    "csv",
    "parquet",
    "mmlu",
    "agnews",
    "gsm8k",
    "xquad",
    "wikitext",
    "multi30k",
    "crows_pairs",
    "stereoset",
    "winogender",
    "winobias",
    "bbq",
    "arc",
    "hellaswag",
    "truthfulqa",
    "sst2",
    "bold",
]
Scalar = str | int | float | bool | None


class Closed(BaseModel):
    """A part of a suite; a key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Closed):
    """Where rows come from and which of them count."""

    file: str
    """A file or folder: from the root on, beside the suite, under TRIVIUM_DATA, or fetched.

    `hf:org/name/path[@revision]` is a file of a data set on the Hugging Face hub.
    """
    format: Format | None = None
    """By the file's ending when unset; the names of tasks are their original layouts."""
    id: str | None = None
    """The column that names a row; its position when unset."""
    target: str | None = "target"
    """The column with the answer; null when rows have none."""
    cluster: str | None = None
    """The column that rows share when they are not independent (a document, a paragraph)."""
    labels: dict[str, str] = {}
    """What the target column says -> what the model should say."""
    where: dict[str, Scalar | list[Scalar]] = {}
    """Keep rows whose column is this value, or one of these."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """At most so many rows: the first ones, or a random sample when `seed` is set."""
    seed: int | None = None


class Examples(Closed):
    """The few-shot section: a pool of solved rows, and how some are chosen from it."""

    data: Data
    k: Annotated[int, Field(ge=0, le=64)] = 5
    selector: str = "fixed"
    seed: int = 0
    match: str | None = None
    """Only solved rows that share this column's value with the row: MMLU's subject."""


class Inline(Closed):
    """A prompt written in the suite itself."""

    name: str
    system: str = ""
    user: str


class Sample(Closed):
    """How a generating model chooses tokens."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    seed: int = 0
    max_tokens: Annotated[int, Field(ge=1)] = 256
    stop: list[str] = []


class Known(Closed):
    """A published figure to hold a run against, and where it stands."""

    model: str
    metric: str
    value: float
    source: str


class Suite(Closed):
    """What a suite file says."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    version: int = 1
    description: str = ""
    source: str = ""
    licence: str = ""
    variant: str = ""
    """Which variant of a well-known benchmark's prompt this is."""
    known: list[Known] = []
    models: list[str] = []
    prompts: Annotated[list[str | Inline], Field(min_length=1)]
    system_prompts: list[str] = []
    """Prompts of the library whose system part is put before each prompt, as one more variant."""
    chat: bool = True
    """False: the prompt is plain text, its parts set apart by an empty line, for base models."""
    delimiter: str = " "
    """What stands between a plain prompt and its answer."""
    method: Method = "generate"
    """Write an answer, choose the likeliest of `choices`, or measure how likely the target is."""
    choices: list[str] | str | None = None
    """The answers to choose from, or the column that holds a row's own."""
    masked: bool = False
    """For masked models (`mlm:`), whose scores are pseudo-log-likelihoods, and for no others."""
    bare: str = "Answer:"
    """The lead-in after which choices are scored for the `unconditional` normalisation."""
    data: Data
    examples: Examples | None = None
    sampling: Sample = Sample()
    repeats: Annotated[int, Field(ge=1)] = 1
    """How often each row is asked; the n-th time with the seed raised by n."""
    scorers: list[str | dict[str, dict[str, object]]] = []
    """A scorer's name, or a name with its options."""
    code: str | None = None
    """A Python file with scorers, which are functions; run only when `--code` names it too."""
    gates: list[dict[str, object]] = []
    fairness: list[dict[str, object]] = []
    """Gates on figures of bias, judged by `trivium fairness run`; exit 6."""
    shard: Annotated[int, Field(ge=1, le=4096)] = 64
    """Rows that are asked, judged and stored together."""
    folder: Path = Path()
    """Where the suite lies, for files beside it."""

    @model_validator(mode="after")
    def _agrees(self) -> "Suite":
        if (self.method == "choose") != (self.choices is not None):
            raise ValueError('"choices" and "method: choose" need each other')
        return self


def load_suite(path: str | Path) -> Suite:
    """Read the suite at `path`, or the shipped one of that name.

    `include` names a suite file whose keys stand unless this one has them.

    Raises:
        UsageError: naming the file, the line and the key that is wrong.
    """
    file = find_suite(path)
    values, tree = _read(file, ())
    folder = values.pop("folder", file.parent)
    try:
        return Suite.model_validate(values | {"folder": folder})
    except ValidationError as error:
        # the deepest one: a union complains of each of its members
        deepest = max(
            error.errors(), key=lambda one: (len(one["loc"]), one["type"] == "extra_forbidden")
        )
        raise UsageError(_explain(file, tree, deepest)) from error


def find_suite(path: str | Path) -> Path:
    """The file that `path` names: itself, a shipped suite, or that of a shipped prompt.

    Raises:
        UsageError: when there is none.
    """
    given = Path(path).expanduser()
    if given.is_file():
        return given
    if given.parent == Path():
        for folder in (SHIPPED, LIBRARY / "suites"):
            if (shipped := folder / f"{path}.yaml").is_file():
                return shipped
    names = ", ".join(shipped_suites())
    raise UsageError(f"there is no suite {path}; give a YAML file, a shipped prompt, or {names}")


def shipped_suites() -> list[str]:
    return sorted(file.stem for file in SHIPPED.glob("*.yaml"))


def _read(file: Path, above: tuple[Path, ...]) -> tuple[dict[str, object], yaml.MappingNode]:
    """A file's keys, with those of the file it includes below them."""
    if file.resolve() in above:
        raise UsageError(f"{file} includes itself; take that include out")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the suite {file}: {error}") from error
    keys, tree = read_mapping(text, file)
    if "folder" in keys:
        raise UsageError(f'{file}, line {line_of(tree, ["folder"])}: unknown key "folder"')
    included = keys.pop("include", None)
    if included is None:
        return keys, tree
    below = file.parent / str(included)
    if not below.is_file():
        raise UsageError(f"{file} includes {included}, and there is no file {below}")
    base, _ = _read(below, (*above, file.resolve()))
    # files beside a suite are those beside the one that says which
    folder = file.parent if "data" in keys else base.get("folder", below.parent)
    return base | keys | {"folder": folder}, tree


def _explain(file: Path, tree: yaml.MappingNode, problem: "ErrorDetails") -> str:
    at = [part for part in problem["loc"] if not _is_union_branch(part)]
    key = ".".join(str(part) for part in at)
    line = f", line {line_of(tree, at)}"
    if problem["type"] == "extra_forbidden":
        return f'{file}{line}: unknown key "{key}"; see docs/evaluation.md for those there are'
    if problem["type"] == "missing":
        return f'{file}{line}: "{key}" is missing'
    message = problem["msg"].removeprefix("Value error, ")
    where = f"{key} = {problem['input']!r:.200} " if key else ""
    return f"{file}{line}: {where}is not valid: {message}" if where else f"{file}: {message}"


def _is_union_branch(part: object) -> bool:
    """pydantic names the member of a union that it tried within the path to a value."""
    return isinstance(part, str) and (part == "Inline" or "[" in part or part in ("str", "int"))


def described(suite: Suite) -> Mapping[str, object]:
    """All of a suite that decides its records, as plain data."""
    idle = {
        "folder",
        "system_prompts",  # those it names are cells
        "description",
        "source",
        "licence",
        "variant",
        "known",
        "gates",
        "models",
        "fairness",
    }
    plain: Mapping[str, object] = suite.model_dump(mode="json", exclude=idle)
    return plain
