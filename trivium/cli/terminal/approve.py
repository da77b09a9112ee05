"""The question before a tool may do something: what exactly, and for how long the leave holds.

What is allowed must be what is seen: a control character is neither obeyed nor left out.
"""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.text import Text

from trivium.agent.base import Decision, Proposal
from trivium.agent.taint import visible

if TYPE_CHECKING:
    from prompt_toolkit.key_binding import KeyPressEvent

    from trivium.cli.terminal.render import Screen

LINES = 40
"""Of a detail that are shown at first; "v" shows all of it."""

_VERBS = {"read": "read", "write": "write", "run": "run", "network": "connect"}
_KEYS: dict[str, Decision] = {"y": "once", "s": "session", "a": "always", "n": "no"}
_OUTCOMES: dict[Decision, str] = {
    "no": "refused",
    "once": "allowed once",
    "session": "allowed for this session",
    "always": "always allowed",
}


class Question:
    """An `Approver` at the terminal. `key` waits for one of the given keys and returns it.

    Ctrl-C refuses and calls `stop`, which ends the answer.
    """

    def __init__(
        self,
        screen: "Screen",
        stop: Callable[[], None],
        key: "Callable[[str, str], str] | None" = None,
    ) -> None:
        self._screen = screen
        self._stop = stop
        self._key = key or press

    def __call__(self, proposal: Proposal) -> Decision:
        self._screen.set_apart()
        out = self._screen.console
        out.print(_heading(proposal))
        shown = visible(proposal.detail).rstrip("\n").split("\n")
        out.print(_detail(proposal, shown[:LINES]))
        hidden = len(shown) - LINES
        if hidden > 0:
            out.print(Text(f"  … {hidden:,} more lines", "yellow"))
        decision = self._ask(proposal, shown if hidden > 0 else [])
        out.print(Text(f"  {_OUTCOMES[decision]}", "dim" if decision == "no" else "green"))
        return decision

    def _ask(self, proposal: Proposal, whole: list[str]) -> Decision:
        keys = "yn" if proposal.tainted else "ysan"
        choices = ["y once", "s this session", f"a always “{visible(proposal.pattern)}”", "n no"]
        if proposal.tainted:
            choices = [choices[0], choices[-1]]
        if whole:
            keys, choices = keys + "v", [*choices, "v show all"]
        while True:
            try:
                key = self._key(f"  {' · '.join(choices)} > ", keys)
            except KeyboardInterrupt:
                self._stop()
                return "no"
            if key != "v":
                return _KEYS[key]
            self._screen.console.print(_detail(proposal, whole))


def _heading(proposal: Proposal) -> RenderableType:
    heading = Text("▌ ", "yellow")
    heading.append(f"May it {_VERBS[proposal.effect]}? ", "bold yellow")
    heading.append(visible(proposal.title).replace("\n", " "), "bold")
    if not proposal.tainted:
        return heading
    warning = "▌ What it wants comes from a document, a tool or the web, not from you."
    return Group(heading, Text(warning, "bold red"))


def _detail(proposal: Proposal, lines: list[str]) -> RenderableType:
    """A diff in colour; a command or an address as it is."""
    text = "\n".join(lines)
    if proposal.effect != "write":
        return Padding(Text(text), (0, 0, 0, 2))
    diff = Syntax(text, "diff", theme="ansi_dark", background_color="default", word_wrap=True)
    return Padding(diff, (0, 0, 0, 2))


def press(question: str, keys: str) -> str:
    """Wait for one of `keys`; Enter and Ctrl-D mean "n".

    What was typed before the question appeared does not answer it.

    Raises:
        KeyboardInterrupt: for Ctrl-C.
    """
    from prompt_toolkit import PromptSession
    from prompt_toolkit.input.typeahead import clear_typeahead
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.keys import Keys

    bindings = KeyBindings()

    @bindings.add(Keys.Any)
    @bindings.add(Keys.BracketedPaste)
    def _ignore(event: "KeyPressEvent") -> None: ...

    def answer(key: str, meaning: str) -> None:
        bindings.add(key)(lambda event: event.app.exit(result=meaning))

    for key in keys:
        answer(key, key)
    for key in ("enter", "c-j", "c-d"):
        answer(key, "n")
    session: PromptSession[str] = PromptSession(key_bindings=bindings, erase_when_done=True)
    _forget_keys()
    clear_typeahead(session.input)
    return session.prompt(question)


def _forget_keys() -> None:
    """Throw away what waits in the terminal's input."""
    if sys.stdin.isatty():
        import termios

        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
