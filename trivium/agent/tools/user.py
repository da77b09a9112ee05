"""The user's own functions as tools: marked with `@tool`, in files that the user named."""

import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, overload

from trivium.agent.base import Effect, Gate
from trivium.agent.tools.base import whole
from trivium.errors import UsageError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

_MARK = "__trivium_effect__"
_F = TypeVar("_F", bound=Callable[..., Any])


@overload
def tool(function: _F, /) -> _F: ...


@overload
def tool(*, effect: Effect = "run") -> Callable[[_F], _F]: ...


def tool(function: _F | None = None, /, *, effect: Effect = "run") -> _F | Callable[[_F], _F]:
    """Mark a function as a tool that a model may call: `@tool` or `@tool(effect="read")`.

    Its name, its docstring and its annotated arguments are what the model is told. `effect` is
    what a call needs leave for: one of "read", which is free, "write", "run" and "network".

    Raises:
        UsageError: for another effect.
    """
    if effect not in get_args(Effect):
        known = ", ".join(get_args(Effect))
        raise UsageError(f"a tool's effect is one of {known}, not {effect!r}")

    def marked(function: _F) -> _F:
        setattr(function, _MARK, effect)
        return function

    return marked if function is None else marked(function)


def as_tool(function: Callable[..., Any]) -> "BaseTool":
    """A function as a tool; one that is not marked needs leave to "run".

    Raises:
        UsageError: when it has no docstring, or an argument has no annotation, with its place.
    """
    from langchain_core.tools import StructuredTool

    name, where = getattr(function, "__name__", ""), _where(function)
    description = inspect.getdoc(function)
    if not name.isidentifier():
        raise UsageError(f"{where}: a tool needs a name: define it with def")
    if not description:
        raise UsageError(f"{where}: {name} needs a docstring that tells the model what it does")
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise UsageError(f"{where}: {name} takes *{parameter.name}: name its arguments")
        if parameter.annotation is parameter.empty:
            raise UsageError(f"{where}: {name} needs a type for its argument {parameter.name}")
    effect: Effect = getattr(function, _MARK, "run")
    is_async = inspect.iscoroutinefunction(function)
    try:
        return StructuredTool.from_function(
            None if is_async else function,
            function if is_async else None,
            name=name,
            parse_docstring=True,
            metadata={"gate": Gate(effect, whole(name))},
        )
    except Exception as error:  # whatever pydantic makes of a type
        told = " ".join(str(error).split())
        raise UsageError(f"{where}: {name} cannot be a tool: {told}") from error


def load_file(path: str | Path) -> "list[BaseTool]":
    """Run a Python file of the user's, and give the functions marked with `@tool` in it.

    Raises:
        UsageError: when it cannot be read or run, or marks none, with the file and the line.
    """
    file = Path(path).expanduser().absolute()
    try:
        source = file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the tools in {path}: {error.strerror}") from error
    module = ModuleType(f"trivium_tools_{file.stem}_{abs(hash(file))}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # dataclasses look themselves up there
    try:
        exec(compile(source, str(file), "exec"), module.__dict__)  # noqa: S102  the user named it
    except SyntaxError as error:
        raise UsageError(f"{path}, line {error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        lines = [
            f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)
        ]
        told = " ".join(str(error).split())
        place = f", line {lines[-1]}" if lines else ""
        raise UsageError(f"{path}{place}: {type(error).__name__}: {told}") from error
    marked = [
        value
        for value in vars(module).values()
        if callable(value) and hasattr(value, _MARK) and value.__module__ == module.__name__
    ]
    if not marked:
        raise UsageError(f"{path} marks no function with @tool; see docs/tools.md")
    return [as_tool(function) for function in marked]


def _where(function: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}, line {code.co_firstlineno}" if code else repr(function)
