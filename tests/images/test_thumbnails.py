import base64
import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from trivium.errors import UsageError
from trivium.images.thumbnails import PROTOCOLS, detect, thumbnail

RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 255, 0)


def picture(*rows: list[tuple[int, int, int]]) -> Image.Image:
    return Image.fromarray(np.array(rows, np.uint8))


def test_half_blocks_to_the_byte() -> None:
    image = picture([RED, BLUE], [GREEN, RED], [BLUE, BLUE])
    assert thumbnail(image, "blocks", 4) == (
        "\x1b[38;2;255;0;0m\x1b[48;2;0;255;0m▀\x1b[38;2;0;0;255m\x1b[48;2;255;0;0m▀\x1b[0m\n"
        "\x1b[38;2;0;0;255m▀\x1b[38;2;0;0;255m▀\x1b[0m"
    )


def test_sixel_to_the_byte() -> None:
    # Seven rows: a band of six red ones over a blue one. A sixel is chr(63 + bits), its lowest bit
    # the uppermost row: 63 + 0b111111 = "~", 63 + 0b1 = "@"; five of the same are "!5" and it.
    image = picture(*[[RED] * 5] * 6, [BLUE] * 5)
    shown = thumbnail(image, "sixel", 4)
    head, colours, body = re.fullmatch(  # type: ignore[union-attr]
        r'(\x1bP0;1q"1;1;5;7)((?:#\d;2;\d+;\d+;\d+)+)(.*)\x1b\\', shown, re.DOTALL
    ).groups()
    assert head == '\x1bP0;1q"1;1;5;7'
    numbers = {rest: name for name, rest in re.findall(r"#(\d);2;([\d;]+)", colours)}
    assert set(numbers) == {"100;0;0", "0;0;100"}
    assert body == f"#{numbers['100;0;0']}!5~-#{numbers['0;0;100']}!5@-"


def test_sixel_paints_every_pixel_once() -> None:
    values = np.random.default_rng(0).integers(0, 2, (13, 9, 1)) * 255
    image = Image.fromarray(np.repeat(values, 3, axis=2).astype(np.uint8))
    body = re.sub(r'^\x1bP0;1q"[\d;]+|(#\d+;2;\d+;\d+;\d+)|\x1b\\$', "", thumbnail(image, "sixel"))
    painted = np.zeros((18, 9), int)
    for band, rows in enumerate(body.split("-")[:-1]):
        for line in rows.split("$"):
            column = 0
            for count, sixel in re.findall(r"(?:!(\d+))?([?-~])", re.sub(r"^#\d+", "", line)):
                for _ in range(int(count or 1)):
                    for bit in range(6):
                        painted[band * 6 + bit, column] += (ord(sixel) - 63) >> bit & 1
                    column += 1
            assert column == 9
    assert (painted[:13] == 1).all() and (painted[13:] == 0).all()


def test_iterm_holds_the_picture() -> None:
    image = picture([RED, BLUE])
    found = re.fullmatch(
        r"\x1b\]1337;File=inline=1;size=(\d+);width=1:([A-Za-z0-9+/=]+)\x07",
        thumbnail(image, "iterm"),
    )
    assert found
    png = base64.b64decode(found[2])
    assert len(png) == int(found[1])
    assert np.asarray(Image.open(BytesIO(png))).tolist() == [[[*RED], [*BLUE]]]


def test_kitty_sends_the_picture_in_chunks() -> None:
    values = np.random.default_rng(0).integers(0, 256, (100, 150, 3), np.uint8)
    shown = thumbnail(Image.fromarray(values), "kitty", 20)
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", shown)
    assert "".join(f"\x1b_G{head};{data}\x1b\\" for head, data in parts) == shown
    assert parts[0][0] == "a=T,f=100,c=15,q=2,m=1"
    assert {head for head, _ in parts[1:-1]} <= {"m=1"} and parts[-1][0] == "m=0"
    assert all(len(data) == 4096 for _, data in parts[:-1]) and 0 < len(parts[-1][1]) <= 4096
    png = base64.b64decode("".join(data for _, data in parts))
    assert (np.asarray(Image.open(BytesIO(png))) == values).all()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3000, 2000)])
def test_thumbnails_fit_and_say_nothing_else(protocol: str, size: tuple[int, int]) -> None:
    shown = thumbnail(Image.new("RGB", size, RED), protocol, 10)  # type: ignore[arg-type]
    assert shown and len(shown) < 20_000
    if protocol == "blocks":
        rows = shown.split("\n")
        assert len(rows) <= 5 and all(row.count("▀") <= 10 for row in rows)


KITTY = {"TERM": "xterm-kitty"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (KITTY, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "blocks"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"}, None),
        ({"TERM": "xterm-256color"}, None),
        ({**KITTY, "TMUX": "/tmp/x", "COLORTERM": "24bit"}, "blocks"),
        ({"TERM": "screen", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, None),
        ({}, None),
    ],
)
def test_the_terminal_is_told_by_its_environment(
    environ: dict[str, str], expected: str | None
) -> None:
    assert detect(environ, True) == expected
    assert detect(environ, False) is None


def test_what_the_user_says_goes() -> None:
    assert detect({}, False, "sixel") == "sixel"
    assert detect(KITTY, True, "off") is None
    assert detect(KITTY, True, "auto") == "kitty"
    with pytest.raises(UsageError, match='"sixels" is not one of kitty, iterm, sixel, blocks'):
        detect(KITTY, True, "sixels")
