"""A found prompt as a file: it reads as the same prompt, whatever its texts are."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.evals.optimize.written import prompt_text
from trivium.prompts.base import Example, Prompt, Shots, Variable
from trivium.prompts.files import all_prompts, parse_prompt
from trivium.prompts.lint import lint

FILE = Path("p.yaml")


def test_a_file_reads_as_a_person_would_write_it() -> None:
    prompt = Prompt(
        "p",
        "{{ text }}\n",
        "Sort it.\nBe brief.",
        "Sorts.",
        2,
        (Variable("text", description="A text.", input=True),),
        (Example({"text": "1e5"}, "no"), Example({"text": "b"}, "two\nlines")),
        Shots(k=2),
        tags=("mine",),
        licence="MIT",
    )
    assert (
        prompt_text(prompt, FILE, ["Found by\nchance."])
        == """\
# Found by chance.
name: "p"
description: "Sorts."
version: 2
licence: "MIT"
tags:
- "mine"
variables:
  text:
    input: true
    description: "A text."
system: |-
  Sort it.
  Be brief.
user: |
  {{ text }}
examples:
- inputs:
    text: "1e5"
  output: "no"
- inputs:
    text: "b"
  output: |-
    two
    lines
shots:
  k: 2
"""
    )


@pytest.mark.parametrize("prompt", all_prompts(), ids=lambda one: str(one.name))
def test_every_shipped_prompt_survives(prompt: Prompt) -> None:
    again = parse_prompt(prompt_text(prompt, FILE), FILE)
    assert replace(again, path=prompt.path) == prompt
    assert lint(again) == []


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t\"'#:- "))


@settings(max_examples=150, deadline=None)
@given(TEXTS, TEXTS, TEXTS, st.lists(TEXTS, max_size=3))
def test_any_text_survives(system: str, said: str, output: str, default: list[str]) -> None:
    prompt = Prompt(
        "p",
        "{{ text }}",
        system,
        "D.",
        variables=(Variable("text"), Variable("kinds", "list", "", False, default)),
        examples=(Example({"text": said}, output.rstrip("\n")),),
    )
    again = parse_prompt(prompt_text(prompt, FILE), FILE)
    assert again.hash == prompt.hash
