"""An index as a LangChain retriever: the one place where passages become LangChain documents."""

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, SkipValidation

from trivium.retrieval.base import Hit, Mode
from trivium.retrieval.index import Index


class IndexRetriever(BaseRetriever):
    """The `k` best passages of an open index for any LangChain chain."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    index: SkipValidation[Index]
    k: int = 5
    mode: Mode = "hybrid"

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return [as_document(hit) for hit in self.index.search(query, self.k, mode=self.mode)]


def as_document(hit: Hit) -> Document:
    """A hit with its origin and scores as metadata; `source` is LangChain's name for the path."""
    passage = hit.passage
    return Document(
        id=str(passage.id),
        page_content=passage.text,
        metadata={
            "source": passage.path,
            "page": passage.page,
            "start": passage.start,
            "end": passage.end,
            "heading": passage.heading,
            "sha256": passage.sha256,
            "score": hit.score,
            "bm25": hit.bm25,
            "cosine": hit.cosine,
        },
    )
