"""`trivium fairness`: benchmarks of bias, audits of a prompt, a report for people, gates."""

import typer

from trivium.cli.fairness_audit import audit
from trivium.cli.fairness_compare import compare
from trivium.cli.fairness_report import report
from trivium.cli.fairness_run import run
from trivium.cli.fairness_score import score

app = typer.Typer(
    no_args_is_help=True, help="Measure bias, audit a prompt, report, and gate on it."
)
app.command()(run)
app.command()(audit)
app.command()(score)
app.command()(report)
app.command()(compare)
