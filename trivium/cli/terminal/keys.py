"""The keyboard between prompts: nothing is echoed into an answer, and Ctrl-C ends it."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def unseen_keys() -> Iterator[None]:
    """Keep what is typed while no prompt stands for the next one, and do not show it before.

    It has to hold from one prompt to the next: a terminal that changes its mode in between takes
    a Ctrl-D that was typed ahead for the end of its input.
    """
    if not sys.stdin.isatty():
        yield
        return
    import termios

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    silent = termios.tcgetattr(terminal)
    silent[3] &= ~(termios.ECHO | termios.ICANON)  # ISIG stays: Ctrl-C is a signal,
    silent[3] |= termios.NOFLSH  # which does not throw away what was typed before it
    termios.tcsetattr(terminal, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


@contextmanager
def stopped_by_ctrl_c(stop: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C call `stop`, which ends in good order; a second one interrupts."""

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
