"""Prompt files: what they say is read, what they get wrong is told with its line."""

import json
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.errors import UsageError
from trivium.prompts.base import Example, Shots, Variable
from trivium.prompts.files import all_prompts, find_prompt, load_prompt, parse_prompt, prompt_files
from trivium.prompts.lint import lint

WHOLE = """\
name: whole
description: All there is.
version: 3
licence: MIT
tags: [a, b]
variables:
  text: {input: true, description: What to read.}
  n: {type: integer, default: "2"}
  plain:
system: |
  Be brief.
user: |
  {{ n }} {{ text }} {{ plain }}
examples:
  - inputs: {text: hi, plain: 1}
    output: {a: "é"}
  - inputs: {text: ho, plain: [x], n: 4}
    output: |
      done
shots: {selector: random, k: 1, seed: 5, order: reversed}
schema: {type: object}
"""


def written(folder: Path, text: str, name: str = "p") -> Path:
    file = folder / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(text), encoding="utf-8")
    return file


def test_everything_is_read(tmp_path: Path) -> None:
    file = written(tmp_path, WHOLE)
    prompt = load_prompt(file)
    assert (prompt.name, prompt.version, prompt.licence) == ("whole", 3, "MIT")
    assert (prompt.description, prompt.tags, prompt.path) == ("All there is.", ("a", "b"), file)
    assert prompt.variables == (
        Variable("text", description="What to read.", input=True),
        Variable("n", "integer", required=False, default=2),
        Variable("plain"),
    )
    assert prompt.system == "Be brief.\n"
    assert prompt.user == "{{ n }} {{ text }} {{ plain }}\n"
    assert prompt.examples == (
        Example({"text": "hi", "plain": "1"}, '{"a": "é"}'),
        Example({"text": "ho", "plain": '["x"]', "n": "4"}, "done"),
    )
    assert prompt.shots == Shots("random", 1, 5, "reversed")
    assert prompt.schema == {"type": "object"}
    assert prompt.lines == {
        "variables.text": 7, "variables.n": 8, "variables.plain": 9, "system": 11, "user": 13,
        "examples": 14, "examples.0": 15, "examples.1": 17, "schema": 21,
    }  # fmt: skip


def test_the_least_there_can_be(tmp_path: Path) -> None:
    prompt = load_prompt(written(tmp_path, "name: p\nuser: Hello\n"))
    assert (prompt.user, prompt.version, prompt.variables, prompt.examples) == ("Hello", 1, (), ())


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("no", "no"), ("Yes", "Yes"), ("on", "on"), ("19:45", "19:45"),
        ("2024-03-09", "2024-03-09"),
        ("007", "007"), ("1_000", "1_000"), ("0x10", "0x10"), (".5", ".5"), ("<<", "<<"),
        ("12", "12"), ("-0.5", "-0.5"), ("true", "true"), ("null", "null"), ("~x", "~x"),
    ],
)  # fmt: skip
def test_an_output_is_what_it_looks_like(tmp_path: Path, said: str, text: str) -> None:
    file = written(tmp_path, f"name: p\nuser: x\nexamples:\n- inputs: {{}}\n  output: {said}\n")
    assert [one.output for one in load_prompt(file).examples] == [text]


def test_a_default_of_null_fills_nothing_in(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"p.yaml, line 3: the default of x is null, not a string"):
        load_prompt(written(tmp_path, "name: p\nvariables:\n  x: {default: null}\nuser: x\n"))


