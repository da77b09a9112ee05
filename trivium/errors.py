"""Every error a user can meet, each with the exit code that scripts rely on.

An error is raised where the fact is known, as one sentence that names the value and the way out,
and it is rendered in one place: `trivium.cli.main`.
"""


class TriviumError(Exception):
    """Something failed; the message is one sentence for the user."""

    exit_code = 1


class UsageError(TriviumError):
    """The user asked for something that cannot be meant: a bad option, key or file format."""

    exit_code = 2


class NotInDocuments(TriviumError):
    """Nothing in the documents answers the question."""

    exit_code = 3


class ContextOverflow(TriviumError):
    """The prompt does not fit the model's context; the message carries both numbers."""

    exit_code = 4


class Unavailable(TriviumError):
    """A model, server or network that the job needs is not there."""

    exit_code = 5


class GateFailed(TriviumError):
    """A threshold, regression or fairness gate did not hold."""

    exit_code = 6


class SchemaViolation(TriviumError):
    """Constrained output broke its schema or grammar and was withheld."""

    exit_code = 7


class StateMismatch(TriviumError):
    """A saved KV state does not belong to this engine, and was not used."""
