"""`trivium images caption` with a server in this process, and with models that see nothing."""

import json
from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.engines.server import FakeServer, Reply, chat
from tests.images.made import encoded, picture
from trivium.cli.main import run

Output = pytest.CaptureFixture[str]
CHAT = "/v1/chat/completions"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    fake.on(CHAT, Reply(events=chat("A red", " wall.")))
    yield fake
    fake.close()


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "b.png").write_bytes(encoded(picture(size=(1500, 30))))
    (folder / "a.png").touch()
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_pipe_gets_a_line_for_each_picture(server: FakeServer, capsys: Output) -> None:
    assert run(["images", "caption", "photos", "-m", server.url]) == 0
    streams = capsys.readouterr()
    assert streams.out == "photos/b.png\tA red wall.\n"
    assert streams.err.splitlines() == [
        "empty: photos/a.png (holds no bytes)",
        "1 captioned, 1 empty",
    ]
    (body,) = server.bodies(CHAT)
    text, image = body["messages"][-1]["content"]
    assert text["text"].endswith("It shows: the picture that is attached")
    kind, _, data = image["image_url"]["url"].partition(";base64,")
    assert kind == "data:image/jpeg"
    assert Image.open(BytesIO(b64decode(data))).size == (1024, 20)
    assert body["temperature"] == 0


def test_json_lines(server: FakeServer, photos: Path, capsys: Output) -> None:
    server.on(CHAT, Reply(events=chat("A red\n\n \x1b[2Jwall.", finish="length")))
    command = ["images", "caption", "photos", "-m", server.url, "--json", "--var", "length=50"]
    assert run(command) == 0
    streams = capsys.readouterr()
    assert [json.loads(line) for line in streams.out.splitlines()] == [
        {"path": str(photos / "a.png"), "refused": "empty", "detail": "holds no bytes"},
        {
            "path": str(photos / "b.png"),
            "caption": "A red\n\n \x1b[2Jwall.",
            "finish": "length",
        },
    ]
    assert "\x1b" not in streams.out
    assert "cut at the setting max_tokens: 1" in streams.err
    assert "at most 50 characters" in server.bodies(CHAT)[0]["messages"][0]["content"]


def test_what_a_model_says_is_one_line_that_a_terminal_does_not_obey(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    server.on(CHAT, Reply(events=chat("A\tred\n\x1b]0;title\x07 [bold]wall[/bold]")))
    command = ["images", "caption", "photos/b.png", "-m", server.url]
    assert run(command) == 0
    assert capsys.readouterr().out == "photos/b.png\tA red [bold]wall[/bold]\n"
    from rich.console import Console

    plain = Console(force_terminal=True, color_system=None, highlight=False, markup=False)
    monkeypatch.setattr("trivium.cli.console.out", lambda: plain)
    assert run(command) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["photos/b.png", "    A red [bold]wall[/bold]"]


def test_another_prompt(server: FakeServer, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "tags.yaml").write_text("name: tags\nversion: 1\nuser: Five tags, with commas.\n")
    command = ["images", "caption", "photos", "-m", server.url, "--prompt", "./tags.yaml"]
    assert run(command) == 0
    (turn,) = server.bodies(CHAT)[0]["messages"]
    assert turn["content"][0]["text"] == "Five tags, with commas."
    assert run([*command[:-1], "no-such-prompt"]) == 2
    assert run(["images", "caption", "photos", "-m", server.url, "--var", "colour=red"]) == 2
    assert '"alt-text" has no variable "colour"' in capsys.readouterr().err


@pytest.mark.parametrize("model", [[], ["-m", "smollm2-135m"], ["-m", "./some.gguf"]])
def test_a_model_that_reads_text_alone_is_exit_5(model: list[str], capsys: Output) -> None:
    assert run(["images", "caption", "photos", *model]) == 5
    streams = capsys.readouterr()
    name = model[-1] if model else "smollm2-135m"
    assert streams.out == ""
    assert streams.err == (
        f"error: {name} sees no pictures; name a server with a vision model, such as llama-server "
        "with --mmproj: -m http://localhost:8080/v1\n"
    )


def test_a_server_whose_model_reads_text_alone_is_exit_5(
    server: FakeServer, capsys: Output
) -> None:
    refusal = {"error": {"message": "tiny is not a multimodal model"}}
    server.on(CHAT, Reply(refusal, status=400))
    assert run(["images", "caption", "photos", "-m", server.url]) == 5
    assert "tiny is not a multimodal model; name a server with" in capsys.readouterr().err
    server.on("/props", Reply({"modalities": {"vision": False}}))
    assert run(["images", "caption", "photos", "-m", server.url]) == 5
    assert f"{server.url} sees no pictures; name a server" in capsys.readouterr().err
    assert len(server.bodies(CHAT)) == 1


def test_no_caption_at_all_is_exit_1(server: FakeServer, capsys: Output) -> None:
    assert run(["images", "caption", "photos/a.png", "-m", server.url]) == 1
    assert "no picture has a caption: 0 captioned, 1 empty" in capsys.readouterr().err
    assert run(["images", "caption", "nowhere", "-m", server.url]) == 2
