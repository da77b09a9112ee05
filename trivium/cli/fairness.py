"""`trivium fairness`: benchmarks of bias, audits of a prompt, a report for people, gates."""

import typer

app = typer.Typer(
    no_args_is_help=True, help="Measure bias, audit a prompt, report, and gate on it."
)


@app.callback()
def fairness() -> None: ...
