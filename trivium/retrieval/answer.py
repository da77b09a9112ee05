"""A question to a cited answer: search, weigh, write, attribute.

Nothing is printed here. A caller that wants to show the words as they come passes `on_text`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter

from trivium.engines.base import Completion, Engine, Message, Request, Sampling
from trivium.errors import ContextOverflow
from trivium.retrieval.attribute import attribute, quote
from trivium.retrieval.base import Citation, Claim, Hit, Reranker
from trivium.retrieval.evidence import Evidence, Sentence, weigh
from trivium.retrieval.index import Index
from trivium.retrieval.words import stems

GREEDY = Sampling(max_tokens=256)

SMALL = 1_000_000_000
"""Models below this many parameters lose the thread in whole passages; they get sentences."""

SENTENCES = 2
"""Source sentences that a small model reads."""

NOT_SAID = "The documents do not say."

_BRIEF = "Text: {text}\nQuestion: {question}"
_BRIEF_SYSTEM = Message("system", "Answer each question from its text, in one sentence.")
# A model of 135 M parameters copies the form of an example better than it follows a rule.
_EXAMPLES = (
    (
        "The Amazon River rises in the Andes of Peru. It flows 6,400 km to the Atlantic Ocean.",
        "How long is the Amazon River?",
        "The Amazon River is 6,400 km long.",
    ),
    (
        "The library opened in 1894 under its first director, Ada Holm. She had taught Latin.",
        "Who was the first director of the library?",
        "The first director of the library was Ada Holm.",
    ),
    (
        "Bees visit flowers because they need nectar for energy. Pollen gives them protein.",
        "Why do bees visit flowers?",
        "Bees visit flowers because they need nectar for energy.",
    ),
)
_WHOLE = (
    "Answer the question from the passages below and from nothing else. Be brief, use their own "
    f'words, and write complete sentences. If they do not answer it, write "{NOT_SAID}"\n\n'
    "{text}\n\nQuestion: {question}"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and everything it stands on.

    `text` is what to show, empty when nothing was `found`. `generated` keeps the model's own
    words; when the documents support none of them, `quoted` is true and `text` is the best source
    sentence instead. `confidence` is the evidence's answerability. Times are seconds.
    """

    question: str
    found: bool
    confidence: float
    hits: tuple[Hit, ...]
    text: str = ""
    claims: tuple[Claim, ...] = ()
    generated: str = ""
    quoted: bool = False
    passages_read: int = 0
    completion: Completion | None = None
    model: str | None = None
    engine_fingerprint: str | None = None
    index: str = ""
    index_fingerprint: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Every citation once, in the order in which the claims use them."""
        once: dict[_Key, Citation] = {}
        for claim in self.claims:
            for citation in claim.citations:
                once.setdefault(_key(citation), citation)
        return tuple(once.values())

    def numbers(self, claim: Claim) -> list[int]:
        """The 1-based places in `citations` of what supports `claim`."""
        order = [_key(citation) for citation in self.citations]
        return [order.index(_key(citation)) + 1 for citation in claim.citations]

    def to_dict(self) -> dict[str, object]:
        """The stable document of `trivium ask --json`."""
        usage = self.completion
        return {
            "question": self.question,
            "found": self.found,
            "answer": self.text if self.found and self.model else None,
            "quoted": self.quoted,
            "generated": self.generated if self.model else None,
            "confidence": round(self.confidence, 4),
            "claims": [
                {
                    "text": claim.text,
                    "start": claim.start,
                    "end": claim.end,
                    "supported": claim.supported,
                    "citations": self.numbers(claim),
                }
                for claim in self.claims
            ],
            "citations": [{"id": n} | asdict(c) for n, c in enumerate(self.citations, start=1)],
            "passages": [_passage(hit) for hit in self.hits],
            "passages_read": self.passages_read,
            "usage": {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "finish": usage.finish,
            }
            if usage
            else None,
            "timings": {name: round(seconds, 4) for name, seconds in self.timings.items()},
            "model": {"name": self.model, "fingerprint": self.engine_fingerprint}
            if self.model
            else None,
            "index": {"name": self.index, "fingerprint": self.index_fingerprint},
        }


_Key = tuple[str, int, int]


def _key(citation: Citation) -> _Key:
    return citation.path, citation.start, citation.end


def _passage(hit: Hit) -> dict[str, object]:
    row = asdict(hit)
    passage = row.pop("passage")
    return {key: passage[key] for key in ("path", "page", "start", "end", "heading", "text")} | row


@dataclass(frozen=True, slots=True)
class Asker:
    """An index and a model, ready for questions. Without an engine, passages alone are found."""

    index: Index
    engine: Engine | None
    top_k: int = 5
    reranker: Reranker | None = None
    sampling: Sampling = GREEDY

    @property
    def run_id(self) -> str:
        """Names index, model and settings: equal ids give comparable answers."""
        engine = self.engine.fingerprint.id if self.engine else None
        reranker = type(self.reranker).__name__ if self.reranker else None
        parts = [self.index.fingerprint, engine, self.top_k, reranker, asdict(self.sampling)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def ask(
        self,
        question: str,
        on_text: Callable[[str], None] | None = None,
        *,
        given: Sequence[Hit] | None = None,
    ) -> Answer:
        """Answer one question. `on_text` receives the model's words as they are written.

        With `given`, these passages are read instead of searched for, and nothing is refused.

        Raises:
            ContextOverflow: when not even the best passage fits the model's context.
        """
        clock = _Clock()
        search = self.index.search
        hits = tuple(given or search(question, self.top_k, reranker=self.reranker))
        clock.lap("search")
        evidence = self._weigh(question, hits)
        clock.lap("weigh")
        found = bool(given) or evidence.answerable
        base = Answer(
            question,
            found,
            evidence.answerability,
            hits,
            index=self.index.name,
            index_fingerprint=self.index.fingerprint,
            model=self.engine.name if self.engine else None,
            engine_fingerprint=self.engine.fingerprint.id if self.engine else None,
        )
        if self.engine is None or not found:
            return replace(base, timings=clock.laps)
        completion, read = self._write(self.engine, question, hits, evidence, on_text)
        clock.lap("generate")
        answer = self._attribute(base, completion, evidence)
        clock.lap("attribute")
        return replace(answer, completion=completion, passages_read=read, timings=clock.laps)

    def _weigh(self, question: str, hits: tuple[Hit, ...]) -> Evidence:
        idf = self.index.idf(stems([question])[0])
        return weigh(question, hits, idf, self.index.embedder)

    def _write(
        self,
        engine: Engine,
        question: str,
        hits: tuple[Hit, ...],
        evidence: Evidence,
        on_text: Callable[[str], None] | None,
    ) -> tuple[Completion, int]:
        """Stream the model's answer; the number of passages it was given comes with it."""
        if is_small(engine):
            request, read = _brief(question, evidence, self.sampling)
        else:
            request, read = self._whole(engine, question, hits)
        for chunk in engine.stream(request):
            if on_text and chunk.text:
                on_text(chunk.text)
            if chunk.completion:
                return chunk.completion, read
        raise AssertionError("an engine's stream ends with its completion")

    def _whole(self, engine: Engine, question: str, hits: tuple[Hit, ...]) -> tuple[Request, int]:
        """As many whole passages as the context holds beside the answer, best first."""
        room = engine.context_length - (self.sampling.max_tokens or 0)

        def render(read: Sequence[Hit]) -> Request:
            text = "\n\n".join(f"[{n}] {hit.passage.text}" for n, hit in enumerate(read, start=1))
            content = _WHOLE.format(text=text, question=question)
            return Request((Message("user", content),), sampling=self.sampling)

        request, count, tokens = fit(engine, hits, render, room)
        if tokens <= room:
            return request, count
        raise ContextOverflow(
            f"the question with one passage needs {tokens} tokens and the answer up to "
            f"{self.sampling.max_tokens}, but {engine.name} holds {engine.context_length}; "
            "lower --max-tokens or choose a model with a longer context"
        )

    def _attribute(self, base: Answer, completion: Completion, evidence: Evidence) -> Answer:
        text = completion.text.strip()
        if text.strip('"') == NOT_SAID:
            return replace(base, found=False, generated=text)
        claims = attribute(text, evidence, self.index.idf, self.index.embedder)
        if any(claim.supported for claim in claims):
            return replace(base, text=text, claims=claims, generated=text)
        claim = quotation(evidence)
        return replace(base, text=claim.text, claims=(claim,), generated=text, quoted=True)


