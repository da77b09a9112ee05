"""vLLM's offline engine, against a module in its place that remembers what it was asked."""

import json
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from trivium.config import load_settings
from trivium.engines.base import Message, PartialFailure, Request, Sampling, ScoreRequest
from trivium.engines.load import load_engine
from trivium.engines.vllm import VllmEngine
from trivium.errors import ContextOverflow, SchemaViolation, TriviumError, Unavailable, UsageError

WORDS = ["<unk>", "<|im_start|>", "<|im_end|>", "\n", "user", "assistant", "red", "blue", "sky"]
UNK, START, END, LINE, USER, ASSISTANT, RED, BLUE, SKY = range(len(WORDS))
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ASK = Request((Message("user", "sky"),), sampling=Sampling(max_tokens=8))
ASKED = [START, USER, LINE, SKY, END, LINE, START, ASSISTANT, LINE]
SCHEMA = {"type": "object", "required": ["a"]}


def logprob(token: int) -> float:
    """The fake model thinks a token the likelier, the higher its number, wherever it stands."""
    return token - 10.0


class RefusedError(Exception):
    """In the place of vLLM's own error for a request that it cannot do."""


@dataclass
class FakeLLM:
    """Answers every prompt with `written`, the tokens of the text "red blue" and the end."""

    settings: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[list[int], dict[str, Any]]] = field(default_factory=list)
    aborted: list[str] = field(default_factory=list)
    written: SimpleNamespace = field(default_factory=SimpleNamespace)
    closed: int = 0

    def __post_init__(self) -> None:
        self.answers(text="red blue", token_ids=[RED, BLUE, END])
        self.llm_engine = self
        self.engine_core = self
        self.model_config = SimpleNamespace(max_model_len=40, dtype="torch.float32")
        self.cache_config = SimpleNamespace(block_size=4)
        self.device_config = SimpleNamespace(device_type="cpu")
        self.vllm_config = self
        self._live: list[SimpleNamespace] = []

    def answers(self, *, finish_reason: str = "stop", stop_reason: Any = None, **said: Any) -> None:
        self.written = SimpleNamespace(finish_reason=finish_reason, stop_reason=stop_reason, **said)

    def generate(
        self, prompts: list[dict[str, list[int]]], params: list[dict[str, Any]], use_tqdm: bool
    ) -> list[SimpleNamespace]:
        assert not use_tqdm
        return [
            self._output(one["prompt_token_ids"], how)
            for one, how in zip(prompts, params, strict=True)
        ]

    def _output(self, tokens: list[int], params: dict[str, Any]) -> SimpleNamespace:
        self.asked.append((tokens, params))
        written = SimpleNamespace(**vars(self.written), logprobs=None)
        rows = None
        if ids := params.get("logprob_token_ids"):
            written.token_ids = [SKY]
            written.logprobs = [{one: _known(one) for one in [SKY, *ids]}]
        elif params.get("logprobs") is not None:
            written.logprobs = [{one: _known(one) for one in (RED, BLUE, SKY)}] * 3
        if params.get("prompt_logprobs") is not None:
            rows = [None] + [{one: _known(one)} for one in tokens[1:]]
        return SimpleNamespace(
            outputs=[written],
            prompt_logprobs=rows,
            prompt_token_ids=tokens,
            num_cached_tokens=4,
            finished=True,
            metrics=SimpleNamespace(scheduled_ts=1.0, first_token_ts=3.0, last_token_ts=3.5),
        )

    def add_request(self, number: str, prompt: dict[str, list[int]], params: Any) -> None:
        done = self._output(prompt["prompt_token_ids"], params)
        begun = SimpleNamespace(**vars(done))
        text = self.written.text[:4]
        begun.outputs, begun.finished = [SimpleNamespace(text=text)], False
        self._live = [begun, done]

    def has_unfinished_requests(self) -> bool:
        return bool(self._live)

    def step(self) -> list[SimpleNamespace]:
        return [self._live.pop(0)]

    def abort_request(self, numbers: list[str]) -> None:
        self.aborted += numbers

    def shutdown(self) -> None:
        self.closed += 1


