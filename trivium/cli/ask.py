"""`trivium ask`: a question over documents, answered with citations that are checked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trivium.cli import console
from trivium.errors import NotInDocuments, UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from trivium.config import Settings
    from trivium.retrieval.answer import Answer, Asker
    from trivium.retrieval.index import Index

app = typer.Typer(add_completion=False)


@app.command()
def ask(
    question: Annotated[
        str | None, typer.Argument(help="What you want to know; not with --questions.")
    ] = None,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders or globs to ask; - is standard input. An index of them is kept."
        ),
    ] = None,
    index: Annotated[
        str | None, typer.Option("--index", "-i", help="A named index instead of paths.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A catalogue name, file or server URL.")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option("--top-k", "-k", min=1, max=100, help="Passages to search out.")
    ] = None,
    rerank: Annotated[
        str | None,
        typer.Option(help='A cross-encoder, or "model" for the chat model\'s own judgement.'),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="The longest answer, in tokens.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, help="0 is greedy and repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="For temperatures above 0.")] = 0,
    no_answer: Annotated[
        bool, typer.Option("--no-answer", help="Show the passages; load no language model.")
    ] = False,
    questions: Annotated[
        Path | None,
        typer.Option(help='A batch: one {"question": ...} a line, with an "id" if you like.'),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where a batch writes; a broken run is continued."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Ask your documents. Every quote is a verbatim span of a file; exit 3 means "not in there"."""
    from trivium.config import load_settings

    settings = load_settings(
        {
            "model": model,
            "top_k": top_k,
            "reranker": rerank,
            "max_tokens": max_tokens,
            "temperature": temperature,
        }
    )
    if questions is not None and question is not None:  # with a batch, every argument is a path
        paths = [question, *(paths or [])]
        question = None
    if question is None and questions is None:
        raise UsageError('no question given; write one, as in: trivium ask "Who wrote it?" notes/')
    if question is not None and not question.strip():
        raise UsageError("the question is empty")
    if (questions is None) != (output is None):
        raise UsageError("a batch needs both --questions FILE and -o FILE")
    with _documents(paths or [], index, settings) as documents:
        asker = _asker(documents, settings, seed, no_answer)
        try:
            if questions is not None and output is not None:
                _batch(asker, questions, output, as_json)
            else:
                _one(asker, str(question), _where(paths, index), as_json)
        finally:
            if asker.engine:
                asker.engine.close()


