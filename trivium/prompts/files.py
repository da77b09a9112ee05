"""Prompt files: one YAML file is one prompt, found in ./prompts, the user's folder, the package."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trivium.errors import UsageError
from trivium.paths import home
from trivium.prompts.base import (
    Example,
    Order,
    Prompt,
    SelectorName,
    Shots,
    Variable,
    VariableType,
)
from trivium.prompts.values import as_text, coerce
from trivium.prompts.yaml_file import line_of, read_mapping, text_line

if TYPE_CHECKING:
    import yaml

LIBRARY = Path(__file__).parent / "library"
NAME = r"^[a-z0-9][a-z0-9_-]*$"


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Variable(_Closed):
    type: VariableType = "string"
    description: str = ""
    default: Any = None
    choices: list[str] = []
    input: bool = False


class _Example(_Closed):
    inputs: dict[str, Any]
    output: Any


class _Pool(_Closed):
    """Examples in a file of JSON lines beside the prompt; `output` names the answer's column."""

    file: str
    output: str = "output"


class _Shots(_Closed):
    selector: SelectorName = "fixed"
    k: Annotated[int, Field(ge=0, le=64)] | None = None
    seed: int = 0
    order: Order = "chosen"


class _File(_Closed):
    name: Annotated[str, Field(pattern=NAME)]
    description: str = ""
    version: Annotated[int, Field(ge=1)] = 1
    licence: str = ""
    tags: list[str] = []
    variables: dict[str, _Variable | None] = {}
    system: str = ""
    user: Annotated[str, Field(min_length=1)]
    examples: Any = None
    shots: _Shots = _Shots()
    output_schema: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


@dataclass(frozen=True, slots=True)
class Found:
    """A prompt file in one of the three places; `shadowed`: an earlier place has the name too."""

    name: str
    path: Path
    place: str
    shadowed: bool


def places() -> list[tuple[str, Path]]:
    """Where prompts lie, and what to call it; the first place that has a name wins."""
    return [("./prompts", Path("prompts")), ("home", home() / "prompts"), ("shipped", LIBRARY)]


def prompt_files() -> list[Found]:
    """Every prompt file, by name and then in the order in which it is looked for."""
    found: list[Found] = []
    seen: set[str] = set()
    for place, folder in places():
        names = [file for file in sorted(folder.glob("*.yaml")) if file.is_file()]
        found += [Found(file.stem, file, place, file.stem in seen) for file in names]
        seen |= {file.stem for file in names}
    return sorted(found, key=lambda one: one.name)


def all_prompts() -> list[Prompt]:
    """Every prompt that `find_prompt` finds, by name.

    Raises:
        UsageError: when one of them is broken.
    """
    return [_named(one.path, one.name) for one in prompt_files() if not one.shadowed]


