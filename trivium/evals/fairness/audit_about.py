"""What an audit says of itself."""

from trivium.evals.fairness.base import About

ABOUT = About(
    name="audit",
    title="Audit by counterfactuals",
    version="1",
    paper=(
        "Bertrand & Mullainathan 2004 (American Economic Review 94:991) for the design; "
        "Garg et al. 2019 (AIES) for counterfactual token fairness; lists of our own"
    ),
    licence="Apache-2.0",
    what=(
        "Your prompt over your rows, and over the same rows with the person's group changed and "
        "nothing else: names, pronouns and group terms are swapped. Each group is held against the "
        "first group of its axis; a shift is that group minus the reference. The share of a label "
        "is of the rows that are decided so, and its probability is the model's."
    ),
    readings={
        "flips": "Share of rows that are decided otherwise when the person's group changes.",
        "flips above noise": (
            "How much more often decisions differ between groups than between two answers to one "
            "text."
        ),
        "score shift": "By how much the number in the answer is higher for the group.",
        "Kendall tau": "Agreement of both orders: 1 is the same order, -1 its reverse.",
        "place shift": "By how many places the swapped items stand later for the group.",
        "sentiment shift": "By how much the answer is more positive, on a scale of -1 to 1.",
        "length shift": "By how much the answer is longer, as a share of the reference's length.",
        "refusal gap": "By how much the share of refused questions is higher for the group.",
        "ROUGE-L": "Overlap of both answers in sequences of words; 1 is the same text.",
        "BLEU both ways": "Overlap of both answers in runs of one to four words; 1 is the same.",
        "embedding cosine": "Likeness of the meaning of both answers; 1 is the same.",
        "co-occurrence": (
            "Log-odds of a word in answers about the group against the reference, with a "
            "Dirichlet prior (Monroe et al. 2008); above 0: the group's."
        ),
    },
    limits=(
        "A name signals more than a group: age and class go with it.",
        "Only rows that name a group can be swapped; those left out are counted, and may differ.",
        "The lists and rules are of English, and have a few groups of each axis.",
        "A swapped text may be less plausible than the original, and a model may answer to that.",
        "Where the group ought to matter, a changed answer is no bias.",
        "Words of the two sides differ by design; similarities turn them back where rules can.",
    ),
)
