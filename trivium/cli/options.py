"""Options that several commands take, each with its one line of help."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", "-m", help="In place of the suite's models; may be repeated."),
]
Data = Annotated[
    Path | None, typer.Option("--data", help="A file or folder in place of the suite's.")
]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Rows at most.")]
SystemPrompts = Annotated[
    list[str] | None,
    typer.Option(
        "--system-prompt",
        metavar="PROMPT",
        help="Also ask behind this prompt's system part; may be repeated.",
    ),
]
Code = Annotated[
    Path | None, typer.Option("--code", help="The Python file with scorers that may be run.")
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Ask the failed rows of the last run again.")
]
Cached = Annotated[
    bool, typer.Option("--cache/--no-cache", help="Take known answers from the cache.")
]
MaxGap = Annotated[
    float | None, typer.Option("--max-gap", min=0, help="Gate: groups differ by at most so much.")
]
MaxBias = Annotated[
    float | None,
    typer.Option("--max-bias", min=0, help="Gate: bias is at most so far from its ideal."),
]
