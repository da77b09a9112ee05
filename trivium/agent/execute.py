"""A model's call, from its name to a result: look-up, arguments, leave, time, length, errors.

The one way in which a tool is run, so that nothing runs past its gate.
"""

import asyncio
import contextvars
import copy
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trivium.agent.approval import Approvals
from trivium.agent.base import Limits, Proposal
from trivium.agent.taint import mark, tainted, tells, visible
from trivium.agent.tools.base import BUILTIN, Run, gate_of, running
from trivium.engines.base import ToolCall
from trivium.errors import TriviumError, UsageError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

TITLE = 200
"""Characters of a proposal's title."""

GRACE = 1.0
"""Seconds that a tool gets to end by itself when its time is up or the user stopped it."""


class Executor:
    """Runs a turn's tool calls. Set `tools` between turns; `stop` ends the call in progress."""

    def __init__(
        self,
        tools: "Sequence[BaseTool]",
        approvals: Approvals,
        limits: Limits,
        *,
        trusted: Callable[[], str],
        untrusted: Callable[[], Sequence[str]],
        on_start: Callable[[ToolCall, str], None] = lambda call, title: None,
    ) -> None:
        """`trusted` gives the user's own messages, `untrusted` all other text that was read.

        What tools that are not built in say of themselves is untrusted as well, but for their own
        calls: a description names the values that its arguments may have.

        `on_start` is told of each call that was let through, with a title of one line.
        """
        self._tools: tuple[BaseTool, ...] = ()
        self.tools = tools
        self.approvals = approvals
        self.limits = limits
        self._trusted = trusted
        self._untrusted = untrusted
        self._on_start = on_start
        self._run: Run | None = None

    @property
    def tools(self) -> "Sequence[BaseTool]":
        """What may be called.

        Raises:
            UsageError: when two are set that share a name: one could pass for the other.
        """
        return self._tools

    @tools.setter
    def tools(self, tools: "Sequence[BaseTool]") -> None:
        names = [tool.name for tool in tools]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(f"two tools are named {twice[0]!r}: rename one of them")
        self._tools = tuple(tools)
        self._described = {t.name: _description(t) for t in tools if not _is_builtin(t)}

    def run(self, call: ToolCall) -> tuple[str, bool]:
        """The text for the model, and whether it tells of an error or a refusal. Never raises.

        A result is within the limit of characters and marked as data, unless it has no words.
        """
        try:
            text = self._limited(self._called(call))
            return (mark(text, f"the tool {call.name}") if tells(text) else text), False
        except Exception as error:
            return _sentence(call.name, error), True

    def stop(self) -> None:
        """End the call in progress, from any thread; processes that it started are killed."""
        run = self._run
        if run is not None:
            run.stopped.set()

    def _called(self, call: ToolCall) -> str:
        tool = self._find(call.name)
        arguments = validated(tool, call.arguments)
        proposal = self._proposal(tool, arguments)
        if not self.approvals.allow(proposal):
            raise TriviumError(
                f"the user did not allow {call.name}; do not try it again, go on without it"
            )
        self._on_start(call, proposal.title)
        return self._finished(tool, arguments)

    def _find(self, name: str) -> "BaseTool":
        for tool in self.tools:
            if tool.name == name:
                return tool
        known = ", ".join(tool.name for tool in self.tools) or "none"
        raise TriviumError(f"there is no tool {name[:100]!r}; there are: {known}")

    def _proposal(self, tool: "BaseTool", arguments: Mapping[str, Any]) -> Proposal:
        gate = gate_of(tool)
        preview = gate.preview(arguments)
        others = [text for name, text in self._described.items() if name != tool.name]
        title = visible(" ".join(preview.title.split()))
        return Proposal(
            tool.name,
            arguments,
            gate.effect,
            title if len(title) <= TITLE else title[: TITLE - 1] + "…",
            visible(preview.detail),
            preview.pattern,
            tainted(arguments, self._trusted(), [*self._untrusted(), *others]),
        )

    def _finished(self, tool: "BaseTool", arguments: Mapping[str, Any]) -> str:
        """Run in a thread of its own, which is left behind when it does not end in time."""
        seconds = self.limits.tool_seconds
        run = self._run = Run(time.monotonic() + seconds)
        outcome: list[object] = []
        done = threading.Event()

        def work() -> None:
            try:
                with running(run):
                    outcome.append(_invoke(tool, arguments))
            except BaseException as error:  # a tool's sys.exit() is its own affair
                outcome.append(error)
            finally:
                done.set()

        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(work,), daemon=True).start()
        try:
            while run.left and not done.wait(min(0.1, run.left)):
                pass
            # Tools that watch the clock end by themselves, with what they have.
            if not done.wait(GRACE):
                if run.stopped.is_set():
                    raise TriviumError(f"{tool.name} was stopped by the user")
                raise TriviumError(f"{tool.name} did not end within {seconds:g} seconds")
        finally:
            run.stopped.set()
            self._run = None
        if isinstance(outcome[0], BaseException):
            raise _Failed(outcome[0])
        return text_of(outcome[0])

    def _limited(self, text: str) -> str:
        """The head and the tail of what is too long, and how much is missing between them."""
        limit = self.limits.tool_characters
        if len(text) <= limit:
            return text
        head, tail = limit * 2 // 3, limit // 3
        cut = len(text) - head - tail
        note = f"\n[… {cut:,} of {len(text):,} characters left out …]\n"
        return text[:head] + note + text[len(text) - tail :]


