"""The user's documents as tools: passages that bear on a query, and cited answers."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from trivium.agent.base import Preview
from trivium.agent.tools.base import make

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from trivium.retrieval.answer import Answer, Asker
    from trivium.retrieval.index import Index

PASSAGES = 5


def search_tool(index: "Index") -> "BaseTool":
    """search_documents."""

    def search_documents(
        query: Annotated[str, Field(description="What to look for")],
    ) -> str:
        hits = index.search(query, PASSAGES)
        return (
            "\n\n".join(
                f"[{number}] {place(hit.passage.path, hit.passage.page)}\n{hit.passage.text}"
                for number, hit in enumerate(hits, start=1)
            )
            or "nothing found"
        )

    description = "Find passages in the user's documents, with their places."
    return make(search_documents, description, "read", _preview("search", "query"))


def ask_tool(asker: "Asker") -> "BaseTool":
    """ask_documents."""

    def ask_documents(
        question: Annotated[str, Field(description="A question that stands by itself")],
    ) -> str:
        return cited(asker.ask(question))

    description = "Answer one question from the user's documents, with citations."
    return make(ask_documents, description, "read", _preview("ask", "question"))


def _preview(verb: str, argument: str) -> Callable[[Mapping[str, object]], Preview]:
    def show(arguments: Mapping[str, object]) -> Preview:
        text = str(arguments[argument])
        return Preview(f"{verb} the documents: {text}", text, text)

    return show


def cited(answer: "Answer") -> str:
    """An answer with the numbers of its citations, which follow below it."""
    if not answer.found:
        return "the documents do not say"
    claims = []
    for claim in answer.claims:
        numbers = "".join(f"[{number}]" for number in answer.numbers(claim))
        claims.append(f"{claim.text} {numbers}" if numbers else f"{claim.text} [not supported]")
    sources = [
        f'[{number}] {place(citation.path, citation.page)}: "{citation.text}"'
        for number, citation in enumerate(answer.citations, start=1)
    ]
    return "\n".join([" ".join(claims), *sources])


def place(path: str, page: int | None) -> str:
    """Where a text stands: file, and page where there are pages."""
    return f"{path}, page {page}" if page else path
