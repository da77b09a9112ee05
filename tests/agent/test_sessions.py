"""The tree of messages: what is stored comes back, under every kind of change."""

import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.agent.talk import say, searched_whole, texts
from tests.nobody import nobody
from trivium.agent.base import Attachment, Node
from trivium.agent.migrations import MIGRATIONS
from trivium.agent.sessions import Sessions, default_file
from trivium.engines.base import Image, ToolCall
from trivium.errors import TriviumError, UsageError
from trivium.retrieval.base import Citation

FULL = Node(
    "assistant",
    "Light is fast.",
    thinking="Look it up.",
    source="passages and question",
    tool_calls=(ToolCall("c1", "read_file", {"path": "a.md", "lines": [1, 2]}),),
    citations=(Citation("/a.md", 2, 10, 14, "fast", "ab" * 32, 0.5),),
    attachments=(
        Attachment("a.md", "text", text="Grüße"),
        Attachment("docs", "index", index="docs"),
        Attachment("p.png", "image", image=Image(bytes(range(256)), "image/png")),
    ),
    created=12.5,
    pinned=True,
)


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[Sessions]:
    with Sessions(tmp_path / "s.db") as opened:
        yield opened


class TestSessions:
    def test_a_new_one_is_empty_and_the_latest(self, sessions: Sessions) -> None:
        assert sessions.latest() is None
        made = sessions.create("sea", model="m", system="Be kind.")
        assert (made.name, made.model, made.system) == ("sea", "m", "Be kind.")
        assert (made.head, made.messages) == (None, 0)
        assert made.created == made.updated > 1e9
        assert sessions.get("sea") == sessions.latest() == made
        assert sessions.path(made.head) == []

    def test_the_one_last_written_to_comes_first(self, sessions: Sessions) -> None:
        first, second = sessions.create("a"), sessions.create("b")
        assert [one.name for one in sessions.all()] == ["b", "a"]
        say(sessions, first, "hello")
        assert [one.name for one in sessions.all()] == ["a", "b"]
        sessions.set_model(second.id, "m")  # no message: it was not talked in
        assert sessions.latest() == sessions.get("a")

    def test_settings_are_kept(self, sessions: Sessions) -> None:
        made = sessions.create("a")
        sessions.set_system(made.id, "Rhyme.")
        sessions.set_model(made.id, "qwen")
        assert sessions.get("a") == replace(made, system="Rhyme.", model="qwen")

    def test_only_turns_count_as_messages(self, sessions: Sessions) -> None:
        made = sessions.create("a")
        say(sessions, made, "question", "answer")
        sessions.append(made.id, Node("tool", "result", tool_call_id="c1"))
        sessions.append(made.id, Node("summary", "short"))
        assert sessions.get("a").messages == 2

    def test_a_second_of_a_name_is_refused(self, sessions: Sessions) -> None:
        sessions.create("a")
        sessions.create("b")
        with pytest.raises(UsageError, match='there is a session "a" already'):
            sessions.create("a")
        with pytest.raises(UsageError, match='there is a session "a" already'):
            sessions.rename("b", "a")
        assert sessions.rename("a", "a").name == "a"
        assert sessions.rename("a", "c") == sessions.get("c")

    def test_an_unknown_name_gets_near_ones(self, sessions: Sessions) -> None:
        sessions.create("rivers")
        with pytest.raises(UsageError) as caught:
            sessions.get("river")
        assert str(caught.value) == 'there is no session "river"; did you mean "rivers"?'
        with pytest.raises(UsageError, match="see: trivium sessions list"):
            sessions.get("xyz")
        with pytest.raises(UsageError):
            sessions.get("\ud800")

    def test_what_is_not_there_is_a_sentence(self, sessions: Sessions) -> None:
        made, other = sessions.create("a"), sessions.create("b")
        node = say(sessions, made, "hello")[0]
        for attempt in (
            lambda: sessions.append(99, Node("user", "x")),
            lambda: sessions.append(made.id, Node("user", "x", parent=99)),
            lambda: sessions.append(other.id, Node("user", "x", parent=node.id)),
            lambda: sessions.set_head(other.id, node.id),
            lambda: sessions.set_head(99, None),
            lambda: sessions.fork(other.id, node.id),
            lambda: sessions.path(99),
            lambda: sessions.pin(99),
            lambda: sessions.write(node.id, "late"),
            lambda: sessions.finish(node),
            lambda: sessions.set_system(99, ""),
        ):
            with pytest.raises(UsageError, match=r"^(there is no|message \d+ is not) "):
                attempt()
        assert sessions.tree(made.id) == [node]
        assert sessions.tree(other.id) == []

    def test_the_default_is_the_users_file_for_him_alone(self, home: Path) -> None:
        with Sessions() as sessions:
            sessions.create("a")
        assert default_file() == home / "sessions.db"
        assert default_file().stat().st_mode & 0o777 == 0o600


