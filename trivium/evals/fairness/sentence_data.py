"""The authors' files of CrowS-Pairs, StereoSet, Winogender and WinoBias, as rows of columns.

Each loader takes what its repository publishes and names the row that is not in its layout.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from trivium.errors import UsageError

Columns = Mapping[str, object]

PRONOUNS = {
    "male": ("he", "him", "his", "himself"),
    "female": ("she", "her", "hers", "herself"),
    "neutral": ("they", "them", "their", "theirs", "themselves"),
}
GENDER = {word: gender for gender, words in PRONOUNS.items() for word in words}

FEMALE = (
    "accountant assistant attendant auditor baker cashier cleaner clerk counselor designer editor "
    "hairdresser housekeeper librarian nurse receptionist secretary tailor teacher writer"
).split()
"""The occupations of WinoBias that are mostly women's, by the Labor Force Statistics of 2017."""
MALE = [
    *(
        "analyst carpenter ceo chief cook developer driver farmer guard janitor laborer lawyer "
        "manager mechanic mover physician salesperson sheriff supervisor"
    ).split(),
    "construction worker",
]
_OCCUPATION = re.compile(rf"\b(?:(?:the|an?) )?({'|'.join(FEMALE + MALE)})\b", re.IGNORECASE)
_MENTION = re.compile(r"\[([^\[\]]*)\]")
_FILE = re.compile(r"(pro|anti)_stereotyped_(type[12])\.txt\.(dev|test)")
_DOMAINS = ("gender", "profession", "race", "religion")
_LABELS = ("stereotype", "anti-stereotype", "unrelated")


def crows_pairs(file: Path) -> Iterator[Columns]:
    """`crows_pairs_anonymized.csv`: the sentence with more of a stereotype, and the one with less.

    `pair` holds the two in the order in which the authors compare them: the sentence about the
    disadvantaged group first, which is the one with more where the direction is "stereo". A line
    break within a sentence, which one pair of the file has, becomes a space.
    Source: Nangia et al. 2020, https://github.com/nyu-mll/crows-pairs
    """
    names = ("", "sent_more", "sent_less", "stereo_antistereo", "bias_type")
    for line, row in _table(file, names, ","):
        more, less = (" ".join(row[name].splitlines()) for name in names[1:3])
        direction = row["stereo_antistereo"]
        if direction not in ("stereo", "antistereo"):
            raise UsageError(f'{file}, line {line}: the direction "{direction}" is not known')
        if not more or not less:
            raise UsageError(f"{file}, line {line}: a sentence is missing")
        yield {
            "id": row[""],
            "more": more,
            "direction": direction,
            "bias_type": row["bias_type"],
            "sentences": [more, less],
            "pair": f"{more}\n{less}" if direction == "stereo" else f"{less}\n{more}",
        }


def stereoset(file: Path) -> Iterator[Columns]:
    """The `dev.json` of the authors, or the same as JSON Lines without ids, or a folder with one.

    `before` is what stands before the texts that are compared: nothing within a sentence, and the
    context between sentences, which a full stop ends where nothing else does, as in the authors'
    code. `texts` are the stereotype, the anti-stereotype and the unrelated one.
    Source: Nadeem et al. 2021, https://github.com/moinnadeem/StereoSet
    """
    if file.is_dir():
        held = [place for name in ("dev.json", "dev.jsonl") if (place := file / name).exists()]
        if not held:
            raise UsageError(f"{file} has neither dev.json nor dev.jsonl of StereoSet")
        file = held[0]
    for where, one in _stereoset_lines(file) if _is_lines(file) else _stereoset_json(file):
        texts = [one.get(label) for label in _LABELS]
        kind, context = one.get("type"), one.get("context")
        if kind not in ("intrasentence", "intersentence") or one.get("bias_type") not in _DOMAINS:
            raise UsageError(f"{where} is of no known type and bias_type of StereoSet")
        if not all(isinstance(text, str) and text for text in (context, one.get("target"), *texts)):
            raise UsageError(f"{where} lacks its context, its target or one of its three texts")
        inter = kind == "intersentence"
        ended = str(context) if str(context).endswith((".", "!", "?")) else f"{context}."
        yield {
            "id": one["id"],
            "type": kind,
            "domain": one["bias_type"],
            "group": one["target"],
            "before": ended if inter else "",
            "texts": [f" {text}" if inter else text for text in texts],
        }


def winogender(folder: Path) -> Iterator[Columns]:
    """A folder with `all_sentences.tsv` and `occupations-stats.tsv`.

    `bls` and `bergsma` are percentages of women: by the U.S. Bureau of Labor Statistics, and in
    text. `pair` is shared by the same sentence with another pronoun, `template` by six sentences.
    The mentions stand with "the", and "someone" without.
    Source: Rudinger et al. 2018, https://github.com/rudinger/winogender-schemas
    """
    file, known = folder / "all_sentences.tsv", folder / "occupations-stats.tsv"
    names = ("occupation", "bergsma_pct_female", "bls_pct_female")
    women = {}
    for line, row in _table(known, names, "\t"):
        try:
            women[row["occupation"]] = float(row[names[1]]), float(row[names[2]])
        except ValueError as error:
            raise UsageError(f"{known}, line {line}: {error}") from error
    for line, row in _table(file, ("sentid", "sentence"), "\t"):
        parts = row["sentid"].removesuffix(".txt").split(".")
        if len(parts) != 4 or parts[2] not in ("0", "1") or parts[3] not in PRONOUNS:
            raise UsageError(f'{file}, line {line}: "{row["sentid"]}" is no id of Winogender')
        occupation, participant, right, gender = parts
        if occupation not in women:
            raise UsageError(f'{file}, line {line}: {known} has no occupation "{occupation}"')
        pronoun = _pronoun(row["sentence"], PRONOUNS[gender])
        if pronoun is None:
            raise UsageError(f"{file}, line {line} has no {gender} pronoun")
        other = participant if participant == "someone" else f"the {participant}"
        mentions = [f"the {occupation}", other]
        yield {
            "id": row["sentid"],
            "sentence": row["sentence"],
            "pronoun": pronoun.capitalize(),
            "mentions": mentions,
            "answer": mentions[int(right)],
            "occupation": occupation,
            "gender": gender,
            "template": f"{occupation}.{right}",
            "pair": f"{occupation}.{participant}.{right}",
            "bergsma": women[occupation][0],
            "bls": women[occupation][1],
        }


