"""Who may do what: reading is free, all else asks, and what the user allowed is kept exactly.

A kept permission is a tool, an effect and a pattern, compared as they are: nothing in a pattern
stands for anything but itself.
"""

import json
import threading
import tomllib
from collections.abc import Iterable
from pathlib import Path

from trivium.agent.base import Approver, Proposal
from trivium.agent.taint import tainted
from trivium.errors import UsageError
from trivium.paths import atomic_write, ensure, home

__all__ = ["Approvals", "tainted"]

FILE = "approvals.toml"
_HEAD = "# What you allowed for good. Delete an entry to be asked again.\n"

Permission = tuple[str, str, str]
"""Tool, effect and pattern."""


class Approvals:
    """The user's permissions. Safe for threads: one question at a time."""

    def __init__(self, approver: Approver, file: Path | None = None) -> None:
        """Ask `approver`; keep what is allowed for good in `file`.

        Raises:
            UsageError: when the file is damaged, with its name.
        """
        self.approver = approver
        self.file = file or home() / FILE
        self._session: set[Permission] = set()
        self._lock = threading.RLock()
        self.kept()

    def allow(self, proposal: Proposal) -> bool:
        """Whether this call may run, asking where that is not settled.

        A tainted call is always asked about, and allowed this one time at most.

        Raises:
            UsageError: when the file of permissions is damaged.
            TriviumError: when it cannot be written.
        """
        permission = (proposal.tool, proposal.effect, proposal.pattern)
        with self._lock:
            if not proposal.tainted:
                if proposal.effect == "read" or permission in self._session:
                    return True
                if permission in self.kept():
                    return True
            decision = self.approver(proposal)
            if decision not in ("once", "session", "always"):
                return False
            if not proposal.tainted and decision == "session":
                self._session.add(permission)
            if not proposal.tainted and decision == "always":
                self._keep(permission)
            return True

    def kept(self) -> set[Permission]:
        """What was allowed for good. Read anew each time: the user may have taken some back.

        Raises:
            UsageError: when the file is damaged.
        """
        try:
            text = self.file.read_text(encoding="utf-8")
            entries = tomllib.loads(text).get("allow", [])
            return {(str(e["tool"]), str(e["effect"]), str(e["pattern"])) for e in entries}
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise UsageError(f"cannot read {self.file}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{self.file} is damaged ({error}); mend it, or delete it to be asked again"
            ) from error

    def _keep(self, permission: Permission) -> None:
        """Add one to the file, in step with other chats."""
        from filelock import FileLock

        self._session.add(permission)
        ensure(self.file.parent)
        with FileLock(self.file.with_name(self.file.name + ".lock")):
            text = _toml(sorted(self.kept() | {permission}))
            with atomic_write(self.file) as file:
                file.write(text.encode())


def _toml(permissions: Iterable[Permission]) -> str:
    entries = (
        f"\n[[allow]]\ntool = {_quoted(tool)}\neffect = {_quoted(effect)}\n"
        f"pattern = {_quoted(pattern)}\n"
        for tool, effect, pattern in permissions
    )
    return _HEAD + "".join(entries)


def _quoted(text: str) -> str:
    """A TOML basic string. JSON's escapes are among TOML's, which wants DEL escaped as well.

    Half a surrogate pair is no character and cannot be kept: "?" stands for it, which matches
    nothing that holds one.
    """
    whole = text.encode("utf-8", "replace").decode()
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")
