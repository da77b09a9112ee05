"""The original files of classic tasks, each as rows of named columns.

Every loader takes the path that its task publishes and yields columns; what they mean is in the
suite of the task beside this file.
"""

import csv
import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from trivium.errors import UsageError
from trivium.evals.fairness import sentence_data
from trivium.evals.fairness.bbq_data import bbq
from trivium.evals.fairness.open_generation_data import bold

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
    for where, row in _objects(file):
        try:
            question = row["question"]
            solution, mark, final = row["answer"].rpartition("####")
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{where} is no problem of GSM8K") from error
        if not mark:
            raise UsageError(f'{where}: the answer has no "####"')
        yield {
            "question": question,
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


def arc(file: Path) -> Iterator[Columns]:
    """JSON Lines of a stem, three to five labelled choices, and the label of the right one.

    Source: Clark et al. 2018, https://allenai.org/data/arc (ARC-V1-Feb2018.zip)
    """
    for where, row in _objects(file):
        try:
            question = row["question"]
            choices = {one["label"]: one["text"] for one in question["choices"]}
            yield {
                "id": row["id"],
                "question": question["stem"],
                "choices": list(choices.values()),
                "answer": choices[row["answerKey"]],
            }
        except (KeyError, TypeError) as error:
            raise UsageError(f"{where} is no question of ARC") from error


def hellaswag(file: Path) -> Iterator[Columns]:
    """JSON Lines of an activity, a context in two parts, four endings and the right one's number.

    Context and endings are cleaned as lm-evaluation-harness cleans them: "[title]" becomes the end
    of a sentence, other words in brackets are left out; so much is left of WikiHow's layout.
    Source: Zellers et al. 2019, https://github.com/rowanz/hellaswag
    """
    for where, row in _objects(file):
        try:
            context = f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}"
            endings = [_unbracketed(one) for one in row["endings"]]
            right = dict(enumerate(endings))[row["label"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{where} is no row of HellaSwag with its label") from error
        yield {
            "source": row.get("source_id"),
            "context": _unbracketed(context),
            "endings": endings,
            "right": right,
        }


def truthfulqa(file: Path) -> Iterator[Columns]:
    """`mc_task.json`: for each question the answers of MC1 and of MC2, each with 1 if it is true.

    Source: Lin et al. 2022, https://github.com/sylinrl/TruthfulQA
    """
    try:
        for row in json.loads(file.read_text(encoding="utf-8")):
            columns: dict[str, object] = {"question": row["question"]}
            for kind in ("mc1", "mc2"):
                marks = row[f"{kind}_targets"]
                columns[f"{kind}_choices"] = list(marks)
                columns[kind] = [answer for answer, mark in marks.items() if mark == 1]
            yield columns
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{file} is not in the layout of mc_task.json: {error}") from error


def sst2(file: Path) -> Iterator[Columns]:
    """`dev.tsv` of GLUE: a header, then a sentence and 0 or 1; quotation marks are plain text.

    Source: Socher et al. 2013, in GLUE (Wang et al. 2019), https://gluebenchmark.com
    """
    lines = _lines(file)
    if lines[:1] != ["sentence\tlabel"]:
        raise UsageError(f'{file} does not begin with "sentence" and "label", as dev.tsv does')
    for number, line in enumerate(lines[1:], start=2):
        sentence, mark, label = line.rpartition("\t")
        if not mark:
            raise UsageError(f"{file}, line {number} has no tab before its label")
        yield {"sentence": sentence, "label": label}


LOADERS: dict[str, Callable[[Path], Iterator[Columns]]] = {
    "mmlu": mmlu,
    "agnews": agnews,
    "gsm8k": gsm8k,
    "xquad": xquad,
    "wikitext": wikitext,
    "multi30k": multi30k,
    "crows_pairs": sentence_data.crows_pairs,
    "stereoset": sentence_data.stereoset,
    "winogender": sentence_data.winogender,
    "winobias": sentence_data.winobias,
    "bbq": bbq,
    "arc": arc,
    "hellaswag": hellaswag,
    "truthfulqa": truthfulqa,
    "sst2": sst2,
    "bold": bold,
}


def _objects(file: Path) -> Iterator[tuple[str, Any]]:
    """Each line's JSON value, with the words that name the line."""
    for number, line in enumerate(_lines(file), start=1):
        where = f"{file}, line {number}"
        try:
            yield where, json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise UsageError(f"{where} is not JSON: {error}") from error


def _unbracketed(text: str) -> str:
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


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
