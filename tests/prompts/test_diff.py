"""Two versions of a prompt, rendered and laid side by side."""

from dataclasses import replace

from trivium.prompts.base import Example, Prompt, Variable
from trivium.prompts.diff import Line, diff, shown

OLD = Prompt(
    "p",
    "Read:\n{{ text }}\nGo.",
    system="Be brief.",
    variables=(Variable("text"),),
    examples=(Example({"text": "a"}, "A"),),
    schema={"type": "string"},
)


def test_all_of_a_rendering_is_shown() -> None:
    assert shown(OLD, {"text": "b"}) == [
        "[system]", "Be brief.", "[user]", "Read:", "a", "Go.", "[assistant]", "A",
        "[user]", "Read:", "b", "Go.", "[schema]", "{", '  "type": "string"', "}",
    ]  # fmt: skip


def test_a_value_that_is_not_given_stands_by_its_name() -> None:
    assert "«text»" in shown(OLD)


def test_equal_changed_and_one_sided_lines() -> None:
    old = replace(OLD, examples=(), schema=None)
    new = replace(old, system="Be very brief.", user="{{ text }}\nGo.\nNow.")
    assert diff(old, new, {"text": "b"}) == [
        Line("[system]", " ", "[system]"),
        Line("Be brief.", "|", "Be very brief."),
        Line("[user]", " ", "[user]"),
        Line("Read:", "<", ""),
        Line("b", " ", "b"),
        Line("Go.", " ", "Go."),
        Line("", ">", "Now."),
    ]
    assert {line.mark for line in diff(old, old)} == {" "}


def test_a_selector_plays_no_part() -> None:
    one = replace(OLD, shots=replace(OLD.shots, selector="nearest"))
    assert {line.mark for line in diff(OLD, one)} == {" "}
