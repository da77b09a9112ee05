"""Where the user writes: history across runs, several lines, completion, and Ctrl-C that forgives.

Nothing here knows about models: the prompt has to stand before they are loaded.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.completion import Completer
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.styles import Style

from trivium.paths import home

if TYPE_CHECKING:
    from prompt_toolkit.key_binding import KeyPressEvent

MARK = "> "
STYLE = Style.from_dict(
    {
        "mark": "ansicyan bold",
        "bottom-toolbar": "noreverse ansibrightblack",
        "completion-menu": "bg:default",
        "completion-menu.completion": "bg:default ansibrightblack",
        "completion-menu.completion.current": "bg:default noreverse ansicyan bold",
        "completion-menu.meta.completion": "bg:default ansibrightblack",
        "completion-menu.meta.completion.current": "bg:default noreverse ansibrightblack",
    }
)


class Prompt:
    """Asks for messages. `toolbar` is the line at the bottom, read at every repaint."""

    def __init__(self, completer: Completer, toolbar: Callable[[], str]) -> None:
        self._session: PromptSession[str] = PromptSession(
            [("class:mark", MARK)],
            style=STYLE,
            history=_history(),
            completer=completer,
            complete_in_thread=True,
            complete_while_typing=True,
            reserve_space_for_menu=6,
            multiline=True,
            prompt_continuation=_continuation,
            key_bindings=_bindings(),
            bottom_toolbar=toolbar,
            enable_open_in_editor=True,  # Ctrl-X Ctrl-E
            tempfile_suffix=".md",
        )

    def ask(self, default: str = "", ready: Callable[[], None] | None = None) -> str:
        """The next message. `ready` is called when the prompt stands on the screen.

        Raises:
            EOFError: for Ctrl-D on an empty line.
            KeyboardInterrupt: for Ctrl-C on an empty line; with text there it only clears it.
        """
        if ready is None:
            return self._session.prompt(default=default)
        app = self._session.app

        def once(_: object) -> None:
            app.after_render -= once
            ready()

        app.after_render += once
        return self._session.prompt(default=default)

    def refresh(self) -> None:
        """Paint again, from any thread."""
        self._session.app.invalidate()

    def print_above(self, show: Callable[[], None]) -> None:
        """Call `show`, which prints, above the prompt if it stands; from any thread."""
        app = self._session.app
        if app.is_running and app.loop is not None:
            app.loop.call_soon_threadsafe(lambda: run_in_terminal(show))
        else:
            show()

    def leave(self, error: BaseException) -> None:
        """Have a prompt that stands raise `error`, from any thread. What was typed is kept."""
        app = self._session.app
        if not app.is_running or app.loop is None:
            return

        def end() -> None:
            if app.is_running and not app.is_done:
                self._session.default_buffer.append_to_history()
                app.exit(exception=error)

        app.loop.call_soon_threadsafe(end)


def _history() -> History:
    """The file of earlier messages; only memory where the folder cannot be written."""
    file = home() / "history"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(file)


def _continuation(width: int, line: int, wrapped: int) -> StyleAndTextTuples:
    return [("", " " * width)]


def _bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    def _send(event: "KeyPressEvent") -> None:
        """Send; after a backslash begin a new line; take a completion that is chosen."""
        buffer = event.current_buffer
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_state = None
        elif buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.newline(copy_margin=False)
        else:
            buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    def _newline(event: "KeyPressEvent") -> None:
        event.current_buffer.newline(copy_margin=False)

    @bindings.add("c-c")
    def _clear(event: "KeyPressEvent") -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt())

    return bindings
