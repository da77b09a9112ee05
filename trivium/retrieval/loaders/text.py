"""Text as it stands: decoding it, and the formats whose source is their text."""

import codecs
import json
import re

from trivium.retrieval.loaders.base import Declined, Extracted

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 64 * 1024
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def tidy(text: str) -> str:
    """`text` with line ends as "\\n", without NUL and lone surrogates, which SQLite cannot hold."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    return _UNSTORABLE.sub("", text)


def decode(data: bytes) -> str:
    """Text in the encoding that the bytes declare or show; what cannot be read becomes U+FFFD.

    A byte order mark decides, then valid UTF-8, then UTF-16 without a mark (every other byte NUL),
    then UTF-8 with some bytes broken, and at last the guess of charset-normalizer.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    wide = _utf16(data[:_SAMPLE])
    if wide:
        return data.decode(wide, errors="replace")
    if text is not None:
        return text
    lenient = data.decode("utf-8", errors="replace")
    broken = lenient.count("\ufffd")
    intact = sum(character > "\x7f" for character in lenient) - broken
    if intact >= broken:
        return lenient
    guess = _guess(data[:_SAMPLE])
    return data.decode(guess, errors="replace") if guess else lenient


def _utf16(sample: bytes) -> str | None:
    half = len(sample) // 2
    if not half or b"\0" not in sample:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 * half and odd < 0.05 * half else None


def _guess(sample: bytes) -> str | None:
    from charset_normalizer import from_bytes

    # A short text gives statistics nothing to go by; most such files come from Western Windows.
    best = from_bytes(sample).best() if len(sample) >= 64 else None
    return best.encoding if best else "cp1252"


def is_binary(data: bytes) -> bool:
    """True for bytes that are no text: NUL in them, or many control characters."""
    sample = data[:_SAMPLE]
    if any(sample.startswith(mark) for mark, _ in _BOMS) or _utf16(sample):
        return False
    if b"\0" in data:
        return True
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in sample)
    return controls > 0.02 * len(sample)


def plain(data: bytes) -> Extracted:
    return Extracted("text", (decode(data),))


def unknown(data: bytes) -> Extracted:
    """Anything that has no loader of its own.

    Raises:
        Declined: when it is not text.
    """
    if is_binary(data):
        raise Declined("is binary")
    return Extracted("text", (decode(data),))


def markdown(data: bytes) -> Extracted:
    return Extracted("markdown", (decode(data),))


def rst(data: bytes) -> Extracted:
    return Extracted("rst", (decode(data),))


def code(data: bytes, language: str) -> Extracted:
    """Source text as it stands.

    Raises:
        Declined: when it is not text after all (".ts" is also a video, ".m" also a Matlab file).
    """
    if is_binary(data):
        raise Declined("is binary")
    return Extracted("code", (decode(data),), language=language)


def json_text(data: bytes) -> Extracted:
    """JSON set out over lines with its characters unescaped; with errors in it, as it stands."""
    source = decode(data)
    try:
        value = json.loads(source)
        text = json.dumps(value, ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):  # JSON with comments, say, is still worth reading
        text = source
    return Extracted("json", (text,))


def jsonl(data: bytes) -> Extracted:
    """One paragraph a record, one "key: value" line a field; a line with errors as it stands."""
    records = [_record(line) for line in decode(data).splitlines() if line.strip()]
    return Extracted("json", ("\n\n".join(records),))


def _record(line: str) -> str:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(value, dict):
        return _shown(value)
    return "\n".join(f"{key}: {_shown(item)}" for key, item in value.items())


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
