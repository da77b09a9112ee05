"""`trivium`: finds the command, runs it, and renders every error as a sentence and an exit code."""

import errno
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from typer.main import get_command

from trivium import __version__
from trivium.cli import console
from trivium.cli.console import Verbosity
from trivium.cli.lazy import LazyGroup, add_stubs
from trivium.errors import TriviumError

INTERRUPTED = 128 + 2
"""What a shell reports of a program that SIGINT ended."""
PIPE_CLOSED = 128 + 13
"""What a shell reports of a program that SIGPIPE ended, as `head` ends `cat`."""

app = typer.Typer(
    cls=LazyGroup,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 not in the documents, 4 does not fit the "
    "context, 5 model or server not available, 6 a gate failed, 7 output broke its schema, "
    "130 interrupted.",
)
add_stubs(app)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"trivium {__version__}")
        raise typer.Exit


def _sets(level: Verbosity) -> Callable[[bool], None]:
    """A callback for a flag. A flag that is not given leaves what an earlier one has set."""

    def choose(given: bool) -> None:
        if given:
            console.set_verbosity(level)
            if level is Verbosity.DEBUG:
                _log_everything()

    return choose


def _log_everything() -> None:
    import logging

    logging.basicConfig(level=logging.DEBUG, format="%(name)s: %(message)s")
    warnings.simplefilter("default")


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            callback=_sets(Verbosity.QUIET),
            is_eager=True,
            expose_value=False,
            help="Results and errors alone.",
        ),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            callback=_sets(Verbosity.VERBOSE),
            is_eager=True,
            expose_value=False,
            help="Say more about what happens.",
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            callback=_sets(Verbosity.DEBUG),
            is_eager=True,
            expose_value=False,
            help="Tracebacks and the libraries' logs.",
        ),
    ] = False,
) -> None:
    """Ask documents with a language model on your own machine."""


def main() -> None:
    """The entry point of the command `trivium`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are rendered here and only here."""
    if not sys.warnoptions:  # a library's warning is for us, and --debug shows it
        warnings.simplefilter("ignore")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if "TRIVIUM_OFFLINE" in os.environ:
        from trivium.network import install_guard

        install_guard()
    try:
        result = get_command(app).main(list(arguments), prog_name="trivium", standalone_mode=False)
        sys.stdout.flush()
        code = result if isinstance(result, int) else 0
        if code == INTERRUPTED:  # how typer hands on a KeyboardInterrupt
            typer.echo("interrupted", err=True)
    except BaseException as error:
        code = render(error)
    return _flushed(code)


def render(error: BaseException) -> int:
    """Write `error` to stderr as one sentence and return its exit code."""
    if isinstance(error, SystemExit):
        # typer and rich turn a closed pipe into a plain SystemExit(1)
        closed = isinstance(error.__context__, BrokenPipeError)
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        return PIPE_CLOSED if closed else code
    if isinstance(error, BrokenPipeError):
        return PIPE_CLOSED
    if isinstance(error, KeyboardInterrupt):
        typer.echo("interrupted", err=True)
        return INTERRUPTED
    if isinstance(error, typer.Abort):  # a prompt that got Ctrl-C or the end of its input
        typer.echo("aborted", err=True)
        return INTERRUPTED if isinstance(error.__context__, KeyboardInterrupt) else 1
    if console.verbosity() >= Verbosity.DEBUG:
        import traceback

        traceback.print_exception(error)
    sentence, code = _explain(error)
    if sentence:
        typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
        typer.echo(console.clean(sentence), err=True)
    return code


def _explain(error: BaseException) -> tuple[str, int]:
    """The sentence for `error` and its exit code."""
    if isinstance(error, TriviumError):
        return str(error), error.exit_code
    if isinstance(error, typer.TyperException):
        return _usage(error), error.exit_code
    if isinstance(error, OSError):
        return _from_the_system(error), 1
    if isinstance(error, MemoryError):
        return "out of memory; try a smaller model or a smaller context_length", 1
    what = f"{type(error).__name__}: {error}".removesuffix(": ")
    return f"this is a bug in trivium: {what}; run again with --debug for the traceback", 1


def _usage(error: typer.TyperException) -> str:
    """Typer's message as a clause, with the page that helps; none where it shows that page."""
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error.format_message(), err=True)
        return ""
    message = error.format_message().rstrip(".").replace(". Did you mean", "; did you mean")
    message = message[:1].lower() + message[1:]
    context: typer.Context | None = getattr(error, "ctx", None)
    page = f"{context.command_path} --help" if context else "trivium --help"
    return message if message.endswith("?") else f"{message}; see: {page}"


def _from_the_system(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = f" to write {error.filename}" if error.filename else ""
        return f"no space left on the disk{place}; free some, or move TRIVIUM_HOME to another disk"
    return f"{error.filename}: {reason}" if error.filename else reason


def _flushed(code: int) -> int:
    """Flush what a failing command has printed; the interpreter's own attempt is not quiet."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or render(error)
    return code


if __name__ == "__main__":
    main()
