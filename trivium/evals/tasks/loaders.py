"""The original files of classic tasks, each as rows of named columns.

Every loader takes the path that its task publishes and yields columns; what they mean is in the
suite of the task beside this file.
"""

import csv
import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from trivium.errors import UsageError

Columns = Mapping[str, object]
PIECE = 1500
"""Characters of WikiText that are measured at once, at least; whole lines."""


def mmlu(folder: Path) -> Iterator[Columns]:
    """A folder of `SUBJECT_SPLIT.csv` without headers: question, four answers, the right letter.

    Source: Hendrycks et al. 2021, https://github.com/hendrycks/test
    """
    files = sorted(folder.glob("*.csv")) if folder.is_dir() else [folder]
    if not files:
        raise UsageError(f"{folder} has no .csv files of MMLU")
    for file in files:
        subject = file.stem.rpartition("_")[0].replace("_", " ")
        for number, row in enumerate(_csv(file, 6)):
            question, *answers, right = row
            yield {
                "id": f"{subject}/{number}",
                "subject": subject,
                "question": question.strip(),
                **dict(zip("ABCD", answers, strict=True)),
                "answer": right,
            }


def agnews(file: Path) -> Iterator[Columns]:
    """`test.csv` without a header: class 1 to 4, title, description.

    Source: Zhang et al. 2015.
    """
    for label, title, description in _csv(file, 3):
        yield {"title": title, "description": description, "label": label}


def gsm8k(file: Path) -> Iterator[Columns]:
    """JSON Lines whose answer ends with "#### " and the number.

    Source: Cobbe et al. 2021, https://github.com/openai/grade-school-math
    """
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                solution, mark, final = row["answer"].rpartition("####")
            except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
                raise UsageError(f"{file}, line {number} is no problem of GSM8K") from error
            if not mark:
                raise UsageError(f'{file}, line {number}: the answer has no "####"')
            yield {
                "question": row["question"],
                "solution": solution.strip(),
                "answer": final.strip().replace(",", ""),
            }


def xquad(file: Path) -> Iterator[Columns]:
    """The JSON of SQuAD 1.1: articles of paragraphs of questions with answer spans.

    Source: Artetxe et al. 2020, https://github.com/google-deepmind/xquad
    """
    try:
        articles = json.loads(file.read_text(encoding="utf-8"))["data"]
        for at, article in enumerate(articles):
            for number, paragraph in enumerate(article["paragraphs"]):
                for one in paragraph["qas"]:
                    yield {
                        "id": one["id"],
                        "paragraph": f"{at}/{number}",
                        "context": paragraph["context"],
                        "question": one["question"],
                        "answers": list(dict.fromkeys(a["text"] for a in one["answers"])),
                    }
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise UsageError(f"{file} is not in the layout of SQuAD 1.1: {error}") from error


def wikitext(file: Path) -> Iterator[Columns]:
    """The text in pieces of whole lines, each with the piece before it as its context.

    The first piece is context alone: there is nothing to predict it from.
    Source: Merity et al. 2016.
    """
    pieces, piece = [], ""
    for line in file.read_text(encoding="utf-8").split("\n"):
        if not line.strip():
            continue
        piece += "\n" + line.strip()
        if len(piece) >= PIECE:
            pieces.append(piece)
            piece = ""
    pieces += [piece] if piece else []
    for context, text in pairwise(pieces):
        yield {"context": context.strip(), "text": text}


def multi30k(file: Path) -> Iterator[Columns]:
    """`NAME.en.gz`, with `NAME.de.gz` beside it: the same sentences, line by line.

    Source: Elliott et al. 2016, https://github.com/multi30k/dataset
    """
    name, mark, rest = file.name.rpartition(".en")
    if not mark:
        raise UsageError(f"{file} is not the English side, NAME.en.gz")
    english, german = _lines(file), _lines(file.with_name(f"{name}.de{rest}"))
    if len(english) != len(german):
        raise UsageError(f"{file} has {len(english)} lines, but the German side {len(german)}")
    for en, de in zip(english, german, strict=True):
        yield {"en": en, "de": de}


LOADERS: dict[str, Callable[[Path], Iterator[Columns]]] = {
    "mmlu": mmlu,
    "agnews": agnews,
    "gsm8k": gsm8k,
    "xquad": xquad,
    "wikitext": wikitext,
    "multi30k": multi30k,
}


def _csv(file: Path, columns: int) -> Iterator[list[str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        table = csv.reader(lines)
        try:
            for row in table:
                if len(row) != columns:
                    raise UsageError(
                        f"{file}, line {table.line_num} has {len(row)} columns, not {columns}"
                    )
                yield row
        except csv.Error as error:
            raise UsageError(f"{file}, line {table.line_num} is not CSV: {error}") from error


def _lines(file: Path) -> list[str]:
    opened: Any = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rt", encoding="utf-8") as text:
            return [line.rstrip("\n") for line in text]
    except (EOFError, gzip.BadGzipFile) as error:
        raise UsageError(f"{file} is not a whole gzip file: {error}") from error
