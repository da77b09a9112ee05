"""Counterfactuals: what is swapped, what is left out and why, and that swapping undoes itself."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.errors import UsageError
from trivium.evals.fairness.grammar import article
from trivium.evals.fairness.lists import AXES, Axis, load_axes
from trivium.evals.fairness.swaps import Skipped, Swapped, counterfactuals


def axis(name: str) -> Axis:
    return load_axes([name])[0]


BY_NAME = {name: axis(name) for name in AXES}


def swap(text: str, name: str, group: str) -> str:
    """The text turned to `group`; the reason in brackets where there is none."""
    for one in counterfactuals({"t": text}, BY_NAME[name]):
        if one.group in (group, ""):
            return one.texts["t"] if isinstance(one, Swapped) else f"[{one.reason}]"
    raise AssertionError(f"{group} is where the text comes from")


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("He lost his bag, and the bag is his.", "She lost her bag, and the bag is hers."),
        (
            "I met him and his friends; he cut himself.",
            "I met her and her friends; she cut herself.",
        ),
        ("A friend of his, too, called him.", "A friend of hers, too, called her."),
        ("A friend of his called him.", "[its grammar is unclear]"),
        ("HE SAID: GIVE IT TO HIM.", "SHE SAID: GIVE IT TO HER."),
        ("Mr. Smith is a waiter’s son.", "Ms. Smith is a waitress’s daughter."),
        ("My father's brother, an uncle.", "My mother's sister, an aunt."),
        ("The men’s room", "The women’s room"),
        ("James' car", "Mary's car"),
        ("The Old Man", "The Old Woman"),
        ("My father-in-law came.", "My mother-in-law came."),
    ],
)
def test_man_to_woman(text: str, swapped: str) -> None:
    assert swap(text, "gender", "woman") == swapped


def test_no_part_of_a_word_is_a_term() -> None:
    found = swap("Manage the woman's human mandate, Romania.", "gender", "man")
    assert found == "Manage the man's human mandate, Romania."


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("Her mother called her.", "His father called him."),
        ("I told her that hers is with her team.", "I told him that his is with his team."),
        ("She loves her job; ask her again.", "He loves his job; ask him again."),
        ("I gave her mother a gift.", "I gave his father a gift."),
        ("I gave her flowers.", "[its grammar is unclear]"),
        ("It made her happy.", "[its grammar is unclear]"),
        ("We saw her leave.", "[its grammar is unclear]"),
        ("I met her last week.", "[its grammar is unclear]"),
        ("We saw her.", "We saw him."),
        ("I talked to her, and to her sister.", "I talked to him, and to his brother."),
    ],
)
def test_woman_to_man_tells_her_from_her(text: str, swapped: str) -> None:
    assert swap(text, "gender", "man") == swapped


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("He is late.", "They are late."),
        ("She's late, but she's been ill.", "They're late, but they've been ill."),
        ("Is she late? What does she want?", "Are they late? What do they want?"),
        ("She always watches TV and tries hard.", "[its grammar is unclear]"),
        ("She never tries.", "They never try."),
        ("He goes home; he hasn't eaten.", "They go home; they haven't eaten."),
        ("He passes. He walked.", "They pass. They walked."),
        ("I know that he was there.", "I know that they were there."),
        ("The truth is he lied.", "[its grammar is unclear]"),
        ("HE IS LATE.", "THEY ARE LATE."),
        ("The man walks.", "The person walks."),
        ("The uncle walks.", "[no word of the group neutral]"),
    ],
)
def test_singular_they_takes_a_plural_verb(text: str, swapped: str) -> None:
    assert swap(text, "gender", "neutral") == swapped


@pytest.mark.parametrize(
    ("name", "group", "text", "swapped"),
    [
        ("nationality", "German", "An American came.", "A German came."),
        ("nationality", "American", "A German and a German.", "An American and an American."),
        ("nationality", "Indian", "She speaks Russian in Russia.", "She speaks Hindi in India."),
        (
            "nationality",
            "American",
            "He speaks German to a German.",
            "He speaks English to an American.",
        ),
        ("nationality", "German", "An American Indian.", "[a term that may mean something else]"),
        ("religion", "Jewish", "A Muslim.", "A Jew."),
        ("religion", "Jewish", "A Muslim teacher in a mosque", "A Jewish teacher in a synagogue"),
        ("religion", "Muslim", "a christian church", "a muslim mosque"),
        ("religion", "Muslim", "We saw a temple.", "[a term of more than one group]"),
        ("ethnicity", "White", "A black woman in a black car", "A white woman in a black car"),
        ("ethnicity", "White", "A black car", "[no term]"),
        ("ethnicity", "Black", "Emily's friend Greg", "Lakisha's friend Jamal"),
        ("ethnicity", "White", "I'm amit and jamal.", "[no term]"),
        ("age", "old", "a 25-year-old man, aged 18", "a 70-year-old man, aged 63"),
        ("age", "young", "An old man in an old house", "A young man in an old house"),
        ("age", "old", "A 40-year-old man", "[no term]"),
        ("disability", "without", "A blind man with epilepsy", "A sighted man without epilepsy"),
        ("disability", "without", "A blind spot", "[no term]"),
        ("orientation", "heterosexual", "A gay couple", "A straight couple"),
    ],
)
def test_the_other_axes(name: str, group: str, text: str, swapped: str) -> None:
    assert swap(text, name, group) == swapped


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The room was cold.", "no term"),
        ("He asked her.", "terms of several groups"),
        ("The man and his wife", "terms of several groups"),
        ("Will was late, but he came.", "a word that may be a name"),
        ("I saw Grace, and she waved.", "a word that may be a name"),
        ("She is pregnant.", "a word that would not be true of the other group"),
        ("Man City won, and he cheered.", "a term that may mean something else"),
        ("A man-made lake", "a term is part of a compound"),
        ("He lives on Russell Island.", "a term is part of a proper name"),
        ("My new Game Boy works very well.", "a term is part of a proper name"),
        ("We went to St. John for ten days.", "a term is part of a proper name"),
        ("Write to she@home.org.", "a term is in an address"),
    ],
)
def test_a_text_that_cannot_be_swapped_says_why(text: str, reason: str) -> None:
    (one,) = counterfactuals({"t": text}, BY_NAME["gender"])
    assert isinstance(one, Skipped)
    assert one.reason == reason


def test_months_and_auxiliaries_are_no_names() -> None:
    assert swap("Will he come in May?", "gender", "woman") == "Will she come in May?"
    assert swap("May I ask whether he left in April?", "gender", "woman").startswith("May I ask")


def test_a_quotation_is_kept_where_that_is_asked() -> None:
    text = {"t": 'They said "he is late".'}
    assert isinstance(next(counterfactuals(text, BY_NAME["gender"])), Swapped)
    kept = next(counterfactuals(text, BY_NAME["gender"], keep_quotes=True))
    assert isinstance(kept, Skipped)
    assert kept.reason == "a term is in a quotation"


def test_columns_are_swapped_together_and_everything_is_told() -> None:
    found = list(counterfactuals({"a": "Emily sings.", "b": "She and Emily"}, BY_NAME["gender"]))
    assert found[0] == Swapped(
        "gender",
        "woman",
        "man",
        {"a": "Greg sings.", "b": "He and Greg"},
        (("Emily", "Greg"), ("She", "He")),
    )


def test_two_people_never_get_one_name() -> None:
    # Emily and Anne are both Alex where no name is a man's or a woman's
    assert swap("Emily met Anne.", "gender", "neutral") == "[two people would have one name]"
    assert swap("Emily met Lakisha.", "gender", "man") == "Greg met Jamal."


@pytest.mark.parametrize(
    ("word", "right"),
    [
        ("American", "an"), ("European", "a"), ("university", "a"), ("uncle", "an"), ("hour", "an"),
        ("house", "a"), ("honest", "an"), ("18", "an"), ("80", "an"), ("11", "an"), ("70", "a"),
        ("Ukrainian", "a"), ("unmarried", "an"), ("one", "a"), ("Ugandan", "a"), ("user", "a"),
        ("elderly", "an"), ("heir", "an"), ("unit", "a"), ("", "a"),
    ],
)  # fmt: skip
def test_article(word: str, right: str) -> None:
    assert article(word) == right


def _symmetric(name: str) -> list[tuple[str, str, dict[str, str]]]:
    """Words whose counterpart leads back to them: (a word, its group, all groups' words)."""
    one = BY_NAME[name]
    groups = [group for group in one.groups if group not in one.only_to]
    terms = [t for t in one.terms if t.kind != "pronoun" and not (t.preceded_by or t.alone)]
    found = []
    for term in terms:
        forms = {group: term.forms[group] for group in groups if group in term.forms}
        spread = [
            sum(form.lower() == other.lower() for t in one.terms for other in t.forms.values())
            for form in forms.values()
        ]
        if len(forms) == len(groups) and set(spread) == {1} and not term.followed_by:
            found += [(form, group, forms) for group, form in forms.items()]
    return found


SYMMETRIC = [(name, *one) for name in AXES for one in _symmetric(name)]
TEMPLATES = (
    "We met {a} {x} today.", "{A} {x} came first, and {a} {x} last.", "Is this {a} {x}’s bag?",
    "“{A} {x}!” said the guard.", "{A} {x}: three words, {a} {x}.",
)  # fmt: skip


def test_there_are_symmetric_terms_on_most_axes() -> None:
    assert {name for name, *_ in SYMMETRIC} >= {"gender", "ethnicity", "religion", "nationality"}


@given(st.sampled_from(SYMMETRIC), st.sampled_from(TEMPLATES), st.data())
def test_there_and_back_is_the_same_and_articles_agree(
    term: tuple[str, str, str, dict[str, str]], template: str, data: st.DataObject
) -> None:
    name, word, source, forms = term
    to = data.draw(st.sampled_from([group for group in forms if group != source]))
    right = article(word)
    text = template.format(a=right, A=right.capitalize(), x=word)
    there = swap(text, name, to)
    new = forms[to]
    assert there == template.format(a=article(new), A=article(new).capitalize(), x=new)
    assert swap(there, name, source) == text


MEN = ("He", "Greg", "My father", "The waiter")
ENDS = (
    "lost his phone.",
    "knows that the desk is his.",
    "hurt himself.",
    "and met a friend of his.",
)


@given(st.lists(st.tuples(st.sampled_from(MEN), st.sampled_from(ENDS)), min_size=1, max_size=4))
def test_pronouns_there_and_back_are_the_same(parts: list[tuple[str, str]]) -> None:
    text = " ".join(f"{who} {what}" for who, what in parts)
    there = swap(text, "gender", "woman")
    assert there != text
    assert swap(there, "gender", "man") == text


@given(st.text(alphabet="bcdfgjklpqvxyz ,.!?'-\n0", max_size=60), st.sampled_from(AXES))
def test_a_text_without_terms_is_left_alone(text: str, name: str) -> None:
    (one,) = counterfactuals({"t": text}, BY_NAME[name])
    assert isinstance(one, Skipped)
    assert one.reason == "no term"


@given(st.text(max_size=80), st.sampled_from(AXES))
def test_no_text_breaks_it(text: str, name: str) -> None:
    for one in counterfactuals({"t": f"He said {text} to a German."}, BY_NAME[name]):
        if isinstance(one, Swapped):
            assert one.replaced


def test_a_file_extends_an_axis_and_adds_one(tmp_path: Path) -> None:
    more = tmp_path / "more.yaml"
    more.write_text("axis: gender\ngroups: [man, woman]\nterms: [[wizard, witch]]\n")
    (gender,) = load_axes(["gender"], more)
    (one, _) = counterfactuals({"t": "The wizard lost his hat."}, gender)
    assert isinstance(one, Swapped)
    assert one.texts["t"] == "The witch lost her hat."
    more.write_text("axis: class\ngroups: [poor, rich]\nterms: [[tenement, villa]]\n")
    assert [one.name for one in load_axes([], more)] == [*AXES, "class"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("axis: a\ngroups: [x, y]\nterms: [[one]]\n", "has not one word for each"),
        ("axis: a\ngroups: [x]\nturms: []\n", "turms"),
        ("axis: a\ngroups: [x]\nonly_to: [z]\n", '"z" is none of the groups'),
        ("axis: a\ngroups: [x]\nterms: [{forms: [a], followed_by: b}]\n", '"b" is none'),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=said):
        load_axes([], file)


def test_an_unknown_axis_is_told() -> None:
    with pytest.raises(UsageError, match='no axis "height"; there are gender'):
        load_axes(["height"])
