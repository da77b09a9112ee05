import json

import pytest

from trivium.cli.console import emit_json


def test_json_holds_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": "a\x1b[31m\x9b2J\x7f\u202eb é 漢 \n"}
    for line in (True, False):
        emit_json(value, line=line)
        shown = capsys.readouterr().out
        assert json.loads(shown) == value
        assert "é 漢" in shown
        assert not any(0x7F <= ord(c) <= 0x9F or c in "\x1b\u202e" for c in shown)
