"""`trivium images classify` and `probe`: pictures sorted by words, or by examples."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console
from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.evals.pictures import By, Target
    from trivium.images.base import Encoder
    from trivium.images.classify import Classified, Classifier
    from trivium.images.zero_shot import Captions

Model = Annotated[
    str | None,
    typer.Option("--model", "-m", help="A CLIP or SigLIP: of the catalogue, or a folder."),
]
FormOption = Annotated[
    str, typer.Option("--form", help="auto, torch, onnx, or int8, which is smaller and faster.")
]
Templates = Annotated[
    list[str] | None,
    typer.Option("--template", help='A caption with {} for the label, "a photo of a {}"; repeat.'),
]
PromptOption = Annotated[
    str | None,
    typer.Option("--prompt", help="A prompt with the variable label, whose lines are captions."),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines on stdout.")]


def classify(
    paths: Annotated[list[str] | None, typer.Argument(help="Pictures and folders.")] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", help='What they may show: "cat,dog,empty street".')
    ] = None,
    labels_file: Annotated[
        Path | None, typer.Option("--labels-file", help="A file with a label on each line.")
    ] = None,
    probe: Annotated[
        Path | None, typer.Option("--probe", help="A file of `images probe`, instead of labels.")
    ] = None,
    targets: Annotated[
        str | None,
        typer.Option(
            "--targets",
            help='The right labels: "folders" (named for them) or a table with image and label; '
            "the results are stored as a run of `trivium eval`.",
        ),
    ] = None,
    model: Model = None,
    form: FormOption = "auto",
    template: Templates = None,
    prompt: PromptOption = None,
    as_json: AsJson = False,
) -> None:
    """Say what pictures show, among labels of your choice; no training is needed.

    With --targets it says how often that is right, with an interval.
    """
    from trivium.images.classify import classify as run

    answers = _targets(targets, paths or [])
    encoder, classifier, by = _classifier(
        _labels(labels, labels_file), probe, model, form, template or [], prompt
    )
    names = [one.path for one in answers] if answers else _pictures(paths or [])
    found: list[Classified] = []
    with console.progress() as bar:
        task = bar.add_task("looking", total=len(names))
        for one in run(encoder, classifier, names):
            found.append(one)
            bar.advance(task)
            if as_json and not answers:
                _emit(one, classifier.labels)
    if answers:
        _store(by, classifier.labels, answers, found, as_json)
    elif not as_json:
        rows = [(*_told(one, classifier.labels), one.name) for one in found]
        console.table(("label", "probability", "picture"), rows)
    refused = sum(one.refused is not None for one in found)
    console.note(f"{len(found) - refused:,} pictures classified, {refused:,} refused")


def probe(
    folders: Annotated[list[str], typer.Argument(help="A folder with a folder for each class.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The probe's file.")],
    shots: Annotated[
        int, typer.Option("--shots", min=2, help="Pictures of a class that teach, at most.")
    ] = 16,
    model: Model = None,
    form: FormOption = "auto",
    template: Templates = None,
    prompt: PromptOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Learn classes from a few examples of each, and say whether that beats words alone.

    The pictures that do not teach judge: both ways classify them, and the difference is printed
    with its interval. The probe is then for `images classify --probe`.
    """
    import numpy as np

    from trivium.evals.intervals import estimate
    from trivium.evals.pictures import better
    from trivium.images import probe as probes
    from trivium.images.classify import class_of
    from trivium.images.look import look
    from trivium.images.zero_shot import zero_shot

    encoder = encoder_of(model, form)
    names = _pictures(folders)
    with console.progress() as bar:
        seen = list(bar.track(look(encoder, names), len(names), description="looking"))
    whole = [(one.vector, class_of(one.name)) for one in seen if one.vector is not None]
    if not whole:
        raise UsageError("none of the pictures could be read")
    vectors, classes = np.stack([vector for vector, _ in whole]), [name for _, name in whole]
    teach, judge = probes.split(classes, shots)
    made = probes.train(encoder, vectors[teach], [classes[at] for at in teach])
    words = zero_shot(encoder, made.labels, _captions(template or [], prompt)[0])
    right = [made.labels.index(classes[at]) for at in judge]
    hits = [
        (one.probabilities(vectors[judge]).argmax(axis=1) == right).tolist()
        for one in (words, made)
    ]
    probes.save(made, out)
    difference = better(*hits)
    lines = [
        ("words alone", estimate([float(one) for one in hits[0]])),
        ("probe", estimate([float(one) for one in hits[1]])),
        ("difference", difference.effect),
    ]
    if as_json:
        console.emit_json(
            {
                "file": str(out), "classes": len(made.labels), "taught": len(teach),
                "judged": len(judge), "strength": made.strength, "p": difference.p,
                **{
                    name.replace(" ", "_"): {"mean": one.mean, "low": one.low, "high": one.high}
                    for name, one in lines
                },
            }
        )  # fmt: skip
    else:
        console.table(
            ("accuracy", "value", "95% interval"),
            [(name, f"{one.mean:.4g}", f"{one.low:.4g} to {one.high:.4g}") for name, one in lines],
        )
    verdict = "cannot be told apart from"
    if difference.effect.low > 0 or difference.effect.high < 0:
        verdict = "is better than" if difference.effect.mean > 0 else "is worse than"
    console.note(
        f"the probe {verdict} words alone on {len(judge):,} pictures that it was not shown; "
        f"{len(seen) - len(whole):,} pictures were refused"
    )


