"""What every loader gives back, and the one way in which it declines."""

from dataclasses import dataclass

MIB = 1024 * 1024
# Office files are XML in a zip. Honest ones unpack to some ten times their size; deflate can reach
# a thousand, which is what a bomb is made of.
MAX_UNPACKED = 256 * MIB
MAX_RATIO = 200
SMALL_UNPACKED = 8 * MIB  # below this no ratio does harm
_COMPOUND = bytes.fromhex("d0cf11e0a1b11ae1")
# Extracted text a file may yield, in characters, whatever its container hides.
MAX_TEXT = 64 * MIB


class Declined(Exception):
    """A loader will not read this; the message goes on from the file's name: "is encrypted"."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """Text as a loader found it, in one part, or in one part a page when `paged`."""

    kind: str
    parts: tuple[str, ...]
    paged: bool = False
    language: str | None = None


class Budget:
    """Counts characters as they are extracted and stops a file that yields too many."""

    def __init__(self, characters: int = MAX_TEXT) -> None:
        self._left = characters
        self._limit = characters

    def spend(self, text: str) -> str:
        """Give `text` back.

        Raises:
            Declined: when the file has yielded more than the budget.
        """
        self._left -= len(text)
        if self._left < 0:
            raise Declined(f"holds more than {self._limit:,} characters of text")
        return text


def size(count: int) -> str:
    """A number of bytes for people: "64.0 MiB"."""
    if count < 1024:
        return f"{count} bytes"
    return f"{count / 1024:.1f} KiB" if count < MIB else f"{count / MIB:.1f} MiB"


def check_zip(data: bytes) -> None:
    """Refuse a zip whose directory promises far more than its bytes can honestly hold.

    The directory can be believed: `zipfile` gives no more of a member than is declared there.
    Office files with a password, and those of the formats before 2007, are no zips but OLE
    compound files ([MS-CFB]); the name of the encrypted stream tells them apart ([MS-OFFCRYPTO]).

    Raises:
        Declined: for a zip bomb, a file with a password or one in an old format.
    """
    from io import BytesIO
    from zipfile import ZipFile

    if data.startswith(_COMPOUND):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise Declined("is encrypted")
        raise Declined("is in an old Office format: save it anew as .docx, .pptx or .xlsx")
    with ZipFile(BytesIO(data)) as container:
        members = container.infolist()
    unpacked = sum(member.file_size for member in members)
    bloated = unpacked > SMALL_UNPACKED and unpacked > MAX_RATIO * len(data)
    if unpacked > MAX_UNPACKED or bloated:
        raise Declined(f"unpacks to {size(unpacked)} from {size(len(data))} (a zip bomb?)")
    if any(member.flag_bits & 1 for member in members):
        raise Declined("is encrypted")


def table_rows(rows: list[list[str]]) -> str:
    """A table within prose: one line a row, `| a | b |`, cells on one line, empty rows left out."""
    lines = []
    for row in rows:
        cells = [" ".join(cell.split()) for cell in row]
        if any(cells):
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
