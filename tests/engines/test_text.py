from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.engines.text import TextStream


def before_first(text: str, stops: Sequence[str]) -> str:
    """What a reader of the whole text would keep; the stop that is complete first wins."""
    for end in range(len(text) + 1):
        cuts = [end - len(stop) for stop in stops if stop and text[:end].endswith(stop)]
        if cuts:
            return text[: min(cuts)]
    return text


texts = st.text(alphabet="abé漢🌍\n", max_size=30)
stops = st.lists(st.text(alphabet="ab\n🌍", max_size=4), max_size=3)


@given(texts, stops, st.lists(st.integers(1, 5), min_size=1))
def test_pieces_join_to_the_text_before_the_first_stop(
    text: str, stop: list[str], sizes: list[int]
) -> None:
    """However the bytes are cut, also inside a character."""
    stream = TextStream(stop)
    data, shown, turn = text.encode(), "", 0
    while data:
        size = sizes[turn % len(sizes)]
        shown += stream.push(data[:size])
        data, turn = data[size:], turn + 1
    shown += stream.finish()
    assert shown == stream.text
    # tokens of several characters may complete two stops at once: then the earlier one counts
    starts = [at for s in stop if s and (at := text.find(s)) >= 0]
    assert shown in (before_first(text, stop), text[: min(starts, default=len(text))])
    assert stream.stopped == bool(starts)


def test_nothing_that_may_become_a_stop_is_shown() -> None:
    stream = TextStream(["\nUser:"])
    assert stream.push(b"Hi\nUs") == "Hi"
    assert stream.push(b"e") == ""
    assert stream.push(b"d") == "\nUsed"
    assert stream.push(b"\nUser: x") == ""
    assert stream.stopped
    assert stream.push(b"more") == ""
    assert stream.finish() == ""


def test_half_a_character_at_the_end_is_marked() -> None:
    stream = TextStream()
    assert stream.push("é".encode()[:1]) == ""
    assert stream.finish() == "\ufffd"


@pytest.mark.parametrize("stop", [[], [""]])
def test_no_stop_holds_nothing_back(stop: list[str]) -> None:
    assert TextStream(stop).push(b"abc") == "abc"