def test_a_file_of_examples(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": "x", "id": 1}, {"text": "b", "label": {"y": 2}}]
    (tmp_path / "rows.jsonl").write_text("\n\n".join(map(json.dumps, rows)), encoding="utf-8")
    text = "name: p\nvariables: {text: }\nuser: x\nexamples: {file: rows.jsonl, output: label}\n"
    assert load_prompt(written(tmp_path, text)).examples == (
        Example({"text": "a"}, "x"),
        Example({"text": "b"}, '{"y": 2}'),
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('{"text": "a"}', r'rows.jsonl, line 1 is no object with a key "output"'),
        ('{"text": "a", "output": ""}\n[]', r"rows.jsonl, line 2 is no object"),
        ("{", r"rows.jsonl, line 1 is not JSON"),
        ("[" * 100_000, r"rows.jsonl, line 1 is not JSON"),
        ('{"output": "a"}', r'rows.jsonl, line 1: an example lacks "text"'),
        (None, r"cannot read the examples .*rows.jsonl"),
    ],
)
def test_a_broken_file_of_examples(tmp_path: Path, rows: str | None, message: str) -> None:
    if rows is not None:
        (tmp_path / "rows.jsonl").write_text(rows, encoding="utf-8")
    file = written(
        tmp_path, "name: p\nvariables: {text: }\nuser: x\nexamples: {file: rows.jsonl}\n"
    )
    with pytest.raises(UsageError, match=message):
        load_prompt(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: p\nuser: x\nusr: y\n", r'p.yaml, line 3: unknown key "usr"; known are .*variables'),
        (
            "name: p\nvariables:\n  a:\n    tpye: list\nuser: x\n",
            r'line 4: unknown key "variables.a.tpye"',
        ),
        (
            "name: p\nvariables:\n  a: {type: text}\nuser: x\n",
            r"line 3: variables.a.type = 'text' is",
        ),
        ("- {? [a] : b}: c\n", r"line 1 is not valid YAML: a key is no text"),
        ("name: p\n", r'line 1: "user" is missing'),
        ("name: p\nuser: ''\n", r"line 2: user = '' is not valid"),
        ("name: P x\nuser: x\n", r"line 1: name = 'P x' is not valid"),
        ("name: p\nversion: 0\nuser: x\n", r"line 2: version = 0 is not valid"),
        ("name: p\nuser: x\nuser: y\n", r'line 3 is not valid YAML: "user" stands twice'),
        ("name: p\nuser: [\n", r"line 3 is not valid YAML"),
        ("name: p\nuser: &a x\nsystem: *a\n", r"line 3 is not valid YAML: aliases are not read"),
        ("name: p\nuser: !!python/name:os.system x\n", r"line 2 is not valid YAML"),
        ('name: p\nuser: "\\ud83d"\n', r"line 2 is not valid .* half of a character"),
        ("name: p\nuser: \0\n", r"p.yaml is not valid YAML: unacceptable character #x0000"),
        ("- a\n", r"holds no keys"),
        ("", r"holds no keys"),
        ("name: p\nuser: x\n\tb: c\n", r"line 3 is not valid YAML"),
        ("name: p\nuser: " + "[" * 20_000, r"is not valid YAML"),
        ("name: p\nvariables:\n  a-b:\nuser: x\n", r'line 3: "a-b" is no name for a variable'),
        ("name: p\nvariables:\n  A:\nuser: x\n", r'line 3: "A" is no name'),
        (
            "name: p\nvariables:\n  a: {input: true}\n  b: {input: true}\nuser: x\n",
            r"line 2: more than",
        ),
        ("name: p\nvariables:\n  a: {input: true, type: list}\nuser: x\n", r"line 3: .* not list"),
        (
            "name: p\nvariables:\n  a: {choices: [x], default: y}\nuser: x\n",
            r'line 3: .*"y", none of x',
        ),
        ("name: p\nuser: x\nexamples: 3\n", r"line 3: examples are a list"),
        (
            "name: p\nuser: x\nexamples:\n  - inputs: {}\n",
            r'line 4: "examples.0.output" is missing',
        ),
        (
            "name: p\nuser: x\nexamples:\n  - {inputs: {a: 1}, output: x}\n",
            r'line 4: an example gives "a"',
        ),
        (
            "name: p\nvariables: {a: }\nuser: x\nexamples:\n  - {inputs: {a: 1}, output: x}\n"
            "  - {inputs: {}, output: x}\n",
            r'line 6: an example lacks "a"',
        ),
        ("name: p\nuser: x\nshots: {selector: best}\n", r"line 3: shots.selector = 'best' is not"),
        ("name: p\nuser: x\nshots: {k: -1}\n", r"line 3: shots.k = -1 is not valid"),
        ("name: p\nuser: x\nschema: []\n", r"line 3: schema = \[\] is not valid"),
    ],
)  # fmt: skip
def test_a_broken_file_names_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_prompt(written(tmp_path, text))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_bytes(b"name: p\xff")
    with pytest.raises(UsageError, match=r"p.yaml is not UTF-8: .* at byte 7"):
        load_prompt(file)
    with pytest.raises(UsageError, match=r"cannot read the prompt .*: Is a directory"):
        load_prompt(tmp_path)
    with pytest.raises(UsageError, match=r"cannot read the prompt .*: No such file"):
        load_prompt(tmp_path / "none.yaml")


class TestPlaces:
    @pytest.fixture(autouse=True)
    def work(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = tmp_path / "work"
        folder.mkdir()
        monkeypatch.chdir(folder)
        return folder

    def test_the_nearest_wins(self, work: Path, home: Path) -> None:
        assert "sentiment" in str(find_prompt("sentiment").path)
        written(home / "prompts", "name: sentiment\nuser: home\n", "sentiment")
        assert find_prompt("sentiment").user == "home"
        written(work / "prompts", "name: sentiment\nuser: here\n", "sentiment")
        assert find_prompt("sentiment").user == "here"
        mine = [one for one in prompt_files() if one.name == "sentiment"]
        assert [(one.place, one.shadowed) for one in mine] == [
            ("./prompts", False), ("home", True), ("shipped", True),
        ]  # fmt: skip
        assert [one.user for one in all_prompts() if one.name == "sentiment"] == ["here"]

    def test_a_path_is_a_path(self, work: Path) -> None:
        written(work, "name: other\nuser: x\n", "sentiment")
        assert find_prompt("sentiment.yaml").name == "other"
        assert find_prompt("./sentiment.yaml").name == "other"

    def test_a_file_is_called_as_its_prompt(self, work: Path) -> None:
        written(work / "prompts", "name: a\nuser: x\n", "b")
        with pytest.raises(UsageError, match=r'b.yaml names its prompt "a"'):
            find_prompt("b")

    def test_what_is_not_there_has_a_likely_neighbour(self) -> None:
        with pytest.raises(UsageError, match=r'no prompt "sentimant".*did you mean sentiment'):
            find_prompt("sentimant")
        with pytest.raises(UsageError, match=r"see: trivium prompts list"):
            find_prompt("zzzzzz")
        with pytest.raises(UsageError, match=r"no prompt"):
            find_prompt("")


@given(st.one_of(st.text(), st.text(alphabet="{}[]:,&*!|>-#'\"%?@`\n ax1~<")))
def test_any_text_is_a_prompt_or_a_mistake(text: str) -> None:
    with suppress(UsageError):
        parse_prompt(text, Path("p.yaml"))


@given(st.data())
def test_any_change_of_a_prompt_is_a_prompt_or_a_mistake(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(WHOLE)))
    end = data.draw(st.integers(start, min(start + 30, len(WHOLE))))
    put = data.draw(st.text(alphabet="{}[]:,&*!|>-#'\"%?@`\n ax1~\x00\ud800", max_size=4))
    with suppress(UsageError):
        prompt = parse_prompt(WHOLE[:start] + put + WHOLE[end:], Path("p.yaml"))
        assert len(prompt.hash) == 64
        prompt.render({"text": "a", "plain": "b"})
        lint(prompt)
