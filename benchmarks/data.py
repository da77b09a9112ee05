"""Where the public data sets lie, and how the benchmarks read them."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its gold answers, and the number of the paragraph that answers it."""

    text: str
    answers: list[str]
    paragraph: int


def data_folder() -> Path:
    """TRIVIUM_DATA, or `shared/data` beside the checkout."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TRIVIUM_DATA", beside))
    if not folder.is_dir():
        sys.exit(f"no data sets at {folder}; point TRIVIUM_DATA at them")
    return folder


def load_xquad() -> tuple[list[str], list[Question]]:
    """XQuAD-en: 240 paragraphs and 1,190 questions (Artetxe et al. 2020)."""
    file = data_folder() / "xquad" / "xquad.en.json"
    paragraphs: list[str] = []
    questions: list[Question] = []
    for article in json.loads(file.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                golds = [answer["text"] for answer in qa["answers"]]
                questions.append(Question(qa["question"], golds, len(paragraphs)))
            paragraphs.append(paragraph["context"])
    return paragraphs, questions


def write_paragraphs(paragraphs: list[str], folder: Path) -> list[Path]:
    """Each paragraph as a text file of its own, numbered."""
    folder.mkdir(parents=True)
    files = []
    for number, text in enumerate(paragraphs):
        file = folder / f"{number:03}.txt"
        file.write_text(text, encoding="utf-8")
        files.append(file)
    return files
