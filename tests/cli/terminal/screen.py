"""What a person sees: a console's output through a terminal emulator."""

import io

import pyte
from rich.console import Console


class Terminal:
    """A Rich console in a terminal of `columns`, and the screen that it draws."""

    def __init__(self, columns: int = 60, height: int = 24) -> None:
        self.columns = columns
        self.raw = io.StringIO()
        self.console = Console(
            file=self.raw,
            force_terminal=True,
            color_system="standard",
            width=columns,
            height=height,
            highlight=False,
            markup=False,
            legacy_windows=False,
            _environ={"TERM": "xterm"},
        )

    @property
    def lines(self) -> list[str]:
        """The lines that stand on the screen, without blanks at their ends."""
        return seen(self.raw.getvalue(), self.columns)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def seen(raw: str, columns: int = 60) -> list[str]:
    """The lines that `raw` leaves on a screen, up to the last that is not empty."""
    screen = pyte.Screen(columns, 500)
    screen.set_mode(pyte.modes.LNM)  # "\n" goes to the first column, as a terminal's driver does
    pyte.Stream(screen).feed(raw)
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1]:
        del lines[-1]
    return lines