def _known(token: int) -> SimpleNamespace:
    return SimpleNamespace(logprob=logprob(token), rank=len(WORDS) - token)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told to vLLM by way of the environment is forgotten after each test."""
    names = "NO_USAGE_STATS HOST_IP LOGGING_STREAM LOGGING_LEVEL".split()
    for name in (*(f"VLLM_{one}" for one in names), "DO_NOT_TRACK", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model whose tokens are words, with safetensors of 2 x 3 + 5 numbers."""
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, "<unk>"))
    spaces, lines = (pre_tokenizers.Split(" ", "removed"), pre_tokenizers.Split("\n", "isolated"))
    backend.pre_tokenizer = pre_tokenizers.Sequence([spaces, lines])
    model = tmp_path / "model"
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        unk_token="<unk>",
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        chat_template=CHATML,
    )
    tokenizer.save_pretrained(model)
    (model / "config.json").write_text(json.dumps({"dtype": "float32"}))
    tensors = {"a": np.zeros((2, 3), np.float32), "b": np.zeros(5, np.float32)}
    save_file(tensors, model / "model.safetensors")
    return model


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> FakeLLM:
    fake = FakeLLM()

    def load(**settings: Any) -> FakeLLM:
        fake.settings = settings
        return fake

    def sampling(**settings: Any) -> dict[str, Any]:
        if settings["temperature"] > 2:
            raise RefusedError("temperature must be in [0, 2], got 3.0.\nmore")
        return settings

    modules: dict[str, dict[str, Any]] = {
        "vllm": {"LLM": load, "SamplingParams": sampling, "__version__": "0.32.0"},
        "vllm.exceptions": {"VLLMClientError": RefusedError},
        "vllm.platforms": {"current_platform": SimpleNamespace(is_cpu=lambda: True)},
        "vllm.sampling_params": {"StructuredOutputsParams": dict},
    }
    for name, content in modules.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return fake


@pytest.fixture
def engine(vllm: FakeLLM, folder: Path) -> Iterator[VllmEngine]:
    engine = VllmEngine(folder, name="vllm:tiny")
    yield engine
    engine.close()


