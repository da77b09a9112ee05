"""Instructions from lists and models, made into prompts that are as sound as before."""

from pathlib import Path

import pytest

from trivium.errors import UsageError
from trivium.evals.optimize.instructions import (
    PHRASINGS,
    instructed,
    proposals,
    proposed,
    read_instructions,
)
from trivium.prompts.base import Example, Prompt, Variable
from trivium.prompts.files import all_prompts
from trivium.prompts.lint import lint

BASE = Prompt(
    "p",
    "{{ text }}",
    'Sort texts. Say {{ labels | join(", ") }}.\n',
    description="Sorts.",
    variables=(
        Variable("text", description="A text.", input=True),
        Variable("labels", "list", "Where to.", False, ["war", "peace"]),
    ),
)
ROW = {"text": "a text"}


@pytest.mark.parametrize(
    ("line", "system"),
    [
        ("Be quick. {{ instruction }}", 'Be quick. Sort texts. Say {{ labels | join(", ") }}.'),
        ("{{instruction}} Go.", 'Sort texts. Say {{ labels | join(", ") }}. Go.'),
        ("Say {{ labels }}!", "Say {{ labels }}!"),
        ("Sort it.", 'Sort it.\nSort texts. Say {{ labels | join(", ") }}.'),
    ],
)
def test_a_line_of_a_list_is_a_system_part(line: str, system: str) -> None:
    """The last one would lose the labels, which nothing else says: it stands before the old."""
    made = instructed(BASE, line, "listed")
    assert made is not None
    assert (made.prompt.system, made.origin, made.own) == (system, "listed", False)
    assert lint(made.prompt) == []


@pytest.mark.parametrize(
    "line",
    ["Say {{ labels", "Say {{ colour }} and {{ labels }}", "{{ instruction }}", "{% if %}", ""],
)
def test_what_is_no_template_or_says_nothing_new_is_left_out(line: str) -> None:
    assert instructed(BASE, line, "listed") is None


@pytest.mark.parametrize(
    ("said", "system"),
    [
        ("Choose war, peace.", 'Choose {{ labels | join(", ") }}.'),
        ('New instruction: "Choose war, peace."', 'Choose {{ labels | join(", ") }}.'),
        (
            "**Instruction:** Choose war, peace.\n\nBecause it is.",
            'Choose {{ labels | join(", ") }}.',
        ),
        ("Decide\x1b[31m it.", 'Decide[31m it.\nSort texts. Say {{ labels | join(", ") }}.'),
    ],
)
def test_a_model_s_words_get_the_variables_back(said: str, system: str) -> None:
    made = proposed(BASE, ROW, said)
    assert made is not None
    assert made.prompt.system == system


@pytest.mark.parametrize(
    "said", ["", " \n ", '""', "{{ text }}", "{% for %}", "{# x #}", "x" * 601]
)
def test_a_model_writes_no_templates_and_no_essays(said: str) -> None:
    assert proposed(BASE, ROW, said) is None


def test_a_model_is_shown_the_task_and_asked_in_different_manners() -> None:
    solved = [Example({"text": "swords"}, "war")]
    asked = proposals(BASE, ROW, solved, 10, seed=5)
    first = asked[0].messages[-1].content
    assert "Sort texts. Say war, peace." in first
    assert "swords\nAnswer: war" in first
    assert len({(one.messages, one.sampling.seed) for one in asked}) == 10
    assert [one.sampling.seed for one in asked] == list(range(5, 15))


def test_the_shipped_phrasings_fit_every_shipped_prompt() -> None:
    phrasings = read_instructions(PHRASINGS)
    assert len(phrasings) == 10
    for prompt in all_prompts():
        for line in phrasings:
            made = instructed(prompt, line, "")
            assert made is not None, (prompt.name, line)


def test_lists_are_read_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("# mine\n\n  One. \nTwo.\n")
    assert read_instructions(file) == ("One.", "Two.")
    file.write_text("# nothing\n")
    with pytest.raises(UsageError, match="holds no instructions"):
        read_instructions(file)
    file.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_instructions(file)
    with pytest.raises(UsageError, match=r"cannot read .*none: No such file"):
        read_instructions(tmp_path / "none")
