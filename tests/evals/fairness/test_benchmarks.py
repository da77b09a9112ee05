"""Every benchmark that is registered is there, whole, and has a suite of its name."""

import pytest

from trivium.errors import UsageError
from trivium.evals.fairness.benchmarks import BENCHMARKS, benchmark
from trivium.evals.suite import shipped_suites


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_a_benchmark_says_what_it_is_and_where_it_fails(name: str) -> None:
    about = benchmark(name).ABOUT
    assert about.title
    assert about.version
    assert about.paper
    assert about.limits
    assert about.readings
    assert name in (*shipped_suites(), "audit")  # an audit is made of a prompt, not of a suite


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_a_benchmark_survives_no_records(name: str) -> None:
    made = benchmark(name)
    assert all(one.value is None for one in made.findings([]))
    assert made.cases([]) == []


def test_an_unknown_name_is_told_with_those_there_are() -> None:
    with pytest.raises(UsageError, match='no benchmark of fairness "nothing"; there are: '):
        benchmark("nothing")
