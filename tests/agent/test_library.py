"""Trivium as a library: its public names, its example, the code in docs/library.md."""

import ast
import inspect
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import trivium
from tests.scripted import ScriptedEngine
from trivium.agent import base
from trivium.agent.agent import Agent
from trivium.engines.base import Completion, ToolCall

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "agent.py"
PAGE = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")


def loaded(code: str) -> set[str]:
    """The modules that a fresh interpreter has after `code`."""
    command = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return set(done.stdout.split())


def test_importing_trivium_imports_nothing_else() -> None:
    ours = {name for name in loaded("import trivium") if name.startswith("trivium")}
    assert ours == {"trivium"}


def test_the_agent_imports_no_model_and_no_langchain() -> None:
    modules = loaded("from trivium import Agent, Index, load_engine, tool")
    heavy = {"langchain", "langchain_core", "langgraph", "llama_cpp", "torch", "pydantic", "httpx"}
    assert modules & heavy == set()


def test_a_turn_without_tools_imports_no_langchain() -> None:
    modules = loaded(
        "from tests.scripted import ScriptedEngine\nfrom trivium import Agent\n"
        "with Agent(ScriptedEngine('x')) as agent: agent.ask('y')"
    )
    assert {name for name in modules if name.startswith("lang")} == set()


def test_the_public_names() -> None:
    assert sorted(trivium.__all__) == ["Agent", "Index", "__version__", "load_engine", "tool"]
    for name in trivium.__all__:
        assert getattr(trivium, name)
    assert trivium.Agent is Agent
    with pytest.raises(AttributeError, match="no attribute 'Agnet'"):
        _ = trivium.Agnet  # type: ignore[attr-defined]


def test_every_public_method_has_a_docstring() -> None:
    methods = [n for n, m in inspect.getmembers(Agent) if callable(m) and not n.startswith("_")]
    assert {"aask", "ask", "astream", "close", "stop", "stream"} <= set(methods)
    assert [name for name in methods if not inspect.getdoc(getattr(Agent, name))] == []


def test_the_example_asks_streams_and_uses_a_tool(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ToolCall("c", "count_words", {"text": "to be or not to be"})
    engine = ScriptedEngine(
        "The Seine.",
        Completion("", "stop", 0, 1, tool_calls=(call,)),
        lambda request: f"It has {request.messages[-1].content} words.",
    )
    monkeypatch.setattr("trivium.agent.agent.load_engine", lambda name: engine)
    monkeypatch.setattr(sys, "argv", ["agent.py"])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert capsys.readouterr().out == "The Seine.\nIt has 6 words."
    assert engine.closed


@pytest.mark.model
@pytest.mark.usefixtures("real_models")
def test_the_example_runs_with_the_default_model(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    first, _, rest = done.stdout.partition("\n")
    assert "iver" in first
    assert rest.strip()


def test_the_page_holds_the_example() -> None:
    code = EXAMPLE.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    for block in blocks:
        ast.parse(block)
    body = code[code.index("@tool") :].replace("sys.argv[1] if len(sys.argv) > 1 else ", "")
    assert blocks[0].endswith(body)


def test_the_page_names_what_there_is() -> None:
    for name in re.findall(r"`(\w+)(?:\(|`)", PAGE[PAGE.index("| call") : PAGE.index("## Events")]):
        assert name in ("text", "attachments", "approve", "Node") or hasattr(Agent, name), name
    for name in re.findall(
        r"`([A-Z]\w+)`", PAGE[PAGE.index("| event") : PAGE.index("The model runs")]
    ):
        assert hasattr(base, name), name
