"""The KV cache of a conversation on the disk, so that a long one goes on without being read again.

A cache is worth keeping, never worth trusting: the engine checks that it is its own, and what was
really reused is counted and told.
"""

from contextlib import suppress
from pathlib import Path

from trivium.agent.base import Note
from trivium.engines.base import Completion, Engine, Resumable
from trivium.errors import StateMismatch, TriviumError

WORTH = 1000
"""Tokens below which reading a conversation again costs less than a file."""


class KvState:
    """The saved cache of one conversation. Used by one thread at a time, as the engine is."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._asked = False
        self._loaded = 0

    def load(self, engine: Engine) -> Note | None:
        """Give `engine` the saved cache, once. A file that is not its own is deleted."""
        asked, self._asked = self._asked, True
        if asked or not isinstance(engine, Resumable) or not self.file.is_file():
            return None
        try:
            self._loaded = engine.load_state(self.file)
        except StateMismatch as error:
            with suppress(OSError):
                self.file.unlink()
            return Note(f"the saved state was dropped, the conversation is read again: {error}")
        return None

    def reused(self, completion: Completion) -> Note | None:
        """After the first answer: how much of its prompt the saved cache spared. Said once."""
        if not self._loaded:
            return None
        self._loaded = 0
        return Note(
            f"reused {completion.reused_tokens:,} of {completion.prompt_tokens:,} tokens "
            "of the conversation from its saved state"
        )

    def save(self, engine: Engine, tokens: int) -> None:
        """Keep the cache of a conversation that holds `tokens` tokens, if that is worth a file."""
        if not isinstance(engine, Resumable) or tokens < WORTH:
            return
        # without the file, the next start is slower and nothing else: no reason to fail at the end
        with suppress(TriviumError):
            engine.save_state(self.file)