def test_it_is_loaded_with_prefix_caching_and_without_pickle(
    vllm: FakeLLM, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIVIUM_OFFLINE", "1")
    settings = load_settings()
    engine = load_engine(f"vllm:{folder}", settings)
    assert vllm.settings["model"] == str(folder)
    assert vllm.settings["enable_prefix_caching"] is True
    assert vllm.settings["load_format"] == "safetensors"
    assert (vllm.settings["dtype"], vllm.settings["max_model_len"]) == ("float32", -1)
    told = ("VLLM_NO_USAGE_STATS", "HF_HUB_OFFLINE", "VLLM_LOGGING_STREAM", "VLLM_HOST_IP")
    assert [os.environ[name] for name in told] == ["1", "1", "ext://sys.stderr", "127.0.0.1"]
    engine.close()
    engine.close()
    assert vllm.closed == 1


def test_the_settings_choose_context_and_form(
    vllm: FakeLLM, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIVIUM_CONTEXT_LENGTH", "256")
    monkeypatch.setenv("TRIVIUM_WEIGHTS", "f16")
    load_engine(f"vllm:{folder}").close()
    assert (vllm.settings["dtype"], vllm.settings["max_model_len"]) == ("float16", 256)


def test_it_says_what_it_is(engine: VllmEngine, folder: Path) -> None:
    assert (engine.name, engine.context_length, engine.parameters) == ("vllm:tiny", 40, 11)
    assert engine.fingerprint.library == "vllm 0.32.0"
    before = VllmEngine(folder, name="vllm:tiny").fingerprint.id
    assert engine.fingerprint.id == before
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert VllmEngine(folder, name="vllm:tiny").fingerprint.id != before


def test_without_the_package_the_way_out_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(Unavailable, match=r"pip install 'trivium\[vllm\]', or start `vllm serve"):
        VllmEngine(folder, name="vllm:org/model")


def test_what_vllm_cannot_load_is_one_sentence(
    vllm: FakeLLM, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(**_: Any) -> None:
        raise RuntimeError("Engine core initialization failed.\nSee above.")

    monkeypatch.setattr(sys.modules["vllm"], "LLM", load)
    with pytest.raises(Unavailable, match=r"cannot load vllm:tiny: Engine core .* failed\.$"):
        VllmEngine(folder, name="vllm:tiny")


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_folder_that_is_no_model(vllm: FakeLLM, folder: Path, content: str | None) -> None:
    config = folder / "config.json"
    config.unlink() if content is None else config.write_text(content)
    with pytest.raises(Unavailable, match=r"vllm:tiny has (no|a) config\.json"):
        VllmEngine(folder, name="vllm:tiny")


def test_a_conversation_is_rendered_by_its_template(engine: VllmEngine, vllm: FakeLLM) -> None:
    (answer,) = engine.generate([ASK])
    assert vllm.asked[0][0] == ASKED
    assert (answer.text, answer.finish, answer.prompt_tokens) == ("red blue", "stop", len(ASKED))
    assert (answer.completion_tokens, answer.reused_tokens) == (2, 4)
    assert (answer.timing.prefill, answer.timing.decode) == (2.0, 0.5)
    assert engine.count_tokens(ASK) == len(ASKED)


def test_control_tokens_in_a_message_are_text(engine: VllmEngine, vllm: FakeLLM) -> None:
    engine.generate([Request((Message("user", "<|im_end|>"),))])
    assert vllm.asked[0][0] == [*ASKED[:3], UNK, UNK, *ASKED[4:]]


def test_sampling_is_handed_over(engine: VllmEngine, vllm: FakeLLM) -> None:
    sampling = Sampling(0.7, 0.9, 40, 0.05, 1.2, 3, 6, ("END", ""))
    engine.generate([Request(prompt="sky", sampling=sampling)])
    assert vllm.asked == [
        (
            [SKY],
            {
                "structured_outputs": None,
                "temperature": 0.7,
                "top_p": 0.9,
                "top_k": 40,
                "min_p": 0.05,
                "repetition_penalty": 1.2,
                "seed": 3,
                "stop": ["END"],
                "max_tokens": 6,
                "logprobs": None,
            },
        )
    ]


def test_no_limit_is_the_room_of_the_context(engine: VllmEngine, vllm: FakeLLM) -> None:
    engine.generate(
        [Request(prompt="sky sky"), Request(prompt="sky", sampling=Sampling(max_tokens=99))]
    )
    assert [params["max_tokens"] for _, params in vllm.asked] == [38, 39]


def test_a_stop_string_ends_no_token(engine: VllmEngine, vllm: FakeLLM) -> None:
    vllm.answers(text="red ", token_ids=[RED, BLUE], stop_reason="blue")
    (answer,) = engine.generate([ASK])
    assert (answer.finish, answer.completion_tokens) == ("stop", 2)


def test_log_probabilities_of_an_answer(engine: VllmEngine) -> None:
    request = Request(prompt="sky", logprobs=2)
    red, blue = engine.generate([request])[0].logprobs
    assert (red.token, red.logprob, blue.token, blue.logprob) == ("red", -4.0, "blue", -3.0)
    assert red.top == (("sky", -2.0), ("blue", -3.0))


def test_a_failing_request_does_not_lose_the_others(engine: VllmEngine) -> None:
    long = Request(prompt=" ".join(["sky"] * 40))
    hot = Request(prompt="sky", sampling=Sampling(temperature=3))
    with pytest.raises(PartialFailure) as failure:
        engine.generate([ASK, long, hot, ASK])
    first, second, third, last = failure.value.results
    assert first == last
    assert isinstance(second, ContextOverflow)
    assert str(second).startswith("prompt needs 40 tokens, but vllm:tiny holds 40")
    assert isinstance(third, UsageError)
    assert str(third) == "vLLM refuses the request: temperature must be in [0, 2], got 3.0."


def test_what_it_cannot_do_is_said(engine: VllmEngine) -> None:
    with pytest.raises(UsageError, match="takes no GBNF grammar"):
        engine.generate([Request(prompt="sky", grammar="root ::= [a]")])


def test_a_schema_is_handed_over_and_checked(engine: VllmEngine, vllm: FakeLLM) -> None:
    vllm.answers(text='{"a": 1}', token_ids=[RED, END])
    request = Request(ASK.messages, schema=SCHEMA)
    assert engine.generate([request])[0].text == '{"a": 1}'
    assert vllm.asked[0][1]["structured_outputs"] == {"json": SCHEMA}
    assert [chunk.text for chunk in engine.stream(request)] == ['{"a": 1}']
    vllm.answers(text='{"a"', token_ids=[RED, BLUE], finish_reason="length")
    with pytest.raises(SchemaViolation, match="stopped at 2 tokens"):
        engine.generate([request])


def test_thinking_comes_apart(engine: VllmEngine, vllm: FakeLLM) -> None:
    vllm.answers(text="<think>sky</think>\n\nblue", token_ids=[BLUE, END])
    chunks = list(engine.stream(ASK))
    done = chunks[-1].completion
    assert done == engine.generate([ASK])[0]
    assert (done.thinking, done.text) == ("sky", "blue")
    assert "".join(chunk.thinking for chunk in chunks) == "sky"


def test_an_answer_cut_by_vllm_is_an_error(engine: VllmEngine, vllm: FakeLLM) -> None:
    vllm.answers(text="", token_ids=[], finish_reason="abort")
    with pytest.raises(TriviumError, match="ended the answer early: abort"):
        engine.generate([ASK])


def test_a_stream_is_the_answer_in_pieces(engine: VllmEngine, vllm: FakeLLM) -> None:
    chunks = list(engine.stream(ASK))
    assert [chunk.text for chunk in chunks] == ["red ", "blue"]
    assert chunks[-1].completion == engine.generate([ASK])[0]


def test_another_call_ends_a_stream(engine: VllmEngine, vllm: FakeLLM) -> None:
    stream = engine.stream(ASK)
    next(stream)
    engine.generate([ASK])
    assert vllm.aborted == ["stream-0"]
    with pytest.raises(TriviumError, match="another request began"):
        next(stream)


def test_choices_of_a_prompt_share_a_request(engine: VllmEngine, vllm: FakeLLM) -> None:
    requests = [ScoreRequest(word, prompt="sky red") for word in ("red", "blue", "red", "sky")]
    scores = engine.score(requests)
    assert vllm.asked == [
        (
            [SKY, RED],
            {
                "structured_outputs": None,
                "temperature": 0.0,
                "max_tokens": 1,
                "logprob_token_ids": [RED, BLUE, SKY],
            },
        )
    ]
    assert [score.logprob for score in scores] == [-4.0, -3.0, -4.0, -2.0]
    assert [score.greedy for score in scores] == [False, False, False, True]
    assert [score.tokens[0].token for score in scores] == ["red", "blue", "red", "sky"]
    assert engine.decoded_tokens == 2 - 4 + 1  # the fake says that 4 tokens were in its cache


def test_a_short_continuation_is_read_by_position(engine: VllmEngine, vllm: FakeLLM) -> None:
    prompt = " ".join(["sky"] * 8)  # two blocks of 4
    blue, red = engine.score(
        [ScoreRequest(f"sky {word}", prompt=prompt) for word in ("blue", "red")]
    )
    assert [(len(tokens), params["logprob_token_ids"]) for tokens, params in vllm.asked] == [
        (8, [SKY]),
        (9, [BLUE, RED]),
    ]
    assert (blue.logprob, red.logprob) == (-2.0 - 3.0, -2.0 - 4.0)
    assert not blue.greedy


def test_a_long_continuation_is_one_pass(engine: VllmEngine, vllm: FakeLLM) -> None:
    twice = [ScoreRequest("blue sky", prompt="red red red red red red red")] * 2
    scores = engine.score([*twice, ScoreRequest("sky sky", messages=ASK.messages[:1])])
    assert [(tokens, params.get("prompt_logprobs")) for tokens, params in vllm.asked][-1] == (
        [RED] * 7 + [BLUE, SKY],
        0,
    )
    assert scores[0] == scores[1]
    assert scores[0].logprob == pytest.approx(-3.0 - 2.0)
    assert not scores[0].greedy
    assert scores[2].greedy


def test_scores_of_nothing_and_of_a_documents_beginning(engine: VllmEngine, vllm: FakeLLM) -> None:
    assert engine.score([]) == []
    nothing, begun = engine.score([ScoreRequest("", prompt="sky"), ScoreRequest("sky")])
    assert (nothing.logprob, nothing.tokens, nothing.greedy) == (0.0, (), True)
    assert math.isclose(begun.logprob, -2.0)
    assert [tokens for tokens, _ in vllm.asked] == [[START]]


def test_a_score_that_does_not_fit(engine: VllmEngine) -> None:
    with pytest.raises(ContextOverflow, match="needs 40 tokens"):
        engine.score([ScoreRequest("sky", prompt=" ".join(["sky"] * 39))])


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (ValueError("bad\nx"), UsageError),
        (RefusedError("bad"), UsageError),
        (RuntimeError("dead"), Unavailable),
    ],
)
def test_a_failure_of_vllm_is_one_sentence(
    engine: VllmEngine,
    vllm: FakeLLM,
    monkeypatch: pytest.MonkeyPatch,
    raised: Exception,
    kind: type,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(vllm, "generate", fail)
    with pytest.raises(kind, match=r"^vLLM .*: (bad|dead)$"):
        engine.generate([ASK])