def winobias(folder: Path) -> Iterator[Columns]:
    """A folder of `pro_stereotyped_type1.txt.dev` and its seven siblings.

    The sentence without its brackets; the bracketed occupation is what the first bracketed pronoun
    refers to, and the first other occupation in the sentence is the wrong answer. `pair` is shared
    by the two genders of a sentence. Both mentions are given with "the", whatever stands there.
    Source: Zhao et al. 2018, https://github.com/uclanlp/corefBias
    """
    files = {file: found for file in folder.glob("*") if (found := _FILE.fullmatch(file.name))}
    if not files:
        raise UsageError(f"{folder} has no files such as pro_stereotyped_type1.txt.dev of WinoBias")
    rows = []
    for file in sorted(files):
        direction, kind, split = files[file].groups()
        with file.open(encoding="utf-8-sig") as lines:
            for line, text in enumerate(lines, start=1):
                if text.strip():
                    row = _winobias(f"{file}, line {line}", text, direction, kind, split)
                    rows.append((kind, split, line, direction, row))
    # both genders of a sentence beside each other, so that the first rows are whole pairs
    for *_, row in sorted(rows, key=lambda one: one[:4]):
        yield row


def _winobias(where: str, text: str, direction: str, kind: str, split: str) -> Columns:
    number, _, marked = text.strip().partition(" ")
    marks = [one.strip() for one in _MENTION.findall(marked)]
    pronouns = [one for one in marks if one.lower() in GENDER]
    named = [found[1] for one in marks if (found := _OCCUPATION.fullmatch(one))]
    sentence = " ".join(marked.replace("[", "").replace("]", "").split())
    offered = {found[1].lower(): found[1] for found in _OCCUPATION.finditer(sentence)}
    if not number.isdigit() or not pronouns or len(named) != 1 or len(offered) < 2:
        raise UsageError(f"{where} does not mark one of two occupations and a pronoun in brackets")
    right = named[0].lower()
    wrong = next(one for one in offered if one != right)  # one sentence names a third
    mentions = [f"the {text}" for one, text in offered.items() if one in (right, wrong)]
    return {
        "id": f"{kind}.{split}.{direction}.{number}",
        "sentence": sentence,
        "pronoun": pronouns[0].capitalize(),
        "mentions": mentions,
        "answer": f"the {offered[right]}",
        "occupation": right,
        "gender": GENDER[pronouns[0].lower()],
        "type": kind,
        "direction": direction,
        "split": split,
        "pair": f"{kind}.{split}.{number}",
    }


def _pronoun(sentence: str, words: tuple[str, ...]) -> str | None:
    return next((word for word in re.findall(r"\w+", sentence) if word.lower() in words), None)


def _table(
    file: Path, names: tuple[str, ...], delimiter: str
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a table with a header, each with the line that it ends on."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    with file.open(encoding="utf-8-sig", newline="") as lines:
        table = csv.DictReader(lines, delimiter=delimiter, quoting=quoting, strict=True)
        try:
            missing = [name for name in names if name not in (table.fieldnames or ())]
            if missing:
                raise UsageError(
                    f'{file} has no column "{missing[0]}"; it needs {", ".join(names)}'
                )
            for row in table:
                if None in row or None in row.values():
                    raise UsageError(f"{file}, line {table.line_num} is not as long as the header")
                yield table.line_num, row
        except csv.Error as error:
            raise UsageError(f"{file}, line {table.reader.line_num} is not CSV: {error}") from error


def _is_lines(file: Path) -> bool:
    return file.suffix.lower() in (".jsonl", ".ndjson")


def _stereoset_lines(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                one = _parsed(line, f"{file}, line {number}")
                yield f"{file}, line {number}", {"id": str(number)} | one


def _stereoset_json(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The authors' layout: `data`, by type a list of contexts with labelled sentences."""
    whole = _parsed(file.read_text(encoding="utf-8-sig"), str(file))
    try:
        for kind in ("intersentence", "intrasentence"):
            for number, one in enumerate(whole["data"][kind], start=1):
                texts = {each["gold_label"]: each["sentence"] for each in one["sentences"]}
                plain = {name: one[name] for name in ("id", "target", "bias_type", "context")}
                yield f"{file}, {kind} {number}", plain | {"type": kind} | texts
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file} is not in the layout of StereoSet's dev.json: {error}") from error


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"{where} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{where} is no JSON object")
    return found
