"""`trivium chat --pictures`, /pictures and /similar: an index of pictures in a chat."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.images.made import ColourEncoder, save
from tests.scripted import ScriptedEngine
from trivium.agent.base import refuse
from trivium.cli.main import run
from trivium.cli.terminal.commands import dispatch
from trivium.cli.terminal.loop import Chat
from trivium.cli.terminal.opening import Opened, Options, open_chat
from trivium.config import Settings
from trivium.engines.base import Completion, Sampling, ToolCall
from trivium.errors import UsageError
from trivium.images.index import PictureIndex

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    call = ToolCall("1", "search_pictures", {"words": "green", "k": 1})
    scripted = ScriptedEngine(
        Completion("", "stop", 0, 1, tool_calls=(call,)), default="Seen.", sees_images=True
    )
    monkeypatch.setattr("trivium.engines.load.load_engine", lambda name, settings=None: scripted)
    monkeypatch.setattr(
        "trivium.images.encoder.load_encoder", lambda name, form="auto": ColourEncoder()
    )
    return scripted


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures of the index "photos", beside one that is not in it."""
    folder = tmp_path / "photos"
    for colour in ("red", "green"):
        for seed in range(2):
            save(folder / f"{colour}{seed}.png", colour, seed)
    save(tmp_path / "mine.png", "green", 9)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with PictureIndex.create("photos", encoder=ColourEncoder()) as index:
        index.add([folder])
    return folder


class Terminal:
    """What the commands see of a chat."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.said: list[str] = []

    def say(self, text: str, style: str = "dim") -> None:
        self.said.append(text)

    def do(self, command: str) -> str:
        dispatch(cast(Chat, self), command)
        return self.said[-1]


@pytest.fixture
def chat() -> Iterator[Terminal]:
    terminal = Terminal(open_chat(Options(), Settings(tools="off"), refuse, Sampling()))
    yield terminal
    terminal.opened.close()


def names(listed: str) -> list[str]:
    return [Path(line.split(": percentile")[0]).name for line in listed.split("\n")]


def test_the_model_searches_the_pictures_that_are_named(photos: Path, capsys: Output) -> None:
    command = ["chat", "my green ones?", "--pictures", "photos", "--tools", "on", "--json"]
    assert run(command) == 0
    document = json.loads(capsys.readouterr().out)
    (called,) = document["tool_calls"]
    assert (called["name"], called["error"]) == ("search_pictures", False)
    assert called["result"].startswith(f"[1] {photos}/green")
    assert document["answer"] == "Seen."


def test_an_index_that_is_not_there_is_a_mistake(capsys: Output) -> None:
    assert run(["chat", "hi", "--pictures", "holiday"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert 'there is no index of pictures "holiday" (there are: photos)' in told


def test_an_index_is_chosen_and_left(chat: Terminal) -> None:
    assert chat.do("/pictures").startswith("searches no pictures")
    how = "; the model does so when /tools are on"
    assert chat.do("/pictures photos") == f"searches the pictures of photos{how}"
    assert "search_pictures" not in [tool.name for tool in chat.opened.offered()]
    chat.opened.use_tools(True)
    assert chat.do("/pictures") == "searches the pictures of photos"
    assert "search_pictures" in [tool.name for tool in chat.opened.offered()]
    with pytest.raises(UsageError, match="holiday"):
        chat.do("/pictures holiday")
    assert chat.do("/pictures") == "searches the pictures of photos"
    chat.do("/pictures off")
    assert chat.opened.pictures is None
    assert "search_pictures" not in [tool.name for tool in chat.opened.offered()]


def test_the_nearest_of_a_picture_are_listed(chat: Terminal, photos: Path) -> None:
    with pytest.raises(UsageError, match="name an index of them"):
        chat.do("/similar mine.png")
    chat.do("/pictures photos")
    assert set(names(chat.do("/similar mine.png"))[:2]) == {"green0.png", "green1.png"}
    assert names(chat.do(f"/similar {photos}/red0.png"))[0] == "red1.png"  # not itself


def test_what_is_attached_is_what_is_meant(chat: Terminal, photos: Path) -> None:
    chat.do("/pictures photos")
    with pytest.raises(UsageError, match="no picture is attached"):
        chat.do("/similar")
    chat.opened.attach("mine.png")
    assert names(chat.do("/similar"))[0].startswith("green")
    list(chat.opened.agent.stream("What is this?", chat.opened.attachments))
    chat.opened.attachments = []
    assert names(chat.do("/similar"))[0].startswith("green")  # the last that was sent
    chat.opened.attach(str(photos / "red0.png"))
    assert names(chat.do("/similar"))[0] == "red1.png"  # what is attached now comes first


@pytest.mark.parametrize("path", ["none.png", "notes.txt"])
def test_what_cannot_be_looked_at_is_a_sentence(chat: Terminal, tmp_path: Path, path: str) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    chat.do("/pictures photos")
    with pytest.raises(Exception, match=f"{path} cannot be"):
        chat.do(f"/similar {path}")
