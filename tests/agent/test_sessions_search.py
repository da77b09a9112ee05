"""Search over all sessions: plain words, the best message first."""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agent.talk import say, searched_whole, texts
from trivium.agent.base import Node
from trivium.agent.sessions import Sessions


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[Sessions]:
    with Sessions(tmp_path / "s.db") as opened:
        yield opened


class TestSearch:
    def test_all_words_in_any_order_over_all_sessions(self, sessions: Sessions) -> None:
        first, second = sessions.create("a"), sessions.create("b")
        say(sessions, first, "The lighthouse stands by the sea.", "It was built in 1822.")
        say(sessions, second, "Is the sea deep near the lighthouses?")
        found = sessions.search("sea LIGHTHOUSE")
        assert {one.session for one in found} == {"a", "b"}
        assert found[0].node == sessions.node(found[0].node.id)
        assert found[0].score >= found[1].score > 0
        assert [one.excerpt for one in sessions.search("1822")] == ["It was built in [1822]."]
        assert sessions.search("sea 1822") == []
        assert len(sessions.search("sea", 1)) == 1

    def test_the_message_with_more_of_the_word_is_first(self, sessions: Sessions) -> None:
        made = sessions.create("a")
        say(sessions, made, "tea and a very long list of other things to drink", "tea tea tea")
        say(sessions, made, *(f"filler {n}" for n in range(10)))
        assert sessions.search("tea")[0].node.content == "tea tea tea"

    @pytest.mark.parametrize(
        "query",
        ['"', "' OR 1=1", "AND", "NOT sea", "sea*", "col:sea", "(sea", "^sea", "NEAR(sea, x)",
         "-sea", "sea +", "\0", "\ud800", "{content}: sea", "a" * 5000, "sea " * 500],
    )  # fmt: skip
    def test_operators_are_words(self, sessions: Sessions, query: str) -> None:
        say(sessions, sessions.create("a"), "the sea", "(sea + x) NEAR -sea")
        for found in sessions.search(query):
            assert "sea" in found.node.content

    @given(st.text())
    @settings(max_examples=100, deadline=None)
    def test_any_text_is_a_query_and_finds_itself(self, text: str) -> None:
        with tempfile.TemporaryDirectory() as folder, Sessions(Path(folder) / "s.db") as sessions:
            say(sessions, sessions.create("a"), text)
            found = sessions.search(text)
            if re.search("[a-z0-9]", text) and "\0" not in text:
                assert [one.node.content for one in found] == [text]

    def test_stop_words_are_left_out_beside_others(self, sessions: Sessions) -> None:
        say(sessions, sessions.create("a"), "Lighthouses at sea", "To be or not to be", "To be")
        assert len(sessions.search("What about the lighthouse")) == 1
        assert len(sessions.search("Where is THE lighthouse")) == 1
        assert texts([one.node for one in sessions.search("to be or not")]) == [
            "To be or not to be"
        ]

    def test_marks_alone_find_nothing(self, sessions: Sessions) -> None:
        say(sessions, sessions.create("a"), "what? really?")
        assert sessions.search("") == sessions.search(" ? ") == []
        assert len(sessions.search("? really !")) == 1

    def test_tools_results_and_drafts_are_not_searched(self, sessions: Sessions) -> None:
        made = sessions.create("a")
        sessions.append(made.id, Node("tool", "needle"))
        draft = sessions.begin(made.id, Node("assistant", "needle"))
        sessions.write(draft.id, "needle and more")
        assert sessions.search("needle") == []
        sessions.append(made.id, Node("summary", "a needle"))
        assert len(sessions.search("needle")) == 1
        sessions.finish(replace(draft, content="the thread"))
        assert texts([one.node for one in sessions.search("thread")]) == ["the thread"]
        assert len(sessions.search("needle")) == 1
        with sessions.hold(made.id):
            pass
        searched_whole(sessions)

    def test_of_many_the_newest_are_ranked(
        self, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("trivium.agent.sessions.NEWEST", 3)
        say(sessions, sessions.create("a"), *(f"tea {n}" for n in range(6)))
        assert sorted(texts([one.node for one in sessions.search("tea")])) == [
            "tea 3",
            "tea 4",
            "tea 5",
        ]
