"""From the options of `trivium chat` to an agent that is ready: all that is slow happens here."""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from trivium.cli import console
from trivium.errors import UsageError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from trivium.agent.agent import Agent
    from trivium.agent.base import Approver, Attachment
    from trivium.agent.sessions import Sessions
    from trivium.config import Settings
    from trivium.engines.base import Engine, Sampling
    from trivium.images.index import PictureIndex
    from trivium.retrieval.base import Skipped
    from trivium.retrieval.index import Index

LARGE = 1_000_000_000
"""Weights from which on a model is offered tools unasked: smaller ones call them without need."""

REPEAT_PENALTY = 1.1
"""For models below `LARGE`: always choosing the likeliest token, they go round in circles."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for, beyond the settings."""

    session: str | None = None
    resume: bool = False
    indexes: tuple[str, ...] = ()
    attach: tuple[str, ...] = ()
    mcp: tuple[str, ...] = ()
    pictures: str | None = None


@dataclass(slots=True)
class Opened:
    """An agent and what belongs to it. `notes` are sentences for the user, not shown yet."""

    agent: "Agent"
    sessions: "Sessions"
    settings: "Settings"
    options: Options
    attachments: "list[Attachment]" = field(default_factory=list)
    index_names: tuple[str, ...] = ()
    pictures: "PictureIndex | None" = None
    tools_on: bool = False
    notes: list[str] = field(default_factory=list)
    _fresh: int | None = None
    _indexes: "list[Index]" = field(default_factory=list)
    _servers: ExitStack = field(default_factory=ExitStack)
    _added: "list[BaseTool] | None" = None

    def use_model(self, name: str) -> None:
        """Go on with another model; the old one stays when the new one cannot be loaded."""
        from trivium.engines.load import load_engine

        engine = load_engine(name, self.settings)
        old, self.agent.engine = self.agent.engine, engine
        if self.agent.sampling.repeat_penalty == _repeat_penalty(old):  # not the user's own
            self.agent.sampling = _suited(self.agent.sampling, engine)
        old.close()
        self._offer()

    def use_tools(self, on: bool) -> None:
        """Offer the tools from now on, or none."""
        self.tools_on = on
        self._offer()

    def use_indexes(self, names: Iterable[str]) -> None:
        """Consult the indexes of these names from now on; all of them or none are opened."""
        from trivium.retrieval.embed import load_embedder
        from trivium.retrieval.index import Index

        chosen = tuple(dict.fromkeys(names))
        with ExitStack() as opening:
            embedder = load_embedder(self.settings.embedder) if chosen else None
            opened = []
            for name in chosen:
                assert embedder is not None
                opened.append(opening.enter_context(Index.open(name, embedder=embedder)))
            opening.pop_all()
        before, self._indexes = self._indexes, opened
        self.agent.index, self.index_names = opened, chosen
        for index in before:
            index.close()
        self._offer()

    def use_pictures(self, name: str | None) -> None:
        """Search the index of pictures of this name from now on, or none."""
        from trivium.images.index import PictureIndex

        opened = None if name is None else PictureIndex.open(name)
        before, self.pictures = self.pictures, opened
        if before:
            before.close()
        self._offer()

    def attach(self, path: str) -> "Attachment":
        """Read or index a file or folder, to go with the next message."""
        from trivium.agent.attach import attach

        def skipped(file: "Skipped") -> None:
            self.notes.append(f"skipped {console.short(file.path)}: {file.reason}")

        room = max(0, self.agent.context_length - self.agent.context_used) // 2
        attachment = attach(
            path,
            engine=self.agent.engine,
            embedder_name=self.settings.embedder,
            limit_tokens=room,
            on_skipped=skipped,
        )
        self.attachments.append(attachment)
        return attachment

    def offered(self) -> "list[BaseTool]":
        """The tools that the model may call."""
        from trivium.agent.means import tools_of

        return tools_of(self.agent.tools, self.agent.workspace) if self.tools_on else []

    def take_notes(self) -> list[str]:
        notes, self.notes = self.notes, []
        return notes

    def close(self) -> None:
        """Close all, and forget a conversation that began here and in which nothing was said."""
        with ExitStack() as last_first:
            last_first.callback(self.sessions.close)
            session = self.agent.session
            if session.id == self._fresh and not session.messages:
                last_first.callback(self.sessions.delete, session.name)
            last_first.callback(self._servers.close)
            for index in self._indexes:
                last_first.callback(index.close)
            if self.pictures:
                last_first.callback(self.pictures.close)
            last_first.callback(self.agent.engine.close)
            last_first.callback(self.agent.close)

    def _offer(self) -> None:
        if not self.tools_on:
            self.agent.tools, self.agent.workspace = (), None
            return
        if self._added is None:
            self._added = self._bring()
        self.agent.tools = [*self._added, *self._searching()]
        self.agent.workspace = Path.cwd()

    def _bring(self) -> "list[BaseTool]":
        """The tools of the user's files and of MCP servers, which are started."""
        from trivium.agent.tools.user import load_file

        tools = [tool for file in self.settings.tool_files for tool in load_file(file)]
        servers = dict(self.settings.mcp)
        if self.options.mcp or servers:
            from trivium.agent.mcp_client import McpTools, parse_server

            servers |= dict(parse_server(text) for text in self.options.mcp)
            started = self._servers.enter_context(McpTools(servers))
            self.notes += started.problems
            tools += started.tools
        return tools

    def _searching(self) -> "list[BaseTool]":
        """The indexes as tools, for what the model asks itself."""
        tools = []
        if self.pictures:
            from trivium.agent.tools.pictures import pictures_tool

            tools.append(pictures_tool(self.pictures))
        if len(self._indexes) != 1:
            return tools
        from trivium.agent.tools.documents import ask_tool, search_tool
        from trivium.retrieval.answer import Asker

        (index,) = self._indexes
        asker = Asker(index, self.agent.engine, self.settings.top_k)
        return [*tools, search_tool(index), ask_tool(asker)]


