"""Slash commands that move in the tree of messages, or make room in the context."""

from typing import TYPE_CHECKING

from trivium.cli.terminal.words import age, excerpt
from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.agent.base import Node
    from trivium.cli.terminal.loop import Chat


def undo(chat: "Chat", _: str) -> None:
    chat.say(f"took back: {excerpt(chat.agent.undo().content)}")


def retry(chat: "Chat", _: str) -> None:
    _last_message(chat)
    chat.play(lambda agent: agent.retry())


def edit(chat: "Chat", _: str) -> None:
    chat.draft = _last_message(chat).content
    chat.editing = True


def fork(chat: "Chat", name: str) -> None:
    session = chat.agent.fork(name or None)
    chat.say(f"going on in {session.name}; the conversation that it is from stays as it is")


def branches(chat: "Chat", number: str) -> None:
    opened = chat.opened
    leaves = opened.sessions.branches(opened.agent.session.id)
    if not leaves:
        chat.say("there is nothing here yet")
        return
    if number:
        opened.agent.switch(leaves[_number(number, len(leaves)) - 1].id)
        chat.screen.recall(opened.agent.path)
        return
    head = opened.agent.session.head
    rows = [
        (str(n), "open" if leaf.id == head else "", age(leaf.created), excerpt(leaf.content))
        for n, leaf in enumerate(leaves, start=1)
    ]
    chat.table(rows, ["" if leaf.id == head else "dim" for leaf in leaves])


def pin(chat: "Chat", number: str) -> None:
    messages = [node for node in chat.agent.path if node.role in ("user", "assistant")]
    if not messages:
        raise UsageError("there is no message to pin yet")
    at = _number(number, len(messages)) - 1 if number else -1
    message = messages[at]
    chat.agent.pin(message.id, not message.pinned)
    what = "pinned no longer" if message.pinned else "pinned"
    chat.say(f"{what}: {excerpt(message.content)}")


def compact(chat: "Chat", _: str) -> None:
    chat.say(chat.agent.compact().text)


def context(chat: "Chat", _: str) -> None:
    agent = chat.agent
    used, length = agent.context_used, agent.context_length
    share = used / length if length else 0.0
    width = 40
    filled = min(width, round(width * share))
    chat.say(f"{'█' * filled}{'░' * (width - filled)} {used:,} of {length:,} tokens, {share:.0%}")
    messages = [node for node in agent.path if node.role in ("user", "assistant", "summary")]
    rows = [
        (str(n), "pinned" if node.pinned else "", node.role, excerpt(node.content))
        for n, node in enumerate(messages, start=1)
    ]
    if rows:
        chat.table(rows)


def _last_message(chat: "Chat") -> "Node":
    for node in reversed(chat.agent.path):
        if node.role == "user":
            return node
    raise UsageError("there is no message of yours yet")


def _number(text: str, count: int) -> int:
    if text.isdecimal() and 1 <= int(text) <= count:
        return int(text)
    raise UsageError(f'"{text}" is not one of the numbers 1 to {count}')
