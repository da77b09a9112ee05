"""The files of BBQ: the authors' items, which answer is the target of a bias, and predictions.

Source: Parrish et al. 2022, BBQ: A Hand-Built Bias Benchmark for Question Answering, Findings of
ACL; https://github.com/nyu-mll/BBQ
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trivium.errors import UsageError
from trivium.evals.data import read
from trivium.evals.scorers.text import normalise

Columns = Mapping[str, object]

CATEGORIES = (
    "Age", "Disability_status", "Gender_identity", "Nationality", "Physical_appearance",
    "Race_ethnicity", "Race_x_SES", "Race_x_gender", "Religion", "SES", "Sexual_orientation",
)  # fmt: skip
POLARITIES = {"neg": "negative", "nonneg": "non-negative"}
CONDITIONS = {"ambig": "ambiguous", "disambig": "disambiguated"}
COMPARISONS = {
    "intersectional_a": "same race",
    "intersectional_b": "same {second}",
    "intersectional_c": "both differ",
}
"""What the two people of an intersectional item have in common."""

_SECOND = {"Race_x_gender": "gender", "Race_x_SES": "SES"}
# The items of intersectional categories name the stereotyped races; the gender or status that goes
# with them stands only in the authors' templates (Known_stereotyped_var2), by question_index.
_OF_MEN = frozenset("1 2 7 8 43 44".split())
_OF_LOW_STATUS = frozenset("1 2 3 4 5 6 7 8 9 10 11 12 17 18".split())
_FIRST_NAMED = 26
"""From this template on, people of two categories have names in place of labels."""
_NAMED = ("Gender_identity", "Race_ethnicity")
_NAMED_IN_WORDS = (*_NAMED, *_SECOND)
_SAME = {
    "man": "m", "men": "m", "boy": "m", "boys": "m", "male": "m", "guy": "m", "father": "m",
    "woman": "f", "women": "f", "girl": "f", "girls": "f", "female": "f", "lady": "f",
    "mother": "f", "latina": "latino",
}  # fmt: skip


def bbq(path: Path) -> Iterator[Columns]:
    """An authors' file `CATEGORY.jsonl`, or a folder with any of them; other files are left alone.

    Columns beside the text: `label` and `unknown` are positions of answers, `targets` those of the
    answers that a stereotype is about (none, one or two), `group` the category as the paper reports
    it, `comparison` what an intersectional item's people share, `template` what items were made of.

    Raises:
        UsageError: naming the file and the row that is wrong.
    """
    files = [path]
    if path.is_dir():
        files = [file for name in CATEGORIES if (file := path / f"{name}.jsonl").is_file()]
        if not files:
            raise UsageError(f"{path} has no file of BBQ, such as Age.jsonl")
    for file in files:
        for number, row in numbered(file):
            yield item(row, f"{file}, row {number}")


def numbered(file: Path) -> Iterator[tuple[int, Columns]]:
    """The rows of a JSON Lines, CSV or Parquet file, counted from 1.

    Raises:
        UsageError: naming the file, and the line that is no UTF-8 or cannot be read.
    """
    try:
        content = b"" if file.suffix.lower() == ".parquet" else file.read_bytes()
        content.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{file}, line {line} is not UTF-8: byte 0x{content[error.start]:02x} at byte "
            f"{error.start}; save the whole file as UTF-8"
        ) from error
    yield from enumerate(read(file, None), start=1)


def item(row: Columns, where: str) -> Columns:
    """The columns of one of the authors' items.

    Raises:
        UsageError: `where` it has a column too few, or a value that BBQ has not.
    """
    category = one_of(row, "category", CATEGORIES, where)
    index, answers = str(_column(row, "question_index", where)), range(3)
    try:
        info: Any = _column(row, "answer_info", where)
        marks = [(str(info[f"ans{at}"][0]), str(info[f"ans{at}"][1])) for at in answers]
        more: Any = _column(row, "additional_metadata", where)
        groups = [str(group) for group in _a_list(more["stereotyped_groups"])]
        kind = str(more.get("subcategory"))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise UsageError(f"{where}: answer_info or additional_metadata is not BBQ's") from error
    unknown = [at for at in answers if marks[at][1] == "unknown"]
    if len(unknown) != 1:
        raise UsageError(f"{where}: {len(unknown)} answers are marked unknown; BBQ has one")
    label = _column(row, "label", where)
    if not isinstance(label, int) or isinstance(label, bool) or label not in answers:
        raise UsageError(f"{where}: the label {label!r:.50} is none of 0, 1, 2")
    texts = [str(_column(row, f"ans{at}", where)) for at in answers]
    named = category in _NAMED and index.isdigit() and int(index) >= _FIRST_NAMED
    return {
        "id": f"{category}/{_column(row, 'example_id', where)}",
        "category": category,
        "group": f"{category} (names)" if named else category,
        "comparison": COMPARISONS.get(kind, "").format(second=_SECOND.get(category, "")),
        "template": f"{category}/{index}",
        "polarity": POLARITIES[one_of(row, "question_polarity", POLARITIES, where)],
        "condition": CONDITIONS[one_of(row, "context_condition", CONDITIONS, where)],
        "context": str(_column(row, "context", where)).strip(),
        "question": str(_column(row, "question", where)).strip(),
        "choices": texts,
        **dict(zip("ABC", texts, strict=True)),
        "label": label,
        "letter": "ABC"[label],
        "answer": texts[label],
        "unknown": unknown[0],
        "targets": _targets(category, index, marks, texts, groups),
    }


def is_target(category: str, index: str, mark: tuple[str, str], groups: Sequence[str]) -> bool:
    """Whether an answer is of a group that the item's stereotype is about.

    `mark` is the answer's label and its tag, `groups` the item's stereotyped groups; either may
    name the group (Nationality: by the label). In intersectional categories the race has to be one
    of the groups, and the gender or status that of the template `index`.
    """
    label, tag = (_plain(part) for part in mark)
    if tag == "unknown":
        return False
    wanted = {_plain(group) for group in groups}
    if category == "Race_x_gender":
        gender, _, race = tag.partition("-")
        return race in wanted and gender == ("m" if index in _OF_MEN else "f")
    if category == "Race_x_SES":
        status, _, race = tag.partition("-")
        fits = status == ("lowses" if index in _OF_LOW_STATUS else "highses")
        return fits and race.removeprefix("f-").removeprefix("m-") in wanted
    # a tag may carry a gender as well: "F-Black", "trans_F"
    parts = {tag, tag.removeprefix("f-").removeprefix("m-"), tag.partition("_")[0]}
    return not wanted.isdisjoint(parts | {label})


def _targets(
    category: str,
    index: str,
    marks: Sequence[tuple[str, str]],
    texts: Sequence[str],
    groups: Sequence[str],
) -> list[int]:
    """The positions of an item's targets, by the marks of its answers.

    Hundreds of items about race and gender mark both people alike, or one not at all: the authors'
    generator took "African American" for "African", and lost "Latina". Where the words of such
    answers name one target, it is that.
    """
    people = [at for at, (_, tag) in enumerate(marks) if tag != "unknown"]
    alike = len({marks[at] for at in people}) == 1 or not all(marks[at][1] for at in people)
    if alike and category in _NAMED_IN_WORDS:
        made = {at: _in_words(texts[at], marks[at][1], groups) for at in people}
        named = [at for at in people if is_target(category, index, made[at], groups)]
        if len(named) == 1:
            return named
    return [at for at in people if is_target(category, index, marks[at], groups)]


def _in_words(text: str, tag: str, groups: Sequence[str]) -> tuple[str, str]:
    """A mark made of the words of an answer: the stereotyped group in them, and the gender.

    "The African American man", whose tag in the file is "M-African", is "m-African American". A
    tag's status (SES) stays, as few answers name it.
    """
    words = [_SAME.get(word, word) for word in normalise(text).split()]
    said = f" {' '.join(words)} "
    group = next((one for one in groups if f" {_SAME.get(one.lower(), one.lower())} " in said), "")
    gender = next((word for word in words if word in ("m", "f")), "")
    return group, f"{tag.partition('-')[0] if 'SES' in tag else gender}-{group}"


def _plain(text: str) -> str:
    """Without case, spaces and the braces that a template left; genders by one letter."""
    bare = "".join(text.lower().split()).strip("{}")
    return _SAME.get(bare, bare)


def _a_list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def one_of(row: Columns, name: str, known: Sequence[str] | Mapping[str, str], where: str) -> str:
    """The text of a column that may say only what is `known`.

    Raises:
        UsageError: when it is not there, or says something else.
    """
    value = str(_column(row, name, where))
    if value not in known:
        raise UsageError(f'{where}: the {name} "{value:.100}" is none of {", ".join(known)}')
    return value


def _column(row: Columns, name: str, where: str) -> object:
    if name not in row:
        raise UsageError(f'{where} has no column "{name}"; it has {", ".join(row)}')
    return row[name]
