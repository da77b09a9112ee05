"""`trivium fairness`: benchmarks of bias, audits of a prompt, a report for people, gates."""

import typer

from trivium.cli.fairness_score import score

app = typer.Typer(
    no_args_is_help=True, help="Measure bias, audit a prompt, report, and gate on it."
)
app.command()(score)


@app.callback()
def fairness() -> None: ...
