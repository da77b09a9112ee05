"""What all tools share: their gate, and how much time a call has left."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trivium.agent.base import Effect, Gate, Preview

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool


BUILTIN = "builtin"
"""In the metadata of a tool whose description was written here, so that it may be trusted."""


@dataclass(frozen=True, slots=True)
class Run:
    """A call in progress: when it has to end (of `time.monotonic`), and whether it was stopped."""

    deadline: float
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def left(self) -> float:
        """Seconds until the deadline, 0 when it is past or the call was stopped."""
        return 0.0 if self.stopped.is_set() else max(0.0, self.deadline - time.monotonic())


_current: ContextVar[Run | None] = ContextVar("run", default=None)


@contextmanager
def running(run: Run) -> Iterator[None]:
    """Make `run` the one that the tools called inside see."""
    token = _current.set(run)
    try:
        yield
    finally:
        _current.reset(token)


def current(seconds: float) -> Run:
    """The call in progress, which has this many seconds at most."""
    deadline = time.monotonic() + seconds
    run = _current.get()
    return Run(min(deadline, run.deadline), run.stopped) if run else Run(deadline)


def make(
    function: Callable[..., str],
    description: str,
    effect: Effect,
    preview: Callable[[Mapping[str, object]], Preview],
    name: str | None = None,
) -> "BaseTool":
    """A function with annotated arguments as a tool behind a gate."""
    from langchain_core.tools import StructuredTool

    return StructuredTool.from_function(
        function,
        name=name or function.__name__,
        description=description,
        metadata={"gate": Gate(effect, preview), BUILTIN: True},
    )


def gate_of(tool: "BaseTool") -> Gate:
    """A tool's gate; one that has none runs code that nobody has judged, and is shown whole."""
    gate = (tool.metadata or {}).get("gate")
    return gate if isinstance(gate, Gate) else Gate("run", whole(tool.name))


def whole(name: str) -> Callable[[Mapping[str, object]], Preview]:
    """A preview of a call by its name and all of its arguments; "always" is for exactly these."""

    def preview(arguments: Mapping[str, Any]) -> Preview:
        written = json.dumps(arguments, ensure_ascii=False, indent=2, default=str, sort_keys=True)
        pattern = json.dumps(arguments, ensure_ascii=False, default=str, sort_keys=True)
        return Preview(f"call {name}", f"{name} {written}", f"{name} {pattern}")

    return preview
