"""Plans: their hash, their order, and how rows are asked."""

from pathlib import Path
from typing import Any

import pytest

from tests.evals.suites import suite, write_rows
from tests.scripted import ScriptedEngine
from trivium.engines.base import Message
from trivium.errors import UsageError
from trivium.evals.asking import Asker, inline, plain
from trivium.evals.base import Row
from trivium.evals.plan import Plan, make_plan
from trivium.evals.suite import Inline


def planned(folder: Path, **keys: Any) -> Plan:
    return make_plan(suite(folder, **keys), ["m"])


def test_all_that_decides_records_is_in_the_hash(tmp_path: Path) -> None:
    plans = [
        planned(tmp_path),
        planned(tmp_path, rows=6),
        planned(tmp_path, repeats=2),
        planned(tmp_path, sampling={"seed": 1}),
        planned(tmp_path, scorers=["f1"]),
        planned(tmp_path, prompts=[{"name": "plain", "user": "{{ question }}?"}]),
        make_plan(suite(tmp_path), ["other"]),
        make_plan(suite(tmp_path), ["m"], limit=3),
    ]
    assert len({plan.hash for plan in plans}) == len(plans)


def test_what_decides_nothing_is_not(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    same = suite(there, description="Sums", gates=[{"metric": "exact", "min": 0.1}])
    assert make_plan(same, ["m"]).hash == planned(tmp_path).hash


def test_every_item_is_in_one_shard_and_like_prompts_are_beside_each_other(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": f"r{n}", "text": ("b" if n % 2 else "a") * 20, "n": n} for n in range(8)
    ]
    write_rows(tmp_path / "abc.jsonl", rows)
    plan = planned(
        tmp_path,
        shard=3,
        repeats=2,
        data={"file": "abc.jsonl", "target": None},
        prompts=[{"name": "p", "user": "{{ text }} {{ n }}"}],
    )
    asker = Asker(plan.suite, plan.prompts[0], plan.pool)
    shards = list(plan.shards(0, asker))
    items = [item for shard in shards for item in shard]
    assert [len(shard) for shard in shards] == [3, 3, 3, 3, 3, 1]
    assert sorted(item.index for item in items) == list(range(16))
    assert [item.row for item in items[::2]] == [0, 2, 4, 6, 1, 3, 5, 7]
    assert all(plan.item(item.index) == item for item in items)


def test_few_shot_examples_match_and_leave_the_row_itself_out(tmp_path: Path) -> None:
    solved: list[dict[str, object]] = [
        {"question": "1+1", "kind": "sum", "target": "2"},
        {"question": "2*3", "kind": "product", "target": "6"},
        {"question": "4+4", "kind": "sum", "target": "8"},
    ]
    write_rows(tmp_path / "solved.jsonl", solved)
    plan = planned(
        tmp_path,
        data={"file": "solved.jsonl"},
        examples={"data": {"file": "solved.jsonl"}, "k": 2, "match": "kind"},
    )
    asker = Asker(plan.suite, plan.prompts[0], plan.pool, ScriptedEngine())
    first, product, last = (asker.asked(row).messages for row in plan.rows)
    assert [one.content for one in first] == ["4+4", "8", "1+1"]
    assert [one.content for one in product] == ["2*3"]
    assert [one.content for one in last] == ["1+1", "2", "4+4"]


def test_a_row_without_examples_of_its_kind_is_an_error_of_the_row(tmp_path: Path) -> None:
    write_rows(tmp_path / "solved.jsonl", [{"question": "1+1", "kind": "sum", "target": "2"}])
    write_rows(tmp_path / "asked.jsonl", [{"question": "1*1", "kind": "product", "target": "1"}])
    plan = planned(
        tmp_path,
        data={"file": "asked.jsonl"},
        examples={"data": {"file": "solved.jsonl"}, "match": "kind"},
    )
    with pytest.raises(UsageError, match='no examples for "product"'):
        Asker(plan.suite, plan.prompts[0], plan.pool).asked(plan.rows[0])


def test_a_conversation_as_plain_text() -> None:
    messages = (
        Message("system", "About sums."),
        Message("user", "1+1 ="),
        Message("assistant", "2"),
        Message("user", "2+2 ="),
    )
    assert plain(messages, " ") == "About sums.\n\n1+1 = 2\n\n2+2 ="
    assert plain(messages[-1:], " ") == "2+2 ="


def test_inline_prompts_take_the_columns_they_use() -> None:
    given = Inline(name="p", user="{% for c in cities %}{{ c }}, {% endfor %}{{ land.name }}")
    row = Row("0", {"cities": ["Rome", "Bari"], "land": {"name": "Italy"}, "note": "unused"})
    prompt = inline(given, row.inputs)
    assert [(one.name, one.type) for one in prompt.variables] == [
        ("cities", "list"), ("land", "object"),
    ]  # fmt: skip
    assert prompt.render(row.inputs).messages[-1].content == "Rome, Bari, Italy"
    with pytest.raises(UsageError, match='"p" uses "country", which is no column'):
        inline(Inline(name="p", user="{{ country }}"), row.inputs)
    with pytest.raises(UsageError, match='the prompt "p", line 1'):
        inline(Inline(name="p", user="{{ land"), row.inputs)


def test_prompts_are_files_beside_the_suite_or_of_the_library(tmp_path: Path) -> None:
    (tmp_path / "ask.yaml").write_text(
        "name: ask\nvariables: {question: {}}\nuser: 'What is {{ question }}?'\n"
    )
    plan = planned(tmp_path, prompts=["ask.yaml"])
    asked = Asker(plan.suite, plan.prompts[0], ()).asked(plan.rows[1])
    assert asked.messages[0].content == "What is 1+1?"
    with pytest.raises(UsageError, match='there is no prompt "asks"'):
        planned(tmp_path, prompts=["asks"])
    with pytest.raises(UsageError, match='two prompts named "ask"'):
        planned(tmp_path, prompts=["ask.yaml", "ask.yaml"])


def test_a_suite_without_models_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give one with --model"):
        make_plan(suite(tmp_path), [])
