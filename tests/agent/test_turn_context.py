"""A turn whose prompt has to be made: older turns summarised, documents consulted."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.embedder import WordEmbedder
from tests.scripted import ScriptedEngine
from trivium.agent.agent import Agent
from trivium.agent.base import Event, Note
from trivium.engines.base import Message
from trivium.errors import ContextOverflow
from trivium.retrieval.index import Index


def notes(events: Sequence[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Note)]


class TestContext:
    def test_older_turns_are_summarised_in_sight_and_stay_in_the_tree(self) -> None:
        engine = ScriptedEngine("a " * 130, "b " * 20, "They spoke.", "c", context_length=400)
        with Agent(engine) as agent:
            agent.ask("one " * 100)
            agent.ask("two " * 10)
            events = list(agent.stream("three " * 45))
            after = engine.count_tokens(engine.requests[-1])
            assert notes(events) == [
                "the context is full: summarising 2 older messages",
                f"summarised 2 older messages: the conversation now takes {after} tokens of the "
                "context instead of 305",
            ]
            path = agent.path
            assert [node.role for node in path] == [
                "user", "assistant", "user", "assistant", "user", "summary", "assistant",
            ]  # fmt: skip
            assert (path[5].content, path[5].covers) == ("They spoke.", path[1].id)
            assert path[0].content == "one " * 100
        final = engine.requests[-1].messages
        assert "They spoke." in final[0].content
        assert "one" not in final[0].content.split()

    def test_pinned_messages_stay(self) -> None:
        engine = ScriptedEngine("a", "b " * 60, "Summary.", "c", context_length=160)
        with Agent(engine) as agent:
            agent.ask("My name is Ada.")
            agent.pin(agent.path[0].id)
            agent.ask("two " * 20)
            agent.ask("three " * 40)
        assert "user: My name is Ada." in engine.requests[-1].messages[0].content

    def test_a_message_that_does_not_fit_alone_is_an_error_and_not_on_the_branch(self) -> None:
        engine = ScriptedEngine("hi", "fine", context_length=100)
        with Agent(engine) as agent:
            agent.ask("hello")
            with pytest.raises(ContextOverflow, match=r"needs \d+ tokens, but 75 of") as caught:
                agent.ask("long " * 90)
            assert caught.value.exit_code == 4
            assert len(engine.requests) == 1, "nothing was summarised for nothing"
            assert [node.content for node in agent.path] == ["hello", "hi"]
            assert agent.ask("short").content == "fine"

    def test_by_hand(self) -> None:
        engine = ScriptedEngine("Hello Ada.", "They greeted.", "Ada.")
        with Agent(engine) as agent:
            assert agent.compact() == Note("there is nothing to summarise yet")
            agent.ask("I am Ada.")
            before = agent.context_used
            note = agent.compact()
            assert note.text.startswith("summarised 2 older messages: the conversation now takes ")
            assert note.text.endswith(f" instead of {before:,}")
            assert agent.path[-1].role == "summary"
            agent.ask("Who am I?")
        (message,) = engine.requests[-1].messages
        assert message.content.endswith("They greeted.\n</record>\n\nWho am I?")

    def test_used(self) -> None:
        engine = ScriptedEngine("one two", "x")
        with Agent(engine) as agent:
            assert agent.context_used == 0
            agent.ask("three words here")
            assert agent.context_used == 5
            assert agent.context_length == 4096
            agent.undo()
            assert agent.context_used == 0


class TestDocuments:
    @pytest.fixture
    def rivers(self, tmp_path: Path) -> Iterator[Index]:
        (tmp_path / "rivers.md").write_text(
            "The Amazon is 6400 km long. It ends in the Atlantic.\n\nThe Nile is in Africa.\n"
        )
        with Index.create(tmp_path / "rivers", embedder=WordEmbedder()) as index:
            index.add([tmp_path / "rivers.md"])
            yield index

    def test_an_answer_carries_its_citations(self, rivers: Index) -> None:
        engine = ScriptedEngine("The Amazon is 6400 km long.")
        with Agent(engine, index=rivers) as agent:
            node = agent.ask("How long is the Amazon?")
            asked = agent.path[0]
            assert asked.content == "How long is the Amazon?"
            assert asked.state == "complete"
            assert "The Amazon is 6400 km long." in asked.source
            assert [citation.text for citation in node.citations] == ["The Amazon is 6400 km long."]
            assert agent.path[1].citations == node.citations
        assert engine.requests[0].messages == (Message("user", asked.source),)

    def test_what_they_do_not_say_is_told_and_asked_without_them(self, rivers: Index) -> None:
        engine = ScriptedEngine("Mozart.")
        with Agent(engine, index=rivers) as agent:
            events = list(agent.stream("Who composed Figaro?"))
            assert agent.path[0].source == ""
            assert agent.path[1].citations == ()
        assert notes(events) == [
            "the documents have nothing on this; the answer is the model's own"
        ]

    def test_an_answer_without_support_is_told_with_what_they_say(
        self, rivers: Index, tmp_path: Path
    ) -> None:
        with Agent(ScriptedEngine("The Amazon is 12 km long."), index=rivers) as agent:
            events = list(agent.stream("How long is the Amazon?"))
            assert agent.path[1].citations == ()
        assert notes(events) == [
            "nothing in the documents supports this answer; they say "
            f"“The Amazon is 6400 km long.” ({tmp_path / 'rivers.md'}, character 0)"
        ]

    def test_a_follow_up_is_searched_for_as_a_whole_question(self, rivers: Index) -> None:
        engine = ScriptedEngine(
            "The Amazon is 6400 km long.", "Where does the Amazon end?", "It ends in the Atlantic."
        )
        with Agent(engine, index=rivers) as agent:
            agent.ask("How long is the Amazon?")
            events = list(agent.stream("Where does it end?"))
            told = Note("searched for: Where does the Amazon end?", detail=True)
            assert told in events
            assert agent.path[-1].citations[0].text == "It ends in the Atlantic."

    def test_another_answer_is_cited_as_well(self, rivers: Index) -> None:
        engine = ScriptedEngine("No idea.", "The Amazon is 6400 km long.")
        with Agent(engine, index=[rivers]) as agent:
            agent.ask("How long is the Amazon?")
            list(agent.retry())
            assert len(agent.path) == 2
            assert len(agent.path[1].citations) == 1
