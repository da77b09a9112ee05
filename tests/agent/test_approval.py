"""Who may do what: by effect, once, for a session, for good, and never wider than was said."""

import threading
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trivium.agent.approval import Approvals
from trivium.agent.base import Decision, Effect, Proposal, refuse
from trivium.errors import UsageError

RUN = Proposal("run_command", {"command": "ls"}, "run", "run ls", "ls", "/w$ ls")


class Asked:
    """An approver that always says the same, and remembers what it was asked."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        self.proposals: list[Proposal] = []

    def __call__(self, proposal: Proposal) -> Decision:
        self.proposals.append(proposal)
        return self.decision


@pytest.mark.parametrize("effect", ["write", "run", "network"])
def test_effects_ask_and_a_no_is_a_no(effect: Effect) -> None:
    asked = Asked("no")
    approvals = Approvals(asked)
    proposal = replace(RUN, effect=effect)
    assert not approvals.allow(proposal)
    assert not approvals.allow(proposal)
    assert asked.proposals == [proposal, proposal]


def test_reading_is_free_unless_it_is_tainted() -> None:
    asked = Asked("no")
    approvals = Approvals(asked)
    read = replace(RUN, effect="read")
    assert approvals.allow(read)
    assert asked.proposals == []
    assert not approvals.allow(replace(read, tainted=True))
    assert len(asked.proposals) == 1


def test_once_asks_again(home: Path) -> None:
    asked = Asked("once")
    approvals = Approvals(asked)
    assert approvals.allow(RUN) and approvals.allow(RUN)
    assert len(asked.proposals) == 2
    assert not home.exists()


def test_session_holds_for_this_pattern_and_this_session(home: Path) -> None:
    asked = Asked("session")
    approvals = Approvals(asked)
    assert approvals.allow(RUN) and approvals.allow(RUN)
    assert len(asked.proposals) == 1
    approvals.allow(replace(RUN, pattern="/w$ ls -l"))
    approvals.allow(replace(RUN, tool="other"))
    approvals.allow(replace(RUN, effect="network"))
    assert len(asked.proposals) == 4
    assert not home.exists()
    assert not Approvals(refuse).allow(RUN)


def test_always_holds_for_later_sessions_and_this_pattern_alone(home: Path) -> None:
    assert Approvals(Asked("always")).allow(RUN)
    later = Approvals(refuse)
    assert later.allow(RUN)
    for other in ("/w$ ls ", "/w$ ls; rm -rf .", "/w$ LS", "/w$ l", "/x$ ls", "", "*"):
        assert not later.allow(replace(RUN, pattern=other))
    assert tomllib.loads((home / "approvals.toml").read_text()) == {
        "allow": [{"tool": "run_command", "effect": "run", "pattern": "/w$ ls"}]
    }


@pytest.mark.parametrize("pattern", ["*", "/w$ *", ".*", "/w$ git ?", "[a-z]", "%", "/w$ ls*"])
def test_nothing_in_a_pattern_stands_for_anything_else(pattern: str) -> None:
    assert Approvals(Asked("always")).allow(replace(RUN, pattern=pattern))
    later = Approvals(refuse)
    assert later.allow(replace(RUN, pattern=pattern))
    assert not later.allow(RUN)
    assert not later.allow(replace(RUN, pattern="/w$ git x"))


def test_a_tainted_call_is_asked_about_whatever_was_allowed(home: Path) -> None:
    assert Approvals(Asked("always")).allow(RUN)
    before = (home / "approvals.toml").read_bytes()
    tainted = replace(RUN, tainted=True)
    asked = Asked("always")
    approvals = Approvals(asked)
    assert approvals.allow(tainted) and approvals.allow(tainted)
    assert len(asked.proposals) == 2
    assert not Approvals(refuse).allow(tainted)
    approvals.allow(replace(tainted, pattern="/w$ evil"))
    assert (home / "approvals.toml").read_bytes() == before
    assert not Approvals(refuse).allow(replace(RUN, pattern="/w$ evil"))


@pytest.mark.parametrize("answer", [None, "", "yes", True, 1, "NO", ["once"]])
def test_whatever_is_no_decision_is_a_no(answer: object) -> None:
    assert not Approvals(lambda proposal: answer).allow(RUN)  # type: ignore[arg-type,return-value]


def test_an_approver_that_fails_allows_nothing(home: Path) -> None:
    def broken(proposal: Proposal) -> Decision:
        raise EOFError

    with pytest.raises(EOFError):
        Approvals(broken).allow(RUN)
    assert not home.exists()


def test_a_permission_that_was_taken_back_is_gone_at_once(home: Path) -> None:
    assert Approvals(Asked("always")).allow(RUN)
    approvals = Approvals(refuse)
    assert approvals.allow(RUN)
    (home / "approvals.toml").unlink()
    assert not approvals.allow(RUN)


@pytest.mark.parametrize(
    "text", ["[[allow]", "allow = 3", "[[allow]]\ntool = 'x'", "allow = ['x']", "\xff"]
)
def test_a_damaged_file_is_named(home: Path, text: str) -> None:
    home.mkdir()
    (home / "approvals.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"approvals\.toml is damaged"):
        Approvals(refuse)


def test_two_chats_keep_both_permissions(home: Path) -> None:
    def keep(number: int) -> None:
        Approvals(Asked("always")).allow(replace(RUN, pattern=f"/w$ {number}"))

    threads = [threading.Thread(target=keep, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {p for _, _, p in Approvals(refuse).kept()} == {f"/w$ {n}" for n in range(8)}


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pattern=st.text(), other=st.text())
def test_any_pattern_is_kept_to_the_letter(tmp_path: Path, pattern: str, other: str) -> None:
    file = tmp_path / "kept.toml"
    file.unlink(missing_ok=True)
    assert Approvals(Asked("always"), file).allow(replace(RUN, pattern=pattern))
    later = Approvals(refuse, file)
    assert later.kept() == {("run_command", "run", pattern)}
    assert later.allow(replace(RUN, pattern=other)) == (other == pattern)


def test_half_a_character_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "kept.toml"
    assert Approvals(Asked("always"), file).allow(replace(RUN, pattern="a\ud800b"))
    assert not Approvals(refuse, file).allow(replace(RUN, pattern="a\ud800b"))
