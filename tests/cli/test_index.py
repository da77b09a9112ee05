"""`trivium index` at the terminal and in a script."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.embedder import WordEmbedder
from tests.scripted import ScriptedEngine
from trivium.cli.main import run
from trivium.retrieval.index import names

Output = pytest.CaptureFixture[str]

FAKED = """
import sys
from tests.embedder import WordEmbedder
from trivium.retrieval import embed
embed.load_embedder = WordEmbedder
from trivium.cli.main import run
sys.exit(run(sys.argv[1:]))
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trivium.retrieval.embed.load_embedder", WordEmbedder)


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "nile.md").write_text("# Nile\n\nThe Nile flows north through Egypt.\n")
    (folder / "bread.txt").write_text("Flour, water and salt make bread.\n")
    monkeypatch.chdir(tmp_path)
    return folder


class TestAdd:
    def test_the_summary_counts_files_and_passages(self, docs: Path, capsys: Output) -> None:
        assert run(["index", "add", "docs"]) == 0
        streams = capsys.readouterr()
        assert streams.out == ""
        assert streams.err.startswith("2 added; 2 passages, 2 embedded in ")

    def test_json_is_the_whole_report(self, docs: Path, capsys: Output) -> None:
        (docs / "empty.txt").touch()
        assert run(["index", "add", "docs", "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report.pop("seconds") >= 0
        assert report == {
            "added": 2,
            "changed": 0,
            "unchanged": 0,
            "removed": 0,
            "passages": 2,
            "embedded": 2,
            "skipped": [{"path": str(docs / "empty.txt"), "reason": "is empty"}],
        }

    def test_a_skipped_file_is_named_and_counted(self, docs: Path, capsys: Output) -> None:
        (docs / "empty.txt").touch()
        assert run(["index", "add", "docs"]) == 0
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == "skipped docs/empty.txt: is empty"
        assert lines[1].startswith("2 added, 1 skipped; ")

    def test_a_name_of_control_characters_does_not_reach_the_terminal(
        self, docs: Path, capsys: Output
    ) -> None:
        (docs / "\x1b[31mred.txt").touch()
        (docs / os.fsdecode(b"\xff.txt")).write_text("text")
        assert run(["index", "add", "docs"]) == 0
        err = capsys.readouterr().err
        assert "\x1b" not in err
        assert "skipped docs/red.txt: is empty" in err
        assert "skipped docs/\ufffd.txt: has a name that is not UTF-8" in err

    def test_nothing_readable_is_an_error(self, docs: Path, capsys: Output) -> None:
        (docs / "empty.txt").touch()
        assert run(["index", "add", "docs/empty.txt"]) == 1
        assert "nothing could be read in docs/empty.txt: 1 skipped" in capsys.readouterr().err

    def test_a_folder_without_documents_is_an_error(self, docs: Path, capsys: Output) -> None:
        (docs / "none").mkdir()
        assert run(["index", "add", "docs/none"]) == 1
        assert "there are no documents" in capsys.readouterr().err

    def test_a_misspelt_path_makes_no_index(self, docs: Path, capsys: Output) -> None:
        assert run(["index", "add", "dosc"]) == 2
        assert capsys.readouterr().err == "error: dosc does not exist\n"
        assert names() == []

    def test_patterns_choose(self, docs: Path, capsys: Output) -> None:
        assert run(["index", "add", "docs", "--include", "*.md", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["added"] == 1
        assert run(["index", "add", "docs", "--exclude", "*.md", "--exclude", "*.txt"]) == 1

    def test_a_larger_file_than_allowed_is_skipped(self, docs: Path, capsys: Output) -> None:
        (docs / "long.txt").write_text("word " * 1000)
        assert run(["index", "add", "docs", "--max-mb", "0.001"]) == 0
        assert "skipped docs/long.txt: holds " in capsys.readouterr().err

    def test_standard_input_is_a_document(
        self, docs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
    ) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"The Volga flows south.")))
        assert run(["index", "add", "docs", "-", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["added"] == 3
        assert run(["index", "search", "Volga", "-k", "1"]) == 0
        assert capsys.readouterr().out == "1\t-\t\t\tThe Volga flows south.\n"


@pytest.fixture
def indexed(docs: Path, capsys: Output) -> Path:
    assert run(["index", "add", "docs"]) == 0
    capsys.readouterr()
    return docs


class TestSearch:
    def test_a_pipe_gets_a_line_a_passage(self, indexed: Path, capsys: Output) -> None:
        assert run(["index", "search", "where does the Nile flow", "-k", "1"]) == 0
        text = "… The Nile flows north through Egypt."
        assert capsys.readouterr().out == f"1\tdocs/nile.md\t\tNile\t{text}\n"

    def test_json_has_the_place_and_every_score(self, indexed: Path, capsys: Output) -> None:
        assert run(["index", "search", "Nile", "--json"]) == 0
        best, other = json.loads(capsys.readouterr().out)
        source = (indexed / "nile.md").read_text()
        assert source[best["start"] : best["end"]] == best["text"]
        assert (best["path"], best["heading"]) == (str(indexed / "nile.md"), "Nile")
        assert (best["bm25_rank"], best["dense_rank"], best["rerank"]) == (1, 1, None)
        assert best["score"] == 2 / 61
        assert (other["bm25"], other["bm25_rank"], other["dense_rank"]) == (None, None, 2)

    def test_explain_shows_each_score_with_its_rank(self, indexed: Path, capsys: Output) -> None:
        assert run(["index", "search", "Nile", "--explain"]) == 0
        first, second = (line.split("\t") for line in capsys.readouterr().out.splitlines())
        assert first[:2] == ["1", f"{2 / 61:.4f}"]
        assert first[2].endswith(" (#1)")
        assert first[3].endswith(" (#1)")
        assert (first[4], first[5]) == ("-", "docs/nile.md:0")
        assert (second[2], second[3][-4:]) == ("-", "(#2)")

    @pytest.mark.parametrize(("mode", "missing"), [("bm25", "cosine"), ("dense", "bm25")])
    def test_a_mode_is_one_half_of_the_search(
        self, indexed: Path, capsys: Output, mode: str, missing: str
    ) -> None:
        assert run(["index", "search", "Nile", "--mode", mode, "--json"]) == 0
        best = json.loads(capsys.readouterr().out)[0]
        assert best[missing] is None
        assert best["path"].endswith("nile.md")

    def test_the_chat_model_may_rerank(
        self, indexed: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = ScriptedEngine(
            logprob=lambda r: -float(("bread" in r.messages[0].content) == (r.continuation == "No"))
        )
        monkeypatch.setattr("trivium.engines.load.load_engine", lambda name, settings: engine)
        command = ["index", "search", "Nile", "--rerank", "model", "--json"]
        assert run(command) == 0
        hits = json.loads(capsys.readouterr().out)
        assert [(Path(hit["path"]).name, hit["rerank"]) for hit in hits] == [
            ("bread.txt", 1.0),
            ("nile.md", -1.0),
        ]
        assert engine.closed

    def test_words_that_are_nowhere_are_exit_3(self, indexed: Path, capsys: Output) -> None:
        assert run(["index", "search", "zeppelin", "--mode", "bm25"]) == 3
        streams = capsys.readouterr()
        assert streams.out == ""
        assert 'nothing in the index "default"' in streams.err

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["  "], "the query is empty"),
            (["Nile", "--mode", "magic"], "hybrid, bm25, dense"),
            (["Nile", "-i", "lakes"], '"lakes" (there are: default)'),
            (["Nile", "-i", "../x"], '"../x" cannot name an index'),
        ],
    )
    def test_mistakes_are_sentences(
        self, indexed: Path, capsys: Output, arguments: list[str], sentence: str
    ) -> None:
        assert run(["index", "search", *arguments]) == 2
        err = capsys.readouterr().err
        assert sentence in err
        assert err.count("\n") == 1

    def test_a_query_of_operators_and_broken_bytes_is_data(
        self, indexed: Path, capsys: Output
    ) -> None:
        assert run(["index", "search", 'AND OR NEAR("\udcff* Nile']) == 0
        assert capsys.readouterr().out.startswith("1\tdocs/nile.md\t")

    def test_escape_sequences_of_a_document_are_not_shown(
        self, indexed: Path, capsys: Output
    ) -> None:
        (indexed / "evil.txt").write_text(
            "A \x1b]0;title\x07\x1b[2J volcano [bold]erupts[/bold].\t."
        )
        assert run(["index", "update"]) == 0
        assert run(["index", "search", "volcano", "-k", "1"]) == 0
        out = capsys.readouterr().out
        assert out == "1\tdocs/evil.txt\t\t\tA volcano [bold]erupts[/bold]. .\n"


class TestKeeping:
    def test_status_tells_what_update_would_find(self, indexed: Path, capsys: Output) -> None:
        (indexed / "nile.md").write_text("# Nile\n\nIt is long.\n")
        (indexed / "bread.txt").unlink()
        (indexed / "new.txt").write_text("New.")
        assert run(["index", "status", "--json"]) == 0
        status = json.loads(capsys.readouterr().out)
        assert (status["documents"], status["roots"]) == (2, [str(indexed)])
        assert (status["new"], status["changed"], status["deleted"]) == (1, 1, 1)
        assert run(["index", "status"]) == 0
        assert "since then\t1 new, 1 changed, 1 deleted\n" in capsys.readouterr().out
        assert run(["index", "update"]) == 0
        assert capsys.readouterr().err.startswith("1 added, 1 changed, 1 removed; 2 passages")
        assert run(["index", "status"]) == 0
        assert "since then\tnothing new\n" in capsys.readouterr().out

    def test_list_needs_no_embedder_and_takes_a_damaged_index(
        self, indexed: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch, home: Path
    ) -> None:
        monkeypatch.setattr("trivium.retrieval.embed.load_embedder", None)
        broken = home / "indexes" / "broken"
        broken.mkdir()
        (broken / "index.db").write_bytes(b"no database" * 500)
        assert run(["index", "list", "--json"]) == 0
        streams = capsys.readouterr()
        (row,) = json.loads(streams.out)
        assert (row["name"], row["documents"], row["passages"]) == ("default", 2, 2)
        assert "broken" in streams.err
        assert "is damaged" in streams.err

    def test_a_document_can_be_taken_out(self, indexed: Path, capsys: Output) -> None:
        assert run(["index", "rm", "default", "docs/bread.txt"]) == 0
        assert capsys.readouterr().err.startswith('1 documents left the index "default"')
        assert run(["index", "rm", "default", "docs/bread.txt"]) == 2
        assert (indexed / "bread.txt").exists()

    def test_a_script_says_yes_to_delete_an_index(
        self, indexed: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
        assert run(["index", "rm", "default"]) == 2
        assert "--yes" in capsys.readouterr().err
        assert names() == ["default"]
        assert run(["index", "rm", "default", "--yes"]) == 0
        assert names() == []
        assert run(["index", "rm", "default", "--yes"]) == 2

    def test_another_embedder_is_refused_and_both_are_named(
        self, indexed: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TRIVIUM_EMBEDDER", "other")
        assert run(["index", "search", "Nile"]) == 2
        err = capsys.readouterr().err
        assert "minilm-l6-v2" in err
        assert "other" in err


class TestTerminal:
    def spawn(self, *arguments: str) -> "pexpect.spawn[str]":
        command = ["-c", FAKED, *arguments]
        env = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm"}
        return pexpect.spawn(
            sys.executable, command, env=env, encoding="utf-8", timeout=30, dimensions=(24, 140)
        )

    def test_a_person_is_asked_before_an_index_is_deleted(self, indexed: Path) -> None:
        for answer, left in (("n", ["default"]), ("y", [])):
            child = self.spawn("index", "rm", "default")
            child.expect_exact('Delete the index "default"?')
            child.sendline(answer)
            child.expect(pexpect.EOF)
            assert names() == left

    def test_a_person_sees_a_table_that_explains(self, indexed: Path) -> None:
        child = self.spawn("index", "search", "Nile", "--explain")
        child.expect(r"score[^\r]*bm25[^\r]*cosine[^\r]*rerank")
        child.expect(r"0\.0328 [^\r]*\(#1\)[^\r]*\(#1\)[^\r]*docs/nile\.md:0")
        child.expect(pexpect.EOF)

    def test_a_person_sees_passages_with_their_places(self, indexed: Path) -> None:
        child = self.spawn("index", "search", "Nile", "-k", "1")
        child.expect(r"\[1\].*docs/nile\.md.*, character 0")
        child.expect_exact("    # Nile The Nile flows north through Egypt.")
        child.expect(pexpect.EOF)


class TestWatch:
    def test_changes_are_followed_until_interrupted(self, docs: Path) -> None:
        named = docs.parent / "named.md"
        named.write_text("One.")
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        faked = [sys.executable, "-c", FAKED, "index"]
        subprocess.run([*faked, "add", "docs", "named.md"], env=env, check=True)
        (docs / "before.txt").write_text("Written before the watch.")
        process = subprocess.Popen(
            [*faked, "watch"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            line = reader(process)
            assert line() == "added\tdocs/before.txt"
            (docs / "nile.md").write_text("# Nile\n\nIt is long.\n")
            assert line() == "changed\tdocs/nile.md"
            (docs / "nile.md").unlink()
            assert line() == "removed\tdocs/nile.md"
            (docs / "other.tmp").write_text("Two.")
            (docs / "other.tmp").rename(named)  # as editors save a file
            assert line() == "changed\tnamed.md"
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
        assert process.returncode == 130, err
        assert err.endswith("interrupted\n")
        assert "Traceback" not in err


def reader(process: "subprocess.Popen[str]") -> Callable[[], str]:
    """A function that returns the next line, and fails after a while without one."""
    import queue
    import threading

    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line.rstrip("\n"))

    threading.Thread(target=read, daemon=True).start()
    return lambda: lines.get(timeout=30)
