"""Follow-ups made to stand alone, and rewritings that are not believed."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scripted import ScriptedEngine
from trivium.agent.base import Node
from trivium.agent.rewrite import ANSWER_CHARACTERS, EXCHANGES, MAX_TOKENS, leans, standalone
from trivium.engines.load import load_engine
from trivium.errors import Unavailable

HISTORY = [
    Node("user", "What is the Eiffel Tower?"),
    Node("assistant", "The Eiffel Tower is an iron tower in Paris."),
]
FOLLOW_UP = "And when was it built?"


def rewritten(reply: str, question: str = FOLLOW_UP, history: list[Node] | None = None) -> str:
    return standalone(ScriptedEngine(reply), HISTORY if history is None else history, question)


class TestLeaning:
    @pytest.mark.parametrize(
        "question",
        [
            "And when was it built?",
            "Where was he born?",
            "Who lives there?",
            "What about Kilimanjaro?",
            "Why?",
            "How tall?",
            "Which one is older?",
            "Is there anything else like that?",
            "more",
        ],
    )
    def test_a_pronoun_a_continuation_or_a_fragment_leans(self, question: str) -> None:
        assert leans(question)

    @pytest.mark.parametrize(
        "question",
        [
            "When was the Eiffel Tower built?",
            "Is there a bridge over the Rhine in Cologne?",
            "Wer hat den Eiffelturm gebaut?",
            "",
            "???",
        ],
    )
    def test_a_whole_question_does_not(self, question: str) -> None:
        assert not leans(question)


class TestAsking:
    def test_the_model_is_not_asked_without_a_history(self) -> None:
        assert standalone(ScriptedEngine(), [], FOLLOW_UP) == FOLLOW_UP

    def test_the_model_is_not_asked_about_a_whole_question(self) -> None:
        whole = "When was the Louvre opened to the public?"
        assert standalone(ScriptedEngine(), HISTORY, whole) == whole

    def test_the_request_is_greedy_short_and_shows_the_conversation(self) -> None:
        engine = ScriptedEngine("When was the Eiffel Tower built?")
        standalone(engine, HISTORY, FOLLOW_UP)
        (request,) = engine.requests
        assert (request.sampling.temperature, request.sampling.max_tokens) == (0.0, MAX_TOKENS)
        assert request.messages[-1].content == (
            "User: What is the Eiffel Tower?\n"
            "Assistant: The Eiffel Tower is an iron tower in Paris.\n"
            "Last question: And when was it built?"
        )

    def test_only_the_last_turns_are_shown_and_answers_by_their_beginning(self) -> None:
        history = [
            turn
            for n in range(10)
            for turn in (Node("user", f"Question {n}?"), Node("assistant", f"Answer {n}. " * 100))
        ]
        engine = ScriptedEngine(FOLLOW_UP)
        standalone(engine, history, FOLLOW_UP)
        lines = engine.requests[0].messages[-1].content.splitlines()
        assert len(lines) == 2 * EXCHANGES + 1
        assert lines[0] == "User: Question 7?"
        assert lines[1].startswith("Assistant: Answer 7.")
        assert len(lines[1]) <= len("Assistant: ") + ANSWER_CHARACTERS

    def test_results_of_tools_are_not_part_of_the_conversation(self) -> None:
        engine = ScriptedEngine(FOLLOW_UP)
        standalone(engine, [*HISTORY, Node("tool", "SECRET")], FOLLOW_UP)
        assert "SECRET" not in engine.requests[0].messages[-1].content


class TestBelieving:
    @pytest.mark.parametrize(
        "reply",
        [
            "When was the Eiffel Tower built?",
            "  When was the Eiffel Tower built?  \n\nIt was built in 1889.",
            '"When was the Eiffel Tower built?"',
            "Standalone question: When was the Eiffel Tower built?",
            "Question: When was the Eiffel Tower built?",
        ],
    )
    def test_a_good_rewriting_is_taken_without_what_surrounds_it(self, reply: str) -> None:
        assert rewritten(reply) == "When was the Eiffel Tower built?"

    @pytest.mark.parametrize(
        ("reply", "why"),
        [
            ("", "empty"),
            ("\n \n", "blank"),
            ("And when was it built?", "nothing new"),
            ("When did the Eiffel Tower open?", "built is lost"),
            ("When was the Brandenburg Gate built?", "nobody named it"),
            ("When was the Eiffel Tower of Berlin built?", "nobody named Berlin"),
            ("Was the Eiffel Tower built in 1889?", "nobody gave the year"),
            ("When was the Eiffel Tower built? " * 20, "far too long"),
            ("It was built for a world fair.", "nothing of the conversation"),
            ("The Eiffel Tower was built in Paris.", "an answer"),
        ],
    )
    def test_a_bad_one_gives_way_to_the_question(self, reply: str, why: str) -> None:
        assert rewritten(reply) == FOLLOW_UP, why

    def test_a_question_without_words_of_content_may_become_any(self) -> None:
        reply = "Why is the Eiffel Tower an iron tower?"
        assert rewritten(reply, "Why?") == reply

    def test_a_conversation_that_does_not_fit_is_no_error(self) -> None:
        engine = ScriptedEngine(context_length=20)
        assert standalone(engine, HISTORY, FOLLOW_UP) == FOLLOW_UP

    def test_a_model_out_of_reach_is_one(self) -> None:
        with pytest.raises(Unavailable):
            standalone(ScriptedEngine(Unavailable("gone")), HISTORY, FOLLOW_UP)

    @given(st.text(max_size=400))
    @settings(max_examples=50, deadline=None)
    def test_no_reply_raises_or_loses_the_word_that_matters(self, reply: str) -> None:
        assert "built" in rewritten(reply).lower()


@pytest.mark.model
def test_the_default_model_puts_names_in_the_place_of_pronouns(real_models: Path) -> None:
    engine = load_engine("smollm2-135m")
    try:
        built = standalone(engine, HISTORY, FOLLOW_UP)
        assert {"Eiffel", "built"} <= set(built.rstrip("?").split())
        length = [
            Node("user", "How long is the Nile?"),
            Node("assistant", "The Nile is 6,650 km long."),
        ]
        amazon = standalone(engine, length, "And the Amazon?")
        assert {"long", "Amazon"} <= set(amazon.rstrip("?").split())
    finally:
        engine.close()
