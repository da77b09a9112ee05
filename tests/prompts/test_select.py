"""Selectors: what each one chooses, in which order, and never the row itself."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.embedder import WordEmbedder
from tests.scripted import ScriptedEngine
from trivium.errors import UsageError
from trivium.prompts.base import Example, Prompt, Shots, Variable
from trivium.prompts.select import CANDIDATES, own_selector, selector
from trivium.prompts.values import same_row

NAMES = ("fixed", "random", "balanced", "nearest", "mmr", "likelihood")


def example(text: str, label: str = "") -> Example:
    return Example({"text": text}, label or text.upper())


def texts(found: list[Example]) -> list[str]:
    return [one.inputs["text"] for one in found]


POOL = [example(text, "yes" if number % 4 else "no") for number, text in enumerate("abcdefgh")]


def means() -> dict[str, Any]:
    return {"embedder": WordEmbedder(), "engine": ScriptedEngine()}


@given(
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(["a", "b", "c", "d d", "e"]), max_size=8),
    st.sampled_from(["a", " A", "b", "D  d", "z"]),
    st.integers(0, 6),
    st.integers(0, 3),
    st.sampled_from(["chosen", "reversed", "shuffled"]),
)
def test_a_row_never_is_its_own_example(
    name: str, pool: list[str], text: str, k: int, seed: int, order: Any
) -> None:
    examples = [example(one) for one in pool]
    row = {"text": text, "id": 3}
    found = selector(name, examples, k, seed, **means(), order=order)(row)
    others = [one for one in examples if not same_row(one, row, ["text"])]
    assert not any(same_row(one, row, ["text"]) for one in found)
    assert len(found) == min(k, len(others))
    assert all(found.count(one) <= others.count(one) for one in found)
    assert found == selector(name, examples, k, seed, **means(), order=order)(row)


def test_fixed_takes_the_first_ones() -> None:
    choose = selector("fixed", POOL, 3)
    assert texts(choose({"text": "x"})) == ["a", "b", "c"]
    assert texts(choose({"text": "B"})) == ["a", "c", "d"]


def test_random_draws_once_for_all_rows_and_by_its_seed() -> None:
    choose = selector("random", POOL, 4, seed=1)
    drawn = texts(choose({"text": "x"}))
    assert drawn == texts(choose({"text": "y"}))
    assert len(set(drawn)) == 4
    draws = {tuple(texts(selector("random", POOL, 4, seed)({"text": "x"}))) for seed in range(20)}
    assert len(draws) > 10


def test_balanced_takes_labels_in_turn_and_then_what_is_left() -> None:
    labels = [one.output for one in selector("balanced", POOL, 6, seed=2)({"text": "x"})]
    assert sorted(labels[:2]) == sorted(labels[2:4]) == ["no", "yes"]
    assert labels[4:] == ["yes", "yes"]


def test_order() -> None:
    row = {"text": "x"}
    assert texts(selector("fixed", POOL, 3, order="reversed")(row)) == ["c", "b", "a"]
    shuffled = selector("fixed", POOL, 8, 1, order="shuffled")
    assert sorted(texts(shuffled(row))) == list("abcdefgh") != texts(shuffled(row))
    assert shuffled(row) == shuffled({"text": "y"})


def test_nearest_shares_the_most_words() -> None:
    pool = [example("a red boat"), example("two grey cats"), example("a red bike"), example("tea")]
    choose = selector("nearest", pool, 2, embedder=WordEmbedder())
    assert texts(choose({"text": "the red bike"})) == ["a red bike", "a red boat"]
    assert texts(choose({"text": "grey cats"}))[0] == "two grey cats"


def test_mmr_does_not_take_the_same_thing_twice() -> None:
    pool = [example("red boat one"), example("one red boat"), example("red"), example("tea")]
    row = {"text": "red boat"}
    near = texts(selector("nearest", pool, 2, embedder=WordEmbedder())(row))
    assert near == ["red boat one", "one red boat"]
    # after the first, the second adds (0.816 - 1) / 2 and "red" (0.707 - 0.577) / 2
    diverse = texts(selector("mmr", pool, 2, embedder=WordEmbedder())(row))
    assert diverse == ["red boat one", "red"]


def test_the_pool_is_embedded_once() -> None:
    embedder = WordEmbedder()
    choose = selector("nearest", POOL, 2, embedder=embedder)
    assert embedder.seen == []
    choose({"text": "x"})
    choose({"text": "y"})
    assert embedder.seen == [*"abcdefgh", "x", "y"]


def test_likelihood_ranks_by_the_row_after_each_example() -> None:
    engine = ScriptedEngine(logprob=lambda request: -float(len(request.prompt)))
    pool = [example("long words", "x"), example("b", "x"), example("mid", "x")]
    choose = selector("likelihood", pool, 2, engine=engine)
    assert texts(choose({"text": "the row", "id": "3"})) == ["b", "mid"]
    assert {one.continuation for one in engine.scored} == {"the row"}
    assert {one.prompt for one in engine.scored} == {"b\nx\n\n", "mid\nx\n\n", "long words\nx\n\n"}


def test_likelihood_asks_about_a_bounded_number() -> None:
    pool = [example(f"word{number}") for number in range(100)]
    engine = ScriptedEngine()
    selector("likelihood", pool, 2, engine=engine)({"text": "x"})
    assert len(engine.scored) == CANDIDATES
    near = ScriptedEngine()
    selector("likelihood", pool, 2, embedder=WordEmbedder(), engine=near)({"text": "word7"})
    assert len(near.scored) == CANDIDATES - 1  # the row itself is in there


def test_on_says_what_makes_a_row() -> None:
    pool = [Example({"text": "a", "id": "1"}, "A"), Example({"text": "b", "id": "2"}, "B")]
    row = {"text": "a", "id": "9"}
    assert texts(selector("fixed", pool, 2)(row)) == ["a", "b"]
    assert texts(selector("fixed", pool, 2, on=["text"])(row)) == ["b"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("best", 'there is no selector "best"; there are fixed, random'),
        ("nearest", '"nearest" needs an embedder'),
        ("mmr", '"mmr" needs an embedder'),
        ("likelihood", '"likelihood" needs an engine'),
    ],
)
def test_what_cannot_be_built(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        selector(name, POOL, 1)


def test_a_prompt_s_own_shots() -> None:
    prompt = Prompt(
        "p",
        "{{ text }}",
        variables=(Variable("text"),),
        examples=tuple(POOL),
        shots=Shots("fixed", 2, order="reversed"),
    )
    assert texts(own_selector(prompt)({"text": "A"})) == ["c", "b"]
    with pytest.raises(UsageError, match='"text" has no value'):
        own_selector(prompt)({"id": "A"})


def test_a_row_need_not_give_what_has_a_default() -> None:
    labels = Variable("labels", "list", required=False, default=["x"])
    prompt = Prompt(
        "p",
        "{{ text }}",
        system="{{ labels }}",
        variables=(Variable("text"), labels),
        examples=tuple(POOL[:2]),
    )
    assert texts(own_selector(prompt)({"text": "z"})) == ["a", "b"]
    assert texts(own_selector(prompt)({"text": "z", "labels": "x"})) == ["a", "b"]
    assert texts(own_selector(prompt)({"text": "z", "labels": "y"})) == []
