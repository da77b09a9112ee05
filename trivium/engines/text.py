"""From token bytes to text that may be shown: whole characters, and no part of a stop string."""

import codecs
from collections.abc import Sequence


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
        longest = 0
        for stop in self._stop:
            for size in range(min(len(stop) - 1, len(self._held)), longest, -1):
                if self._held.endswith(stop[:size]):
                    longest = size
                    break
        return longest