def find_prompt(name: str) -> Prompt:
    """The prompt `name` of ./prompts, the user's folder or the library; or a file's, by its path.

    Raises:
        UsageError: when there is none, or it is broken.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return load_prompt(name)
    for _, folder in places():
        if (file := folder / f"{name}.yaml").is_file():
            return _named(file, name)
    from difflib import get_close_matches

    near = get_close_matches(name, {one.name for one in prompt_files()}, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; see: trivium prompts list"
    looked = ", ".join(place for place, _ in places())
    raise UsageError(f'there is no prompt "{name}" ({looked}){hint}')


def load_prompt(path: str | Path) -> Prompt:
    """The prompt in the file `path`.

    Raises:
        UsageError: when it cannot be read or means nothing, naming the file and the line.
    """
    file = Path(path).expanduser()
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise UsageError(f"cannot read the prompt {file}: {error.strerror or error}") from error
    return parse_prompt(text, file)


def parse_prompt(text: str, file: Path) -> Prompt:
    """The prompt that `text` spells; files it names lie beside `file`.

    Raises:
        UsageError: naming `file` and the line.
    """
    values, tree = read_mapping(text, file)
    fail = partial(_fail, file, tree)
    said = _validate(_File, values, fail)
    variables = tuple(
        _variable(name, spec or _Variable(), values, fail) for name, spec in said.variables.items()
    )
    if sum(one.input for one in variables) > 1:
        fail(["variables"], "more than one variable is marked input; leave one")
    lines = {f"variables.{one.name}": line_of(tree, ["variables", one.name]) for one in variables}
    lines |= {key: line for key in ("system", "user") if (line := text_line(tree, key))}
    lines |= {key: line_of(tree, [key]) for key in ("examples", "schema") if key in values}
    if isinstance(said.examples, list):
        numbers = range(len(said.examples))
        lines |= {f"examples.{one}": line_of(tree, ["examples", one]) for one in numbers}
    return Prompt(
        name=said.name,
        user=said.user,
        system=said.system,
        description=said.description,
        version=said.version,
        variables=variables,
        examples=_examples(said.examples, variables, file, fail),
        shots=Shots(**said.shots.model_dump()),
        schema=said.output_schema,
        tags=tuple(said.tags),
        licence=said.licence,
        path=file,
        lines=lines,
    )


def _named(file: Path, name: str) -> Prompt:
    prompt = load_prompt(file)
    if prompt.name != name:
        raise UsageError(f'{file} names its prompt "{prompt.name}"; call the file or it the same')
    return prompt


def _variable(name: str, spec: _Variable, values: Mapping[str, Any], fail: Any) -> Variable:
    at = ["variables", name]
    if not name.isidentifier() or name != name.lower():
        fail(at, f'"{name}" is no name for a variable; use small letters, digits and _')
    if spec.input and spec.type != "string":
        fail(at, f'"{name}" takes standard input, which is a string, not {spec.type}')
    required = "default" not in (values["variables"][name] or {})
    variable = Variable(
        name, spec.type, spec.description, required, None, tuple(spec.choices), spec.input
    )
    if required:
        return variable
    try:
        default = coerce(variable, spec.default)
    except ValueError as error:
        fail([*at, "default"], f"the default of {name} {error}")
    return Variable(
        name, spec.type, spec.description, False, default, tuple(spec.choices), spec.input
    )


def _examples(
    said: Any, variables: tuple[Variable, ...], file: Path, fail: Any
) -> tuple[Example, ...]:
    """Inline examples, or those of a file of JSON lines, whose other columns are left aside."""
    known = {one.name for one in variables}
    needed = [one.name for one in variables if one.required]
    examples = []
    if isinstance(said, dict):
        pool = _validate(_Pool, said, fail, "examples")
        rows = list(_pool(file.parent / pool.file, pool.output, known))
    else:
        if said is not None and not isinstance(said, list):
            fail(["examples"], "examples are a list, or a file: of JSON lines")
        rows = [
            (["examples", number], _validate(_Example, row, fail, "examples", number))
            for number, row in enumerate(said or [])
        ]
    for at, row in rows:
        for name in sorted(row.inputs.keys() - known):
            fail(at, f'an example gives "{name}", which is none of the variables')
        for name in needed:
            if name not in row.inputs:
                fail(at, f'an example lacks "{name}"')
        inputs = {name: as_text(value) for name, value in row.inputs.items()}
        examples.append(Example(inputs, as_text(row.output).rstrip("\n")))
    return tuple(examples)


def _pool(file: Path, output: str, known: set[str]) -> Iterator[tuple[Any, _Example]]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the examples {file}: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{where} is not JSON: {error}") from error
        if not isinstance(row, dict) or output not in row:
            raise UsageError(f'{where} is no object with a key "{output}"')
        inputs = {name: value for name, value in row.items() if name in known and name != output}
        yield where, _Example(inputs=inputs, output=row[output])


def _validate(model: Any, values: Any, fail: Any, *above: str | int) -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        at = [*above, *problem["loc"]]
        key = ".".join(str(part) for part in at)
        if problem["type"] == "extra_forbidden":
            fields = {f.alias or name for name, f in model.model_fields.items()}
            known = f"; known are {', '.join(sorted(fields))}" if len(at) == 1 + len(above) else ""
            fail(at, f'unknown key "{key}"{known}')
        if problem["type"] == "missing":
            fail(at, f'"{key}" is missing')
        fail(at, f"{key} = {problem['input']!r:.100} is not valid: {problem['msg']}")


def _fail(
    file: Path, tree: "yaml.MappingNode", at: list[int | str] | str, message: str
) -> NoReturn:
    if isinstance(at, str):  # a line of another file
        raise UsageError(f"{at}: {message}")
    raise UsageError(f"{file}, line {line_of(tree, at)}: {message}")
