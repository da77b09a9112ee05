"""Pictures that are in no index, to vectors: decoded by threads while the model works."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from trivium.errors import UsageError
from trivium.images.base import Encoder, Vectors
from trivium.images.decode import Decoded, Refused, decode, is_picture
from trivium.models.hardware import usable_cores
from trivium.retrieval.walk import find_files

BATCH = 64


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture's unit vector (E,), or why there is none."""

    name: str
    vector: Vectors | None
    refused: str | None = None


def pictures_at(paths: Sequence[str | Path]) -> list[Path]:
    """All files with a picture's extension at or below `paths`, in the order of their names.

    Raises:
        UsageError: for a path that does not exist, and when there is no picture at all.
    """
    files, _ = find_files(paths, known=is_picture)
    if not files:
        raise UsageError(f"there is no picture at {', '.join(map(str, paths))}")
    return files


def look(
    encoder: Encoder, names: Sequence[str], read: Callable[[int], bytes] | None = None
) -> Iterator[Seen]:
    """What `encoder` sees in each of `names`, in their order.

    `read` gives the bytes of the nth one where they are no paths of files.
    """
    read = read or (lambda at: Path(names[at]).read_bytes())

    def one(at: int) -> Decoded | str:
        try:
            return decode(read(at), names[at], encoder.side)
        except Refused as error:
            return str(error)
        except OSError as error:
            return f"unreadable: {error.strerror}"
        except UsageError as error:
            return f"unreadable: {error}"

    with ThreadPoolExecutor(usable_cores()) as pool:
        numbers = list(range(len(names)))
        parts = [numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH)]
        coming = [pool.submit(one, at) for part in parts[:1] for at in part]
        for number, part in enumerate(parts):
            found = [future.result() for future in coming]
            coming = [pool.submit(one, at) for after in parts[number + 1 :][:1] for at in after]
            whole = [result.image for result in found if isinstance(result, Decoded)]
            vectors = iter(encoder.images(whole))
            for at, result in zip(part, found, strict=True):
                if isinstance(result, Decoded):
                    yield Seen(names[at], next(vectors))
                else:
                    yield Seen(names[at], None, result)
