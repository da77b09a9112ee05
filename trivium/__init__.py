"""Trivium: a local-first conversational agent and toolkit for foundation models."""

__version__ = "0.1.0"
