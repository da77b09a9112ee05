"""Any tree of messages gives what a naive model gives."""

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agent.talk import searched_whole, texts
from trivium.agent.base import Node
from trivium.agent.sessions import Sessions

Step = tuple[str, int, str]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "under", "draft", "head", "fork", "pin"]),
        st.integers(0, 1000),
        st.text(max_size=8),
    ),
    max_size=25,
)


class Model:
    """The same as `Sessions`, in the simplest way: parents by id, walked one by one."""

    def __init__(self) -> None:
        self.nodes: dict[int, tuple[int | None, str]] = {}
        self.member: dict[int, int] = {}

    def add(self, node: Node, parent: int | None, text: str) -> None:
        self.nodes[node.id] = (parent, text)
        self.member[node.id] = node.session

    def path(self, key: int | None) -> list[str]:
        found: list[str] = []
        while key is not None:
            key, text = self.nodes[key]
            found.insert(0, text)
        return found

    def leaves(self, session: int) -> list[int]:
        parents = {parent for parent, _ in self.nodes.values()}
        return [key for key, of in self.member.items() if of == session and key not in parents]


def take(sessions: Sessions, model: Model, heads: dict[int, int | None], step: Step) -> None:
    """One step in both; what it is about is drawn by its number."""
    what, number, text = step
    known = sorted(model.nodes)
    session = sorted(heads)[number % len(heads)]
    node = known[number % len(known)] if known else None
    if what in ("append", "draft") or node is None:
        add = sessions.begin if what == "draft" else sessions.append
        made = add(session, Node("user", text))
        if what == "draft":
            sessions.write(made.id, text * 2)
            made = sessions.finish(replace(made, content=(text := text * 3)))
        model.add(made, heads[session], text)
        heads[session] = made.id
    elif what == "under":
        of = model.member[node]
        made = sessions.append(of, Node("assistant", text, parent=node))
        model.add(made, node, text)
        heads[of] = made.id
    elif what == "head":
        sessions.set_head(model.member[node], node)
        heads[model.member[node]] = node
    elif what == "fork":
        copy = sessions.fork(model.member[node], node)
        parent = None
        for made, copied in zip(sessions.path(copy.head), model.path(node), strict=True):
            model.add(made, parent, copied)
            parent = made.id
        heads[copy.id] = parent
    else:
        sessions.pin(node)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_any_tree_gives_the_paths_of_a_naive_model(steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder, Sessions(Path(folder) / "s.db") as sessions:
        sessions._db.read("PRAGMA synchronous = OFF")
        heads: dict[int, int | None] = {
            sessions.create("a").id: None,
            sessions.create("b").id: None,
        }
        model = Model()
        for step in steps:
            take(sessions, model, heads, step)
        for key, (parent, _) in model.nodes.items():
            path = sessions.path(key)
            assert texts(path) == model.path(key)
            assert path[-1] == sessions.node(key)
            assert (path[-1].parent, path[-1].session) == (parent, model.member[key])
            below = [k for k, (above, _) in model.nodes.items() if above == key]
            assert [node.id for node in sessions.children(key)] == below
        for session, head in heads.items():
            assert sessions.session(session).head == head
            newest = sorted(model.leaves(session), reverse=True)
            assert [node.id for node in sessions.branches(session)] == newest
            members = [key for key in sorted(model.nodes) if model.member[key] == session]
            assert [node.id for node in sessions.tree(session)] == members
            assert sessions.session(session).messages == len(members)
        searched_whole(sessions)
