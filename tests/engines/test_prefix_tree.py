"""The tree and its batches, held against plain lists: no model is needed to check a plan."""

from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.engines.layout import layouts
from trivium.engines.prefix_tree import PrefixTree

Requests = list[tuple[list[int], list[int]]]

few = st.integers(0, 2)  # few different tokens, so that much is shared
requests = st.lists(
    st.tuples(st.lists(few, min_size=1, max_size=9), st.lists(few, max_size=4)), max_size=12
)


def planted(given: Requests) -> PrefixTree:
    tree = PrefixTree()
    for number, (prompt, continuation) in enumerate(given):
        tree.add(number, prompt, continuation)
    return tree


def test_choices_of_one_token_share_the_position_before_them() -> None:
    tree = planted([([5, 6, 7], [1]), ([5, 6, 7], [2]), ([5, 6, 7], [3])])
    (edge,) = tree.walk()
    assert (edge.depth, edge.tokens.tolist()) == (0, [5, 6, 7])
    assert [(run.offset, run.request, run.first, run.count) for run in edge.runs] == [
        (2, 0, 0, 1),
        (2, 1, 0, 1),
        (2, 2, 0, 1),
    ]
    assert (tree.size, tree.added, tree.longest) == (3, 9, 3)


def test_a_late_branch_splits_an_edge_and_the_runs_on_it() -> None:
    tree = planted([([1], [2, 3, 4, 5]), ([1, 2], [9, 9]), ([8], [8])])
    edges = [(edge.depth, edge.tokens.tolist()) for edge in tree.walk()]
    assert edges == [(0, [1, 2]), (2, [3, 4]), (2, [9]), (0, [8])]
    runs = [
        [(run.offset, run.request, run.first, run.count) for run in edge.runs]
        for edge in tree.walk()
    ]
    assert runs == [[(0, 0, 0, 2), (1, 1, 0, 1)], [(0, 0, 2, 2)], [(0, 1, 1, 1)], [(0, 2, 0, 1)]]
    assert tree.size == 6


def test_nothing_is_decoded_for_empty_continuations() -> None:
    tree = planted([([1, 2, 3], [])])
    assert (list(tree.walk()), tree.size) == ([], 0)
    assert list(layouts(tree.walk(), 4, 2)) == []


@given(requests)
def test_the_tree_holds_each_prefix_once(given: Requests) -> None:
    prefixes = {
        tuple(path[:length])
        for prompt, continuation in given
        if continuation
        for path in [[*prompt, *continuation[:-1]]]
        for length in range(1, len(path) + 1)
    }
    tree = planted(given)
    assert tree.size == len(prefixes) == sum(len(edge.tokens) for edge in tree.walk())


@settings(max_examples=300)
@given(requests, st.integers(1, 7), st.integers(1, 4))
def test_batches_put_every_token_after_its_own_prefix(
    given: Requests, size: int, branches: int
) -> None:
    """A cache of plain lists does what llama.cpp is told, and looks at what each token sees."""
    tree = planted(given)
    cache: dict[int, list[int]] = {0: []}
    seen: dict[tuple[int, int], list[int]] = {}
    decoded = 0
    for layout in layouts(tree.walk(), size, branches):
        batch = layout.batch
        for branch, length in enumerate(layout.copies, start=1):
            assert length <= len(cache[0])
            cache[branch] = cache[0][:length]
        assert len(cache) <= branches
        assert layout.keep <= len(cache[0])
        del cache[0][layout.keep :]
        assert 0 < len(batch.tokens) <= size
        for row, token in enumerate(batch.tokens.tolist()):
            start = int(batch.first[row])
            mine = batch.sequences[start : start + int(batch.count[row])].tolist()
            assert len({tuple(cache[sequence]) for sequence in mine}) == 1
            for sequence in mine:
                assert len(cache[sequence]) == batch.positions[row]
                cache[sequence].append(token)
            assert bool(batch.wanted[row]) == (row in layout.reads)
            for asked in layout.reads.get(row, []):
                assert asked not in seen
                seen[asked] = list(cache[mine[0]])
        decoded += len(batch.tokens)
        cache = {0: cache[0]}
        assert len(cache[0]) <= tree.longest

    assert decoded == tree.size
    assert seen == {
        (number, at): [*prompt, *continuation[:at]]
        for number, (prompt, continuation) in enumerate(given)
        for at in range(len(continuation))
    }


def test_batches_are_full_but_for_the_last() -> None:
    tree = planted([([1, 2, number], [0, number]) for number in range(50)])
    sizes = [len(layout.batch.tokens) for layout in layouts(tree.walk(), 16, 64)]
    assert sum(sizes) == tree.size == 2 + 50 * 2
    assert set(sizes[:-1]) == {16}
