"""`trivium fairness run`: a benchmark through the ordinary runner, its figures, its gates."""

from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console
from trivium.cli.eval_run import carry_out, require_results
from trivium.cli.fairness_show import require, show
from trivium.cli.options import (
    Cached,
    Data,
    Json,
    Limit,
    MaxBias,
    MaxGap,
    Models,
    RetryFailed,
    SystemPrompts,
)

if TYPE_CHECKING:
    from trivium.evals.fairness.base import Benchmark
    from trivium.evals.fairness.gates import FairnessGate
    from trivium.evals.fairness.measure import RunMeasures
    from trivium.evals.gates import Verdict
    from trivium.evals.store import Runs


def run(
    suite: Annotated[str, typer.Argument(help="A benchmark's name, or a suite's YAML file.")],
    model: Models = None,
    data: Data = None,
    limit: Limit = None,
    system_prompt: SystemPrompts = None,
    max_gap: MaxGap = None,
    max_bias: MaxBias = None,
    not_worse_than: Annotated[
        str | None,
        typer.Option("--not-worse-than", metavar="RUN", help="Gate: no less fair than that run."),
    ] = None,
    margin: Annotated[
        float,
        typer.Option("--margin", min=0, help="So much less fair than RUN is still not worse."),
    ] = 0.0,
    retry_failed: RetryFailed = False,
    cached: Cached = True,
    as_json: Json = False,
) -> None:
    """Measure bias by a benchmark: every figure with its interval, by group and overall.

    Gates are judged on the worst bound of an interval; exit 6 when one does not hold.
    """
    from trivium.evals.fairness.benchmarks import benchmark
    from trivium.evals.fairness.card import run_json
    from trivium.evals.fairness.gates import parse_gates
    from trivium.evals.fairness.measure import measure
    from trivium.evals.report.table import verdicts_json
    from trivium.evals.store import Runs
    from trivium.evals.suite import load_suite

    said = load_suite(suite)
    measures = benchmark(said.name)
    options: list[dict[str, object]] = []
    options += [{"max_gap": max_gap}] if max_gap is not None else []
    options += [{"max_bias": max_bias}] if max_bias is not None else []
    options += [{"not_worse_than": not_worse_than, "margin": margin}] if not_worse_than else []
    gates = parse_gates([*said.fairness, *options])
    with Runs() as runs:
        gates = pinned(runs, gates)
        made = carry_out(
            runs,
            said,
            models=model,
            data=data,
            limit=limit,
            system_prompts=system_prompt,
            retry_failed=retry_failed,
            cached=cached,
        )
        stored = runs.get(made)
        require_results(stored)
        measured = measure(runs, stored, measures)
        verdicts = judged(runs, measured, measures, gates)
    if as_json:
        console.emit_json(run_json(measured) | {"gates": verdicts_json(verdicts)})
    else:
        show(measured)
    console.note(f"run {made}: {stored.done:,} of {stored.total:,} rows")
    require(verdicts)


def pinned(runs: "Runs", gates: "list[FairnessGate]") -> "list[FairnessGate]":
    """The gates with runs by their ids: a suite's newest run is another one after a run of it."""
    return [
        gate
        if gate.not_worse_than is None
        else gate.model_copy(update={"not_worse_than": runs.get(gate.not_worse_than).id})
        for gate in gates
    ]


def judged(
    runs: "Runs", measured: "RunMeasures", benchmark: "Benchmark", gates: "list[FairnessGate]"
) -> "list[Verdict]":
    """What becomes of every gate on a measured run."""
    from trivium.evals.fairness.gates import judge
    from trivium.evals.fairness.measure import by_cell

    if not gates:
        return []
    return judge(
        gates,
        benchmark,
        by_cell(runs, measured.run.id),
        {cell.cell: cell.findings for cell in measured.cells},
        lambda name: by_cell(runs, name),
    )
