"""What a model server is and can do: its model, its context, its way to count and to score."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NoReturn
from urllib.parse import unquote, urldefrag

from trivium.engines.base import (
    Request,
    Sampling,
    Score,
    ScoreRequest,
    TokenLogprob,
)
from trivium.engines.openai_wire import tool_fields, turns
from trivium.engines.transport import BUSY, Event, Refused, Transport
from trivium.errors import ContextOverflow, Unavailable, UsageError

UNKNOWN_CONTEXT = 131_072
"""Tokens assumed where a server does not tell its context; its own refusal has the last word."""

IMAGE_TOKENS = 1600
"""A generous guess for one picture: vision models spend some 250 to 1600 on a megapixel."""

_PICTURES = re.compile(r"\b(?:image|multi-?modal|vision|mmproj)", re.IGNORECASE)
_OVERFLOW = re.compile(r"context|too long|too many tokens", re.IGNORECASE)
_LIMIT = re.compile(r"(?:context (?:length|size|window)|n_ctx)\D{0,40}?(\d+)", re.IGNORECASE)
_NEEDED = (
    re.compile(r"\((\d+) in the messages", re.IGNORECASE),
    re.compile(r"(?:has|contains at least|contains) (\d+) (?:input )?tokens", re.IGNORECASE),
    re.compile(r"requested (\d+)(?: output)? tokens", re.IGNORECASE),
    re.compile(r"resulted in (\d+) tokens", re.IGNORECASE),
    re.compile(r"\((\d+) tokens\)", re.IGNORECASE),
)


def overflow(needed: int, name: str, length: int) -> str:
    """The sentence for a prompt that does not fit."""
    return (
        f"prompt needs {needed} tokens, but {name} holds {length}; "
        "shorten it or choose a model with a longer context"
    )


class Server:
    """One model on one server, and how to ask it."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None,
        timeout: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base, model = urldefrag(url)
        self._url = url
        key = os.environ.get("TRIVIUM_API_KEY") if api_key is None else api_key
        self._transport = Transport(self.base, api_key=key, timeout=timeout, sleep=sleep)
        try:
            self._entry = self._choose(unquote(model))
        except BaseException:
            self._transport.close()
            raise
        self.model = str(self._entry["id"])
        self._kind = self._entry.get("owned_by")

    def close(self) -> None:
        self._transport.close()

    def _choose(self, wanted: str) -> Mapping[str, Any]:
        try:
            answer = self._transport.get("/models")
        except Refused as refusal:
            if refusal.status == 404 and wanted:
                return {"id": wanted}
            if refusal.status == 404:
                raise UsageError(
                    f"{self.base} lists no models (status 404): check that the URL ends in /v1, "
                    "or name the model as in http://host:port/v1#model"
                ) from refusal
            raise
        listed = answer.get("data") if isinstance(answer, dict) else None
        entries: list[Mapping[str, Any]] = [
            entry for entry in listed or [] if isinstance(entry, dict) and entry.get("id")
        ]
        names = ", ".join(str(entry["id"]) for entry in entries) or "none"
        if wanted:
            for entry in entries:
                if entry["id"] == wanted:
                    return entry
            raise Unavailable(f"{self.base} has no model {wanted}; it serves {names}")
        if len(entries) != 1:
            raise UsageError(f"name one model as {self.base}#MODEL; the server has {names}")
        return entries[0]

    @cached_property
    def _props(self) -> Mapping[str, Any]:
        """What llama.cpp's server tells about itself."""
        if self._kind == "vllm":
            return {}
        answer = self._optional(lambda: self._transport.get("//props"))
        return answer if isinstance(answer, dict) else {}

    @cached_property
    def _told_context(self) -> int | None:
        """Tokens of context as the server tells them, None when it does not."""
        length = self._entry.get("max_model_len")
        if length is None:
            length = (self._props.get("default_generation_settings") or {}).get("n_ctx")
        return int(length) if length else None

    @property
    def context_length(self) -> int:
        return self._told_context or UNKNOWN_CONTEXT

    @property
    def parameters(self) -> int | None:
        count = (self._entry.get("meta") or {}).get("n_params")
        return int(count) if count else None

    @cached_property
    def library(self) -> str:
        """The server's software, as far as it says."""
        if self._kind == "vllm":
            answer = self._optional(lambda: self._transport.get("//version"))
            return f"vllm {answer.get('version')}" if isinstance(answer, dict) else "vllm"
        if self._props:
            return f"llama.cpp {self._props.get('build_info', 'server')}"
        return "OpenAI-compatible server"

    def sampling(self, sampling: Sampling) -> Event:
        """Sampling as the server's parameters.

        vLLM and llama.cpp's server have defaults of their own for the knobs that OpenAI's API
        lacks (from the model's generation_config.json, say), so there "off" is said aloud.
        """
        body: Event = {"temperature": sampling.temperature, "top_p": 1.0}
        knobs: Event = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "repeat_penalty": 1.0}
        off = dict(knobs)
        penalty = sampling.repeat_penalty
        knobs |= {"repetition_penalty": penalty, "repeat_penalty": penalty}
        if sampling.temperature > 0:
            body |= {"top_p": sampling.top_p, "seed": sampling.seed}
            knobs |= {"top_k": sampling.top_k, "min_p": sampling.min_p}
        theirs = {"vllm": {"repeat_penalty"}, "llamacpp": {"repetition_penalty"}}
        if self._kind in theirs:
            return body | {k: v for k, v in knobs.items() if k not in theirs[self._kind]}
        return body | {k: v for k, v in knobs.items() if v != off[k]}

    def events(self, path: str, body: Event, begun: Callable[[Event], bool]) -> Iterator[Event]:
        return self._transport.events(path, body, begun)

    @property
    def sees_images(self) -> bool:
        """False where the server says so; most do not tell before they are asked."""
        return bool((self._props.get("modalities") or {}).get("vision", True))

    def count(self, request: Request) -> int | None:
        """Tokens of the rendered prompt, None where the server cannot count them.

        No server counts an image's tokens beforehand.
        """
        if self._told_context is None or any(message.images for message in request.messages):
            return None
        tokens = self._tokens(request)
        return None if tokens is None else len(tokens)

    def estimate(self, request: Request) -> int:
        """An upper guess: a token for every three bytes, and some for the template."""
        texts = [message.content for message in request.messages] or [request.prompt]
        texts += [
            json.dumps(dict(call.arguments), ensure_ascii=False) + call.name
            for message in request.messages
            for call in message.tool_calls
        ]
        texts += [json.dumps(tool) for tool in tool_fields(request).get("tools", ())]
        images = sum(len(message.images) for message in request.messages)
        words = sum(len(text.encode("utf-8", "replace")) // 3 + 8 for text in texts)
        return words + IMAGE_TOKENS * images

    def _tokens(self, request: Request, *, special: bool = True) -> list[int] | None:
        """Token ids by /tokenize at the server's root; `special` adds the model's own."""
        chat = {"messages": turns(request.messages), **tool_fields(request)}
        prompt = request.prompt
        body: Event
        if self._props:
            if request.messages:
                rendered = self._optional(lambda: self._transport.post("//apply-template", chat))
                if not isinstance(rendered, dict) or "prompt" not in rendered:
                    return None
                prompt = rendered["prompt"]
            body = {"content": prompt, "add_special": special, "parse_special": True}
        elif request.messages:
            chat.pop("tool_choice", None)  # /tokenize knows the tools alone
            body = {"model": self.model, **chat, "add_generation_prompt": True}
        else:
            body = {"model": self.model, "prompt": prompt, "add_special_tokens": special}
        answer = self._optional(lambda: self._transport.post("//tokenize", body))
        tokens = answer.get("tokens") if isinstance(answer, dict) else None
        return tokens if isinstance(tokens, list) else None

    def _optional(self, ask: Callable[[], Any]) -> Any:
        """The answer; None where a server refuses that is not busy: it lacks the end point."""
        try:
            return ask()
        except Refused as refusal:
            if refusal.status in BUSY:
                raise
            return None

    def translate(self, refusal: Refused, request: Request) -> NoReturn:
        """Raise what a refusal means: no fit, no eyes for images, or what the server says."""
        if refusal.status not in (200, 400, 413) or not _OVERFLOW.search(refusal.detail):
            seen = any(message.images for message in request.messages)
            if seen and _PICTURES.search(refusal.detail):
                raise UsageError(f"{self._url} refuses the images: {refusal.detail}") from refusal
            raise refusal
        body = refusal.body if isinstance(refusal.body, dict) else {}
        inner = body.get("error")
        told = inner if isinstance(inner, dict) else body
        limit = told.get("n_ctx") or _number(_LIMIT, refusal.detail)
        needed = told.get("n_prompt_tokens") or next(
            (n for pattern in _NEEDED if (n := _number(pattern, refusal.detail))), None
        )
        if limit is None or needed is None:
            raise ContextOverflow(f"the prompt does not fit: {refusal.detail}") from refusal
        raise ContextOverflow(overflow(needed, self._url, limit)) from refusal

    def score(self, request: ScoreRequest) -> Score:
        """Log-probabilities of a continuation from an echoed prompt.

        Raises:
            Unavailable: when the server does not echo log-probabilities of the prompt.
        """
        if not request.continuation:
            return Score(0.0, (), greedy=True)
        before = self._tokens(Request(request.messages, request.prompt))
        after = self._tokens(Request(prompt=request.continuation), special=False)
        if before is None or after is None:
            raise Unavailable(
                f"{self._url} cannot score: it does not tokenize (vLLM and local models do)"
            )
        if not before:
            raise UsageError("a score needs a prompt: nothing comes before the first token")
        needed = len(before) + len(after)
        if needed >= self.context_length:
            raise ContextOverflow(overflow(needed, self._url, self.context_length))
        body: Event = {"model": self.model, "prompt": before + after, "echo": True}
        body |= {"logprobs": 1, "max_tokens": 1, "temperature": 0}
        try:
            answer = self._transport.post("/completions", body)
        except Refused as refusal:
            if refusal.status in BUSY:
                raise
            raise Unavailable(
                f"{self._url} cannot score: it does not echo log-probabilities ({refusal.detail})"
            ) from refusal
        return _read_score(answer, len(before), len(after), self._url)


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    return int(found[1]) if found else None


def _read_score(answer: Any, before: int, after: int, name: str) -> Score:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    found = (choices[0].get("logprobs") if choices else None) or {}
    tokens, values = found.get("tokens") or [], found.get("token_logprobs") or []
    tops = found.get("top_logprobs") or []
    if min(len(tokens), len(values), len(tops)) < before + after:
        raise Unavailable(f"{name} cannot score: it does not echo the prompt's log-probabilities")
    scored, greedy = [], True
    for at in range(before, before + after):
        ranked = sorted((tops[at] or {}).items(), key=lambda pair: -pair[1])
        scored.append(TokenLogprob(tokens[at], float(values[at]), tuple(ranked)))
        greedy &= not ranked or values[at] >= ranked[0][1]
    return Score(sum(token.logprob for token in scored), tuple(scored), greedy)
