"""A follow-up question made to stand alone, so that a search can understand it.

"And when was it built?" finds nothing by itself. The model rewrites it from the last turns, and
because small models often fail at that, the rewriting is checked and the original kept in doubt:
a search for what the user wrote is better than one for what a model made up.
"""

import re
from collections.abc import Sequence

from trivium.agent.base import Node
from trivium.engines.base import Engine, Message, Request, Sampling
from trivium.errors import ContextOverflow
from trivium.retrieval.words import STOP_WORDS, stems

EXCHANGES = 3
"""Questions and answers before the follow-up that the model is shown."""
ANSWER_CHARACTERS = 400
"""The part of an earlier answer that is shown: a follow-up is mostly about its beginning."""
MAX_TOKENS = 64
LONGEST = 300
"""Characters that a rewriting may add to the question."""

_PRONOUNS = frozenset(
    """it its itself they them their theirs he him his she her hers this that these those there then
    one ones former latter same such other others another else both neither either""".split()
)
_CONTINUES = re.compile(
    r"(?:and|or|but|so|also|then|what about|how about|why|how so|which one|more|again)\b", re.I
)
_EXISTS = re.compile(r"\b(?:is|are|was|were|be|been) there\b", re.I)
_WORD = re.compile(r"\w+")
_NAME = re.compile(r"(?<!\w)[A-Z]\w+|\d+")
_LABEL = re.compile(r"(?:stand-?alone|rewritten|the|full)*\s*question\s*:\s*", re.I)

_SYSTEM = Message(
    "system",
    "Rewrite the last question so that it can be understood without the conversation: put the "
    "names in the place of words such as it, they, he or there. Write the question alone.",
)
_TURN = "{conversation}\nLast question: {question}"
# Unlike each other in what refers back: a pronoun, an ellipsis, a place.
_EXAMPLES = (
    (
        "User: Who painted the Mona Lisa?\nAssistant: Leonardo da Vinci painted it.",
        "When did he die?",
        "When did Leonardo da Vinci die?",
    ),
    (
        "User: How high is Mount Kenya?\nAssistant: Mount Kenya is 5,199 metres high.",
        "And Kilimanjaro?",
        "How high is Kilimanjaro?",
    ),
    (
        "User: Where is the Prado?\nAssistant: The Prado is in Madrid.",
        "How many people live there?",
        "How many people live in Madrid?",
    ),
)


def standalone(engine: Engine, history: Sequence[Node], question: str) -> str:
    """`question` in words that need no history, or as it is.

    It stays as it is when there is no history, when it leans on none (see `leans`), and when the
    model's rewriting does not hold (see `holds`). Greedy, at most 64 tokens.

    Raises:
        Unavailable: when the model cannot be reached.
    """
    spoken = [node for node in history if node.role in ("user", "assistant") and node.content]
    if not spoken or not leans(question):
        return question
    shown = "\n".join(map(_line, spoken[-2 * EXCHANGES :]))
    try:
        (completion,) = engine.generate([_request(shown, question)])
    except ContextOverflow:
        return question
    lines = [line.strip() for line in completion.text.splitlines() if line.strip()]
    rewritten = _LABEL.sub("", lines[0], count=1).strip("\"'“”*` ") if lines else ""
    said = "\n".join(node.content for node in spoken)
    return rewritten if holds(rewritten, question, said) else question


def leans(question: str) -> bool:
    """Whether a question seems to need what was said before it. English, cheap and generous.

    It does when it holds a pronoun or a word such as "there" or "same", when it begins as a
    continuation ("and", "what about", "why"), or when it has fewer than two words of content. A
    definite noun ("the bridge") is not noticed; a needless yes costs one short call of the model.
    """
    words = _WORD.findall(_EXISTS.sub(" ", question).lower())
    if not words:
        return False
    content = [word for word in words if word not in STOP_WORDS]
    return (
        not _PRONOUNS.isdisjoint(words)
        or _CONTINUES.match(question.strip()) is not None
        or len(content) < 2
    )


def holds(rewritten: str, question: str, said: str) -> bool:
    """Whether a rewriting may stand for `question` after a conversation that `said` this.

    It must keep the question's own words of content and its question mark, bring at least one word
    from the conversation and no name or number that neither has, and not be far longer.
    """
    if not rewritten or len(rewritten) > len(question) + LONGEST:
        return False
    if question.rstrip().endswith("?") and not rewritten.endswith("?"):
        return False  # an answer, most likely
    asked, told, new = (set(bag) for bag in stems([question, said, rewritten]))
    if any(word.lower() not in STOP_WORDS for word in _WORD.findall(question)) and not asked <= new:
        return False
    if not (new - asked) & told:
        return False
    known = {word.lower() for word in _WORD.findall(f"{question}\n{said}")}
    first = _WORD.search(rewritten)
    names = {
        name.group() for name in _NAME.finditer(rewritten) if first and name.start() > first.start()
    }
    return {name.lower() for name in names} <= known


def _line(node: Node) -> str:
    """A turn of the conversation on one line, an answer by its beginning."""
    text = " ".join(node.content.split())
    if node.role == "user":
        return f"User: {text}"
    return f"Assistant: {text[:ANSWER_CHARACTERS]}"


def _request(conversation: str, question: str) -> Request:
    turns = [_SYSTEM]
    for said, asked, reply in _EXAMPLES:
        turns.append(Message("user", _TURN.format(conversation=said, question=asked)))
        turns.append(Message("assistant", reply))
    turns.append(Message("user", _TURN.format(conversation=conversation, question=question)))
    return Request(tuple(turns), sampling=Sampling(max_tokens=MAX_TOKENS))
