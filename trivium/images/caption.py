"""Pictures in words: a vision model behind any engine that has one, asked by a prompt."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

from trivium.engines.base import (
    Completion,
    Engine,
    Finish,
    Image,
    PartialFailure,
    Request,
    Sampling,
)
from trivium.errors import TriviumError, Unavailable, UsageError
from trivium.images.decode import MOST_BYTES, Refused, decode
from trivium.models.hardware import usable_cores
from trivium.prompts.base import Prompt

PROMPT = "alt-text"
"""The prompt of the library for which none is named."""
SIDE = 1024
"""Pixels of the longer side that a model is sent; most look at less."""
BATCH = 8
"""Pictures that an engine is given at once."""
UNANSWERED = "unanswered"
"""The reason where the picture is whole, and the model failed or said nothing."""

_WAY_OUT = (
    "name a server with a vision model, such as llama-server with --mmproj: "
    "-m http://localhost:8080/v1"
)
_SHOWN = "the picture that is attached"
_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Captioned:
    """A picture's caption; or the reason why there is none, one of `decode.Refused`'s or
    `UNANSWERED`, and the detail. A caption of the finish "length" is cut."""

    name: str
    caption: str
    finish: Finish | None
    reason: str | None = None
    detail: str = ""


def blind(name: str) -> Unavailable:
    """That this model sees no pictures, and the way out."""
    return Unavailable(f"{name} sees no pictures; {_WAY_OUT}")


def values_for(prompt: Prompt, values: Mapping[str, object]) -> dict[str, object]:
    """`values`, and for the variable that describes the picture a word that it is attached.

    Raises:
        UsageError: when the prompt's answers are JSON.
    """
    if prompt.schema is not None:
        raise UsageError(f'the prompt "{prompt.name}" asks for JSON, and a caption is text')
    blank = prompt.input
    return ({blank.name: _SHOWN} if blank else {}) | dict(values)


def caption(
    engine: Engine,
    prompt: Prompt,
    values: Mapping[str, object],
    names: Sequence[str],
    sampling: Sampling,
) -> Iterator[Captioned]:
    """What `engine` says of each of the files called `names`, in their order.

    Each picture is upright, scaled to `SIDE` and sent as a JPEG without EXIF, below the prompt. The
    prompt's examples are left out: there are no pictures in them.

    Raises:
        Unavailable: when the model sees no pictures, at once or when it says so.
        UsageError: for values that do not fill the prompt, at once.
    """
    if not engine.sees_images:
        raise blind(engine.name)
    messages = prompt.render(values_for(prompt, values), ()).messages
    return _captions(engine, Request(messages, sampling=sampling), names)


def _captions(engine: Engine, request: Request, names: Sequence[str]) -> Iterator[Captioned]:
    *before, last = request.messages
    with ThreadPoolExecutor(min(BATCH, usable_cores())) as pool:
        for start in range(0, len(names), BATCH):
            part = names[start : start + BATCH]
            read = list(pool.map(_read, part))
            asked = [
                replace(request, messages=(*before, replace(last, images=(one,))))
                for one in read
                if isinstance(one, Image)
            ]
            answers = iter(_ask(engine, asked))
            for name, one in zip(part, read, strict=True):
                if isinstance(one, Refused):
                    yield Captioned(name, "", None, one.reason, one.detail)
                else:
                    yield _captioned(name, next(answers))


def _read(name: str) -> Image | Refused:
    try:
        size = Path(name).stat().st_size
        if size > MOST_BYTES:
            return Refused("bomb", f"has {size:,} bytes")
        image = decode(Path(name).read_bytes(), name, SIDE // 2).image
    except Refused as error:
        return error
    except OSError as error:
        return Refused("unreadable", error.strerror or str(error))
    image.thumbnail((SIDE, SIDE))
    held = BytesIO()
    image.save(held, "JPEG", quality=_QUALITY)
    return Image(held.getvalue(), "image/jpeg")


def _ask(engine: Engine, requests: Sequence[Request]) -> Sequence[Completion | TriviumError]:
    """The answers; a picture that a server fails at leaves the others theirs."""
    results: Sequence[Completion | TriviumError]
    try:
        results = engine.generate(requests) if requests else []
    except PartialFailure as failure:
        results = failure.results
    except UsageError as error:
        results = [error]
    for one in results:
        if isinstance(one, UsageError):  # of sound requests: the server takes no pictures
            raise Unavailable(f"{one}; {_WAY_OUT}") from one
    return results


def _captioned(name: str, answer: Completion | TriviumError) -> Captioned:
    if isinstance(answer, TriviumError):
        return Captioned(name, "", None, UNANSWERED, str(answer))
    text = answer.text.strip()
    if not text:
        return Captioned(name, "", None, UNANSWERED, "the model said nothing")
    return Captioned(name, text, answer.finish)
