"""What a model writes, sorted as it comes: thinking, text for the user, and calls of tools."""

from collections.abc import Sequence

from trivium.engines.base import Chunk
from trivium.engines.text import TextStream, ThinkingStream
from trivium.engines.tools import Calls


class Output:
    """Takes tokens' bytes one by one; gives out what may be shown at once.

    A call ends the text, and nothing of it is shown. Where its opening is seen coming, `opens` says
    so before the last token of it is taken, so that a grammar can be put in charge.
    """

    def __init__(
        self,
        stop: Sequence[str],
        *,
        thinking: ThinkingStream | None = None,
        calls: Calls | None = None,
    ) -> None:
        """`thinking` None takes tags for text; `calls` None knows of no tools."""
        self._thinking = thinking
        self._triggers = calls.triggers() if calls else ()
        self._anywhere = calls is None or bool(calls.format.mark)
        self._watching = calls is not None and calls.choice != "none"
        self._bytes = TextStream()
        self._text = TextStream((*stop, *self._triggers))
        self._thought: list[str] = []
        self._written = ""  # the end of the answer so far, as far as a trigger may begin in it
        self._call: bytearray | None = None
        self._ready = Chunk("")  # the end of the text before a call

    @property
    def text(self) -> str:
        return self._text.text

    @property
    def thinking(self) -> str:
        return "".join(self._thought)

    @property
    def call(self) -> str | None:
        """The text of the calls so far; None when the model made none."""
        return None if self._call is None else self._call.decode("utf-8", "replace")

    @property
    def thinks(self) -> bool:
        """Whether the answer has not begun, because the model still thinks."""
        return self._thinking is not None and self._thinking.state == "thinking"

    @property
    def stopped(self) -> bool:
        """Whether a stop string ended the text."""
        return self._text.stopped and self._call is None

    def opens(self, piece: bytes) -> tuple[str, str] | None:
        """If `piece` completes the opening of a call: what is written of it, and what is not."""
        if not self._watching or self._call is not None or self.thinks:
            return None
        text = self._written + piece.decode("utf-8", "replace")
        for trigger in self._triggers:
            at = text.find(trigger)
            if at >= 0 and (self._anywhere or not text[:at].strip()):
                written = self._written[at:]
                return written, trigger[len(written) :]
        return None

    def begin_call(self, written: str = "", rest: str = "") -> None:
        """What follows belongs to a call; `written` and `rest` are as `opens` gave them."""
        self._ready = self._take(rest)  # completes the trigger, which ends the text before it
        self._call = bytearray(written.encode())

    def end_call(self, text: str) -> None:
        """The calls are `text` alone: what was written after it does not count."""
        self._call = bytearray(text.encode())

    def push(self, piece: bytes) -> Chunk:
        """Take a token's bytes; return what is now safe to show."""
        if self._call is not None:
            self._call += piece
            ready, self._ready = self._ready, Chunk("")
            return ready
        shown = self._take(self._bytes.push(piece))
        self._watch(piece)
        return shown

    def finish(self) -> Chunk:
        """The generation is over: release what was held back."""
        if self._call is not None:
            return Chunk("")
        last = self._take(self._bytes.finish())
        thought, answer = self._thinking.finish() if self._thinking else ("", "")
        self._thought.append(thought)
        text = last.text + self._text.push_text(answer) + self._text.finish()
        return Chunk(text, thinking=last.thinking + thought)

    def _take(self, text: str) -> Chunk:
        thought, answer = self._thinking.push(text) if self._thinking else ("", text)
        self._thought.append(thought)
        return Chunk(self._text.push_text(answer), thinking=thought)

    def _watch(self, piece: bytes) -> None:
        if not self._watching:
            return
        if self.thinks:
            self._written = ""
            return
        longest = max(map(len, self._triggers))
        self._written += piece.decode("utf-8", "replace")
        if self._anywhere:
            self._written = self._written[-longest:]
            return
        begun = self._written.lstrip()
        if not any(trigger.startswith(begun) for trigger in self._triggers):
            self._watching = False
            self._text.forget(self._triggers)