def is_small(engine: Engine) -> bool:
    """Whether the model reads sentences rather than whole passages."""
    return engine.parameters is not None and engine.parameters < SMALL


def best_sentences(evidence: Evidence) -> tuple[Sentence, ...]:
    """The few sentences that a small model reads, in the order of their documents."""
    best = evidence.sentences[:SENTENCES]
    return tuple(sorted(best, key=lambda s: (s.passage.path, s.passage.start, s.start)))


def quotation(evidence: Evidence) -> Claim:
    """The best source sentence as a claim of its own, for an answer that nothing supports."""
    best = evidence.sentences[0]
    return Claim(best.text, 0, len(best.text), (quote(best, best.cosine),))


def fit(
    engine: Engine, hits: Sequence[Hit], render: Callable[[Sequence[Hit]], Request], room: int
) -> tuple[Request, int, int]:
    """The request that shows as many of `hits` as `room` tokens hold, best first.

    Returns:
        It, the number of hits in it, and its tokens: more than `room` where one hit is too many.
    """
    count = len(hits)
    while True:
        request = render(hits[:count])
        tokens = engine.count_tokens(request)
        if tokens <= room or count <= 1:
            return request, count, tokens
        count -= 1


def _brief(question: str, evidence: Evidence, sampling: Sampling) -> tuple[Request, int]:
    """The best sentences after examples, for a model that reads little."""
    best = best_sentences(evidence)
    turns = [_BRIEF_SYSTEM]
    for text, asked, reply in _EXAMPLES:
        turns += [
            Message("user", _BRIEF.format(text=text, question=asked)),
            Message("assistant", reply),
        ]
    text = " ".join(sentence.text for sentence in best)
    turns.append(Message("user", _BRIEF.format(text=text, question=question)))
    read = len({sentence.passage for sentence in best})
    return Request(messages=tuple(turns), sampling=sampling), read


class _Clock:
    """Seconds between laps, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = perf_counter()

    def lap(self, name: str) -> None:
        now = perf_counter()
        self.laps[name] = now - self._last
        self._last = now
