"""The model card: JSON that the hub's own library reads, and Markdown that stays one table."""

import json
from dataclasses import replace

from huggingface_hub.repocard_data import model_index_to_eval_results

from tests.evals.fairness.madeup import answers
from tests.evals.fairness.test_report import evil, measured
from trivium.evals.fairness.base import Finding
from trivium.evals.fairness.card import card_json, card_markdown, run_json
from trivium.evals.intervals import Interval


def test_the_hub_reads_every_defined_figure() -> None:
    made = card_json([measured(answers("yn" * 20))])
    made = json.loads(json.dumps(made, allow_nan=False))
    (model,) = made["model-index"]
    name, results = model_index_to_eval_results([model])
    assert name == "m"
    assert [(one.metric_name, one.metric_value) for one in results] == [
        ("yes", 0.5),
        ("yes (a)", 1.0),
        ("yes (b)", 0.0),
        ("gap", 1.0),
    ]
    assert results[0].task_type == "text-generation"
    assert results[0].dataset_name == "Made-up benchmark"
    assert results[0].dataset_revision == "3"
    args = results[0].metric_args or {}
    assert args["n"] == 40
    assert round(args["low"], 4) == 0.3520  # Wilson, 20 of 40
    (about,) = made["fairness"]
    assert about["limits"] == ["Nobody should believe it."]
    assert about["undefined"] == [
        {"model": "m", "prompt": "p", "measure": "yes", "group": "c", "why": "no rows"}
    ]


def test_two_prompts_are_results_of_one_model() -> None:
    made = card_json([measured(answers("yn" * 20), answers("yn" * 20, prompt="kind"))])
    (model,) = made["model-index"]
    assert [one["dataset"]["args"]["prompt"] for one in model["results"]] == ["p", "kind"]


def test_a_bound_that_is_not_there_is_null() -> None:
    made = measured(answers("yn" * 20))
    open_ended = Finding("x", "", 1.0, 1, Interval(1.0, -float("inf"), float("inf"), 1, "x"))
    made = replace(made, cells=(replace(made.cells[0], findings=(open_ended,)),))
    said = json.loads(json.dumps(run_json(made), allow_nan=False))
    (finding,) = said["cells"][0]["findings"]
    assert (finding["value"], finding["low"], finding["high"]) == (1.0, None, None)


def test_the_markdown_is_a_section_with_a_table_and_limits() -> None:
    text = card_markdown([measured(answers("yn" * 20))])
    assert text.startswith("## Fairness\n\n### Made-up benchmark\n")
    assert "| yes | all rows | 0.5 | 0.352 to 0.648 | 40 | 0.5 |  |\n" in text
    assert "| yes | c | undefined |  | 0 | 0.5 | no rows |\n" in text
    assert "- **gap**: Share of a minus that of b.\n" in text
    assert text.endswith("\nLimits:\n\n- Nobody should believe it.\n")


def test_nothing_in_the_markdown_is_html_or_breaks_the_table() -> None:
    text = card_markdown([evil()])
    assert "<script" not in text
    assert "<img" not in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert {line.replace("\\|", "").count("|") for line in lines} == {8}
