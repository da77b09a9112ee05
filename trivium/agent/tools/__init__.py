"""What a model may do, each tool with its gate."""

from trivium.agent.tools.base import gate_of

__all__ = ["gate_of"]
