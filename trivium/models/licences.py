"""Which licences the user has accepted, asked once per model and kept in `models/licences.json`."""

import json
from datetime import UTC, datetime

from trivium import paths
from trivium.errors import TriviumError, UsageError
from trivium.models.catalogue import Entry

FILE_NAME = "licences.json"


def accepted(entry: Entry) -> bool:
    """True when `entry` asks for nothing, or its licence was accepted before."""
    return not entry.accept_licence or _read().get(entry.name, {}).get("licence") == entry.licence


def accept(entry: Entry) -> None:
    """Write down that the user accepts the licence of `entry`."""
    record = {"licence": entry.licence, "accepted": datetime.now(UTC).isoformat("T", "seconds")}
    with paths.atomic_write(paths.models() / FILE_NAME) as file:
        file.write((json.dumps(_read() | {entry.name: record}, indent=2) + "\n").encode())


def require(entry: Entry, *, agreed: bool) -> None:
    """Let `entry` pass if its licence is accepted, or is being accepted now.

    Raises:
        UsageError: when it is not.
    """
    if accepted(entry):
        return
    if not agreed:
        raise UsageError(
            f"{entry.name} comes under the {entry.licence} licence ({entry.licence_url}); "
            f"read it, then run: trivium models pull {entry.name} --accept-licence"
        )
    accept(entry)


def _read() -> dict[str, dict[str, str]]:
    file = paths.models() / FILE_NAME
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise TriviumError(f"cannot read {file}: {error.strerror}") from error
    except ValueError:
        return {}  # then the question is asked again
    return value if isinstance(value, dict) else {}
