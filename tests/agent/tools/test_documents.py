"""The user's documents as tools."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.tools.calling import call
from tests.embedder import WordEmbedder
from tests.scripted import ScriptedEngine
from trivium.agent.tools import builtin_tools, gate_of
from trivium.agent.tools.documents import cited
from trivium.agent.workspace import Workspace
from trivium.retrieval.answer import Answer, Asker
from trivium.retrieval.base import Citation, Claim
from trivium.retrieval.index import Index


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    file = tmp_path / "bees.md"
    file.write_text("# Bees\n\nBees visit flowers for nectar.\n")
    with Index.create("docs", embedder=WordEmbedder()) as made:
        made.add([file])
        yield made


def test_passages_come_with_their_places(tmp_path: Path, index: Index) -> None:
    tools = builtin_tools(Workspace(tmp_path), index=index, allow=["search_documents"])
    assert [tool.name for tool in tools] == ["search_documents"]
    found = call(tools, "search_documents", query="Why do bees visit flowers?")
    first, *rest = found.split("\n")
    assert first == f"[1] {tmp_path / 'bees.md'}"
    assert "Bees visit flowers for nectar." in rest
    assert call(tools, "search_documents", query=" ") == "nothing found"
    assert gate_of(tools[0]).effect == "read"


def test_a_question_is_answered_with_citations(tmp_path: Path, index: Index) -> None:
    engine = ScriptedEngine("Bees visit flowers for nectar.", parameters=10**10)
    tools = builtin_tools(Workspace(tmp_path), asker=Asker(index, engine))
    answer = call(tools, "ask_documents", question="Why do bees visit flowers?")
    assert answer in (
        "the documents do not say",
        "Bees visit flowers for nectar. [1]\n"
        f'[1] {tmp_path / "bees.md"}: "Bees visit flowers for nectar."',
    )


def test_an_answer_is_written_with_the_numbers_of_its_citations() -> None:
    citation = Citation("/a.pdf", 3, 0, 4, "Fact", "0" * 64, 1.0)
    claims = (Claim("A fact.", 0, 7, (citation,)), Claim("A guess.", 8, 16))
    answer = Answer("?", True, 1.0, (), text="A fact. A guess.", claims=claims)
    assert cited(answer) == 'A fact. [1] A guess. [not supported]\n[1] /a.pdf, page 3: "Fact"'
    assert cited(Answer("?", False, 0.0, ())) == "the documents do not say"