class TestNames:
    def test_the_first_message_with_words_names_it(self, sessions: Sessions) -> None:
        made = sessions.create()
        assert re.fullmatch(r"\d{4}-\d\d-\d\d-1", made.name)
        assert sessions.create().name == made.name[:-1] + "2"
        say(sessions, made, "???")
        assert sessions.session(made.id).name == made.name
        say(sessions, made, "Why is the sky blue?")
        assert sessions.session(made.id).name == "why-is-the-sky-blue"
        say(sessions, made, "And the sea?")
        assert sessions.session(made.id).name == "why-is-the-sky-blue"

    def test_a_given_name_stays(self, sessions: Sessions) -> None:
        given, renamed = sessions.create("mine"), sessions.create()
        sessions.rename(renamed.name, "also-mine")
        say(sessions, given, "Hello there")
        say(sessions, renamed, "Hello there")
        assert {one.name for one in sessions.all()} == {"mine", "also-mine"}

    def test_the_same_first_message_gets_a_number(self, sessions: Sessions) -> None:
        for _ in range(3):
            say(sessions, sessions.create(), "Hello")
        assert sorted(one.name for one in sessions.all()) == ["hello", "hello-2", "hello-3"]

    @pytest.mark.parametrize(
        "name", ["", " ", "-a", ".a", "a b", "a/b", "a\n", "\x1b[0m", "a" * 81]
    )
    def test_what_cannot_be_a_name(self, sessions: Sessions, name: str) -> None:
        with pytest.raises(UsageError, match="cannot name a session"):
            sessions.create(name)

    def test_composed_and_decomposed_are_one_name(self, sessions: Sessions) -> None:
        assert sessions.create("cafe\u0301").name == "caf\u00e9"
        with pytest.raises(UsageError, match="already"):
            sessions.create("caf\u00e9")