@contextmanager
def _documents(paths: list[str], name: str | None, settings: "Settings") -> "Iterator[Index]":
    from trivium.retrieval.adhoc import index_of
    from trivium.retrieval.embed import load_embedder
    from trivium.retrieval.index import Index

    if paths and name:
        raise UsageError(f"give either paths or --index {name}, not both")
    embedder = load_embedder(settings.embedder)
    if not paths:
        with Index.open(name or "default", embedder=embedder) as index:
            yield index
        return
    with console.progress() as bar:
        task = bar.add_task("Indexing", total=None)
        index, report = index_of(
            paths,
            embedder,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    with index:
        for skipped in report.skipped:
            console.note(f"skipped {skipped.path}: {skipped.reason}")
        yield index


def _asker(index: "Index", settings: "Settings", seed: int, no_answer: bool) -> "Asker":
    from trivium.engines.base import Sampling
    from trivium.retrieval.answer import Asker
    from trivium.retrieval.rerank import load_reranker

    engine = None
    if not no_answer or settings.reranker == "model":
        from trivium.engines.load import load_engine

        engine = load_engine(settings.model, settings)
    sampling = Sampling(temperature=settings.temperature, max_tokens=settings.max_tokens, seed=seed)
    return Asker(
        index,
        None if no_answer else engine,
        settings.top_k,
        load_reranker(settings.reranker, engine),
        sampling,
    )


def _one(asker: "Asker", question: str, where: str, as_json: bool) -> None:
    if as_json or not console.out().is_terminal:
        answer = asker.ask(question)
    else:
        with _live() as show:
            answer = asker.ask(question, show)
    if as_json:
        console.emit_json(answer.to_dict())
    elif answer.found or asker.engine is None:
        _print(answer)
    _remarks(answer)
    if not answer.found:
        nearest = "" if asker.engine is None else "; --no-answer shows what comes nearest"
        raise NotInDocuments(
            f"nothing in {where} answers this (best match {answer.confidence:.2f}, "
            f"{_threshold():.2f} needed){nearest}"
        )


def _where(paths: list[str] | None, index: str | None) -> str:
    """What was asked, as the user named it."""
    if not paths:
        return f'the index "{index or "default"}"'
    named = ["standard input" if path == "-" else path for path in paths]
    return ", ".join(named) if len(named) < 4 else f"{len(named)} paths"


def _threshold() -> float:
    from trivium.retrieval.evidence import ANSWERABLE

    return ANSWERABLE


def _batch(asker: "Asker", questions: Path, output: Path, as_json: bool) -> None:
    from trivium.retrieval.batch import read_questions, run

    asked = read_questions(questions)
    with console.progress() as bar:
        task = bar.add_task("Asking", total=len(asked))
        for state in run(asked, output, asker.ask, asker.run_id):
            bar.update(task, completed=state.done)
    summary = {
        "questions": state.total,
        "answered_now": state.done - state.resumed,
        "resumed": state.resumed,
        "not_found": state.not_found,
        "output": str(output),
    }
    if as_json:
        console.emit_json(summary)
    else:
        console.note(
            f"{state.total} questions, {state.resumed} of them answered before; "
            f"{state.not_found} not in the documents; written to {output}"
        )


@contextmanager
def _live() -> Iterator[Callable[[str], None]]:
    """The answer as it is written, replaced by the checked one when it is complete."""
    from rich.live import Live
    from rich.text import Text

    words: list[str] = []
    with Live(console=console.out(), transient=True, auto_refresh=False) as live:

        def show(text: str) -> None:
            words.append(text)
            live.update(Text(console.clean("".join(words)), style="dim"), refresh=True)

        yield show


def _print(answer: "Answer") -> None:
    from rich.text import Text

    out = console.out()
    if answer.model is None:
        for rank, hit in enumerate(answer.hits, start=1):
            out.print(console.place(rank, hit.passage.path, hit.passage.page, hit.passage.start))
            console.indented(Text(console.clean(hit.passage.text)))
            out.print()
        return
    out.print(_annotated(answer))
    if answer.citations:
        out.print()
    for number, citation in enumerate(answer.citations, start=1):
        out.print(console.place(number, citation.path, citation.page, citation.start))
        console.indented(Text(f"“{console.clean(citation.text)}”", "italic"))


def _annotated(answer: "Answer") -> "Text":
    """The answer with the numbers of its sources, and a mark where there is none."""
    from rich.text import Text

    text = Text()
    end = 0
    for claim in answer.claims:
        text.append(console.clean(answer.text[end : claim.end]), "" if claim.supported else "dim")
        marks = "".join(f"[{n}]" for n in sorted(answer.numbers(claim)))
        text.append(f" {marks or '[unsupported]'}", "cyan" if marks else "yellow")
        end = claim.end
    text.append(console.clean(answer.text[end:]))
    return text


def _remarks(answer: "Answer") -> None:
    """What a person should know about how the answer came to be, on stderr."""
    if answer.quoted:
        console.note("The model's own words had no support in the documents; this is a quotation.")
        console.detail(f"The model wrote: {answer.generated}")
    if answer.completion and answer.completion.finish == "length":
        console.note("The answer reached its token limit; raise it with --max-tokens.")
    if answer.engine_fingerprint:
        seconds = ", ".join(f"{name} {value:.2f} s" for name, value in answer.timings.items())
        console.detail(f"{answer.model} read {answer.passages_read} passages; {seconds}")
