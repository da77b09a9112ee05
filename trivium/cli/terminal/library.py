"""The slash command that begins with a prompt of the library."""

import re
from typing import TYPE_CHECKING

from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.cli.terminal.loop import Chat
    from trivium.prompts.base import Prompt


def prompt(chat: "Chat", argument: str) -> None:
    """List the prompts, or say one: its examples go before it, its system part before everything.

    `NAME [VARIABLE=VALUE ...] TEXT`; the text fills the variable that standard input fills in
    `trivium run`.
    """
    from trivium.agent.base import Node, NodeRole
    from trivium.prompts.files import all_prompts, find_prompt

    name, _, rest = argument.partition(" ")
    if not name:
        chat.table([(one.name, one.description) for one in all_prompts()])
        return
    chosen = find_prompt(name)
    rendered = chosen.render(_values(chosen, rest.strip()))
    system = [message.content for message in rendered.messages if message.role == "system"]
    *examples, last = [message for message in rendered.messages if message.role != "system"]
    agent = chat.agent
    agent.system = "\n\n".join(system)
    for message in examples:
        role: NodeRole = "user" if message.role == "user" else "assistant"
        agent.sessions.append(agent.session.id, Node(role, message.content))
    shown = f", after {len(examples) // 2} examples" if examples else ""
    chat.say(f"{chosen.name} version {chosen.version}{shown}")
    if rendered.schema is not None:
        chat.say(f"a chat does not hold answers to a schema; trivium run {chosen.name} does")
    chat.send(last.content)


def _values(prompt: "Prompt", text: str) -> dict[str, object]:
    """`VARIABLE=VALUE` words at the head, as long as they name variables; the rest is the text."""
    values: dict[str, object] = {}
    known = "|".join(re.escape(variable.name) for variable in prompt.variables) or r"(?!)"
    while found := re.match(rf'({known})=("[^"]*"|\S+)\s*', text):
        values[found[1]] = found[2].strip('"')
        text = text[found.end() :]
    if not text:
        return values
    if prompt.input is None:
        raise UsageError(f'"{prompt.name}" takes no text; it takes {known.replace("|", ", ")}')
    return values | {prompt.input.name: text}
