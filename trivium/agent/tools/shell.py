"""A command in the workspace, as the user would type it, after the user has seen it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from trivium.agent.base import Preview
from trivium.agent.tools.base import current, make
from trivium.agent.tools.process import run_program
from trivium.agent.workspace import Workspace
from trivium.errors import TriviumError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

SECONDS = 60.0


def command_tool(workspace: Workspace) -> "BaseTool":
    """run_command."""

    def run_command(
        command: Annotated[str, Field(description="Shell command, run in the workspace")],
    ) -> str:
        status, output = run_program(["/bin/sh", "-c", command], workspace.root, current(SECONDS))
        return told(status, output)

    def preview(arguments: Mapping[str, object]) -> Preview:
        command = str(arguments["command"])
        if not command.strip() or "\0" in command:
            raise TriviumError("run_command needs a command")
        return Preview(f"run {command}", command, f"{workspace.root}$ {command}")

    return make(run_command, "Run a shell command and read what it prints.", "run", preview)


def told(status: int | None, output: str) -> str:
    """What a program printed and how it ended, when it did not end well."""
    if status == 0:
        return output or "(it printed nothing)"
    if status is None:
        end = "[killed: it did not end in time]"
    else:
        end = f"[exit status {status}]" if status > 0 else f"[ended by signal {-status}]"
    return f"{output}\n{end}" if output else end
