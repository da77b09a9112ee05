"""Trivium: a local-first conversational agent and toolkit for foundation models.

from trivium import Agent, Index, load_engine, tool
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Agent", "Index", "__version__", "load_engine", "tool"]

if TYPE_CHECKING:
    from trivium.agent.agent import Agent
    from trivium.agent.tools.user import tool
    from trivium.engines.load import load_engine
    from trivium.retrieval.index import Index

_PLACES = {
    "Agent": "trivium.agent.agent",
    "Index": "trivium.retrieval.index",
    "load_engine": "trivium.engines.load",
    "tool": "trivium.agent.tools.user",
}

if not TYPE_CHECKING:  # a type checker would take it to mean that any name is there

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for: `trivium --version` needs none."""
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_PLACES[name]), name)
        globals()[name] = value
        return value
