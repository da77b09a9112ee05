"""Suite files: what they say, what they include, and what they get wrong."""

from pathlib import Path
from typing import Any

import pytest

from tests.evals.suites import write_suite
from trivium.errors import UsageError
from trivium.evals.suite import Inline, load_suite, shipped_suites


def refused(folder: Path, text: str) -> str:
    """What is said of the suite `text`."""
    file = folder / "s.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        load_suite(file)
    return str(error.value).replace(str(file), "s.yaml")


MINIMAL = """\
name: s
prompts:
  - name: plain
    user: "{{ q }}"
data: {file: rows.jsonl}
"""


def test_defaults_of_a_minimal_suite(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(MINIMAL)
    said = load_suite(file)
    assert (said.chat, said.method, said.repeats, said.shard, said.version) == (
        True, "generate", 1, 64, 1,
    )  # fmt: skip
    assert said.prompts == [Inline(name="plain", user="{{ q }}")]
    assert said.folder == tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MINIMAL + "scorer: [exact]\n", 's.yaml, line 6: unknown key "scorer"'),
        (MINIMAL + "sampling:\n  temprature: 1\n", 'line 7: unknown key "sampling.temprature"'),
        (MINIMAL + "repeats: 0\n", "s.yaml, line 6: repeats = 0 is not valid"),
        (MINIMAL + "method: guess\n", "s.yaml, line 6: method = 'guess' is not valid"),
        (MINIMAL + "name: t\n", 's.yaml, line 6 is not valid YAML: "name" stands twice'),
        (MINIMAL + "folder: /\n", 's.yaml, line 6: unknown key "folder"'),
        (MINIMAL + "method: choose\n", '"choices" and "method: choose" need each other'),
        (MINIMAL.replace("name: s", "name: S s"), "s.yaml, line 1: name = 'S s' is not valid"),
        (MINIMAL.replace("    user:", "    usr:"), 's.yaml, line 4: unknown key "prompts.0.usr"'),
        ("name: s\nprompts: [p]\n", 's.yaml, line 1: "data" is missing'),
        ("- a\n", "s.yaml holds no keys"),
        ("", "s.yaml holds no keys"),
        ("a: [\n", "s.yaml, line 2 is not valid YAML"),
        ("a: &a [*a]\n", "aliases are not read"),
        ("include: none.yaml\n", "s.yaml includes none.yaml, and there is no file"),
        ("include: s.yaml\n", "s.yaml includes itself"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refused(tmp_path, text)


def test_an_including_suite_wins_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    base = write_suite(tmp_path / "base", repeats=3, sampling={"temperature": 0.5})
    file = tmp_path / "more.yaml"
    file.write_text(f"include: base/{base.name}\nname: more\nsampling: {{seed: 4}}\n")
    said = load_suite(file)
    assert (said.name, said.repeats) == ("more", 3)
    assert (said.sampling.seed, said.sampling.temperature) == (4, 0.0)
    assert said.folder == base.parent  # its data lies there
    file.write_text(f"include: base/{base.name}\nname: more\ndata: {{file: here.jsonl}}\n")
    assert load_suite(file).folder == tmp_path


def test_a_name_that_is_no_suite_lists_those_there_are() -> None:
    with pytest.raises(
        UsageError, match="there is no suite mmul; give a YAML file, a shipped prompt, or ag"
    ):
        load_suite("mmul")


def test_shipped_suites_say_version_source_and_variant() -> None:
    assert shipped_suites()
    for name in shipped_suites():
        said: Any = load_suite(name)
        assert said.name == name
        assert said.version >= 1
        assert said.source
        assert said.variant
        assert said.licence
