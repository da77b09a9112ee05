"""Scorers by name. Each is built with the options that a suite gives it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trivium.errors import TriviumError, UsageError
from trivium.evals.scorers.base import Built, Means
from trivium.evals.scorers.builders import BUILDERS

Spec = str | Mapping[str, Mapping[str, object]]


def build(
    specs: Sequence[Spec], means: Means, custom: Mapping[str, Callable[..., Any]] | None = None
) -> list[Built]:
    """The scorers that a suite lists; those of `custom` (the user's own code) come first.

    Raises:
        UsageError: for an unknown scorer or option, or a value that cannot be meant.
    """
    built = []
    for spec in specs:
        name, options = parts(spec)
        if custom and name in custom:
            built.append(_custom(name, custom[name], options))
        elif name in BUILDERS:
            built.append(_built(name, options, means))
        else:
            known = ", ".join(sorted([*BUILDERS, *(custom or ())]))
            raise UsageError(f'there is no scorer "{name}"; there are {known}')
    return built


def parts(spec: Spec) -> tuple[str, Mapping[str, object]]:
    """A scorer's name and options.

    Raises:
        UsageError: when `spec` is a mapping of more or less than one name.
    """
    if isinstance(spec, str):
        return spec, {}
    if len(spec) != 1:
        raise UsageError(f"a scorer is one name with its options, not {', '.join(spec) or 'none'}")
    return next(iter(spec.items()))


def _built(name: str, options: Mapping[str, object], means: Means) -> Built:
    from pydantic import ValidationError

    try:
        return BUILDERS[name](means, **options)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        known = ", ".join(list(inspect.signature(BUILDERS[name]).parameters)[1:])
        raise UsageError(
            f'the scorer "{name}": {key} is not valid ({problem["msg"]}); '
            + (f"its options are {known}" if known else "it has no options")
        ) from error


def _custom(name: str, function: Callable[..., Any], options: Mapping[str, object]) -> Built:
    """The user's function of a record: a number, None, or a mapping of them."""
    from trivium.evals.base import Record, Scores
    from trivium.evals.scorers.base import each

    def one(record: Record) -> Scores:
        try:
            result = function(record, **options)
        except TriviumError:
            raise
        except Exception as error:
            raise TriviumError(
                f"the scorer {name} failed: {type(error).__name__}: {error}"
            ) from error
        found = result if isinstance(result, Mapping) else {name: result}
        try:
            return {str(key): None if v is None else float(v) for key, v in found.items()}
        except (TypeError, ValueError) as error:
            raise TriviumError(f"the scorer {name} returned {result!r:.100}, no number") from error

    return Built(each(one))