class TestTree:
    def test_every_field_comes_back(self, sessions: Sessions) -> None:
        made = sessions.create("a")
        root = say(sessions, made, "question")[0]
        stored = sessions.append(made.id, replace(FULL, covers=root.id))
        assert stored == replace(
            FULL, id=stored.id, session=made.id, parent=root.id, covers=root.id
        )
        assert sessions.path(stored.id) == [root, stored]

    def test_what_utf_8_cannot_hold_becomes_a_question_mark(self, sessions: Sessions) -> None:
        made = sessions.create("a", system="\ud800")
        call = ToolCall("c", "t", {"a": "\udfff"})
        node = sessions.append(made.id, Node("user", "a\ud800b\0c", tool_calls=(call,)))
        assert (node.content, node.tool_calls[0].arguments) == ("a?b\0c", {"a": "?"})
        assert sessions.session(made.id).system == "?"

    def test_edit_and_retry_are_branches(self, sessions: Sessions) -> None:
        made = sessions.create("a")
        one, two, three, four = say(sessions, made, "1", "2", "3", "4")
        again = sessions.append(made.id, Node("assistant", "4b", parent=three.id))
        sessions.set_head(made.id, two.id)
        edited = sessions.append(made.id, Node("user", "3b"))
        assert texts(sessions.path(edited.id)) == ["1", "2", "3b"]
        assert texts(sessions.path(again.id)) == ["1", "2", "3", "4b"]
        assert sessions.branches(made.id) == [edited, again, four]
        assert sessions.children(two.id) == [three, edited]
        assert sessions.session(made.id).head == edited.id
        sessions.set_head(made.id, None)
        assert sessions.append(made.id, Node("user", "1b")).parent is None
        assert sessions.node(one.id) == one

    def test_a_pin_is_set_and_taken_off(self, sessions: Sessions) -> None:
        node = say(sessions, sessions.create("a"), "keep")[0]
        sessions.pin(node.id)
        assert sessions.node(node.id).pinned
        sessions.pin(node.id, False)
        assert not sessions.node(node.id).pinned

    def test_a_draft_grows_and_is_finished(self, sessions: Sessions) -> None:
        made = sessions.create("a")
        root = say(sessions, made, "question")[0]
        draft = sessions.begin(made.id, Node("assistant", ""))
        assert (draft.state, draft.parent) == ("writing", root.id)
        assert sessions.session(made.id).head == draft.id
        sessions.write(draft.id, "Li", "hm")
        sessions.write(draft.id, "Light", "hmm")
        assert sessions.node(draft.id) == replace(draft, content="Light", thinking="hmm")
        done = sessions.finish(replace(draft, content="Light.", citations=FULL.citations))
        assert done == replace(draft, content="Light.", citations=FULL.citations, state="complete")
        assert sessions.path(done.id) == [root, done]

    def test_an_answer_may_end_interrupted(self, sessions: Sessions) -> None:
        made = sessions.create("a")
        draft = sessions.begin(made.id, Node("assistant", ""))
        done = sessions.finish(replace(draft, content="Half an ans", state="interrupted"))
        assert sessions.node(draft.id) == done
        assert done.state == "interrupted"

    def test_a_fork_is_a_copy_of_its_own(self, sessions: Sessions) -> None:
        made = sessions.create("a", model="m", system="s")
        one, two, _ = say(sessions, made, "1", "2", "3")
        sessions.set_head(made.id, two.id)
        summary = sessions.append(made.id, Node("summary", "short", covers=two.id))
        draft = sessions.begin(made.id, Node("assistant", "half"))
        copy = sessions.fork(made.id, draft.id)
        assert (copy.name, copy.model, copy.system) == ("a-fork", "m", "s")
        path = sessions.path(copy.head)
        assert texts(path) == ["1", "2", "short", "half"]
        assert [node.state for node in path] == ["complete"] * 3 + ["interrupted"]
        assert path[2].covers == path[1].id
        assert not {node.id for node in path} & {one.id, two.id, summary.id, draft.id}
        assert {node.session for node in path} == {copy.id}
        assert [node.created for node in path[:2]] == [one.created, two.created]
        say(sessions, copy, "more")
        assert texts(sessions.tree(made.id)) == ["1", "2", "3", "short", "half"]
        assert sessions.fork(made.id, one.id).name == "a-fork-2"
        assert sessions.fork(made.id, one.id, "mine").name == "mine"
        with pytest.raises(UsageError, match="already"):
            sessions.fork(made.id, one.id, "mine")

    def test_a_deleted_session_leaves_nothing(self, sessions: Sessions) -> None:
        made, other = sessions.create("a"), sessions.create("b")
        sessions._db.read("PRAGMA synchronous = OFF")
        say(sessions, other, "common word")
        say(sessions, made, *(f"common {n}" for n in range(1100)))  # deeper than SQLite recurses
        state = sessions.state_file(made.id)
        with sessions.hold(made.id):
            state.write_bytes(b"kv")
        sessions.delete("a")
        assert not state.exists()
        assert list(state.parent.iterdir()) == []
        assert sessions._db.read("SELECT DISTINCT session FROM nodes") == [(other.id,)]
        assert [found.session for found in sessions.search("common")] == ["b"]
        searched_whole(sessions)
        assert sessions.create("a").id > other.id, "an id never names another session"


