"""Streaming Markdown: what stands on the screen in the end, and what was painted on the way."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.cli.terminal.screen import Terminal
from trivium.cli.terminal.markdown import REPAINT, MarkdownStream, blocks, settled

PAGE = """# Tides

The **Moon** pulls the sea; see [NOAA](https://noaa.gov) and <https://x.org>.
A second line with `code` and <b>HTML</b>.

1. Gravity
2. Inertia
   - nested

> Said *someone*.

```python
def tide(hour):
    return sin(hour)
```

| name | height |
|---|---:|
| Fundy | 16 |

Done.
"""
SHOWN = [
    "Tides",
    "",
    "The Moon pulls the sea; see NOAA (https://noaa.gov) and",
    "https://x.org.",
    "A second line with code and <b>HTML</b>.",
    "",
    " 1 Gravity",
    " 2 Inertia",
    "    • nested",
    "",
    "▌ Said someone.",
    "",
    "  def tide(hour):",
    "      return sin(hour)",
    "",
    " name   height",
    " ─────────────",
    " Fundy      16",
    "",
    "Done.",
]


class Clock:
    """Moves only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def stream(pieces: list[str], terminal: Terminal, seconds: float = 1.0) -> None:
    """Feed `pieces`, one every `seconds`."""
    clock = Clock()
    markdown = MarkdownStream(terminal.console, clock)
    for piece in pieces:
        markdown.feed(piece)
        clock.now += seconds
    markdown.close()


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_page_is_shown_whole_however_it_arrives(size: int) -> None:
    terminal = Terminal()
    stream([PAGE[at : at + size] for at in range(0, len(PAGE), size)], terminal)
    assert terminal.lines == SHOWN


def test_a_finished_block_is_printed_once_and_never_again() -> None:
    terminal = Terminal()
    clock = Clock()
    markdown = MarkdownStream(terminal.console, clock)
    markdown.feed("The first paragraph.\n\nThe\nsec")
    before = len(terminal.raw.getvalue())
    assert "The first paragraph." in terminal.raw.getvalue()
    for word in ("ond ", "paragraph ", "grows."):
        clock.now += 1
        markdown.feed(word)
    markdown.close()
    assert "first" not in terminal.raw.getvalue()[before:]
    assert terminal.lines == ["The first paragraph.", "", "The", "second paragraph grows."]


def test_the_unfinished_tail_stands_below_what_is_finished() -> None:
    terminal = Terminal(columns=20)
    clock = Clock()
    markdown = MarkdownStream(terminal.console, clock)
    for piece in ("Done.\n\n", "- one\n- two words that", " are wrapped\n"):
        markdown.feed(piece)
        clock.now += 1
    assert terminal.lines == ["Done.", "", " • one", " • two words that", "   are wrapped"]


def test_the_tail_is_painted_at_most_ten_times_a_second() -> None:
    terminal = Terminal()
    clock = Clock()
    markdown = MarkdownStream(terminal.console, clock)
    painted = 0
    for _ in range(1000):  # 2 s at 500 tokens/s
        before = terminal.raw.tell()
        markdown.feed("word ")
        painted += terminal.raw.tell() > before
        clock.now += 0.002
    assert 15 <= painted <= 2 / REPAINT + 1


def test_a_block_longer_than_the_window_is_printed_line_by_line() -> None:
    terminal = Terminal(height=24)
    code = [f"line {n}" for n in range(100)]
    stream(["```\n", *(f"{line}\n" for line in code), "```\n", "End."], terminal)
    assert terminal.lines == [*(f"  {line}" for line in code), "", "End."]
    assert terminal.raw.getvalue().count("line 50\n") < 15  # while it was in the window


def test_a_terminal_of_few_lines_is_enough() -> None:
    terminal = Terminal(height=5)
    stream([f"{n}\n\n" if n % 3 else f"- {n}\n" for n in range(30)], terminal)
    assert [line.strip(" •") for line in terminal.lines if line] == [str(n) for n in range(30)]


def test_control_sequences_are_not_obeyed_even_in_two_pieces() -> None:
    terminal = Terminal()
    stream(["safe \x1b", "[2J\x1b[31mred", "\x1b]0;title", "\x07 end\x9b1m."], terminal)
    assert terminal.lines == ["safe red end."]
    assert "title" not in terminal.raw.getvalue()


def test_rich_markup_is_text() -> None:
    terminal = Terminal()
    stream(["[bold]not bold[/bold] [/]"], terminal)
    assert terminal.lines == ["[bold]not bold[/bold] [/]"]


def test_lines_carry_no_blanks_at_their_ends() -> None:
    terminal = Terminal()
    stream([PAGE], terminal)
    assert [line for line in terminal.raw.getvalue().split("\n") if line.endswith(" ")] == []


def test_nothing_is_painted_before_the_end_without_a_terminal() -> None:
    terminal = Terminal()
    terminal.console._force_terminal = False
    markdown = MarkdownStream(terminal.console)
    markdown.feed(PAGE)
    assert terminal.raw.getvalue() == ""
    markdown.close()
    assert terminal.lines == SHOWN


def test_blocks_end_where_the_next_begins() -> None:
    assert blocks("a\nb\n\n- c\n- d\n\n# e\n```\nf\n\ng") == [
        "a\nb\n\n",
        "- c\n- d\n\n",
        "# e\n",
        "```\nf\n\ng",
    ]
    assert blocks("") == []
    assert blocks("\n\n") == []


# without a colon: a link's definition is no block, and would count to the one before it
MARKDOWN = st.text(alphabet="ab#*->|`1.[]()<\n \t~_=", max_size=80)


@given(MARKDOWN)
@settings(max_examples=300, deadline=None)
def test_blocks_are_a_partition(text: str) -> None:
    assert "".join(blocks(text)) == (text if blocks(text) else "")


@given(MARKDOWN, MARKDOWN)
@settings(max_examples=300, deadline=None)
@example("1\n#", "1")
def test_what_is_settled_stays_whatever_follows(text: str, more: str) -> None:
    finished, rest = settled(text)
    assert "".join(finished) + rest == text
    assert blocks(text + more)[: len(finished)] == finished


def test_a_thousand_tokens_take_little_time() -> None:
    """Of CPU, as they come at 50 tokens/s. The issue's bar is 0.5 s on a quiet machine."""
    terminal = Terminal(columns=100)
    pieces = (PAGE.replace("# Tides", "## Tides") * 12).split(" ")[:1000]
    start = time.process_time()
    stream(pieces, terminal, seconds=0.02)
    assert time.process_time() - start < 2.0
