"""Slash commands that change what answers: model, instructions, documents, pictures, tools."""

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivium.cli.terminal.words import excerpt, weights
from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.cli.terminal.loop import Chat


def model(chat: "Chat", name: str) -> None:
    from trivium.cli import console
    from trivium.cli.terminal.render import Waiting

    opened = chat.opened
    if name:
        with Waiting(console.out(), f"loading {console.clean(name)}"):
            opened.use_model(name)
    engine = opened.agent.engine
    size = f", {weights(engine.parameters)} weights" if engine.parameters else ""
    chat.say(f"{engine.name}{size}, {engine.context_length:,} tokens of context")


def system(chat: "Chat", text: str) -> None:
    if text:
        chat.agent.system = "" if text == "off" else text
    chat.say(chat.agent.system or "no system message; /system TEXT sets one")


def attach(chat: "Chat", path: str) -> None:
    opened = chat.opened
    for one in paths(path):
        attachment = opened.attach(one)
        how = {"text": "as text", "index": "indexed, to be searched", "image": "as an image"}
        chat.say(f"+ {attachment.name}, {how[attachment.kind]}, goes with your next message")
    if not path:
        names = ", ".join(attachment.name for attachment in opened.attachments)
        chat.say(f"with your next message: {names}" if names else "nothing is attached")


def docs(chat: "Chat", names: str) -> None:
    opened = chat.opened
    if names:
        opened.use_indexes(() if names == "off" else names.split())
    consulted = ", ".join(opened.index_names)
    chat.say(f"consults {consulted}" if consulted else "consults no index; /docs NAME for one")


def pictures(chat: "Chat", name: str) -> None:
    opened = chat.opened
    if name:
        opened.use_pictures(None if name == "off" else name)
    if opened.pictures is None:
        chat.say("searches no pictures; /pictures NAME for an index of them")
    else:
        how = "" if opened.tools_on else "; the model does so when /tools are on"
        chat.say(f"searches the pictures of {opened.pictures.name}{how}")


def similar(chat: "Chat", path: str) -> None:
    """The attached pictures are those beside the next message, or else the last that was sent."""
    from trivium.agent.tools.pictures import COUNT, listed

    opened = chat.opened
    if opened.pictures is None:
        raise UsageError("there are no pictures to search; name an index of them: /pictures NAME")
    sent = [opened.attachments, *(node.attachments for node in reversed(opened.agent.path))]
    seen = [[one.name for one in attached if one.kind == "image"] for attached in sent]
    like = paths(path) or next((names for names in seen if names), [])
    if not like:
        raise UsageError("no picture is attached; name one: /similar PATH")
    chat.say(listed(opened.pictures.search(like=like, k=COUNT)), "")


def tools(chat: "Chat", switch: str) -> None:
    from trivium.agent.tools import gate_of

    opened = chat.opened
    if switch not in ("", "on", "off"):
        raise UsageError(f'/tools takes "on" or "off", not "{switch}"')
    if switch:
        opened.use_tools(switch == "on")
    state = "on" if opened.tools_on else "off"
    chat.say(f"tools are {state}" + ("" if opened.tools_on else "; /tools on offers them"))
    if opened.tools_on:
        rows = [
            (tool.name, gate_of(tool).effect, excerpt(tool.description))
            for tool in opened.offered()
        ]
        chat.table(rows)


def set_(chat: "Chat", argument: str) -> None:
    agent = chat.agent
    name, _, value = argument.partition(" ")
    if value:
        change: dict[str, Any] = {name: parsed(name, value.strip())}
        agent.sampling = replace(agent.sampling, **change)
    elif name:
        _knob(name)
    knobs = [field.name for field in fields(agent.sampling)]
    shown = [name] if name else knobs
    chat.table([(knob, _written(getattr(agent.sampling, knob))) for knob in shown])
    if not agent.sampling.temperature and shown != ["temperature"]:
        chat.say(
            "at temperature 0 the likeliest token is chosen; only repeat_penalty counts beside it"
        )


_RANGES: dict[str, tuple[type, float, float]] = {
    "temperature": (float, 0, 2),
    "top_p": (float, 0, 1),
    "top_k": (int, 0, 1_000_000),
    "min_p": (float, 0, 1),
    "repeat_penalty": (float, 0.1, 10),
    "seed": (int, 0, 2**32 - 1),
    "max_tokens": (int, 1, 1_000_000),
}


def _knob(name: str) -> None:
    if name not in (*_RANGES, "stop"):
        raise UsageError(f'there is no setting "{name}"; there are {", ".join(_RANGES)} and stop')


def parsed(name: str, value: str) -> object:
    """What `/set` was given for one of the sampling's fields.

    Raises:
        UsageError: for an unknown name, or a value out of range.
    """
    _knob(name)
    if value == "off" and name in ("max_tokens", "stop"):
        return None if name == "max_tokens" else ()
    if name == "stop":
        return (value.replace("\\n", "\n").replace("\\t", "\t"),)
    kind, low, high = _RANGES[name]
    try:
        number = kind(value)
    except ValueError:
        number = None
    if number is None or not low <= number <= high:
        raise UsageError(f'{name} takes a number from {low:g} to {high:g}, not "{value}"')
    return number


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(repr, value)) or "off"
    return "off" if value is None else str(value)


def paths(text: str) -> list[str]:
    """One path as it stands, spaces and all; else several, quoted as for a shell."""
    import shlex

    if not text or Path(text).expanduser().exists():
        return [text] if text else []
    try:
        return shlex.split(text)
    except ValueError:
        return [text]
