"""The documentation is true: its commands exist, what is marked `console` runs, links lead on."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trivium.cli.lazy import COMMANDS, load

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")], key=lambda page: (page.parent, page.name)
)
IDS = [str(page.relative_to(ROOT)) for page in PAGES]


def commands(text: str) -> list[str]:
    r"""The commands in the blocks marked `console`: a "$ " and what "\" continues."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        found += re.findall(r"^\$ ((?:.*\\\n)*.*)$", block, re.MULTILINE)
    return found


def mentioned(text: str) -> set[tuple[str, ...]]:
    """The first words after `trivium` in code: ("models", "pull"), ("ask",)."""
    code = re.findall(r"`(trivium [^`\n]+)`", text)
    code += re.findall(r"^(?: {4}|\$ |)(?:[A-Z_]+=\S+ )*(trivium .*)$", text, re.MULTILINE)
    names = [re.match(r"trivium ((?:[a-z]+ ?){1,2})", line) for line in code]
    return {tuple(name.group(1).split()) for name in names if name}


def test_commands_are_found_with_their_continuations() -> None:
    text = "```console\n$ a b \\\n    c\noutput\n$ d\n```\n```sh\n$ no\n```\n"
    assert commands(text) == ["a b \\\n    c", "d"]
    assert mentioned("`trivium ask`, `trivium models list --json`") == {
        ("ask",),
        ("models", "list"),
    }


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_command_that_is_mentioned_exists(page: Path) -> None:
    for name, *rest in mentioned(page.read_text(encoding="utf-8")):
        assert name in COMMANDS
        children = getattr(load(name, []), "commands", {})
        assert not rest or not children or rest[0] in children, (name, rest)


@pytest.mark.model
@pytest.mark.parametrize(
    "page", [page for page in PAGES if commands(page.read_text(encoding="utf-8"))], ids=str
)
def test_console_blocks_run(page: Path, real_models: Path, tmp_path: Path) -> None:
    """All blocks of a page in a row, offline, beside copies of the pages; each succeeds."""
    folder = tmp_path / "checkout"
    for name in ("docs", "examples"):
        shutil.copytree(ROOT / name, folder / name)
    for file in ROOT.glob("*.md"):
        shutil.copy(file, folder)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = "\n".join(["set -euxo pipefail", *commands(page.read_text(encoding="utf-8"))])
    result = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": path, "TRIVIUM_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_within_the_checkout_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_reference_is_current_whatever_the_terminal() -> None:
    narrow = os.environ | {"COLUMNS": "30", "FORCE_COLOR": "1"}
    script = str(ROOT / "scripts" / "reference.py")
    result = subprocess.run(
        [sys.executable, script, "--check"], env=narrow, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_a_stale_reference_is_a_sentence(tmp_path: Path) -> None:
    for name in ("scripts", "docs"):
        (tmp_path / name).mkdir()
    script = shutil.copy(ROOT / "scripts" / "reference.py", tmp_path / "scripts")
    (tmp_path / "docs" / "reference.md").write_text("# Reference\n")
    result = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr == (
        "docs/reference.md is not what the commands say; run: make reference\n"
    )
