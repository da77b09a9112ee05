"""Python in a process of its own, with limits on memory, time and files, in an empty folder."""

import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from trivium.agent.base import Preview
from trivium.agent.tools.base import current, make
from trivium.agent.tools.process import run_program
from trivium.agent.tools.shell import told

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

SECONDS = 30
MEMORY = 2 * 1024**3
FILE_BYTES = 64 * 1024**2

# The limits are set by the child itself before it runs the code: `preexec_fn` may deadlock in a
# program with threads. The value of a last expression is printed, as at Python's own prompt.
_BOOT = """
import ast, resource, sys
seconds, memory, file_bytes, path = *map(int, sys.argv[1:4]), sys.argv[4]
for kind, limit in (("CORE", 0), ("CPU", seconds), ("AS", memory), ("FSIZE", file_bytes)):
    try:
        resource.setrlimit(getattr(resource, "RLIMIT_" + kind), (limit, limit))
    except (ValueError, OSError):
        pass
sys.argv = [path]
with open(path, encoding="utf-8") as file:
    tree = ast.parse(file.read(), "code.py")
last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
scope = {"__name__": "__main__"}
exec(compile(tree, "code.py", "exec"), scope)
if last:
    value = eval(compile(ast.Expression(last.value), "code.py", "eval"), scope)
    if value is not None:
        print(value)
"""


def python_tool() -> "BaseTool":
    """python."""

    def python(code: Annotated[str, Field(description="Python code; print the result")]) -> str:
        with TemporaryDirectory(prefix="trivium-") as folder:
            script = Path(folder, "code.py")
            script.write_text(code, encoding="utf-8")
            limits = [str(SECONDS), str(MEMORY), str(FILE_BYTES)]
            argv = [sys.executable, "-I", "-u", "-c", _BOOT, *limits, str(script)]
            return told(*run_program(argv, Path(folder), current(SECONDS)))

    def preview(arguments: Mapping[str, object]) -> Preview:
        code = str(arguments["code"])
        first = next((line for line in code.splitlines() if line.strip()), "")
        return Preview(f"run Python: {first}", code, code)

    return make(python, "Run Python code and read what it prints.", "run", preview)