def _is_builtin(tool: "BaseTool") -> bool:
    return (tool.metadata or {}).get(BUILTIN) is True


def _description(tool: "BaseTool") -> str:
    """What a tool tells the model of itself, which may ask for more than the user did."""
    return f"{tool.description}\n{json.dumps(tool.args, ensure_ascii=False, default=str)}"


class _Failed(Exception):
    """What a tool raised, be it an Exception or not."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


def validated(tool: "BaseTool", arguments: Mapping[str, object]) -> dict[str, Any]:
    """The arguments as the tool will get them, defaults filled in: what is shown is what runs.

    Raises:
        TriviumError: when they break the tool's schema, naming the argument.
    """
    from pydantic import BaseModel, ValidationError

    given = copy.deepcopy(dict(arguments))
    known = tool.args
    for name in given:
        if name not in known:
            takes = ", ".join(known) or "no arguments"
            raise TriviumError(f"{tool.name} has no argument {name[:100]!r}; it takes {takes}")
    schema = tool.tool_call_schema
    if isinstance(schema, dict):
        _check(tool.name, schema, given)
        return given
    assert issubclass(schema, BaseModel)
    try:
        model = schema.model_validate(given)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise TriviumError(f"{tool.name}: the argument {place}: {problem['msg']}") from error
    return model.model_dump()


def _check(name: str, schema: Mapping[str, Any], given: dict[str, Any]) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    problem = best_match(Draft202012Validator(schema).iter_errors(given))
    if problem is not None:
        place = ".".join(str(part) for part in problem.absolute_path)
        where = f"the argument {place}" if place else "the arguments"
        raise TriviumError(f"{name}: {where}: {problem.message[:200]}")


def _invoke(tool: "BaseTool", arguments: Mapping[str, Any]) -> object:
    given = copy.deepcopy(dict(arguments))
    if getattr(tool, "func", None) is None and getattr(tool, "coroutine", None) is not None:
        return asyncio.run(tool.ainvoke(given))
    return tool.invoke(given)


def text_of(result: object) -> str:
    """A tool's result as text: content blocks joined, anything else as JSON."""
    if isinstance(result, str):
        return result
    blocks = result if isinstance(result, list) else []
    if blocks and all(isinstance(b, dict) and b.get("type") == "text" for b in blocks):
        return "\n".join(str(block.get("text", "")) for block in blocks)
    return json.dumps(result, ensure_ascii=False, default=str)


def _sentence(name: str, error: Exception) -> str:
    """One short line for the model."""
    if isinstance(error, TriviumError):
        return _line(str(error))
    cause = error.cause if isinstance(error, _Failed) else error
    if isinstance(cause, TriviumError):
        return _line(str(cause))
    told = f": {cause}" if str(cause) else ""
    return _line(f"{name[:100]} failed: {type(cause).__name__}{told}")


def _line(text: str) -> str:
    line = " ".join(visible(text).split())
    return line if len(line) <= 500 else line[:499] + "…"
