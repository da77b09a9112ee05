"""The command as a user starts it: a process of its own."""

import json
import subprocess
import sys
from typing import Any

PROBED = """
import sys
from trivium.cli import lazy
from trivium.cli.main import run
lazy.COMMANDS["doctor"] = ("tests.cli.probe", "")
sys.exit(run(sys.argv[1:]))
"""

MODULES = """
import json, sys
from trivium.cli.main import run
code = run(sys.argv[1:])
sys.stderr.write("\\n" + json.dumps([code, sorted({name.split(".")[0] for name in sys.modules})]))
"""


def trivium(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command; `options` go to `subprocess.run`."""
    return _python(["-m", "trivium.cli.main", *arguments], options)


def probed(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command with `tests.cli.probe` in the place of `doctor`."""
    return _python(["-c", PROBED, "doctor", *arguments], options)


def modules(*arguments: str, **options: Any) -> set[str]:
    """The packages that are imported when the command has run, with exit code 0."""
    result = _python(["-c", MODULES, *arguments], options)
    code, names = json.loads(result.stderr.splitlines()[-1])
    assert code == 0, result.stderr
    return set(names)


def _python(arguments: list[str], options: Any) -> subprocess.CompletedProcess[str]:
    settings = {"capture_output": True, "text": True, "timeout": 120} | options
    return subprocess.run([sys.executable, *arguments], check=False, **settings)
