import base64
import hashlib
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.images.test_hashes import scene
from trivium.cli.images import app
from trivium.images.gallery import MOST_BYTES, SIDE, gallery, show, thumbnail_uri

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
EVIL = "<script>alert(1)<\\\"'>&\n{{ 7*7 }} \u202e.png"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag == name]


def parsed(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    return tags


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", EVIL.replace("/", ""), os.fsdecode(b"bad\xff.png")):
        scene(1, (600, 300)).save(tmp_path / name, "PNG")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return tmp_path


def test_names_are_never_markup(folder: Path) -> None:
    paths = sorted(str(file) for file in folder.iterdir())
    text = "".join(gallery(EVIL, [*paths, str(folder / "gone.png")], [EVIL] * 5))
    tags = parsed(text)
    assert len(tags.of("script")) == 1 and len(tags.of("a")) == 5 and len(tags.of("img")) == 3
    assert all(one["src"].startswith("data:image/jpeg;base64,") for one in tags.of("img"))  # type: ignore[union-attr]
    assert "\u202e" not in text and "49" not in re.sub(r"data:[^\"]*|sha256-\S*", "", text)
    assert "truncated" in text or "unreadable" in text
    assert "No such file" in text
    links = [str(one["href"]) for one in tags.of("a")]
    assert any(link.endswith("/bad%FF.png") for link in links)
    assert all(re.fullmatch(r"file:///[\w%./~-]+", link) for link in links)
    assert text.encode()  # no lone surrogates


def test_the_policy_names_the_hashes_of_what_is_there() -> None:
    text = "".join(gallery("t", []))
    policy = next(
        one["content"] for one in parsed(text).of("meta") if one.get("http-equiv") is not None
    )
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("script", "style"):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert inside
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.search(r"(?:src|href)=\"http|url\(|@import", text)


def test_thumbnails_are_small_upright_and_without_exif() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker"
    held = BytesIO()
    Image.fromarray(noise).save(held, "JPEG", exif=exif)
    uri = thumbnail_uri(held.getvalue(), "x.jpg")
    jpeg = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))
    image = Image.open(BytesIO(jpeg))
    assert image.size == (SIDE * 3 // 4, SIDE) and not image.getexif()
    assert len(jpeg) < 2 * MOST_BYTES  # the worst there is: noise


def test_pictures_come_in_order(tmp_path: Path) -> None:
    paths = []
    for number in range(70):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{number:02}.png")
        paths.append(str(tmp_path / f"{number:02}.png"))
    cards = parsed("".join(gallery("t", paths))).of("a")
    assert [one["title"] for one in cards] == paths


def test_what_cannot_be_shown_says_why(tmp_path: Path) -> None:
    (tmp_path / "e.png").write_bytes(b"")
    found = show(str(tmp_path / "e.png"), "0.3")
    assert found.image is None and found.detail.startswith("empty")


def test_paths_from_standard_input(folder: Path) -> None:
    output = folder / "g.html"
    paths = [os.fsencode(file) for file in sorted(folder.iterdir())]
    run = CliRunner().invoke(app, ["gallery", "-o", str(output)], input=b"\0".join(paths))
    assert run.exit_code == 0, run.output
    assert len(parsed(output.read_text()).of("a")) == 4
    lines = os.fsencode(folder / "a.png") + b"\r\n"
    assert CliRunner().invoke(app, ["gallery", "-o", str(output)], input=lines).exit_code == 0
    assert len(parsed(output.read_text()).of("img")) == 1
    assert CliRunner().invoke(app, ["gallery", "-o", str(output)], input=b"\n").exit_code != 0


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_a_browser_runs_its_script_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    paths = sorted(str(file) for file in folder.iterdir())
    page.write_text("".join(gallery(EVIL, paths)))
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [*command, profile, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert len(parsed(done.stdout).of("script")) == 1
    assert "Content Security Policy" not in done.stderr
