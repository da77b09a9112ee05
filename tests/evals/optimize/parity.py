"""A small task and models for it that are scripted: is a number odd or even?"""

import hashlib
from pathlib import Path
from typing import Any

import yaml

from tests.evals.suites import write_rows
from tests.scripted import ScriptedEngine
from trivium.engines.base import Request
from trivium.evals.cache import Cache
from trivium.evals.helpers import Helpers
from trivium.evals.optimize.base import Options, Result
from trivium.evals.optimize.run import optimize
from trivium.evals.plan import Plan, make_plan
from trivium.evals.suite import load_suite

PROMPT = """\
name: parity
description: Odd or even.
version: 3
licence: Apache-2.0
variables:
  number: {input: true, description: A number.}
  labels: {type: list, default: [odd, even], description: The answers.}
system: |
  Say {{ labels | join(" or ") }}.
user: |
  {{ number }}
"""


def write_task(folder: Path, rows: int = 120, **keys: Any) -> Path:
    (folder / "parity.yaml").write_text(PROMPT)
    write_rows(
        folder / "rows.jsonl",
        [{"number": f"no {n}", "target": "odd" if n % 2 else "even"} for n in range(rows)],
    )
    suite = {
        "name": "numbers",
        "prompts": ["parity.yaml"],
        "data": {"file": "rows.jsonl"},
        "sampling": {"max_tokens": 4},
        "scorers": ["exact"],
        "shard": 16,
    }
    file = folder / "numbers.yaml"
    file.write_text(yaml.safe_dump(suite | keys))
    return file


def truth(request: Request) -> str:
    return "odd" if int(request.messages[-1].content.split()[-1]) % 2 else "even"


def heeds(word: str) -> Any:
    """A model that is right when `word` is in its instruction, and else always says odd."""

    def reply(request: Request) -> str:
        if "Solved cases" in request.messages[-1].content:
            return "Instruction: Say odd or even, and COUNT first."
        return truth(request) if word in request.messages[0].content else "odd"

    return reply


def learns(request: Request) -> str:
    """A model that is right when it is shown an even number that is called even."""
    shown = [one.content for one in request.messages if one.role == "assistant"]
    return truth(request) if "even" in shown else "odd"


def guesses(request: Request) -> str:
    """A model whose answer depends on every word, and on nothing that matters."""
    said = "\n".join(one.content for one in request.messages)
    return ("odd", "even")[hashlib.sha256(said.encode()).digest()[0] % 2]


def plan(folder: Path, rows: int = 120, **keys: Any) -> Plan:
    return make_plan(load_suite(write_task(folder, rows, **keys)), ["tiny"])


def search(
    made: Plan, engine: ScriptedEngine, folder: Path, options: Options | None = None
) -> Result:
    cache = Cache(folder / "state.db")
    with cache, Helpers(lambda name: engine, cache) as helpers:
        return optimize(made, helpers, cache, options or Options(proposals=0))
