"""From the options of `trivium chat` to an agent that is ready: all that is slow happens here."""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from trivium.errors import UsageError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from trivium.agent.agent import Agent
    from trivium.agent.base import Approver, Attachment
    from trivium.agent.sessions import Sessions
    from trivium.config import McpServer, Settings
    from trivium.engines.base import Engine, Sampling
    from trivium.retrieval.base import Embedder
    from trivium.retrieval.index import Index

LARGE = 1_000_000_000
"""Weights from which on a model is offered tools unasked: smaller ones call them without need."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for, beyond the settings."""

    session: str | None = None
    resume: bool = False
    indexes: tuple[str, ...] = ()
    attach: tuple[str, ...] = ()
    mcp: tuple[str, ...] = ()


@dataclass(slots=True)
class Opened:
    """An agent with what belongs to it, closed together."""

    settings: "Settings"
    options: Options
    sessions: "Sessions"
    agent: "Agent"
    attachments: "list[Attachment]" = field(default_factory=list)
    tools_on: bool = False
    index_names: tuple[str, ...] = ()
    _closing: ExitStack = field(default_factory=ExitStack)
    _indexes: ExitStack = field(default_factory=ExitStack)
    _toolbox: "list[BaseTool] | None" = None

    def use_model(self, name: str) -> None:
        """Go on with another model; the old one stays when the new one cannot be loaded."""
        from trivium.engines.load import load_engine

        engine = load_engine(name, self.settings)
        self._closing.callback(engine.close)
        old, self.agent.engine = self.agent.engine, engine
        old.close()

    def use_tools(self, on: bool) -> None:
        """Offer the tools, or none."""
        self.agent.tools = self.toolbox() if on else []
        self.tools_on = on

    def use_indexes(self, names: Iterable[str]) -> None:
        """Consult the indexes of these names from now on; all or none are opened."""
        chosen = tuple(dict.fromkeys(names))
        with ExitStack() as opening:
            opened = [opening.enter_context(_index(name, self.embedder())) for name in chosen]
            self._indexes.close()
            self._indexes = opening.pop_all()
        self.agent.index = opened[0] if len(opened) == 1 else (tuple(opened) or None)
        self.index_names = chosen
        self._toolbox = None  # which searches the index as well
        if self.tools_on:
            self.use_tools(True)

    def attach(self, path: str) -> "Attachment":
        """Read or index a file or folder; it goes with the next message."""
        from trivium.agent.attach import attach

        agent = self.agent
        room = max(0, agent.context_length - agent.context_used) // 2
        attachment = attach(
            path, engine=agent.engine, embedder_name=self.settings.embedder, limit_tokens=room
        )
        self.attachments.append(attachment)
        return attachment

    def embedder(self) -> "Embedder":
        from trivium.retrieval.embed import load_embedder

        return load_embedder(self.settings.embedder)

    def toolbox(self) -> "list[BaseTool]":
        """Every tool there is: built in, from the user's files, from MCP servers."""
        if self._toolbox is None:
            self._toolbox = self._build_toolbox()
        return self._toolbox

    def _build_toolbox(self) -> "list[BaseTool]":
        from trivium.agent.tools import builtin_tools
        from trivium.agent.tools.user import load_file
        from trivium.agent.workspace import Workspace

        tools = list(builtin_tools(Workspace(Path.cwd())))
        for file in self.settings.tool_files:
            tools += load_file(Path(file).expanduser())
        servers = servers_of(self.options.mcp, self.settings)
        if servers:
            from trivium.agent.mcp_client import McpTools

            tools += self._closing.enter_context(McpTools(servers)).tools
        return tools

    def close(self) -> None:
        """Close all, and forget a conversation in which nothing was said."""
        self._indexes.close()
        self._closing.close()


def open_chat(
    options: Options,
    settings: "Settings",
    approve: "Approver",
    sampling: "Sampling",
) -> Opened:
    """The agent that the options ask for.

    Raises:
        TriviumError: when a session, model, index, attachment or tool is not to be had.
    """
    from trivium.agent.sessions import Sessions
    from trivium.engines.load import load_engine

    with ExitStack() as closing:
        sessions = closing.enter_context(Sessions())
        name = _session(sessions, options)
        engine = load_engine(settings.model, settings)
        closing.callback(engine.close)
        from trivium.agent.agent import Agent

        agent = closing.enter_context(
            Agent(
                engine,
                session=name,
                system=settings.system,
                approve=approve,
                workspace=Path.cwd(),
                sampling=sampling,
                sessions=sessions,
            )
        )
        opened = Opened(settings, options, sessions, agent, _closing=closing.pop_all())
    try:
        if options.indexes:
            opened.use_indexes(options.indexes)
        if offers_tools(settings, engine):
            opened.use_tools(True)
        for path in options.attach:
            opened.attach(path)
    except BaseException:
        opened.close()
        raise
    return opened


def offers_tools(settings: "Settings", engine: "Engine") -> bool:
    """Whether the model is given tools: as the settings say, or by its size."""
    if settings.tools == "auto":
        return engine.parameters is None or engine.parameters >= LARGE
    return settings.tools == "on"


def servers_of(given: Iterable[str], settings: "Settings") -> "dict[str, McpServer]":
    """The MCP servers of the settings and of the command line, by name.

    Each of `given` is a URL or a command, with NAME= before it if it shall have one.

    Raises:
        UsageError: when one is empty or its quotes do not close.
    """
    import re
    import shlex

    from trivium.config import McpServer

    servers = dict(settings.mcp)
    for text in given:
        match = re.match(r"([A-Za-z][\w-]*)=(.*)", text, re.DOTALL)
        name, what = match.groups() if match else (f"mcp{len(servers) + 1}", text)
        try:
            words = tuple(shlex.split(what))
        except ValueError as error:
            raise UsageError(f"--mcp {text}: {error}") from error
        if not words:
            raise UsageError(f'--mcp "{text}" names neither a command nor a URL')
        url = what.startswith(("http://", "https://"))
        servers[name] = McpServer(url=what) if url else McpServer(command=words)
    return servers


def _session(sessions: "Sessions", options: Options) -> str | None:
    """The session to open, made if its name is new; None for one without a name yet."""
    if options.resume:
        latest = sessions.latest()
        if latest is None:
            raise UsageError("there is no conversation to continue yet; start one without -c")
        return latest.name
    if options.session is None:
        return None
    known = {session.name for session in sessions.all()}
    if options.session in known:
        return options.session
    return sessions.create(options.session).name


def _index(name: str, embedder: "Embedder") -> "Index":
    from trivium.retrieval.index import Index

    return Index.open(name, embedder=embedder)
