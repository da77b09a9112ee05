"""The conversation at the terminal: the prompt at once, the model behind it, a turn at a time."""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from trivium.cli import console
from trivium.cli.terminal.commands import dispatch, is_command
from trivium.cli.terminal.completion import Completions
from trivium.cli.terminal.keys import stopped_by_ctrl_c, unseen_keys
from trivium.cli.terminal.opening import Opened, Options, open_chat
from trivium.cli.terminal.prompt import Prompt
from trivium.errors import ContextOverflow, TriviumError, UsageError

if TYPE_CHECKING:
    from trivium.agent.agent import Agent
    from trivium.agent.base import Decision, Event, Proposal
    from trivium.cli.terminal.render import Screen
    from trivium.config import Settings
    from trivium.engines.base import Sampling


class Chat:
    """One run of `trivium chat`. The slash commands act on it.

    `draft` is what stands in the next prompt; `editing` says that it replaces the last message.
    """

    def __init__(self, options: Options, settings: "Settings", sampling: "Sampling") -> None:
        self.draft = ""
        self.editing = False
        self.leaving = False
        self._options = options
        self._settings = settings
        self._sampling = sampling
        self._opened: Future[Opened] = Future()
        self._loading = False
        self._screen: Screen | None = None
        self._prompt = Prompt(Completions(), self._toolbar)

    @property
    def opened(self) -> Opened:
        """The agent and what belongs to it. Where it is still loading, that is shown."""
        if not self._opened.done():
            self._load()
            from trivium.cli.terminal.render import Waiting

            with Waiting(console.out(), f"loading {console.clean(self._settings.model)}"):
                self._opened.exception()
        return self._opened.result()

    @property
    def agent(self) -> "Agent":
        return self.opened.agent

    @property
    def screen(self) -> "Screen":
        if self._screen is None:
            from trivium.cli.terminal.render import Screen

            verbose = console.verbosity() >= console.Verbosity.VERBOSE
            self._screen = Screen(console.out(), verbose=verbose)
        return self._screen

    def run(self, message: str | None = None) -> None:
        """Talk until the user leaves. `message` is sent first.

        Raises:
            TriviumError: when what the options ask for is not to be had.
        """
        try:
            with unseen_keys():
                if message is not None:
                    self._attempt(message)
                    self.screen.rest()
                while not self.leaving:
                    self._once()
        finally:
            self._close()

    def say(self, text: str, style: str = "dim") -> None:
        """A line of remarks."""
        self.screen.line(text, style)

    def table(self, rows: Sequence[Sequence[str]], styles: Sequence[str] = ()) -> None:
        """Remarks in columns; `styles` may give each row one of Rich's."""
        self.screen.table(rows, styles)

    def play(self, start: "Callable[[Agent], Iterator[Event]]") -> None:
        """Show a turn and its figures. Ctrl-C ends the answer; what was written is kept."""
        from trivium.cli.terminal.status import status

        agent = self.agent
        with stopped_by_ctrl_c(agent.stop):
            done = self.screen.play(start(agent))
        if done is not None:
            self.screen.remark(status(done, agent.context_length))

    def _once(self) -> None:
        """One message or command."""
        draft, self.draft = self.draft, ""
        try:
            text = self._prompt.ask(draft, self._load)
        except EOFError:
            self.leaving = True
            return
        except KeyboardInterrupt:
            console.note("Ctrl-D or /quit leaves.")
            return
        self._attempt(text)
        if text.strip() and not self.leaving:
            self.screen.rest()

    def _attempt(self, text: str) -> None:
        """Do what the user wrote; an error is shown, and the conversation goes on."""
        from trivium.cli.main import render

        try:
            self._take(text)
        except (TriviumError, OSError) as error:
            if self._opened.done() and self._opened.exception() is error:
                raise  # there is nothing to go on with
            render(error)
        except KeyboardInterrupt:
            self.draft = "" if is_command(text) else text
            console.note("interrupted")

    def _take(self, text: str) -> None:
        editing, self.editing = self.editing, False
        if is_command(text):
            dispatch(self, text)
            self._tell()
        elif text.strip() and editing:
            self.play(lambda agent: agent.edit(text))
        elif text.strip():
            self.send(text)

    def send(self, text: str) -> None:
        """Say `text`, with what is attached. What cannot be said is given back to be changed."""
        opened = self.opened
        attachments, opened.attachments = opened.attachments, []
        try:
            self.play(lambda agent: agent.stream(text, attachments))
        except (UsageError, ContextOverflow):  # then it is not on the branch
            self.draft, opened.attachments = text, attachments
            raise

    def _load(self) -> None:
        """Begin to load, once; the prompt stands already."""
        if not self._loading:
            self._loading = True
            threading.Thread(target=self._open, daemon=True).start()

    def _open(self) -> None:
        try:
            opened = open_chat(self._options, self._settings, self._approve, self._sampling)
        except BaseException as error:
            self._opened.set_exception(error)
            self._prompt.leave(error)
            return
        self._opened.set_result(opened)
        if opened.agent.path or opened.notes:
            self._prompt.print_above(self._show_what_is_there)
        self._prompt.refresh()

    def _show_what_is_there(self) -> None:
        """Notes, and the last exchange of a conversation that is resumed."""
        self._tell()
        agent = self.agent
        if agent.path:
            self.say(f"{agent.session.name}, {agent.session.messages:,} messages")
            self.screen.rest()
            self.screen.recall(agent.path)

    def _tell(self) -> None:
        for note in self.opened.take_notes():
            self.say(f"· {note}", "yellow")

    def _approve(self, proposal: "Proposal") -> "Decision":
        from trivium.cli.terminal.approve import Question

        return Question(self.screen, self.agent.stop)(proposal)

    def _toolbar(self) -> str:
        if self.editing:
            return "your last message; empty leaves it as it was"
        if not self._opened.done():
            return f"{console.clean(self._settings.model)} · loading…"
        if self._opened.exception():
            return ""
        opened = self._opened.result()
        parts = [opened.agent.engine.name, opened.agent.session.name]
        parts += [f"docs: {', '.join(opened.index_names)}"] if opened.index_names else []
        parts += [f"pictures: {opened.pictures.name}"] if opened.pictures else []
        parts += ["tools"] if opened.tools_on else []
        parts += [f"+ {attachment.name}" for attachment in opened.attachments]
        return console.clean(" · ".join([*parts, "/help"]))

    def _close(self) -> None:
        if self._loading and not self._opened.done():
            # A thread inside of llama.cpp cannot be stopped, and must not outlive the interpreter.
            sys.stdout.flush()
            os._exit(0)
        if self._opened.done() and not self._opened.exception():
            self._opened.result().close()
