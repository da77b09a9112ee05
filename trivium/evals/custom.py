"""The user's own scorers: functions of a record in a Python file that the user named."""

import inspect
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from trivium.errors import UsageError
from trivium.evals.plan import code_file
from trivium.evals.suite import Suite


def custom_scorers(suite: Suite, allowed: Path | None) -> dict[str, Callable[..., Any]]:
    """The functions of the suite's `code` file; it is run only when it is the `allowed` one.

    Raises:
        UsageError: when the user has not named the file, or it does not run.
    """
    file = code_file(suite)
    if file is None:
        if allowed is not None:
            raise UsageError(f"the suite {suite.name} has no code to run; leave --code out")
        return {}
    if allowed is None or allowed.resolve() != file.resolve():
        raise UsageError(
            f"the suite {suite.name} wants to run the Python file {file}; read it, and allow it "
            f"with --code {file}"
        )
    spec = spec_from_file_location(f"trivium_scorers_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} is not a Python file")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{file} does not run: {type(error).__name__}: {error}") from error
    return {
        name: function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_") and function.__module__ == module.__name__
    }
