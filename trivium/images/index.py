"""An index of pictures: kept in step with folders, searched by words and by pictures."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from trivium import paths
from trivium.closing import Closing
from trivium.errors import TriviumError, UsageError
from trivium.images import indexing
from trivium.images.base import Encoder, Hit, Reason, Vectors
from trivium.images.decode import Refused, decode, is_picture
from trivium.images.indexing import OnProgress, Report
from trivium.images.query import Term, date, parse, weighted, written
from trivium.images.search import Collection, Part, hits
from trivium.images.store import FILE, Pictures


@dataclass(frozen=True, slots=True)
class Status:
    """What an index holds and how far the files have moved on. `size` is in bytes."""

    name: str
    folder: str
    pictures: int
    size: int
    model: str
    model_fingerprint: str
    roots: tuple[str, ...]
    refused: dict[Reason, int]
    new: int
    changed: int
    deleted: int


class PictureIndex(Closing):
    """An open index. Close it, or use it in a `with` block."""

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        """Open the index in `folder`, which exists. Use `create` or `open`."""
        self.folder = folder
        self.encoder = encoder
        self.store = Pictures(folder)
        try:
            self.store.claim("model", self.name, encoder.name, encoder.fingerprint)
        except BaseException:
            self.store.close()
            raise
        self._collection: Collection | None = None

    @classmethod
    def create(cls, name: str | Path, *, encoder: Encoder, form: str = "auto") -> Self:
        """Open the index of this name or folder, making it when there is none.

        `form` is what `load_encoder` was told, and will be told again by `model_of`.

        Raises:
            UsageError: when it was made with another model, or the name is not one.
        """
        index = cls(paths.ensure(folder_of(name)), encoder)
        index.store.set_meta("form", form)
        return index

    @classmethod
    def open(cls, name: str | Path, *, encoder: Encoder | None = None) -> Self:
        """Open an index that exists; without an `encoder`, with the model that it was made with.

        Raises:
            UsageError: when there is none, or it was made with another model.
            Unavailable: when its model is not pulled.
        """
        folder = existing(name)
        if encoder is None:
            from trivium.images.encoder import load_encoder

            model, form = model_of(name)
            encoder = load_encoder(model, form=form)  # type: ignore[arg-type]
        return cls(folder, encoder)

    @property
    def name(self) -> str:
        return self.folder.name

    def add(
        self,
        folders: Sequence[str | Path],
        *,
        prune: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Report:
        """Index folders (or single pictures) and remember them for `update`.

        What did not change is left alone; what is gone leaves the index, but for a folder that is
        missing altogether, which takes `prune`; see `indexing.sync`.

        Raises:
            UsageError: for a path that does not exist and was not indexed before.
            TriviumError: when the index cannot be written.
        """
        known = self.store.roots()
        roots = list(dict.fromkeys(str(paths.absolute(one)) for one in folders))
        for root in roots:
            if not Path(root).exists() and root not in known:
                raise UsageError(f"{root} does not exist")
            if Path(root).is_file() and not is_picture(Path(root)):
                raise UsageError(f"{root} has no picture's extension; docs/images.md lists them")
        self.store.remember(roots)
        return self._sync(roots, prune, on_progress)

    def update(self, *, prune: bool = False, on_progress: OnProgress | None = None) -> Report:
        """Bring the index in step with all folders that were ever added."""
        return self._sync(self.store.roots(), prune, on_progress)

    def _sync(self, roots: Sequence[str], prune: bool, on_progress: OnProgress | None) -> Report:
        report = indexing.sync(
            self.store, self.encoder, roots, prune=prune, on_progress=on_progress
        )
        if prune:
            self.store.unremember(root for root in roots if not Path(root).exists())
        self.collection()  # writes the vectors' file, so that the first search need not
        return report

    def forget(self, names: Sequence[str | Path]) -> int:
        """Take pictures or folders out of the index; how many left it. The files stay."""
        return indexing.forget(self.store, [str(paths.absolute(name)) for name in names])

    def collection(self) -> Collection:
        """All vectors, of this moment."""
        generation = int(self.store.meta("generation") or 0)
        if self._collection is None or self._collection.generation != generation:
            self._collection = Collection(self.store)
        return self._collection

    def search(
        self,
        words: str = "",
        *,
        like: Sequence[str | Path] = (),
        unlike: Sequence[str | Path] = (),
        k: int = 20,
        after: str | None = None,
        before: str | None = None,
        under: str | Path | None = None,
        beyond_chance: bool = False,
    ) -> list[Hit]:
        """The `k` pictures nearest to words (see `query.parse`), pictures, or both together.

        `like` and `unlike` are paths of pictures, with a weight after a star if need be. Filters
        act first: `after` and `before` are ISO dates or their beginnings, the first included and
        the second not; `under` is a file or folder. `beyond_chance` leaves out what is no nearer
        than chance would have it. The pictures of `like` themselves are not found.

        Raises:
            UsageError: for a query that is empty or cancels out, or a date or path that is none.
            TriviumError: when a picture of `like` cannot be read.
        """
        wanted = [parse(words)] if words.strip() else []
        terms = [term for part in wanted for term in part]
        pictures = [_picture_term(one, 1) for one in like]
        pictures += [_picture_term(one, -1) for one in unlike]
        if not terms and not pictures:
            raise UsageError("the query is empty: say words, or --like and a picture")
        read = [self._see(term.what) for term in pictures]
        parts = [
            Part(vector, term.weight, "picture")
            for term, (_, vector) in zip(pictures, read, strict=True)
        ]
        if terms:
            vectors = self.encoder.texts([term.what for term in terms])
            parts += [
                Part(vector, term.weight, "words")
                for term, vector in zip(terms, vectors, strict=True)
            ]
        try:
            return self._find(parts, k, after, before, under, beyond_chance, [s for s, _ in read])
        except UsageError as error:
            raise UsageError(f"{written([*terms, *pictures])}: {error}") from error

    def _find(
        self,
        parts: list[Part],
        k: int,
        after: str | None,
        before: str | None,
        under: str | Path | None,
        beyond_chance: bool,
        without: Sequence[str],
    ) -> list[Hit]:
        with self.store.snapshot():
            allowed = None
            if after or before or under or without:
                rows = self.store.rows(
                    after=date(after, "--after") if after else None,
                    before=date(before, "--before") if before else None,
                    under=self._under(under) if under else None,
                    without=without,
                )
                allowed = np.array(rows, np.int64)
            found = self.collection().search(parts, k, allowed)
            best = hits(self.store, found)
        return [hit for hit in best if hit.beyond_chance or not beyond_chance]

    def _under(self, path: str | Path) -> str:
        """`path` from here, or else from a folder that was indexed."""
        here = paths.absolute(path)
        roots = [Path(root) for root in self.store.roots()]
        for place in (here, *(paths.absolute(root / path) for root in roots)):
            if place.exists():
                return str(place)
        return str(here)  # gone from the disk, perhaps, and still in the index

    def _see(self, path: str) -> tuple[str, Vectors]:
        """A picture's SHA-256 and vector, taken from the index where it holds them."""
        try:
            data = Path(path).expanduser().read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            held = self.store.vector(digest)
            if held is not None:
                return digest, held
            return digest, self.encoder.images([decode(data, path, self.encoder.side).image])[0]
        except Refused as error:
            raise TriviumError(f"{path} cannot be looked for: {error}") from error
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error

    def status(self) -> Status:
        """Counts, and what `update` would find; nothing is read but sizes and times."""
        refused: dict[Reason, int] = {}
        for one in self.store.refusals():
            refused[one.reason] = refused.get(one.reason, 0) + 1
        return Status(
            self.name,
            str(self.folder),
            self.store.count(),
            paths.size(self.folder),
            self.encoder.name,
            self.encoder.fingerprint,
            tuple(self.store.roots()),
            refused,
            *indexing.pending(self.store),
        )

    def close(self) -> None:
        self.store.close()


