"""What the prompt can finish: commands, paths, models, indexes. A message is never completed."""

from collections.abc import Iterable, Iterator
from dataclasses import fields

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from trivium.cli.terminal.commands import COMMANDS
from trivium.paths import indexes


class Completions(Completer):
    """Completes a slash command's name, and then its argument by the command's kind."""

    def __init__(self) -> None:
        self._paths = PathCompleter(expanduser=True)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        text = document.text_before_cursor
        if not text.startswith("/") or "\n" in text:
            return
        name, space, argument = text[1:].partition(" ")
        if not space:
            for command in COMMANDS.values():
                if command.name.startswith(name):
                    yield Completion(
                        command.name,
                        start_position=-len(name),
                        display=f"/{command.name} {command.arguments}",
                        display_meta=command.line,
                    )
            return
        kind = COMMANDS[name].kind if name in COMMANDS else ""
        if kind == "path":
            yield from self._paths.get_completions(Document(argument), complete_event)
            return
        word = argument.rpartition(" ")[2] if kind == "index" else argument
        for choice in _choices(kind):
            if choice.startswith(word):
                yield Completion(choice, start_position=-len(word))


def _choices(kind: str) -> Iterable[str]:
    if kind == "command":
        return list(COMMANDS)
    if kind == "switch":
        return ["on", "off"]
    if kind == "model":
        return _models()
    if kind == "index":
        return ["off", *sorted(file.parent.name for file in indexes().glob("*/index.db"))]
    if kind == "pictures":
        from trivium.images.index import names

        return ["off", *names()]
    if kind == "prompt":
        from trivium.prompts.files import prompt_files

        return [found.name for found in prompt_files() if not found.shadowed]
    if kind == "knob":
        from trivium.engines.base import Sampling

        return [field.name for field in fields(Sampling)]
    return []


def _models() -> list[str]:
    """The models that are pulled, then the chat models that could be."""
    from trivium.models import store
    from trivium.models.catalogue import catalogue

    here = [model.name for model in store.all_pulled()]
    kinds = {name: entry.kind for name, entry in catalogue().items()}
    names = [*here, *kinds]
    return [name for name in dict.fromkeys(names) if kinds.get(name, "chat") == "chat"]
