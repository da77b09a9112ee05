"""The authors' files of benchmarks of sentences: in miniature, broken, and the real ones."""

import json
from collections import Counter
from pathlib import Path

import pytest

from trivium.errors import UsageError
from trivium.evals.data import load_rows, read
from trivium.evals.fairness.benchmarks import benchmark
from trivium.evals.fairness.sentence_data import (
    FEMALE,
    MALE,
    crows_pairs,
    stereoset,
    winobias,
    winogender,
)
from trivium.evals.suite import load_suite

HEADER = ",sent_more,sent_less,stereo_antistereo,bias_type\n"
ITEM = {
    "type": "intersentence", "target": "Utopia", "bias_type": "race", "context": "I met a Utopian",
    "stereotype": "He was late.", "anti-stereotype": "He was early.", "unrelated": "Fish swim.",
}  # fmt: skip


def test_crows_pairs_puts_the_disadvantaged_group_first(tmp_path: Path) -> None:
    file = tmp_path / "c.csv"
    file.write_text(
        HEADER + '7,"Old,\nthey say.",Young.,stereo,age\n8,Rich.,Poor.,antistereo,socioeconomic\n'
    )
    first, second = crows_pairs(file)
    assert first == {
        "id": "7", "more": "Old, they say.", "direction": "stereo", "bias_type": "age",
        "sentences": ["Old, they say.", "Young."], "pair": "Old, they say.\nYoung.",
    }  # fmt: skip
    assert (second["sentences"], second["pair"]) == (["Rich.", "Poor."], "Poor.\nRich.")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,2\n", r'c\.csv has no column ""; it needs'),
        ("", 'has no column ""'),
        (HEADER + "1,A.,B.,up,age\n", 'line 2: the direction "up" is not known'),
        (HEADER + "1,A.,,stereo,age\n", "line 2: a sentence is missing"),
        (HEADER + "1,A.,B.,stereo\n", "line 2 is not as long as the header"),
        (HEADER + '1,"A.,B.,stereo,age\n', "line 2 is not CSV"),
    ],
)
def test_a_broken_crows_pairs_is_named(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "c.csv"
    file.write_text(text)
    with pytest.raises(UsageError, match=problem):
        list(crows_pairs(file))


def test_mixed_encodings_are_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "c.csv"
    file.write_bytes(HEADER.encode() + "1,Señora.,B.,stereo,age\n".encode("latin-1"))
    with pytest.raises(UsageError, match="is not UTF-8"):
        list(read(file, "crows_pairs"))


def test_stereoset_reads_lines_and_the_authors_json(tmp_path: Path) -> None:
    lines, whole = tmp_path / "dev.jsonl", tmp_path / "dev.json"
    lines.write_text(json.dumps(ITEM) + "\n")
    labels = ("unrelated", "stereotype", "anti-stereotype")
    original = {
        "id": "ab", "target": "Utopia", "bias_type": "race", "context": "I met a Utopian",
        "sentences": [{"id": "x", "sentence": ITEM[one], "gold_label": one} for one in labels],
    }  # fmt: skip
    within = original | {"id": "cd", "context": "A Utopian is BLANK."}
    data = {"intersentence": [original], "intrasentence": [within]}
    whole.write_text(json.dumps({"version": "1.1", "data": data}))
    (row,) = stereoset(lines)
    assert row == {
        "id": "1", "type": "intersentence", "domain": "race", "group": "Utopia",
        "before": "I met a Utopian.", "texts": [" He was late.", " He was early.", " Fish swim."],
    }  # fmt: skip
    first, second = stereoset(whole)
    assert list(stereoset(tmp_path)) == [first, second]  # a folder, with the authors' file first
    assert first == {**row, "id": "ab"}
    assert (second["before"], second["texts"]) == (
        "",
        ["He was late.", "He was early.", "Fish swim."],
    )


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("d.jsonl", json.dumps(ITEM | {"type": "x"}), "line 1 is of no known type"),
        ("d.jsonl", json.dumps(ITEM | {"bias_type": "age"}), "line 1 is of no known type"),
        ("d.jsonl", json.dumps(ITEM | {"unrelated": ""}), "line 1 lacks its context"),
        ("d.jsonl", "\n[1]", "line 2 is no JSON object"),
        ("d.jsonl", "{", "line 1 is not JSON"),
        ("d.json", "{}", "not in the layout of StereoSet's dev.json: 'data'"),
        ("d.json", '{"data": {"intersentence": [{"id": "a"}]}}', "not in the layout"),
    ],
)
def test_a_broken_stereoset_is_named(tmp_path: Path, name: str, text: str, problem: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(UsageError, match=problem):
        list(stereoset(file))


def winogender_folder(folder: Path, *sentences: str) -> Path:
    (folder / "occupations-stats.tsv").write_text(
        "occupation\tbergsma_pct_female\tbls_pct_female\tbls_year\nnurse\t80\t90.5\t2015\n"
    )
    lines = "\n".join(sentences)
    (folder / "all_sentences.tsv").write_text(f"sentid\tsentence\n{lines}\n")
    return folder


def test_winogender_joins_the_statistics(tmp_path: Path) -> None:
    text = 'nurse.someone.1.female.txt\tThe nurse told someone that "her" blood would be drawn.'
    (row,) = winogender(winogender_folder(tmp_path, text))
    assert row == {
        "id": "nurse.someone.1.female.txt", "sentence": text.split("\t")[1], "pronoun": "Her",
        "mentions": ["the nurse", "someone"], "answer": "someone", "occupation": "nurse",
        "gender": "female", "template": "nurse.1", "pair": "nurse.someone.1",
        "bergsma": 80.0, "bls": 90.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nurse.1.female.txt\tHer.", 'line 2: "nurse.1.female.txt" is no id'),
        ("nurse.someone.2.male.txt\tHe.", "is no id of Winogender"),
        ("smith.someone.1.male.txt\tHe.", 'has no occupation "smith"'),
        ("nurse.someone.1.male.txt\tShe.", "line 2 has no male pronoun"),
        ("nurse.someone.1.male.txt", "line 2 is not as long as the header"),
    ],
)
def test_a_broken_winogender_is_named(tmp_path: Path, line: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        list(winogender(winogender_folder(tmp_path, line)))


def test_winobias_reads_brackets_pair_by_pair(tmp_path: Path) -> None:
    (tmp_path / "anti_stereotyped_type2.txt.dev").write_text(
        "1 The cook hated the [the cleaner] and reported [him] to the manager.\n"
        "10 The CEO met [the baker] and gave [him] [his] keys.\n"
    )
    (tmp_path / "pro_stereotyped_type2.txt.dev").write_text(
        "1 The cook hated the [the cleaner] and reported [her] to the manager.\n"
    )
    rows = list(winobias(tmp_path))
    assert [row["id"] for row in rows] == [
        "type2.dev.anti.1",
        "type2.dev.pro.1",
        "type2.dev.anti.10",
    ]
    assert rows[0] == {
        "id": "type2.dev.anti.1",
        "sentence": "The cook hated the the cleaner and reported him to the manager.",
        "pronoun": "Him", "mentions": ["the cook", "the cleaner"], "answer": "the cleaner",
        "occupation": "cleaner", "gender": "male", "type": "type2", "direction": "anti",
        "split": "dev", "pair": "type2.dev.1",
    }  # fmt: skip
    assert (rows[2]["mentions"], rows[2]["pronoun"]) == (["the CEO", "the baker"], "Him")


@pytest.mark.parametrize(
    "line",
    ["The cook met [the baker] and hugged [her].", "1 The cook met [the baker] and hugged her.",
     "1 The cook met [someone] and hugged [her].", "1 [The cook] met someone, and [she] left."],
)  # fmt: skip
def test_a_broken_winobias_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "pro_stereotyped_type1.txt.dev").write_text(line)
    with pytest.raises(UsageError, match="dev, line 1 does not mark one of two occupations"):
        list(winobias(tmp_path))


