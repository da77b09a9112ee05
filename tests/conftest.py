"""Every test has a home of its own; the real models are pulled once and shared read-only."""

import os
import signal
from pathlib import Path

import pytest

# A shell that starts the tests in the background lets them ignore SIGINT, and so would their
# children, which some tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh TRIVIUM_HOME, and none of the user's settings."""
    for name in list(os.environ):
        if name.startswith("TRIVIUM_") and name not in ("TRIVIUM_DATA", "TRIVIUM_TEST_MODELS"):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    for name in ("COLUMNS", "LINES"):  # xdist sets them; a terminal of a test has its own size
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRIVIUM_HOME", str(folder))
    monkeypatch.setenv("TRIVIUM_THREADS", "1")  # workers beside each other, not on each other
    return folder


@pytest.fixture(scope="session")
def model_cache() -> Path:
    """Where the real models lie: filled by `make models`, shared by all tests and never written."""
    default = Path(__file__).parent.parent / ".cache" / "models"
    folder = Path(os.environ.get("TRIVIUM_TEST_MODELS", default))
    if not folder.is_dir():
        pytest.fail(f"{folder} is missing: run `make models`, which pulls the default models")
    return folder


@pytest.fixture
def real_models(home: Path, model_cache: Path) -> Path:
    """A home in which the default chat model and embedder are already pulled."""
    home.mkdir(exist_ok=True)
    (home / "models").symlink_to(model_cache, target_is_directory=True)
    return home


@pytest.fixture(scope="session")
def data() -> Path:
    """The public data sets, where the checkout has them beside it."""
    beside = Path(__file__).parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("TRIVIUM_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}; set TRIVIUM_DATA")
    return folder
