"""The user's pictures as a tool: those that words describe."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from trivium.agent.base import Preview
from trivium.agent.taint import visible
from trivium.agent.tools.base import make

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from trivium.images.base import Hit
    from trivium.images.index import PictureIndex

COUNT = 10
"""Pictures that are listed when nobody says how many."""
MOST = 100
"""Pictures that one call lists."""


def pictures_tool(index: "PictureIndex") -> "BaseTool":
    """search_pictures."""

    def search_pictures(
        words: Annotated[str, Field(description="What they show, as in: dog + beach - leash")],
        k: Annotated[int, Field(ge=1, le=MOST, description="How many to list")] = COUNT,
    ) -> str:
        return listed(index.search(words, k=k))

    description = "Find the user's pictures by what they show: paths, dates, how good the match is."
    return make(search_pictures, description, "read", _preview)


def _preview(arguments: Mapping[str, object]) -> Preview:
    words = str(arguments["words"])
    return Preview(f"search the pictures: {words}", words, words)


def listed(hits: "Sequence[Hit]") -> str:
    """A line for each picture. A path is data: on its own line whole, with nothing hidden."""
    return "\n".join(_line(number, hit) for number, hit in enumerate(hits, 1)) or "nothing found"


def _line(number: int, hit: "Hit") -> str:
    path = visible(as_text(hit.picture.path)).replace("\n", r"\n").replace("\t", r"\t")
    taken = f", {hit.picture.taken[:10]}" if hit.picture.taken else ""
    chance = "beyond chance" if hit.beyond_chance else "no nearer than chance"
    return f"[{number}] {path}{taken}: percentile {hit.percentile:.1f}, {chance}"


def as_text(path: str) -> str:
    r"""A path as text that can be sent anywhere; bytes that are no text are written as \xff."""
    return os.fsencode(path).decode(errors="backslashreplace")
