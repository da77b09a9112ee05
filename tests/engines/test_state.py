"""KV states on the disk: the format by itself, and the real engine continuing from one."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trivium.engines.base import Message, Request, Resumable, Sampling, ScoreRequest
from trivium.engines.llama import CHUNK, LlamaEngine
from trivium.engines.state import read_state, write_state
from trivium.errors import StateMismatch, TriviumError

ENGINE = {"weights": "ab" * 32, "context_length": 512, "flash_attention": True}
TOKENS = [1, 50_000, 7]
STATE = np.arange(200, dtype=np.uint8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "states" / "1.kv"
    write_state(file, ENGINE, TOKENS, STATE)
    return file


def test_a_state_is_read_as_it_was_written(file: Path) -> None:
    tokens, state = read_state(file, ENGINE)
    assert tokens == TOKENS
    assert state.tobytes() == STATE.tobytes()
    header = json.loads(file.read_bytes().split(b"\n")[0])
    assert (header["tokens"], header["bytes"], header["format"]) == (3, 200, 1)
    assert file.stat().st_size == len(json.dumps(header)) + 1 + 3 * 4 + 200


def test_no_damaged_byte_passes(file: Path) -> None:
    """Each byte in turn, in the header, the tokens and the state."""
    whole = file.read_bytes()
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(StateMismatch):
            read_state(file, ENGINE)


def test_no_part_of_a_file_passes(file: Path) -> None:
    whole = file.read_bytes()
    for part in [*(whole[:size] for size in range(0, len(whole), 7)), whole[:-1], whole + b"x"]:
        file.write_bytes(part)
        with pytest.raises(StateMismatch):
            read_state(file, ENGINE)


@pytest.mark.parametrize(
    ("name", "value"),
    [("tokens", 10**15), ("bytes", 10**18), ("tokens", -1), ("bytes", True), ("tokens", None)],
)
def test_a_header_cannot_claim_memory(file: Path, name: str, value: object) -> None:
    head, _, rest = file.read_bytes().partition(b"\n")
    claims = json.dumps(json.loads(head) | {name: value}).encode()
    file.write_bytes(claims + b"\n" + rest)
    with pytest.raises(StateMismatch, match="is not whole"):
        read_state(file, ENGINE)


def test_another_engine_is_told_what_differs(file: Path) -> None:
    with pytest.raises(StateMismatch, match=r"another engine \(its weights, context_length differ"):
        read_state(file, ENGINE | {"weights": "cd" * 32, "context_length": 1024})


def test_another_format_is_named(file: Path) -> None:
    head, _, rest = file.read_bytes().partition(b"\n")
    file.write_bytes(json.dumps(json.loads(head) | {"format": 2}).encode() + b"\n" + rest)
    with pytest.raises(StateMismatch, match="format 2 instead of 1"):
        read_state(file, ENGINE)


@pytest.mark.parametrize("content", [b"", b"\n", b"[]\n", b"[" * 70_000, b"\xff\n", b"null\n"])
def test_what_is_no_state_is_said_to_be_none(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(StateMismatch, match="is no KV state"):
        read_state(file, ENGINE)


def test_a_missing_file_does_not_match(tmp_path: Path) -> None:
    with pytest.raises(StateMismatch, match=r"cannot read .*No such file"):
        read_state(tmp_path / "none", ENGINE)


STORY = "The sea is blue and the grass is green. " * 26
FIRST = Request((Message("user", f"{STORY} What is blue?"),), sampling=Sampling(max_tokens=4))


def opened(gguf: Path, context_length: int = 1024) -> LlamaEngine:
    return LlamaEngine(gguf, name="smollm2-135m", context_length=context_length, threads=1)


@pytest.fixture(scope="module")
def gguf(model_cache: Path) -> Path:
    return model_cache / "smollm2-135m" / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="module")
def engine(gguf: Path) -> Iterator[LlamaEngine]:
    engine = opened(gguf)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def other(gguf: Path) -> Iterator[LlamaEngine]:
    """What another process would open later."""
    engine = opened(gguf)
    yield engine
    engine.close()


def next_turn(answer: str) -> Request:
    """Two chunks and more, so that some are decoded after those that were kept."""
    more = (Message("assistant", answer), Message("user", f"{STORY} And what is green?"))
    return Request(FIRST.messages + more, sampling=Sampling(max_tokens=8), logprobs=3)


@pytest.mark.model
def test_a_conversation_continues_bit_for_bit(
    engine: LlamaEngine, other: LlamaEngine, gguf: Path, tmp_path: Path
) -> None:
    assert isinstance(engine, Resumable)
    answer = engine.generate([FIRST])[0]
    assert answer.reused_tokens == 0
    held = engine.save_state(tmp_path / "kv")
    assert held == answer.prompt_tokens // CHUNK * CHUNK == CHUNK

    assert other.load_state(tmp_path / "kv") == held
    resumed = other.generate([next_turn(answer.text)])[0]
    afresh = opened(gguf)
    try:
        fresh = afresh.generate([next_turn(answer.text)])[0]
    finally:
        afresh.close()
    here = engine.generate([next_turn(answer.text)])[0]

    assert (resumed.reused_tokens, fresh.reused_tokens, here.reused_tokens) == (held, 0, held)
    assert resumed.text == fresh.text == here.text
    assert resumed.logprobs == fresh.logprobs == here.logprobs


@pytest.mark.model
def test_a_score_after_loading_is_the_same(
    engine: LlamaEngine, other: LlamaEngine, tmp_path: Path
) -> None:
    ask = ScoreRequest(" blue", prompt=STORY + "The sea is")
    score = engine.score([ask])
    assert engine.save_state(tmp_path / "kv") > 0
    other.load_state(tmp_path / "kv")
    assert other.score([ask]) == score


@pytest.mark.model
def test_less_than_a_chunk_makes_no_file(engine: LlamaEngine, tmp_path: Path) -> None:
    engine.generate([Request((Message("user", "Hi"),), sampling=Sampling(max_tokens=2))])
    assert engine.save_state(tmp_path / "kv") == 0
    assert list(tmp_path.glob("kv*")) == []


@pytest.mark.model
def test_another_context_is_refused_and_leaves_the_cache_empty(
    engine: LlamaEngine, gguf: Path, tmp_path: Path
) -> None:
    engine.generate([FIRST])
    engine.save_state(tmp_path / "kv")
    larger = opened(gguf, context_length=2048)
    try:
        larger.generate([FIRST])
        with pytest.raises(StateMismatch, match="its context_length differ"):
            larger.load_state(tmp_path / "kv")
        assert larger.generate([FIRST])[0].reused_tokens == 0
    finally:
        larger.close()


@pytest.mark.model
def test_a_damaged_file_leaves_the_cache_empty(engine: LlamaEngine, tmp_path: Path) -> None:
    whole = engine.generate([FIRST])[0]
    file = tmp_path / "kv"
    engine.save_state(file)
    data = bytearray(file.read_bytes())
    data[-1000] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(StateMismatch, match="damaged"):
        engine.load_state(file)
    again = engine.generate([FIRST])[0]
    assert (again.text, again.reused_tokens) == (whole.text, 0)


@pytest.mark.model
def test_a_state_that_llama_cpp_refuses_leaves_the_cache_empty(
    engine: LlamaEngine, tmp_path: Path
) -> None:
    """Whole by its own header, but not what llama.cpp wrote."""
    whole = engine.generate([FIRST])[0]
    write_state(tmp_path / "kv", engine._identity, TOKENS, STATE)
    with pytest.raises(StateMismatch, match=r"llama\.cpp refuses"):
        engine.load_state(tmp_path / "kv")
    again = engine.generate([FIRST])[0]
    assert (again.text, again.reused_tokens) == (whole.text, 0)


@pytest.mark.model
def test_saving_ends_an_open_stream(engine: LlamaEngine, tmp_path: Path) -> None:
    stream = engine.stream(replace(FIRST, sampling=Sampling(max_tokens=30)))
    next(stream)
    engine.save_state(tmp_path / "kv")
    with pytest.raises(TriviumError, match="another request"):
        list(stream)


@pytest.mark.model
def test_a_place_that_cannot_be_written_is_named(engine: LlamaEngine, tmp_path: Path) -> None:
    engine.generate([FIRST])
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TriviumError, match="cannot create"):
        engine.save_state(tmp_path / "file" / "kv")
