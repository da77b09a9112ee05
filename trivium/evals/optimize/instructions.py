"""Instructions to try: from a list, and as a model proposes them.

An instruction is the system part of a prompt. Asking a model for instructions, given solved cases,
is automatic prompt engineering (Zhou et al. 2023, arXiv:2211.01910).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from trivium.engines.base import Message, Request, Sampling
from trivium.errors import UsageError
from trivium.evals.optimize.base import Candidate
from trivium.evals.optimize.demonstrations import adds_nothing
from trivium.prompts.base import Example, Prompt
from trivium.prompts.files import load_prompt
from trivium.prompts.render import fill, parse, schema_names, text

PHRASINGS = Path(__file__).with_name("phrasings.txt")
LONGEST = 600
"""Characters of a proposal; a longer one is an essay and no instruction."""
_PRESENT = re.compile(r"\{\{\s*instruction\s*\}\}")
_PLACE = re.compile(r"\{\{.*?\}\}")
_MANNERS = (
    "Keep it under 20 words.",
    "Say in full what counts as a right answer.",
    "Say who the model is and what it knows well.",
    "Say what form the answer has, and that nothing else may stand there.",
    "Name the mistakes that are easily made, and how to avoid them.",
    "Use plain, short sentences.",
    "Let the model look at the important words first.",
    "Describe the task as if to somebody who has never seen it.",
)


def read_instructions(file: Path) -> tuple[str, ...]:
    """One instruction a line; empty lines and those that begin with # are left aside.

    Raises:
        UsageError: when the file cannot be read or holds none.
    """
    try:
        lines = file.expanduser().read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error
    found = [line.strip() for line in lines]
    kept = tuple(line for line in found if line and not line.startswith("#"))
    if not kept:
        raise UsageError(f"{file} holds no instructions; write one a line")
    return kept


def instructed(base: Prompt, instruction: str, origin: str) -> Candidate | None:
    """`base` with another system part; None when the template is broken or says nothing new.

    `{{ instruction }}` in it stands for the present one (unless the prompt has a variable of that
    name). A variable that would be lost with the present one keeps it, below the new.
    """
    present = base.system.strip()
    system = instruction.strip()
    if all(one.name != "instruction" for one in base.variables):
        system = _PRESENT.sub(lambda _: present, system).strip()
    made = replace(base, system=system)
    if system in ("", present):
        return None
    try:
        if _used(base) - _used(made):
            made = replace(base, system=f"{system}\n{present}")
    except UsageError:
        return None
    if not adds_nothing(made, base):
        return None
    return Candidate(made, origin)


def proposals(
    base: Prompt, sample: Mapping[str, object], solved: Sequence[Example], count: int, seed: int
) -> list[Request]:
    """What a model is asked for `count` new instructions; `sample` is a row's inputs."""
    asking = load_prompt(Path(__file__).with_name("propose.yaml"))
    shown = text(base, "system", fill(base, sample))
    cases = "\n\n".join(
        f"{text(base, 'user', fill(base, one.inputs))}\nAnswer: {one.output}" for one in solved
    )
    requests = []
    for number in range(count):
        values = {
            "instruction": shown,
            "solved": cases,
            "manner": _MANNERS[number % len(_MANNERS)],
        }
        messages: tuple[Message, ...] = asking.render(values).messages
        sampling = Sampling(temperature=0.9, top_p=0.95, seed=seed + number, max_tokens=160)
        requests.append(Request(messages, sampling=sampling))
    return requests


def proposed(base: Prompt, sample: Mapping[str, object], said: str) -> Candidate | None:
    """The candidate that a model's answer means; None when it means none.

    What the present instruction takes from variables, such as a list of labels, is a variable in
    the new one as well, where the model has kept the words.
    """
    words = re.sub(r"^\W*(new |better )?(instruction|prompt)\W*:\s*", "", said.strip(), flags=re.I)
    words = words.split("\n\n")[0].strip().strip("\"'`*").strip()
    if not words or len(words) > LONGEST or re.search(r"\{[{%#]", words):
        return None
    words = "".join(one for one in words if one.isprintable() or one == "\n")
    filled = fill(base, sample)
    for place in dict.fromkeys(_PLACE.findall(base.system)):
        try:
            value = text(replace(base, system=place), "system", filled)
        except UsageError:  # a name that only a loop around it gives
            continue
        if len(value) > 2:
            words = words.replace(value, place)
    return instructed(base, words, "an instruction of the model")


def _used(prompt: Prompt) -> set[str]:
    names = set(parse(prompt, "system").names)
    return names | set(parse(prompt, "user").names) | schema_names(prompt.schema)
