"""Any engine as a LangChain chat model: the one place where the two meet.

    ChatEngine(engine=load_engine("smollm2-135m"), sampling=Sampling(max_tokens=200))

LangChain's usual `temperature`, `max_tokens` and `stop` may stand in the constructor or in a call,
and every other field of `Sampling` in a call; what is not known is an error, never ignored.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, fields, replace
from operator import itemgetter
from typing import Any, Literal, cast
from weakref import WeakKeyDictionary

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import (
    BaseChatModel,
    LangSmithParams,
    LanguageModelInput,
    ModelProfile,
)
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.output_parsers import (
    JsonOutputKeyToolsParser,
    JsonOutputParser,
    PydanticOutputParser,
    PydanticToolsParser,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import ConfigDict, Field, SkipValidation, model_validator

from trivium.agent.messages import (
    call_chunks,
    metadata_of,
    thinking_of,
    to_choice,
    to_message,
    to_messages,
    to_schema,
    to_tool,
    usage_of,
)
from trivium.engines.base import Chunk, Completion, Engine, Request, Resumable, Sampling
from trivium.errors import TriviumError, UsageError

__all__ = ["Cancelled", "ChatEngine", "to_messages"]

_KNOBS = frozenset(field.name for field in fields(Sampling))
_ELSEWHERE = ("timeout", "max_retries", "api_key")
"""LangChain's usual parameters that a loaded engine has settled already."""

_TURNS: WeakKeyDictionary[Engine, threading.RLock] = WeakKeyDictionary()

Schema = dict[str, Any] | type
Method = Literal["function_calling", "json_schema", "json_mode"]


class Cancelled(TriviumError):
    """The answer was stopped from outside; what was streamed before stands."""

    exit_code = 130


