"""Laziness cannot be observed: random programs agree whenever they are computed, and with PyTorch.

The language and the comparison are in program_machine.py, which also runs large numbers of them:
`python -m tests.program_machine --programs 50000 --seed 0`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import hypothesis.strategies as st
import program_machine as machine
import pytest
from hypothesis import HealthCheck, given, settings

from lazygrad.config import config


@pytest.fixture(autouse=True)
def interpreted(request: pytest.FixtureRequest) -> Iterator[None]:
    """What tensors mean does not depend on the backend; most programs run without a compiler."""
    before = config.backend
    config.backend = "" if "compiled" in request.node.name else "interp"
    yield
    config.backend = before


def check(machines: Sequence[machine.Machine], seeds: range) -> None:
    for seed in seeds:
        failure = machine.random_program(machines, random.Random(seed), seed)
        if failure:
            pytest.fail(f"seed {seed}:\n{machine.shrink(machines, failure, seed)}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(4))
def test_regimes_agree(part: int) -> None:
    check(machine.lazy_machines(), range(part * 250, part * 250 + 250))


@pytest.mark.filterwarnings("ignore")
def test_regimes_agree_compiled() -> None:
    check(machine.lazy_machines(), range(12))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.randoms(use_true_random=False))
def test_regimes_agree_on_what_hypothesis_finds(rng: random.Random) -> None:
    failure = machine.random_program(machine.lazy_machines(), rng)
    assert failure is None, failure


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(6))
def test_as_torch(part: int) -> None:
    pytest.importorskip("torch")
    machines = [*machine.lazy_machines(), machine.torch_machine()]
    check(machines, range(part * 500, part * 500 + 500))


def test_a_difference_is_found_and_shrunk() -> None:
    """The proof proves something: a library that is wrong in one place is caught."""

    class Wrong:
        """lazygrad, but for relu."""

        def __getattr__(self, name: str) -> object:
            return getattr(machine.lazygrad, name)

        @staticmethod
        def ones(*args: object, **kwargs: object) -> object:
            return machine.lazygrad.zeros(*args, **kwargs)

    machines = [machine.Machine("end", machine.lazygrad), machine.Machine("wrong", Wrong())]
    program = ["t1 = T.zeros(2)", "t2 = T.ones(2)", "t3 = t1 + 1", "t4 = t2 * 2"]
    failure = machine.replay(machines, program)
    assert failure is not None
    assert machine.shrink(machines, failure).program == ["t2 = T.ones(2)"]
