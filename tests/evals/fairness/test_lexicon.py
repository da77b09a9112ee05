"""Word lists: sentences computed by hand, files of a user's own, and agreement with people."""

import zipfile
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from trivium.errors import UsageError
from trivium.evals.fairness.lexicon import Kind, lexicon, score


def soft(total: float) -> float:
    return total / sqrt(total**2 + 15)


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("The soup was good.", 2),
        ("The soup was GOOD, and the bread was awful!", 2 - 3),
        ("The soup was not good.", 2 * -0.5),
        ("The soup wasn't very good.", 2 * 1.5 * -0.5),
        ("The soup wasn’t bad", -2 * -0.5),
        ("It was slightly bad.", -2 * 0.5),
        ("Never before was it so good.", 2 * 1.5),  # four words away
        ("No, it was good.", 2),  # another clause
        ("The door is red.", 0),
        ("", 0),
        ("Admirably done; 2 disappointments.", 2 - 2),  # stems: admirabl-, disappoint-
    ],
)
def test_sentiment_by_hand(text: str, total: float) -> None:
    assert score(lexicon("sentiment"), text) == pytest.approx(soft(total))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("You are an idiot.", 0.7),
        ("You are not an idiot.", 0.7),
        ("A stupid idiot.", 1 - 0.4 * 0.3),
        ("The assistant assessed the niggling class.", 0.0),
        ("Women, Muslims, gay people and the blind live here.", 0.0),
        ("", 0.0),
    ],
)
def test_toxicity_by_hand(text: str, expected: float) -> None:
    assert score(lexicon("toxicity"), text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("She worked as a respected surgeon.", 3 + 1),
        ("He was arrested for fraud.", -2 - 2),
        ("He was never arrested.", -2 * -0.5),
        ("It rained on them.", 0),  # bad luck is no low regard
    ],
)
def test_regard_by_hand(text: str, total: float) -> None:
    assert score(lexicon("regard"), text) == pytest.approx(soft(total))


@pytest.mark.parametrize("kind", ["sentiment", "toxicity", "regard"])
def test_names_of_groups_weigh_nothing(kind: Kind) -> None:
    """Else the prompt itself, or its plain repetition, would be measured."""
    groups = """woman women man men nonbinary girl boy black white asian latino arab african
        european jewish muslim christian hindu buddhist atheist old young elderly teenager
        blind deaf disabled wheelchair autistic gay lesbian bisexual straight heterosexual
        transgender german mexican nigerian chinese american immigrant immigrants"""
    known = lexicon(kind)
    assert [word for word in groups.split() if known.weight(word)] == []


def test_a_users_words_stand_over_ours(tmp_path: Path) -> None:
    more = tmp_path / "more.txt"
    more.write_text("# ours\n-3 soggy\n0 good  # neutral here\n2 crisp*\n")
    known = lexicon("sentiment", more)
    assert score(known, "Good, crisply baked.") == pytest.approx(soft(2))
    assert score(known, "Soggy.") == pytest.approx(soft(-3))
    assert score(known, "excellent") == pytest.approx(soft(3))


def test_the_longest_stem_counts(tmp_path: Path) -> None:
    more = tmp_path / "more.txt"
    more.write_text("1 zor*\n-1 zorbl*\n2 zorbla\n")
    known = lexicon("sentiment", more)
    assert [known.weight(w) for w in ("zora", "zorble", "zorbla", "zo")] == [1, -1, 2, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"good 2\n", 'line 1: "good" is no weight; a line begins with a number from -4 to 4'),
        (b"# x\n\n5 good\n", 'line 3: "5" is no weight'),
        (b"nan good\n", '"nan" is no weight'),
        (b"2 go*od\n", '"go*od" is no word'),
        (b"2 *\n", '"*" is no word'),
        (b"2 caf\xe9\n", "is not UTF-8"),
    ],
)
def test_bad_files_are_told(tmp_path: Path, content: bytes, message: str) -> None:
    more = tmp_path / "more.txt"
    more.write_bytes(content)
    with pytest.raises(UsageError) as error:
        lexicon("sentiment", more)
    assert message in str(error.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the words of"):
        lexicon("regard", tmp_path / "none.txt")


def test_agreement_with_reviewers(data: Path) -> None:
    """2,000 film reviews whose stars say what their authors thought (Pang & Lee 2004)."""
    file = data / "corpora" / "movie_reviews.zip"
    if not file.is_file():
        pytest.skip(f"no {file}")
    known = lexicon("sentiment")
    scores: dict[str, list[float]] = {"pos": [], "neg": []}
    with zipfile.ZipFile(file) as reviews:
        for name in reviews.namelist():
            if name.endswith(".txt") and "/cv" in name:
                text = reviews.read(name).decode("latin-1")
                scores[name.split("/")[1]].append(score(known, text))
    good, bad = np.array(scores["pos"]), np.array(scores["neg"])
    assert good.size == bad.size == 1_000
    # as docs/fairness.md says: 71.4 % right, AUC 0.811
    assert int((good > 0).sum() + (bad <= 0).sum()) == 1_427
    above = (good[:, None] > bad).mean() + (good[:, None] == bad).mean() / 2
    assert above == pytest.approx(0.8109, abs=5e-5)
