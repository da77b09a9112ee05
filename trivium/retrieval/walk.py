"""Which files a set of paths stands for: folders walked in order, ignored files left out."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trivium.errors import UsageError
from trivium.retrieval.base import Skipped
from trivium.retrieval.load import is_known

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_IGNORE = ".gitignore"
_HEAVY = {"node_modules", "__pycache__"}
_ODD = (
    (stat.S_ISFIFO, "is a named pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)


def find_files(
    paths: Sequence[str | Path],
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    *,
    within: Path | None = None,
    known: Callable[[Path], bool] = is_known,
) -> tuple[list[Path], list[Skipped]]:
    """The files that `paths` stand for, and what was passed over with the reason.

    A file named directly is always taken. A folder is walked in the order of its names, without
    hidden files, without what a `.gitignore` between the repository's root and the file rules out,
    and only for files that are `known`: those that a loader reads. `include` and `exclude` are
    patterns as in `.gitignore`, relative to the folder; a file that `include` names need not be of
    a known kind. Links that lead out of `within`, a real path, are not followed.

    Returns:
        Absolute paths, each real file once, in the order in which they were met.

    Raises:
        UsageError: for a path that does not exist.
    """
    walk = _Walk(
        _spec(include) if include else None, _spec(exclude) if exclude else None, within, known
    )
    for path in paths:
        # Not `resolve`: the user should see the names that they gave.
        start = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100
        if not os.path.lexists(start):
            raise UsageError(f"{path} does not exist")
        if start.is_dir():
            walk.folder(start)
        else:
            walk.file(start)
    return walk.files, walk.skipped


def _spec(lines: Sequence[str]) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(lines)


@dataclass(frozen=True, slots=True)
class _Rules:
    """The `.gitignore` files that bear on a folder, the nearest last."""

    layers: tuple[tuple[Path, "GitIgnoreSpec"], ...] = ()

    def within(self, folder: Path) -> "_Rules":
        """These rules and those of `folder` itself."""
        try:
            lines = (folder / _IGNORE).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return self
        return _Rules((*self.layers, (folder, _spec(lines))))

    def ignore(self, path: Path, is_folder: bool) -> bool:
        """The last matching pattern of the nearest file decides, as in git."""
        for base, spec in reversed(self.layers):
            name = path.relative_to(base).as_posix() + ("/" if is_folder else "")
            verdict = spec.check_file(name).include
            if verdict is not None:
                return verdict
        return False


def _rules_above(folder: Path) -> _Rules:
    """Rules from the repository's root down to the parent of `folder`.

    None, when they rule out the folder itself: who names an ignored folder wants what is in it.
    """
    chain: list[Path] = []
    for parent in (folder, *folder.parents):
        chain.append(parent)
        if (parent / ".git").exists():
            break
    else:
        return _Rules()
    rules = _Rules()
    for parent in reversed(chain):
        if parent != chain[-1] and rules.ignore(parent, is_folder=True):
            return _Rules()
        if parent != folder:
            rules = rules.within(parent)
    return rules


class _Walk:
    """What has been found so far. Real paths are kept, so that links cannot lead in circles."""

    def __init__(
        self,
        include: "GitIgnoreSpec | None",
        exclude: "GitIgnoreSpec | None",
        within: Path | None,
        known: Callable[[Path], bool],
    ) -> None:
        self.files: list[Path] = []
        self.skipped: list[Skipped] = []
        self._include = include
        self._exclude = exclude
        self._within = within
        self._known = known
        self._seen: set[str] = set()

    def file(self, path: Path) -> None:
        """Take a file unless it is no regular one; one that vanished meanwhile is let go."""
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            if path.is_symlink():
                self._skip(path, "is a link to nothing")
            return
        except OSError as error:
            self._skip(path, _reason(error))
            return
        for is_odd, reason in _ODD:
            if is_odd(mode):
                self._skip(path, reason)
                return
        if self._new(path):
            self.files.append(path)

    def folder(self, root: Path) -> None:
        """Take the files below `root`."""
        # A folder may hang in two trees; each asks its own patterns, so only this walk counts.
        entered: set[str] = set()
        pending: list[tuple[Path, _Rules, bool]] = [(root, _rules_above(root), True)]
        while pending:
            path, rules, is_folder = pending.pop()
            if not is_folder:
                self.file(path)
                continue
            real = os.path.realpath(path)
            if real in entered:
                continue
            entered.add(real)
            rules = rules.within(path)
            below = [(child, rules, deep) for child, deep in self._children(root, path, rules)]
            pending.extend(reversed(below))

    def _children(self, root: Path, folder: Path, rules: _Rules) -> Iterator[tuple[Path, bool]]:
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except FileNotFoundError:
            return
        except OSError as error:
            self._skip(folder, _reason(error))
            return
        for entry in entries:
            if entry.name.startswith((".", "~$")) or entry.name in _HEAVY:
                continue
            path = folder / entry.name
            if entry.is_symlink() and self._leads_out(path):
                continue
            try:
                is_folder = entry.is_dir()
            except OSError:  # a link to itself; `file` says so
                is_folder = False
            if not rules.ignore(path, is_folder) and self._wanted(root, path, is_folder):
                yield path, is_folder

    def _leads_out(self, link: Path) -> bool:
        if self._within is None:
            return False
        return not Path(os.path.realpath(link)).is_relative_to(self._within)

    def _wanted(self, root: Path, path: Path, is_folder: bool) -> bool:
        name = path.relative_to(root).as_posix()
        if self._exclude and self._exclude.match_file(name + "/" * is_folder):
            return False
        if is_folder:
            return True
        if self._include:
            return self._include.match_file(name)
        return self._known(path) or not path.is_file()  # what is no file is named, not passed over

    def _new(self, path: Path) -> bool:
        real = os.path.realpath(path)
        if real in self._seen:
            return False
        self._seen.add(real)
        return True

    def _skip(self, path: Path, reason: str) -> None:
        self.skipped.append(Skipped(str(path), reason))


def _reason(error: OSError) -> str:
    import errno

    if error.errno == errno.ELOOP:
        return "is a link that leads in a circle"
    return f"cannot be read: {error.strerror}"
