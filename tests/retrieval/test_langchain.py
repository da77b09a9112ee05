"""An index in a LangChain chain."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompt_values import PromptValue
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough

from tests.embedder import WordEmbedder
from trivium.retrieval.index import Index

NILE = "## Nile\n\nThe Nile flows north through eleven countries."
INTRO = "# Rivers\n\nAll of them end in the sea.\n\n"
BREAD = "Flour and water and salt make bread."


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "nile.md").write_text(INTRO + NILE + "\n")
    (tmp_path / "docs" / "bread.txt").write_text(BREAD)
    with Index.create(tmp_path / "index", embedder=WordEmbedder()) as index:
        index.add([tmp_path / "docs"])
        yield index


def test_a_document_carries_its_origin_and_its_scores(index: Index, tmp_path: Path) -> None:
    (document,) = index.as_retriever(k=1).invoke("Where does the Nile flow?")
    hit = index.search("Where does the Nile flow?", 1)[0]
    path = str(tmp_path / "docs" / "nile.md")
    assert document.page_content == NILE
    assert document.id == str(hit.passage.id)
    assert document.metadata == {
        "source": path,
        "page": None,
        "start": len(INTRO),
        "end": len(INTRO) + len(NILE),
        "heading": "Rivers > Nile",
        "sha256": hit.passage.sha256,
        "score": 2 / 61,
        "bm25": hit.bm25,
        "cosine": hit.cosine,
    }
    span = slice(document.metadata["start"], document.metadata["end"])
    assert index.text(path)[span] == document.page_content


def test_a_chain_puts_the_passages_into_the_prompt(index: Index) -> None:
    prompts: list[str] = []

    def join(documents: Sequence[Document]) -> str:
        return "\n".join(document.page_content for document in documents)

    def remember(prompt: PromptValue) -> PromptValue:
        prompts.append(prompt.to_string())
        return prompt

    chain = (
        {"context": index.as_retriever(k=1) | join, "question": RunnablePassthrough()}
        | ChatPromptTemplate.from_template("{context}\nQuestion: {question}")
        | RunnableLambda(remember)
        | FakeListChatModel(responses=["North."])
        | StrOutputParser()
    )
    assert chain.invoke("Where does the Nile flow?") == "North."
    assert f"{NILE}\nQuestion: Where does the Nile flow?" in prompts[0]
    assert BREAD not in prompts[0]


def test_a_batch_is_answered_from_several_threads(index: Index) -> None:
    asked = ["Nile", "bread salt", "north", "flour"] * 5
    found = index.as_retriever(k=1, mode="bm25").batch(asked, {"max_concurrency": 4})
    assert [documents[0].page_content for documents in found] == [NILE, BREAD, NILE, BREAD] * 5


def test_depth_and_mode_are_the_retrievers_own(index: Index) -> None:
    assert len(index.as_retriever(k=2).invoke("Nile")) == 2
    (document,) = index.as_retriever(mode="bm25").invoke("Nile")
    assert document.metadata["cosine"] is None
    assert document.metadata["score"] == document.metadata["bm25"]
