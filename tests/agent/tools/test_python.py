"""Python in a process of its own."""

import time
from pathlib import Path

import pytest

from tests.agent.tools.calling import call, preview
from trivium.agent.tools import gate_of
from trivium.agent.tools.base import Run, running
from trivium.agent.tools.python import FILE_BYTES, python_tool

TOOLS = [python_tool()]


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("print(2 ** 10)", "1024"),
        ("x = 20\nx + 1", "21"),
        ("None", "(it printed nothing)"),
        ("", "(it printed nothing)"),
        ("import sys; sys.exit(3)", "[exit status 3]"),
        ("if __name__ == '__main__':\n    print('ü')", "ü"),
    ],
)
def test_output_and_last_value(code: str, result: str) -> None:
    assert call(TOOLS, "python", code=code) == result


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("1/0", "ZeroDivisionError: division by zero\n[exit status 1]"),
        ("def f(:", "SyntaxError"),
        ("x = bytearray(3 * 1024 ** 3)", "MemoryError"),
        ("input()", "EOFError"),
        (
            f"with open('big', 'wb') as f: f.write(bytes({FILE_BYTES} + 1))",
            "[Errno 27] File too large",
        ),
    ],
)
def test_failures_and_limits_are_told(code: str, told: str) -> None:
    assert told in call(TOOLS, "python", code=code)


def test_a_loop_without_end_is_killed() -> None:
    began = time.monotonic()
    with running(Run(began + 0.5)):
        result = call(TOOLS, "python", code="print('on', flush=True)\nwhile True: pass")
    assert result == "on\n[killed: it did not end in time]"
    assert time.monotonic() - began < 5


def test_it_sees_neither_the_user_s_folder_nor_their_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIVIUM_API_KEY", "sk-123")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "evil.py").write_text("print('evil')")
    monkeypatch.chdir(tmp_path)
    code = "import os\nprint(os.listdir(), [n for n in os.environ if 'TRIV' in n])\nimport evil"
    result = call(TOOLS, "python", code=code)
    assert result.startswith("['code.py'] []\n")
    assert "ModuleNotFoundError: No module named 'evil'" in result


def test_its_folder_is_gone_afterwards() -> None:
    folder = call(TOOLS, "python", code="import os; print(os.getcwd())")
    assert not Path(folder).exists()


def test_the_user_sees_all_of_the_code() -> None:
    shown = preview(TOOLS, "python", code="\n\nimport os\nos.getcwd()")
    assert shown.title == "run Python: import os"
    assert shown.detail == shown.pattern == "\n\nimport os\nos.getcwd()"
    assert gate_of(TOOLS[0]).effect == "run"
