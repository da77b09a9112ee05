"""Captions by a model that is scripted: what it is sent, and what becomes of its answers."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image as Pillow

from tests.images.made import encoded, picture
from tests.scripted import ScriptedEngine
from trivium.engines.base import Completion, PartialFailure, Request, Sampling
from trivium.errors import ContextOverflow, Unavailable, UsageError
from trivium.images.caption import Captioned, caption, values_for
from trivium.prompts.base import Prompt, Variable
from trivium.prompts.files import find_prompt

PROMPT = Prompt("short", "Say what it is: {{ what }}", variables=(Variable("what", input=True),))


def saved(path: Path, size: tuple[int, int] = (24, 16), **options: object) -> str:
    path.write_bytes(encoded(picture(size=size), "JPEG", **options))
    return str(path)


def run(engine: ScriptedEngine, *names: str) -> list[Captioned]:
    return list(caption(engine, PROMPT, {}, names, Sampling(max_tokens=9)))


def sent(request: Request) -> Pillow.Image:
    (image,) = request.messages[-1].images
    assert image.media_type == "image/jpeg"
    return Pillow.open(BytesIO(image.data))


@pytest.mark.parametrize(
    ("size", "expected"),
    [((24, 16), (24, 16)), ((2000, 1000), (1024, 512)), ((1000, 4000), (256, 1024))],
)
def test_pictures_are_sent_small_upright_and_without_exif(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    exif[0x010F] = "A camera"
    engine = ScriptedEngine(" A red wall.\n", sees_images=True)
    name = saved(tmp_path / "a.jpg", size[::-1], exif=exif)
    assert run(engine, name) == [Captioned(name, "A red wall.", "stop")]
    (request,) = engine.requests
    assert sent(request).size == expected
    assert not sent(request).getexif()
    assert request.sampling.max_tokens == 9


def test_the_prompt_is_the_librarys_without_its_examples(tmp_path: Path) -> None:
    engine = ScriptedEngine("A red wall.", sees_images=True)
    name = saved(tmp_path / "a.jpg")
    values = {"context": "a page on walls", "length": 40}
    assert list(caption(engine, find_prompt("alt-text"), values, [name], Sampling()))
    system, user = engine.requests[0].messages
    assert "at most 40 characters" in system.content and not system.images
    assert "a page on walls" in user.content
    assert user.content.endswith("It shows: the picture that is attached")


def test_refused_pictures_are_counted_with_their_reason_and_not_sent(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "cut.jpg").write_bytes(encoded(picture(), "JPEG")[:-200])
    (tmp_path / "png.jpg").write_bytes(encoded(picture()))
    names = [str(tmp_path / name) for name in ("empty.jpg", "cut.jpg", "png.jpg", "gone.jpg")]
    names.insert(2, saved(tmp_path / "whole.jpg"))
    engine = ScriptedEngine("A wall.", sees_images=True)
    found = run(engine, *names)
    assert [one.name for one in found] == names
    reasons = ["empty", "truncated", None, "wrong extension", "unreadable"]
    assert [one.reason for one in found] == reasons
    assert found[2].caption == "A wall." and len(engine.requests) == 1
    assert found[4].detail == "No such file or directory"


def test_nothing_is_asked_when_no_picture_is_whole(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    engine = ScriptedEngine(sees_images=True)
    assert run(engine, str(tmp_path / "a.jpg"))[0].reason == "empty"
    assert engine.requests == []


def test_more_pictures_than_a_batch_keep_their_order(tmp_path: Path) -> None:
    names = [saved(tmp_path / f"{number:02}.jpg") for number in range(19)]
    answers = [f"picture {number}" for number in range(19)]
    engine = ScriptedEngine(*answers, sees_images=True)
    assert [one.caption for one in run(engine, *names)] == answers


def test_an_empty_answer_is_no_caption_and_a_cut_one_says_so(tmp_path: Path) -> None:
    names = [saved(tmp_path / "a.jpg"), saved(tmp_path / "b.jpg")]
    cut = Completion("A wall of", "length", 3, 9)
    first, second = run(ScriptedEngine(" \n", cut, sees_images=True), *names)
    assert (first.reason, first.detail) == ("unanswered", "the model said nothing")
    assert (second.caption, second.finish, second.reason) == ("A wall of", "length", None)


class Failing(ScriptedEngine):
    """Answers the first of several pictures, and fails at the second."""

    def __init__(self, error: Exception) -> None:
        super().__init__(default="A wall.", sees_images=True)
        self.error = error

    def generate(self, requests: object) -> list[Completion]:
        raise PartialFailure([Completion("A wall.", "stop", 3, 2), self.error])  # type: ignore[list-item]


def test_a_picture_that_the_model_fails_at_leaves_the_others(tmp_path: Path) -> None:
    names = [saved(tmp_path / "a.jpg"), saved(tmp_path / "b.jpg")]
    first, second = run(Failing(ContextOverflow("2000 tokens, 1000 fit")), *names)
    assert first.caption == "A wall."
    assert (second.reason, second.detail) == ("unanswered", "2000 tokens, 1000 fit")


def test_a_server_that_refuses_pictures_is_unavailable(tmp_path: Path) -> None:
    names = [saved(tmp_path / "a.jpg"), saved(tmp_path / "b.jpg")]
    with pytest.raises(Unavailable, match=r"refuses the images; name a server with a vision model"):
        run(Failing(UsageError("it refuses the images")), *names)
    refusal = ScriptedEngine(UsageError("it refuses the images"), sees_images=True)
    with pytest.raises(Unavailable, match="--mmproj"):
        run(refusal, names[0])


def test_a_model_that_sees_nothing_is_refused_before_anything_is_read() -> None:
    with pytest.raises(Unavailable, match="scripted sees no pictures; name a server"):
        caption(ScriptedEngine(), PROMPT, {}, ["gone.jpg"], Sampling())


def test_what_is_said_of_the_picture_stays() -> None:
    assert values_for(PROMPT, {"what": "a wall"}) == {"what": "a wall"}
    assert values_for(Prompt("bare", "Say what it is."), {}) == {}


def test_a_prompt_for_json_is_refused() -> None:
    with pytest.raises(UsageError, match='"form" asks for JSON'):
        values_for(Prompt("form", "Say.", schema={"type": "object"}), {})
