"""Laziness cannot be observed: random programs agree whenever they are computed, and with PyTorch.

The language is in program_writer.py; the comparison in program_machine.py, which also runs large
numbers of them:
`python -m tests.program_machine --programs 50000 --seed 0`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import hypothesis.strategies as st
import program_machine as machine
import program_writer as writer
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from lazygrad.config import config

RANDOM = st.randoms(use_true_random=False)


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
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,  # the gate stays as it is: searching is the command's business
    suppress_health_check=list(HealthCheck),
)
@given(RANDOM)
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


class Regimes(RuleBasedStateMachine):
    """The same language, driven by hypothesis: it chooses what comes next, and shrinks.

    After each statement the outcomes and all that is seen without computing agree; at the end the
    values, gradients and who shares memory with whom.
    """

    def __init__(self) -> None:
        super().__init__()
        self.session = machine.Session(self.machines(), 0)
        alike = all(m.module is machine.lazygrad for m in self.session.machines)
        self.writer = writer.Writer(random.Random(0), self.session.names, chance=alike)
        self.run(writer.Writer.create, random.Random(1))
        self.run(writer.Writer.create, random.Random(2))

    def machines(self) -> list[machine.Machine]:
        return machine.lazy_machines()

    def run(self, kind: Callable[[writer.Writer], str], rng: random.Random) -> None:
        if self.session.over:
            return
        self.writer.rng = rng
        text = self.writer.of_kind(kind) if self.writer.tensors() else self.writer.create()
        self.agree(self.session.step(text))
        self.writer.note(text)

    def agree(self, found: str | None) -> None:
        assert not found, str(machine.Failure(self.session.program, found or ""))

    @rule(kind=st.sampled_from([kind for kind, _ in writer.STATEMENTS]), rng=RANDOM)
    def statement(self, kind: Callable[[writer.Writer], str], rng: random.Random) -> None:
        self.run(kind, rng)

    @rule(kind=st.sampled_from([writer.Writer.inplace, writer.Writer.setitem]), rng=RANDOM)
    def write(self, kind: Callable[[writer.Writer], str], rng: random.Random) -> None:
        self.run(kind, rng)

    @rule(kind=st.sampled_from([writer.Writer.view, writer.Writer.to_numpy]), rng=RANDOM)
    def share(self, kind: Callable[[writer.Writer], str], rng: random.Random) -> None:
        self.run(kind, rng)

    @rule(rng=RANDOM)
    def flush(self, rng: random.Random) -> None:
        """One tensor is computed, under the regime that otherwise waits for the end."""
        if self.writer.tensors():
            self.writer.rng = rng
            self.session.names[self.writer.any()].realize()

    @invariant()
    def looks_alike(self) -> None:
        self.agree(self.session.compare([machine.traits]))

    def teardown(self) -> None:
        self.agree(self.session.compare())


class RegimesAndTorch(Regimes):
    def machines(self) -> list[machine.Machine]:
        pytest.importorskip("torch")
        return [*machine.lazy_machines(), machine.torch_machine()]


TestRegimes = pytest.mark.filterwarnings("ignore")(Regimes.TestCase)
TestRegimesAndTorch = pytest.mark.torch(
    pytest.mark.filterwarnings("ignore")(RegimesAndTorch.TestCase)
)
for case in (TestRegimes, TestRegimesAndTorch):
    case.settings = settings(
        max_examples=25,
        stateful_step_count=15,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.filterwarnings("ignore")
def test_the_same_draws_write_the_same_program() -> None:
    """A program depends on its seed alone: not on where memory was free for its tensors."""
    kept: list[object] = []
    for seed in (3, 8, 17, 21):
        texts = []
        for _ in range(3):
            machines = machine.lazy_machines()
            session = machine.written(machines, random.Random(seed), seed)[0]
            texts.append(session.program)
            kept.append([bytearray(n) for n in range(0, 4000, 7)])
        assert texts[0] == texts[1] == texts[2]


def test_a_thing_is_seen_by_itself_and_not_by_its_address() -> None:
    seen = writer.Seen()
    for _ in range(50):  # an address is given again at once
        it = machine.lazygrad.ones(2)
        assert it not in seen
        seen.update([it])
        assert it in seen


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

    class Two(Regimes):
        def machines(self) -> list[machine.Machine]:
            return machines

    few = settings(TestRegimes.settings, phases=[Phase.generate], print_blob=False)
    with pytest.raises(AssertionError, match="wrong and end"):
        run_state_machine_as_test(Two, settings=few)
    program = ["t1 = T.zeros(2)", "t2 = T.ones(2)", "t3 = t1 + 1", "t4 = t2 * 2"]
    failure = machine.replay(machines, program)
    assert failure is not None
    assert machine.shrink(machines, failure).program == ["t2 = T.ones(2)"]