def open_chat(
    options: Options, settings: "Settings", approve: "Approver", sampling: "Sampling"
) -> Opened:
    """The agent that the options ask for.

    Raises:
        TriviumError: when a session, model, index, attachment or tool is not to be had.
    """
    from trivium.agent.sessions import Sessions
    from trivium.engines.load import load_engine

    with ExitStack() as failing:
        sessions = failing.enter_context(Sessions())
        name = _latest(sessions) if options.resume else options.session
        engine = load_engine(settings.model, settings)
        failing.callback(engine.close)
        from trivium.agent.agent import Agent

        agent = Agent(
            engine,
            session=name,
            system=settings.system,
            approve=approve,
            sampling=_suited(sampling, engine),
            sessions=sessions,
        )
        failing.pop_all()
    opened = Opened(agent, sessions, settings, options)
    opened._fresh = None if agent.session.messages else agent.session.id
    try:
        if options.indexes:
            opened.use_indexes(options.indexes)
        if options.pictures is not None:
            opened.use_pictures(options.pictures)
        for path in options.attach:
            opened.attach(path)
        _offer_tools(opened, engine)
    except BaseException:
        opened.close()
        raise
    return opened


def _repeat_penalty(engine: "Engine") -> float:
    return REPEAT_PENALTY if engine.parameters and engine.parameters < LARGE else 1.0


def _suited(sampling: "Sampling", engine: "Engine") -> "Sampling":
    return replace(sampling, repeat_penalty=_repeat_penalty(engine))


def _offer_tools(opened: Opened, engine: "Engine") -> None:
    """As the settings say, or by the model's size."""
    settings = opened.settings
    able = engine.parameters is None or engine.parameters >= LARGE
    if settings.tools == "on" or (settings.tools == "auto" and able):
        opened.use_tools(True)
    elif opened.options.mcp or settings.tool_files or settings.mcp or opened.pictures:
        opened.notes.append(f"{engine.name} is offered no tools; --tools on or /tools on does it")


def _latest(sessions: "Sessions") -> str:
    latest = sessions.latest()
    if latest is None:
        raise UsageError("there is no conversation to continue yet; begin one without --continue")
    return latest.name