class TestHold:
    def test_a_second_chat_is_told_until_the_first_is_gone(
        self, sessions: Sessions, tmp_path: Path
    ) -> None:
        made, other = sessions.create("rivers"), sessions.create("b")
        with Sessions(tmp_path / "s.db") as second:
            with sessions.hold(made.id):
                with pytest.raises(TriviumError) as caught, second.hold(made.id):
                    pass
                with pytest.raises(TriviumError, match="open in another chat"):
                    second.delete("rivers")
                with second.hold(other.id):
                    pass
            with second.hold(made.id):
                pass
        assert str(caught.value) == (
            'session "rivers" is open in another chat; close that one, or work on a copy: '
            "trivium sessions fork rivers"
        )

    def test_another_process_is_told_too(self, sessions: Sessions, tmp_path: Path) -> None:
        made = sessions.create("rivers")
        code = (
            "import sys\nfrom pathlib import Path\nfrom trivium.agent.sessions import Sessions\n"
            "with Sessions(Path(sys.argv[1])) as s, s.hold(int(sys.argv[2])): print('held')"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "s.db"), str(made.id)]
        with sessions.hold(made.id):
            held = subprocess.run(command, capture_output=True, text=True, check=False)
        free = subprocess.run(command, capture_output=True, text=True, check=False)
        assert 'session "rivers" is open in another chat' in held.stderr
        assert free.stdout == "held\n"

    def test_stale_drafts_are_interrupted_and_others_are_not(self, sessions: Sessions) -> None:
        made, other = sessions.create("a"), sessions.create("b")
        stale = sessions.begin(made.id, Node("assistant", ""))
        sessions.write(stale.id, "half an answ")
        live = sessions.begin(other.id, Node("assistant", ""))
        with sessions.hold(made.id):
            assert sessions.node(stale.id) == replace(
                stale, content="half an answ", state="interrupted"
            )
            assert sessions.search("half")[0].node.id == stale.id
        assert sessions.node(live.id).state == "writing"

    def test_a_session_that_is_gone_cannot_be_held(self, sessions: Sessions) -> None:
        with pytest.raises(UsageError, match="there is no session 7"), sessions.hold(7):
            pass

    def test_it_may_be_left_in_another_thread(self, sessions: Sessions) -> None:
        made = sessions.create("a")
        hold = sessions.hold(made.id)
        hold.__enter__()
        thread = threading.Thread(target=hold.__exit__, args=(None, None, None))
        thread.start()
        thread.join()
        with sessions.hold(made.id):
            pass

    def test_threads_share_the_store(self, sessions: Sessions) -> None:
        made = [sessions.create() for _ in range(4)]
        threads = [
            threading.Thread(target=say, args=(sessions, one, *map(str, range(20)))) for one in made
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for one in made:
            head = sessions.session(one.id).head
            assert texts(sessions.path(head)) == [str(n) for n in range(20)]


class TestBadDays:
    def test_a_damaged_file_is_called_so(self, tmp_path: Path) -> None:
        (tmp_path / "s.db").write_bytes(b"this is no database " * 100)
        with pytest.raises(TriviumError, match=r"s\.db is damaged \(.*\); move it away to begin"):
            Sessions(tmp_path / "s.db")

    def test_damage_inside_is_called_so(self, tmp_path: Path) -> None:
        file = tmp_path / "s.db"
        with Sessions(file) as sessions:
            say(sessions, sessions.create("a"), *(f"long text {n} " * 50 for n in range(100)))
        content = bytearray(file.read_bytes())
        content[4096:] = b"\xff" * (len(content) - 4096)
        file.write_bytes(content)
        with pytest.raises(TriviumError, match="damaged"), Sessions(file) as sessions:
            sessions.all()

    def test_a_newer_schema_is_an_error_that_says_so(self, tmp_path: Path) -> None:
        Sessions(tmp_path / "s.db").close()
        with sqlite3.connect(tmp_path / "s.db") as db:
            assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
            db.execute("PRAGMA user_version = 99")
        db.close()
        with pytest.raises(TriviumError, match=r"newer trivium \(schema 99"):
            Sessions(tmp_path / "s.db")

    def test_a_full_disk_keeps_what_was_there(self, sessions: Sessions) -> None:
        made = sessions.create("a")
        kept = say(sessions, made, "kept")
        pages = sessions._db.read("PRAGMA page_count")[0][0]
        sessions._db.read(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(TriviumError, match=r"^the disk is full: .*s\.db keeps what it had"):
            say(sessions, made, "x" * 100_000)
        assert sessions.path(sessions.session(made.id).head) == kept
        sessions._db.read("PRAGMA max_page_count = 100000")
        say(sessions, made, "x" * 100_000)

    def test_a_read_only_home_can_be_read(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "s.db"
            with Sessions(file) as sessions:
                made = sessions.create("a")
                say(sessions, made, "hello")
            file.chmod(0o444)
            Path(name).chmod(0o555)
            with nobody(), Sessions(file) as sessions:
                assert texts(sessions.path(sessions.get("a").head)) == ["hello"]
                with pytest.raises(TriviumError, match=r"cannot write .*s\.db; make it writable"):
                    say(sessions, made, "more")
                with pytest.raises(TriviumError, match="set TRIVIUM_HOME"), sessions.hold(made.id):
                    pass
                with pytest.raises(TriviumError, match=r"cannot write .*new\.db"):
                    Sessions(Path(name) / "new.db")
            Path(name).chmod(0o755)

    def test_a_home_that_is_a_file_is_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(TriviumError, match=r"cannot create .*; set TRIVIUM_HOME"):
            Sessions(tmp_path / "file" / "s.db")

    def test_a_folder_in_the_files_place_is_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "s.db").mkdir()
        with pytest.raises(TriviumError, match=r"cannot write .*s\.db"):
            Sessions(tmp_path / "s.db")

    def test_a_lock_that_cannot_be_made_is_a_sentence(
        self, sessions: Sessions, tmp_path: Path
    ) -> None:
        made = sessions.create("a")
        sessions._lock_file(made.id).mkdir(parents=True)
        with pytest.raises(TriviumError, match="cannot lock"), sessions.hold(made.id):
            pass
