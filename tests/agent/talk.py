"""A conversation of a test: turns to say, texts to compare."""

from trivium.agent.base import Node, Session
from trivium.agent.sessions import Sessions


def say(sessions: Sessions, session: Session, *texts: str) -> list[Node]:
    """A user's and an assistant's turns in a row."""
    roles = ("user", "assistant")
    return [sessions.append(session.id, Node(roles[n % 2], text)) for n, text in enumerate(texts)]  # type: ignore[arg-type]


def texts(nodes: list[Node]) -> list[str]:
    return [node.content for node in nodes]


def searched_whole(sessions: Sessions) -> None:
    """FTS5 compares its index with what it indexes, and raises."""
    with sessions._db.write() as db:
        db.execute("INSERT INTO words(words, rank) VALUES ('integrity-check', 1)")
