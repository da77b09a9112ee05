from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.engines.text import TextStream, ThinkingStream


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


def parted(text: str, sizes: list[int], *, opened: bool = False) -> tuple[str, str]:
    """Thinking and answer, however the text is cut."""
    stream = ThinkingStream(opened=opened)
    thinking = answer = ""
    at = turn = 0
    while at < len(text):
        more = stream.push(text[at : at + sizes[turn % len(sizes)]])
        thinking, answer = thinking + more[0], answer + more[1]
        at, turn = at + sizes[turn % len(sizes)], turn + 1
    rest = stream.finish()
    return thinking + rest[0], answer + rest[1]


cuts = st.lists(st.integers(1, 9), min_size=1)


@given(cuts)
@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("<think>\nHm, a < b.\n</think>\n\nYes.", "Hm, a < b.", "Yes."),
        ("\n<think>Hm.</think>Yes.\n", "Hm.", "Yes.\n"),
        ("<think>\n\n</think>\n\nYes.", "", "Yes."),
        ("<think>Hm. </thin", "Hm. </thin", ""),
        ("<think>Hm.</think>", "Hm.", ""),
        ("Yes.<think>Hm.</think>", "", "Yes.<think>Hm.</think>"),
        ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
        (" <thin", "", " <thin"),
        ("  Yes.", "", "  Yes."),
        ("", "", ""),
    ],
)
def test_thinking_is_parted_from_the_answer(
    text: str, thinking: str, answer: str, sizes: list[int]
) -> None:
    assert parted(text, sizes) == (thinking, answer)


@given(cuts)
def test_thinking_that_the_prompt_opened(sizes: list[int]) -> None:
    assert parted("\nHm.\n\nSo.\n</think>\n\nYes.", sizes, opened=True) == ("Hm.\n\nSo.", "Yes.")
    assert parted("Hm.", sizes, opened=True) == ("Hm.", "")


def test_thinking_is_shown_as_it_comes() -> None:
    stream = ThinkingStream()
    assert [stream.push(piece) for piece in ("<th", "ink>", "Hm ", "<", "b </", "think>")] == [
        ("", ""),
        ("", ""),
        ("Hm", ""),
        ("", ""),
        (" <b", ""),
        ("", ""),
    ]
    assert stream.state == "answer"


def test_a_stop_string_may_be_forgotten() -> None:
    stream = TextStream(["<a>", "END"])
    assert stream.push(b"x<") == "x"
    stream.forget(["<a>"])
    assert stream.push(b"a>yE") == "<a>y"
    assert stream.push(b"ND") == ""
    assert stream.stopped