def _picture_term(said: str | Path, sign: int) -> Term:
    """A picture and its weight; a file whose very name ends like a weight is meant whole."""
    text = str(said)
    term = Term(text) if Path(text).expanduser().is_file() else weighted(text)
    return Term(term.what, sign * term.weight)


def folder_of(name: str | Path) -> Path:
    """Where the index of this name lies; a path is a folder of its own.

    Raises:
        UsageError: for a name that is neither.
    """
    return paths.named(name, paths.home() / "images")


def existing(name: str | Path) -> Path:
    """The folder of an index that there is.

    Raises:
        UsageError: when there is none, naming those that there are.
    """
    folder = folder_of(name)
    if not (folder / FILE).is_file():
        there = ", ".join(names())
        raise UsageError(
            f'there is no index of pictures "{name}"{f" (there are: {there})" if there else ""}; '
            f"make it with: trivium images index FOLDER --index {name}"
        )
    return folder


def names() -> list[str]:
    """The user's indexes of pictures, sorted."""
    return sorted(file.parent.name for file in (paths.home() / "images").glob(f"*/{FILE}"))


def model_of(name: str | Path) -> tuple[str, str]:
    """The name of the model that an index was made with, and the form that it ran in.

    Raises:
        UsageError: when there is no such index.
    """
    store = Pictures(existing(name))
    try:
        return str(json.loads(store.meta("model") or "{}").get("name", "")), store.meta(
            "form"
        ) or "auto"
    finally:
        store.close()


def delete(name: str | Path) -> None:
    """Delete an index with all its files; the pictures stay.

    Raises:
        UsageError: when there is none.
        TriviumError: when it cannot be deleted.
    """
    folder = existing(name)
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise TriviumError(f"cannot delete {folder}: {error.strerror}") from error
