"""The user's own functions as tools."""

import sys
from pathlib import Path

import pytest

from tests.agent.tools.calling import call, preview
from trivium.agent.tools import builtin_tools, gate_of
from trivium.agent.tools.user import as_tool, load_file, tool
from trivium.agent.workspace import Workspace
from trivium.errors import UsageError

GOOD = '''
from dataclasses import dataclass
from trivium.agent.tools.user import tool


@dataclass
class Rate:
    value: float = 1.1


@tool(effect="read")
def convert(amount: float, to: str = "EUR") -> str:
    """Convert an amount of money.

    Args:
        amount: How much, in dollars.
        to: The other currency.
    """
    return f"{amount * Rate().value:.2f} {to}"


@tool
def launch(name: str) -> str:
    """Launch a rocket."""
    return f"{name} is up"


@tool(effect="network")
async def later(name: str) -> str:
    """Wait."""
    return name


def helper() -> None:
    raise AssertionError
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.py"


def test_marked_functions_become_tools(file: Path) -> None:
    file.write_text(GOOD)
    tools = load_file(file)
    assert [(t.name, gate_of(t).effect) for t in tools] == [
        ("convert", "read"),
        ("launch", "run"),
        ("later", "network"),
    ]
    assert call(tools, "convert", amount=2) == "2.20 EUR"
    assert tools[0].description == "Convert an amount of money."
    assert tools[0].args["amount"]["description"] == "How much, in dollars."
    assert preview(tools, "launch", name="Ariane").detail == 'launch {\n  "name": "Ariane"\n}'
    assert list(file.parent.glob("**/*.pyc")) == []


def test_a_marked_function_stays_a_function() -> None:
    @tool(effect="write")
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    assert add(1, 2) == 3
    assert gate_of(as_tool(add)).effect == "write"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def f(:\n    pass", "{file}, line 1: invalid syntax"),
        ("\n\n1/0", "{file}, line 3: ZeroDivisionError: division by zero"),
        ("def f():\n    1/0\n\nf()", "{file}, line 2: ZeroDivisionError: division by zero"),
        ("import no_such_module_x", "{file}, line 1: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", "{file}, line 1: SystemExit: 3"),
        ("x = 1", "{file} marks no function with @tool; see docs/tools.md"),
        ("x = '\0'", "{file}"),
        ("@tool\ndef f(x: int): return x", "{file}, line 2: f needs a docstring"),
        ("@tool\ndef f(x):\n    'F.'", "{file}, line 2: f needs a type for its argument x"),
        ("@tool\ndef f(*x: int):\n    'F.'", "{file}, line 2: f takes *x: name its arguments"),
        ("@tool(effect='all')\ndef f():\n    'F.'", "{file}, line 2: UsageError: a tool's effect"),
    ],
)
def test_mistakes_are_told_with_file_and_line(file: Path, source: str, told: str) -> None:
    marked = "from trivium.agent.tools.user import tool; " if source.startswith("@") else ""
    file.write_text(f"{marked}\n{source}" if marked else source)
    lines_moved = 1 if marked else 0
    with pytest.raises(UsageError) as error:
        load_file(file)
    expected = told.replace("{file}", str(file))
    if lines_moved and ", line 2" in expected:
        assert any(expected.replace(", line 2", f", line {n}") in str(error.value) for n in (2, 3))
    else:
        assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.py: No such file or directory"):
        load_file(tmp_path / "none.py")
    with pytest.raises(UsageError, match="Is a directory"):
        load_file(tmp_path)


def test_two_files_of_one_name_do_not_mix(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(
            f"from trivium.agent.tools.user import tool\n@tool\ndef f() -> str:\n"
            f"    'F.'\n    return '{folder}'\n"
        )
    tools = [load_file(tmp_path / folder / "mine.py")[0] for folder in ("a", "b")]
    assert [t.invoke({}) for t in tools] == ["a", "b"]
    assert not any(name == "mine" for name in sys.modules)


def test_a_function_that_cannot_be_a_tool() -> None:
    with pytest.raises(UsageError, match="needs a name"):
        as_tool(lambda: None)


def test_the_built_in_tools_by_name(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert [t.name for t in builtin_tools(workspace)] == [
        "read_file", "list_files", "search_files", "write_file", "patch_file", "run_command",
        "fetch_url", "calculator", "python",
    ]  # fmt: skip
    assert [t.name for t in builtin_tools(workspace, allow=["python", "calculator"])] == [
        "calculator",
        "python",
    ]
    assert builtin_tools(workspace, allow=[]) == []
    with pytest.raises(UsageError, match="there is no tool 'shell'; there are: read_file"):
        builtin_tools(workspace, allow=["shell"])