def encoder_of(name: str | None, form: str) -> "Encoder":
    """The model called `name`, or the default one, in a form that a user typed."""
    from typing import cast, get_args

    from trivium.images.base import MODEL
    from trivium.images.encoder import Form, load_encoder

    if form not in get_args(Form):
        raise UsageError(f'"{form}" is no form; there are {", ".join(get_args(Form))}')
    return load_encoder(name or MODEL, form=cast(Form, form))


def _classifier(
    labels: Sequence[str],
    probe_file: Path | None,
    model: str | None,
    form: str,
    templates: Sequence[str],
    prompt: str | None,
) -> "tuple[Encoder, Classifier, By]":
    """The model, what sorts by its vectors, and how a run calls the two."""
    from hashlib import sha256

    from trivium.evals.pictures import By
    from trivium.images.probe import load
    from trivium.images.zero_shot import zero_shot

    if (probe_file is None) == (not labels):
        raise UsageError("say what pictures may show: --labels, --labels-file, or --probe")
    if probe_file is not None:
        found = load(probe_file)
        encoder = encoder_of(model or found.model, form)
        found.check(encoder)
        digest = sha256(found.weights.tobytes() + found.bias.tobytes()).hexdigest()
        by = By(encoder.name, encoder.fingerprint, f"probe {probe_file.stem}", digest)
        return encoder, found, by
    encoder = encoder_of(model, form)
    captions, name = _captions(templates, prompt)
    lines = "\n".join(line for one in labels for line in captions(one))
    by = By(encoder.name, encoder.fingerprint, name, sha256(lines.encode()).hexdigest())
    return encoder, zero_shot(encoder, labels, captions), by


def _captions(templates: Sequence[str], prompt: str | None) -> "tuple[Captions, str]":
    """How labels become captions, and its name."""
    from trivium.images.zero_shot import PROMPT, by_prompt, by_templates

    if templates and prompt:
        raise UsageError("--template and --prompt both say the captions; give one of them")
    if templates:
        return by_templates(templates), " | ".join(templates)
    return by_prompt(prompt or PROMPT), prompt or PROMPT


def _labels(given: str | None, file: Path | None) -> list[str]:
    if given is not None and file is not None:
        raise UsageError("--labels and --labels-file both say the labels; give one of them")
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} is no text file that can be read: {error}") from error
    else:
        lines = (given or "").split(",")
    return [line.strip() for line in lines if line.strip()]


def _pictures(paths: Sequence[str]) -> list[str]:
    from trivium.images.look import pictures_at

    if not paths:
        raise UsageError("say which pictures: files or folders")
    return [str(path) for path in pictures_at(paths)]


def _targets(said: str | None, paths: Sequence[str]) -> "list[Target]":
    from trivium.evals.pictures import of_folders, of_table

    if said is None:
        return []
    if said == "folders":
        return of_folders(_pictures(paths))
    if paths:
        raise UsageError(f"{said} names the pictures itself; leave out {paths[0]}")
    return of_table(Path(said))


def _store(
    by: "By",
    labels: Sequence[str],
    answers: "Sequence[Target]",
    found: "Sequence[Classified]",
    as_json: bool,
) -> None:
    from trivium.cli.eval_show import show_run
    from trivium.evals.pictures import store
    from trivium.evals.store import Runs

    unknown = sorted({one.label for one in answers} - set(labels))
    if unknown:
        console.note(f"no label is called {', '.join(unknown[:5])}: such pictures fail")
    with Runs() as runs:
        show_run(runs, store(runs, by, labels, answers, found), as_json)


def _told(one: "Classified", labels: Sequence[str]) -> tuple[str, str]:
    if one.refused is not None:
        return f"refused: {one.refused}", ""
    return labels[one.best], f"{one.probabilities[one.best]:.3f}"


def _emit(one: "Classified", labels: Sequence[str]) -> None:
    if one.refused is not None:
        console.emit_json({"path": one.name, "refused": one.refused}, line=True)
        return
    shares = dict(zip(labels, one.probabilities, strict=True))
    console.emit_json(
        {"path": one.name, "label": labels[one.best], "probabilities": shares}, line=True
    )
