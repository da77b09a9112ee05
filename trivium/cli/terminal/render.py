"""A turn's events on the screen: the answer as Markdown, everything else in one dim line each."""

import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Literal

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from trivium.agent.base import (
    Done,
    Event,
    Node,
    Note,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
)
from trivium.agent.taint import unmarked
from trivium.cli import console as streams
from trivium.cli.console import clean
from trivium.cli.terminal.markdown import MarkdownStream
from trivium.retrieval.base import Citation

Clock = Callable[[], float]


class Waiting:
    """A spinner with what is waited for and for how long. It vanishes."""

    def __init__(self, console: Console, label: str = "", clock: Clock = time.perf_counter) -> None:
        self.label = label
        self._clock = clock
        self._start = clock()
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(
            self,
            console=console,
            transient=True,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __rich__(self) -> Text:
        seconds = self._clock() - self._start
        elapsed = f"{seconds:.0f} s" if seconds >= 1 else ""
        words = " · ".join(filter(None, (self.label, elapsed)))
        line = Text("", no_wrap=True, overflow="ellipsis")
        frame = self._spinner.render(time.perf_counter())
        return line.append_text(frame if isinstance(frame, Text) else Text()).append(
            f" {words}", "dim"
        )

    def __enter__(self) -> "Waiting":
        self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()


class Screen:
    """Shows one turn after the other. `verbose` adds what a model thought and notes of detail."""

    def __init__(
        self, console: Console, *, verbose: bool = False, clock: Clock = time.perf_counter
    ) -> None:
        self.console = console
        self._verbose = verbose
        self._clock = clock
        self._answer: MarkdownStream | None = None
        self._waiting: Waiting | None = None
        self._thought = ""
        self._thinking_since = 0.0
        self._above: Literal["nothing", "answer", "remark"] = "nothing"

    def play(self, events: Iterable[Event]) -> Done | None:
        """Show the events as they come; the last one, unless the turn broke off."""
        done = None
        self.rest()
        self._wait("")
        try:
            for event in events:
                self._show(event)
                if isinstance(event, Done):
                    done = event
        finally:
            self.quiet()
        return done

    def quiet(self) -> None:
        """Print what is unfinished and stop all that moves, so that others may write."""
        self._stop_waiting()
        self._fold_thought()
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def recall(self, path: Sequence[Node]) -> None:
        """The last exchange of a branch, as it was."""
        asked = max((n for n, node in enumerate(path) if node.role == "user"), default=0)
        for node in path[asked:]:
            if node.role == "user":
                self.console.print(Text.assemble(("> ", "cyan"), (clean(node.content), "dim")))
                self.console.print()
            elif node.role == "assistant" and node.content.strip():
                answer = MarkdownStream(self.console)
                answer.feed(node.content)
                answer.close()
                if node.state == "interrupted":
                    self.console.print(Text("interrupted", "dim yellow"))
                self.console.print()

    def remark(self, line: Text, *, cut: bool = False) -> None:
        """A line about the answer, not of it; an empty one parts the two. `cut` keeps it one."""
        self.quiet()
        self._part("remark")
        self.console.print(line, no_wrap=cut, overflow="ellipsis" if cut else None)

    def line(self, text: str, style: str = "dim") -> None:
        """A remark of text that may come from anywhere."""
        self.remark(Text(clean(text), style))

    def table(self, rows: Sequence[Sequence[str]], styles: Sequence[str] = ()) -> None:
        """Rows of remarks in columns; `styles` may give each row one of Rich's."""
        self.quiet()
        self._part("remark")
        grid = Table.grid(padding=(0, 2, 0, 0))
        for number, row in enumerate(rows):
            style = styles[number] if styles else ""
            grid.add_row(*(Text(clean(cell), style) for cell in row))
        self.console.print(Padding(grid, (0, 0, 0, 2)))

    def rest(self) -> None:
        """Leave an empty line before what comes next."""
        self.quiet()
        self.console.print()
        self._above = "nothing"

    def set_apart(self) -> None:
        """Begin a part of remarks of its own."""
        self.quiet()
        if self._above != "nothing":
            self.console.print()
        self._above = "remark"

    def _part(self, kind: Literal["answer", "remark"]) -> None:
        if self._above not in ("nothing", kind):
            self.console.print()
        self._above = kind

    def _show(self, event: Event) -> None:
        match event:
            case TextDelta(text):
                self._say(text)
            case ThinkingDelta(text):
                self._think(text)
            case ToolStarted(_, title):
                self.quiet()
                self._wait(one_line(title))
            case ToolFinished():
                self._tool(event)
                self._wait("")
            case Note(text, detail):
                if self._verbose or not detail:
                    self.line(f"· {text}", "dim" if detail else "yellow")
                    self._wait("")
            case Done(node):
                self.quiet()
                self._sources(node.citations)

    def _say(self, text: str) -> None:
        if self._answer is None:
            if not text.strip():
                return
            self.quiet()
            self._part("answer")
            self._answer = MarkdownStream(self.console, self._clock)
            text = text.lstrip("\n")
        self._answer.feed(text)

    def _think(self, text: str) -> None:
        if not self._thought:
            self.quiet()
            self._thinking_since = self._clock()
            self._wait("thinking")
        self._thought += text
        if self._waiting is not None:
            self._waiting.label = f"thinking · {len(self._thought.split()):,} words"

    def _fold_thought(self) -> None:
        if not self._thought:
            return
        thought, self._thought = clean(self._thought).strip(), ""
        seconds = self._clock() - self._thinking_since
        words = len(thought.split())
        self._part("remark")
        self.console.print(Text(f"thought for {seconds:.1f} s, {words:,} words", "dim italic"))
        if self._verbose:
            self.console.print(Padding(Text(thought, "dim"), (0, 0, 0, 2)))

    def _tool(self, event: ToolFinished) -> None:
        mark, style = ("✗", "red") if event.error else ("✓", "green")
        line = Text()
        line.append(f"{mark} ", style).append(event.call.name)
        line.append(f" {event.seconds:.1f} s  {one_line(unmarked(event.result))}", "dim")
        self.remark(line, cut=True)

    def _sources(self, citations: tuple[Citation, ...]) -> None:
        if citations:
            self._part("remark")
        for number, citation in enumerate(citations, start=1):
            self.console.print(streams.place(number, citation.path, citation.page, citation.start))
            quote = Text(f"“{clean(citation.text)}”", "dim italic")
            self.console.print(Padding(quote, (0, 0, 0, 4), expand=False))

    def _wait(self, label: str) -> None:
        self._stop_waiting()
        if self.console.is_terminal:
            self._waiting = Waiting(self.console, label, self._clock)
            self._waiting.__enter__()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.__exit__(None, None, None)
            self._waiting = None


def one_line(text: str) -> str:
    """`text` in one line, without control sequences."""
    return " ".join(clean(text).split())
