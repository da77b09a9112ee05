"""LangChain's loop around a turn's model and tools. Importing this costs a second or two."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ToolCallRequest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.types import Command
from langsmith import tracing_context

from trivium.agent.chat_model import ChatEngine
from trivium.engines.base import Engine, ToolCall

UNLIMITED = 10_000
"""LangGraph's own limit of steps, which is never to be met: a turn keeps ours."""

Door = Callable[[ToolCall], tuple[str, bool]]
"""Runs a call: the text for the model, and whether it tells of an error. Never raises for one."""


class ToolDoor(AgentMiddleware[Any, Any, Any]):
    """Sends every call of the loop through one door, in place of running the tool."""

    def __init__(self, door: Door) -> None:
        super().__init__()
        self._door = door

    def wrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]],
    ) -> ToolMessage | Command[Any]:
        asked = request.tool_call
        call = ToolCall(str(asked["id"]), asked["name"], asked["args"])
        result, error = self._door(call)
        status: Literal["error", "success"] = "error" if error else "success"
        return ToolMessage(result, tool_call_id=call.id, name=call.name, status=status)


def run(engine: Engine, tools: Sequence[BaseTool], door: Door) -> None:
    """Let `engine` answer and call tools until it has nothing more to call.

    What LangChain keeps of the conversation serves its loop alone: the engine, a `Recorder`, reads
    its prompts from the tree.
    """
    graph = create_agent(ChatEngine(engine=engine), tools, middleware=[ToolDoor(door)])
    # one call after the other: a tool may build on the effects of the one before it
    config = RunnableConfig(recursion_limit=UNLIMITED, max_concurrency=1)
    with tracing_context(enabled=False):  # whatever the environment says, nothing is sent away
        graph.invoke({"messages": [HumanMessage("")]}, config)
