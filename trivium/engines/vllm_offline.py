"""vLLM's offline engine in the few calls that Trivium needs: token ids in, its own outputs out.

What they mean is decided in `vllm.py`.
"""

import json
import os
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from trivium.errors import TriviumError, Unavailable, UsageError
from trivium.network import offline

IDS = 128  # tokens whose log-probabilities vLLM tells at one position

_SILENT = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}  # it would report to its makers
_DEFAULTS = {
    "VLLM_HOST_IP": "127.0.0.1",  # else it finds its own by way of a public address
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_LOGGING_LEVEL": "ERROR",
}


class Offline:
    """One loaded model. Calls take turns: what begins ends the stream before it."""

    def __init__(
        self, folder: Path, *, name: str, context_length: int | None, dtype: str | None
    ) -> None:
        """Load the model in `folder`, which is called `name`; see `VllmEngine`.

        Raises:
            Unavailable: when vLLM is not installed or cannot load the model.
        """
        self.config = _config(folder, name)
        self._name = name
        vllm = _library(name)
        from vllm import SamplingParams
        from vllm.exceptions import VLLMClientError
        from vllm.platforms import current_platform
        from vllm.sampling_params import StructuredOutputsParams

        self._params: Any = SamplingParams
        self._structured: Any = StructuredOutputsParams
        self._refusals = (VLLMClientError, ValueError)
        self.version = str(vllm.__version__)
        self.decoded = 0
        """Tokens of prompts that were not in the cache, and tokens written, so far."""
        self._numbers = count()
        self._streaming: str | None = None
        stored = self.config.get("dtype") or self.config.get("torch_dtype")
        try:
            self._llm: Any = vllm.LLM(
                model=str(folder),
                dtype=dtype or stored or "auto",
                max_model_len=context_length or -1,  # -1: as much as memory holds
                max_logprobs=IDS,
                enable_prefix_caching=True,
                enforce_eager=current_platform.is_cpu(),  # compiling takes a minute there
                load_format="safetensors",
                use_tqdm_on_load=False,
                disable_log_stats=False,  # they hold the seconds of each request
                seed=0,
            )
        except Exception as error:  # vLLM raises whatever its parts do
            raise Unavailable(f"vLLM cannot load {name}: {_said(error)}") from error
        found = self._llm.llm_engine.vllm_config
        self.context_length = int(found.model_config.max_model_len)
        self.block = int(found.cache_config.block_size)
        """Tokens in a block of the cache; only whole blocks are found again."""
        self.dtype = str(found.model_config.dtype).removeprefix("torch.")
        self.device = str(found.device_config.device_type)

    def params(self, schema: Any = None, **settings: Any) -> Any:
        """How to write: vLLM's `SamplingParams`, with a JSON Schema where there is one.

        Raises:
            UsageError: when vLLM refuses a setting.
        """
        try:
            structured = None if schema is None else self._structured(json=dict(schema))
            return self._params(structured_outputs=structured, **settings)
        except self._refusals as error:
            raise UsageError(f"vLLM refuses the request: {_said(error)}") from error

    def run(self, prompts: Sequence[Sequence[int]], params: Sequence[Any]) -> list[Any]:
        """The outputs of all prompts, in order.

        Raises:
            UsageError: when vLLM refuses one of them.
            Unavailable: when its engine has ended.
        """
        self._interrupt()
        if not prompts:
            return []
        given = [{"prompt_token_ids": list(tokens)} for tokens in prompts]
        try:
            outputs = self._llm.generate(given, list(params), use_tqdm=False)
        except Exception as error:
            raise self._failure(error) from error
        for output in outputs:
            self._count(output)
        return list(outputs)

    def stream(self, prompt: Sequence[int], params: Any) -> Iterator[Any]:
        """The output so far, again and again; the last one is finished.

        Raises:
            TriviumError: when another call began meanwhile.
        """
        self._interrupt()
        engine, mine = self._llm.llm_engine, f"stream-{next(self._numbers)}"
        self._streaming = mine
        try:
            engine.add_request(mine, {"prompt_token_ids": list(prompt)}, params)
            while engine.has_unfinished_requests():
                for output in engine.step():
                    yield output
                    if self._streaming != mine:
                        raise TriviumError("this stream ended when another request began")
                    if output.finished:
                        self._count(output)
        except TriviumError:
            raise
        except Exception as error:
            raise self._failure(error) from error
        finally:
            if self._streaming == mine:
                self._interrupt()

    def close(self) -> None:
        if self._llm is not None:
            self._llm.llm_engine.engine_core.shutdown()
            self._llm = None

    def _interrupt(self) -> None:
        """End the stream that runs, if any: one that is whole is forgotten by vLLM already."""
        if self._streaming is not None and self._llm is not None:
            self._llm.llm_engine.abort_request([self._streaming])
        self._streaming = None

    def _count(self, output: Any) -> None:
        read = len(output.prompt_token_ids) - (output.num_cached_tokens or 0)
        self.decoded += read + sum(len(one.token_ids) for one in output.outputs)

    def _failure(self, error: Exception) -> TriviumError:
        if isinstance(error, self._refusals):
            return UsageError(f"vLLM refuses the request: {_said(error)}")
        return Unavailable(f"vLLM failed with {self._name}: {_said(error)}")


def _library(name: str) -> Any:
    """The module, told before its import to report nothing and to write to stderr."""
    model = name.partition(":")[2] or name
    os.environ.update(_SILENT)
    for key, value in _DEFAULTS.items():
        os.environ.setdefault(key, value)
    if offline():
        os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        import vllm
    except ImportError as error:
        raise Unavailable(
            f"{name} needs vLLM, which cannot be imported ({_said(error)}): "
            f"pip install 'trivium[vllm]', or start `vllm serve {model}` elsewhere and pass "
            f"http://localhost:8000/v1#{model}"
        ) from error
    return vllm


def _config(folder: Path, name: str) -> dict[str, Any]:
    file = folder / "config.json"
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise Unavailable(f"{name} has no config.json that can be read: {error}") from error
    if not isinstance(found, dict):
        raise Unavailable(f"{name} has a config.json that is no object")
    return found


def _said(error: BaseException) -> str:
    """The first line of what an error says, cut where it goes on and on."""
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return text if len(text) <= 300 else text[:299] + "…"