class ChatEngine(BaseChatModel):
    """An engine that LangChain's chains and agents can talk to.

    Once `cancel` is set, no further piece of an answer is taken, and `Cancelled` is raised.
    `on_completion` receives every finished `Completion`, with its timing and log-probabilities, in
    the thread that generates.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    engine: SkipValidation[Engine] = Field(exclude=True)
    sampling: Sampling = Sampling()
    cancel: threading.Event | None = Field(default=None, exclude=True)
    on_completion: Callable[[Completion], None] | None = Field(default=None, exclude=True)
    streaming: bool = False

    @model_validator(mode="before")
    @classmethod
    def _usual_parameters(cls, values: Any) -> Any:
        """LangChain's usual constructor parameters, as far as they are about sampling."""
        if not isinstance(values, Mapping):
            return values
        kept = {key: value for key, value in values.items() if key not in _ELSEWHERE}
        knobs = {key: kept.pop(key) for key in ("temperature", "max_tokens", "stop") if key in kept}
        return kept | {"sampling": _resampled(kept.get("sampling", Sampling()), knobs)}

    @property
    def _llm_type(self) -> str:
        return "trivium"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.engine.name, "sampling": asdict(self.sampling)}

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """The key of LangChain's cache: other weights under the same name must not hit."""
        return f"{self.engine.fingerprint.id} {super()._get_llm_string(stop, **kwargs)}"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        sampling = self._sampling(stop, {k: v for k, v in kwargs.items() if k in _KNOBS})
        params = LangSmithParams(
            ls_provider="trivium",
            ls_model_name=str(kwargs.get("model") or self.engine.name),
            ls_model_type="chat",
            ls_temperature=sampling.temperature,
        )
        if sampling.max_tokens is not None:
            params["ls_max_tokens"] = sampling.max_tokens
        if sampling.stop:
            params["ls_stop"] = list(sampling.stop)
        return params

    def _resolve_model_profile(self) -> ModelProfile:
        return ModelProfile(
            max_input_tokens=self.engine.context_length,
            text_inputs=True,
            image_inputs=self.engine.sees_images,
            tool_calling=True,
        )

    def get_num_tokens(self, text: str) -> int:
        """The engine's own count. LangChain's default would fetch a tokenizer of GPT-2."""
        return self.engine.count_tokens(Request(prompt=text))

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Tokens of the rendered prompt, tools included."""
        offered = tuple(to_tool(convert_to_openai_tool(tool)) for tool in tools or ())
        return self.engine.count_tokens(Request(to_messages(messages), tools=offered))

    def get_token_ids(self, text: str) -> list[int]:
        raise NotImplementedError("an engine counts tokens, but does not give their numbers")

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, stop, kwargs)
        with _turn(self.engine):
            if self.cancel is None:  # a whole answer may be asked for again after a lost connection
                (completion,) = self.engine.generate([request])
            else:
                *_, last = self._chunks(request)
                assert last.completion is not None
                completion = last.completion
        self._tell(completion)
        message = to_message(completion, self.engine)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with closing(self._chunks(self._request(messages, stop, kwargs))) as chunks:
            for chunk in chunks:
                thinking = thinking_of(chunk.thinking)
                if chunk.completion is None:
                    message = AIMessageChunk(content=chunk.text, additional_kwargs=thinking)
                else:
                    self._tell(chunk.completion)
                    message = AIMessageChunk(
                        content=chunk.text,
                        additional_kwargs=thinking,
                        tool_call_chunks=call_chunks(chunk.completion),
                        usage_metadata=usage_of(chunk.completion),
                        response_metadata=metadata_of(chunk.completion, self.engine),
                        chunk_position="last",
                    )
                yield ChatGenerationChunk(message=message)

    def bind_tools(
        self,
        tools: Sequence[Any],
        *,
        tool_choice: str | bool | Mapping[str, Any] | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """A model that may call `tools`: tools, functions, pydantic classes or JSON Schemas.

        `tool_choice` is "auto", "none", "any" or "required", or the name of the one tool that has
        to be called.

        Raises:
            UsageError: when `tool_choice` names no tool, or a tool is the vendor's own.
        """
        formatted = [convert_to_openai_tool(tool, strict=strict) for tool in tools]
        names = [to_tool(tool).name for tool in formatted]
        choice = to_choice(tool_choice)
        if choice not in ("auto", "none", "required", *names):
            raise UsageError(f"no tool is named {choice}; there are {', '.join(names) or 'none'}")
        return self.bind(tools=formatted, tool_choice=choice, **kwargs)

    def with_structured_output(
        self,
        schema: Schema,
        *,
        include_raw: bool = False,
        method: Method = "function_calling",
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """A model whose answers are values of `schema` (pydantic, TypedDict or JSON Schema).

        "function_calling" makes the model call a tool of that shape, "json_schema" constrains its
        answer, and "json_mode" constrains it to any JSON object and leaves the rest to the prompt.
        """
        if kwargs:
            raise ValueError(f"with_structured_output takes no {', '.join(kwargs)}")
        described = convert_to_json_schema(schema, strict=strict)
        traced = {"kwargs": {"method": method}, "schema": schema}
        is_class = isinstance(schema, type) and is_basemodel_subclass(schema)
        parser: Runnable[Any, Any]
        if method == "function_calling":
            name = described["title"]  # demanded by name, a tool is called once
            model = self.bind_tools(
                [schema], tool_choice=name, strict=strict, ls_structured_output_format=traced
            )
            if is_class:
                parser = PydanticToolsParser(tools=[cast(type, schema)], first_tool_only=True)
            else:
                parser = JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)
        else:
            asked = {"type": "object"} if method == "json_mode" else described
            form = {"type": "json_schema", "json_schema": {"schema": asked}}
            model = self.bind(response_format=form, ls_structured_output_format=traced)
            if is_class:
                parser = PydanticOutputParser[Any](pydantic_object=cast(type, schema))
            else:
                parser = JsonOutputParser()
        return _with_raw(model, parser) if include_raw else model | parser

    def _request(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> Request:
        known = _KNOBS | {"tools", "tool_choice", "response_format", "stream"}
        for name in kwargs.keys() - known:
            raise UsageError(f"a call of ChatEngine takes no {name}; it takes {_listed(known)}")
        return Request(
            to_messages(messages),
            sampling=self._sampling(stop, {k: v for k, v in kwargs.items() if k in _KNOBS}),
            schema=to_schema(kwargs.get("response_format")),
            tools=tuple(to_tool(tool) for tool in kwargs.get("tools") or ()),
            tool_choice=to_choice(kwargs.get("tool_choice")),
        )

    def _sampling(self, stop: Sequence[str] | None, knobs: Mapping[str, Any]) -> Sampling:
        return _resampled(self.sampling, {"stop": stop, **knobs})

    def _chunks(self, request: Request) -> Generator[Chunk, None, None]:
        """The engine's stream, ended as soon as `cancel` is set or nobody reads on."""
        self._check_cancelled()
        turn = _turn(self.engine)
        with turn:
            stream = self.engine.stream(request)
        try:
            while True:
                with turn:
                    chunk = next(stream, None)
                if chunk is None:
                    return
                self._check_cancelled()
                yield chunk
        finally:
            if (close := getattr(stream, "close", None)) is not None:
                close()

    def _check_cancelled(self) -> None:
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled("the answer was stopped")

    def _tell(self, completion: Completion) -> None:
        if self.on_completion is not None:
            self.on_completion(completion)


def _turn(engine: Engine) -> AbstractContextManager[object]:
    """Held while an engine works, as LangChain's `batch` and async calls come from many threads.

    An engine with a KV cache of its own answers one request at a time; servers answer many. A
    stream gives its turn back after every piece, so that a reader may ask something in between.
    """
    return (
        _TURNS.setdefault(engine, threading.RLock())
        if isinstance(engine, Resumable)
        else nullcontext()
    )


def _resampled(sampling: Sampling, knobs: Mapping[str, Any]) -> Sampling:
    """`sampling` with those knobs that are not None; a lone stop string is one of a list."""
    given = {name: value for name, value in knobs.items() if value is not None}
    if "stop" in given:
        stop = given["stop"]
        given["stop"] = (stop,) if isinstance(stop, str) else tuple(stop)
    return replace(sampling, **given)


def _with_raw(
    model: Runnable[LanguageModelInput, AIMessage], parser: Runnable[Any, Any]
) -> Runnable[LanguageModelInput, Any]:
    """A dictionary of "raw", "parsed" and "parsing_error", as LangChain's own methods give it."""
    parsed = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | parser, parsing_error=lambda _: None
    )
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=model) | parsed.with_fallbacks([failed], exception_key="parsing_error")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