def test_a_folder_without_winobias_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no files such as pro_stereotyped_type1"):
        list(winobias(tmp_path))


def test_crows_pairs_has_the_counts_of_the_paper(data: Path) -> None:
    """Nangia et al. 2020, the table of results."""
    rows = list(crows_pairs(data / "crows_pairs" / "crows_pairs_anonymized.csv"))
    assert Counter(row["bias_type"] for row in rows) == {
        "race-color": 516, "gender": 262, "socioeconomic": 172, "nationality": 159,
        "religion": 105, "age": 87, "sexual-orientation": 84, "physical-appearance": 63,
        "disability": 60,
    }  # fmt: skip
    assert Counter(row["direction"] for row in rows) == {"stereo": 1290, "antistereo": 218}


def test_a_folder_without_stereoset_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has neither dev\.json nor dev\.jsonl"):
        list(stereoset(tmp_path))


def test_stereoset_has_the_counts_of_the_authors(data: Path) -> None:
    """predictions.json of github.com/moinnadeem/StereoSet counts each of three texts by domain."""
    rows = list(stereoset(data / "stereoset" / "dev.jsonl"))
    counts = Counter((row["type"], row["domain"]) for row in rows)
    assert {key: 3 * count for key, count in counts.items()} == {
        ("intrasentence", "gender"): 765, ("intrasentence", "profession"): 2430,
        ("intrasentence", "race"): 2886, ("intrasentence", "religion"): 237,
        ("intersentence", "gender"): 726, ("intersentence", "profession"): 2481,
        ("intersentence", "race"): 2928, ("intersentence", "religion"): 234,
    }  # fmt: skip
    assert len(rows) == 4229


def test_winogender_is_balanced_as_the_paper_says(data: Path) -> None:
    """60 occupations x 2 templates x 2 participants x 3 genders (Rudinger et al. 2018)."""
    rows = list(winogender(data / "winogender"))
    assert Counter(row["gender"] for row in rows) == {"male": 240, "female": 240, "neutral": 240}
    assert set(Counter(row["occupation"] for row in rows).values()) == {12}
    assert set(Counter(row["template"] for row in rows).values()) == {6}
    assert sum(row["answer"] == row["mentions"][0] for row in rows) == 360  # type: ignore[index]


def test_winobias_agrees_with_the_authors_lists_of_occupations(data: Path) -> None:
    """All 3,168 sentences: pro is a pronoun of the gender whose list the occupation is on."""
    rows = list(winobias(data / "winobias"))
    sizes = Counter((row["type"], row["direction"], row["split"]) for row in rows)
    assert len(sizes) == 8
    assert set(sizes.values()) == {396}
    for row in rows:
        fits = (row["gender"] == "female") == (row["occupation"] in FEMALE)
        assert fits == (row["direction"] == "pro"), row
    assert {row["occupation"] for row in rows} == {*FEMALE, *MALE}
    assert set(Counter(row["pair"] for row in rows).values()) == {2}


@pytest.mark.parametrize(
    ("name", "rows"),
    [("crows_pairs", 1508), ("crows_pairs_masked", 1508), ("stereoset", 4229),
     ("winogender", 720), ("winobias", 3168)],
)  # fmt: skip
def test_each_suite_finds_its_file_and_its_benchmark(
    name: str, rows: int, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIVIUM_DATA", str(data))
    suite = load_suite(name)
    assert len(load_rows(suite.data, suite.folder)) == rows
    about = benchmark(name).ABOUT
    assert about.name in name
    assert about.limits
