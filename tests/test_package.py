"""What `pip install .` brings."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from trivium import __version__

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy, so that no build folder appears in the checkout."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("trivium", "tests"):
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*command, "--no-build-isolation", "-w", str(source), str(source)],
        check=True,
        capture_output=True,
    )
    (built,) = source.glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_the_package_whole_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    wanted = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "trivium").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert inside == wanted
    assert {"trivium/models/catalogue.toml", "trivium/py.typed"} <= inside


def test_the_wheel_carries_its_licence_version_and_command(wheel: zipfile.ZipFile) -> None:
    folder = f"trivium-{__version__}.dist-info"
    metadata = wheel.read(f"{folder}/METADATA").decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert f"\nVersion: {__version__}\n" in metadata
    assert "Apache License" in wheel.read(f"{folder}/licenses/LICENSE").decode()
    assert "trivium = trivium.cli.main:main" in wheel.read(f"{folder}/entry_points.txt").decode()


def test_the_installed_command_is_ours() -> None:
    (command,) = entry_points(group="console_scripts", name="trivium")
    assert command.value == "trivium.cli.main:main"


def test_every_dependency_is_pinned_once_and_exactly() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins), "no local part, no URL"
    names = [_normal(pin.partition("==")[0]) for pin in pins]
    assert len(names) == len(set(names))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = project["dependencies"] + project["optional-dependencies"]["dev"]
    wanted = {_normal(re.split(r"[<>=!\[; ]", line)[0]) for line in needed}
    assert wanted - set(names) == set()


def test_the_change_log_tells_of_this_version() -> None:
    assert f"\n## {__version__}\n" in (ROOT / "CHANGELOG.md").read_text()


def _normal(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()
