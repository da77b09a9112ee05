"""From token bytes to text that may be shown: whole characters, no stop string, thinking apart."""

import codecs
from collections.abc import Sequence
from typing import Literal

THINK, END_THINK = "<think>", "</think>"
"""The tags around what a reasoning model writes before its answer."""


class ThinkingStream:
    """Parts `<think>…</think>` at the beginning of an answer from what follows it.

    White space beside the tags belongs to them and is dropped. `state` is "start" until it is known
    whether the model thinks, then "thinking" or "answer".
    """

    def __init__(self, *, opened: bool = False) -> None:
        """`opened`: the prompt ends with the opening tag already."""
        self.state: Literal["start", "thinking", "answer"] = "thinking" if opened else "start"
        self._held = ""
        self._strip = opened  # white space may still follow the tag that came last

    def push(self, text: str) -> tuple[str, str]:
        """Take more text; return what is now known of the thinking, and of the answer."""
        self._held += text
        if self.state == "start":
            self._start()
        thinking = self._think() if self.state == "thinking" else ""
        answer = self._answer() if self.state == "answer" else ""
        return thinking, answer

    def finish(self) -> tuple[str, str]:
        """The generation is over: release what was held back."""
        rest, self._held = self._held, ""
        if self.state == "thinking":
            return rest.rstrip(), ""
        return "", rest

    def _start(self) -> None:
        begun = self._held.lstrip()
        if begun.startswith(THINK):
            self.state, self._strip = "thinking", True
            self._held = begun.removeprefix(THINK)
        elif not THINK.startswith(begun):
            self.state = "answer"

    def _think(self) -> str:
        if self._strip:
            self._held = self._held.lstrip()
            self._strip = not self._held
        thought, end, after = self._held.partition(END_THINK)
        if end:
            self.state, self._strip, self._held = "answer", True, after
            return thought.rstrip()
        known = thought[: len(thought) - open_tail(thought, END_THINK)].rstrip()
        self._held = thought[len(known) :]
        return known

    def _answer(self) -> str:
        if self._strip:
            self._held = self._held.lstrip()
            self._strip = not self._held
        answer, self._held = self._held, ""
        return answer


def open_tail(text: str, mark: str) -> int:
    """Length of the longest end of `text` that begins `mark` without being the whole of it."""
    return next(
        (n for n in range(min(len(mark) - 1, len(text)), 0, -1) if text.endswith(mark[:n])), 0
    )


class TextStream:
    """Turns the bytes of successive tokens into text, ending it at the first stop string.

    What could still become a stop string, or the rest of a character, is held back.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self._shown: list[str] = []
        self.stopped = False

    @property
    def text(self) -> str:
        """All text released so far."""
        return "".join(self._shown)

    def push(self, data: bytes) -> str:
        """Take a token's bytes; return the text that is now safe to show."""
        return self._take(self._decode(data))

    def push_text(self, text: str) -> str:
        """The same for text that is already decoded."""
        return self._take(text)

    def forget(self, stop: Sequence[str]) -> None:
        """These stop strings are none from now on."""
        self._stop = tuple(text for text in self._stop if text not in stop)

    def finish(self) -> str:
        """The generation is over: release what was held back."""
        if self.stopped:
            return ""
        rest = self._take(self._decode(b"", final=True))
        if self.stopped:
            return rest
        rest += self._release(self._held)
        self._held = ""
        return rest

    def _take(self, text: str) -> str:
        if self.stopped:
            return ""
        self._held += text
        cuts = [at for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if cuts:
            self.stopped = True
            return self._release(self._held[: min(cuts)])
        safe = len(self._held) - self._open_stop()
        shown, self._held = self._held[:safe], self._held[safe:]
        return self._release(shown)

    def _release(self, text: str) -> str:
        if text:
            self._shown.append(text)
        return text

    def _open_stop(self) -> int:
        """Length of the longest tail of the held text that begins some stop string."""
        return max((open_tail(self._held, stop) for stop in self._stop), default=0)
