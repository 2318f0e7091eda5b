"""One plan for many sizes: what it gives is what planning from nothing gives, or it is not used.

Most tests compute with numpy and look at every program that would have been made: so nothing is
compiled, and hundreds of graphs are planned in seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fused_is_unfused import BINARY, UNARY

import lazygrad as lg
from lazygrad import nn
from lazygrad.config import config
from lazygrad.ir.sizes import Size, Trace, formulas, larger
from lazygrad.ir.skeleton import skeleton
from lazygrad.ir.structure import Structure
from lazygrad.nn import functional as F
from lazygrad.realize import observers
from lazygrad.runtime import build, compiler, plans
from lazygrad.runtime.plans import Plan
from lazygrad.runtime.program import Program
from lazygrad.runtime.stats import stats

ROOT = Path(__file__).parent.parent
needs_compiler = pytest.mark.skipif(compiler.compiler() is None, reason="programs are compiled")


class NoCompilation:
    """Stands for `units.Compilation`: plans are compared, not run."""

    def __init__(self, *given: Any) -> None: ...

    def matmuls(self, *given: Any) -> None: ...

    start = wait = matmuls


def where(texts: Any, device: Any) -> dict[str, tuple[str, int, int]]:
    """Texts stand for the units that they would be compiled to."""
    digests = {s: hashlib.blake2b(t.body.encode()).hexdigest() for t in texts for s in t.symbols}
    return {symbol: (digest, 1, 0) for symbol, digest in digests.items()}


def said(made: tuple[Program, list[int]]) -> Any:
    """All that a program says."""
    program, output_of = made
    said = json.loads(program.to_json())
    hosts = [
        [(n.op.name, n.arg, n.shape, n.dtype) for n in (h.node, *h.sources)]
        for h in program.host_nodes
    ]
    return said, hosts, output_of


class Watch:
    """Compares every program that a plan gives with one that is planned from nothing."""

    def __init__(self) -> None:
        self.plans: dict[Any, list[Plan]] = {}
        self.hits = self.made = 0
        self.why: list[str] = []  # the last plans did not hold

    def __call__(self, shape: Structure, program: Any) -> None:
        bones, sizes = skeleton(shape)
        fresh = said(build.build_program(shape))
        found = None
        for plan in self.plans.setdefault(bones, []):
            found = found or plan.for_sizes(sizes)
        if found is not None:
            self.hits += 1
        else:
            self.why = [text for plan in self.plans[bones] for text in plan.broken(sizes)]
            made = build.build_plan(shape, sizes)
            assert made is not None, "a text depends on sizes"
            if not made.program.host_nodes:  # as it comes from disk
                made = Plan.from_json(made.to_json())
            self.plans[bones].append(made)
            self.made += 1
            found = made.for_sizes(sizes)
            assert found is not None, "a plan does not hold for what it was made of"
        assert said(found) == fresh

    def counts(self, run: Callable[[], Any]) -> tuple[int, int]:
        """(programs from plans of other sizes, plans made) by what is run."""
        hits, made = self.hits, self.made
        run()
        return self.hits - hits, self.made - made


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    monkeypatch.setattr(build, "Compilation", NoCompilation)
    monkeypatch.setattr(build, "compile_missing", lambda texts, device: None)
    monkeypatch.setattr(build, "where", where)
    monkeypatch.setattr(config, "backend", "interp")
    made = Watch()
    observers.append(made)
    yield made
    observers.remove(made)


def data(*shape: int) -> Any:
    return lg.tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def classes(count: int, below: int) -> Any:
    return lg.tensor(np.random.default_rng(0).integers(0, below, count))


def trained(model: Any, loss: Callable[[Any, int], Any], optimizer: Any = None) -> Any:
    made = (optimizer or lg.optim.SGD)(model.parameters(), lr=0.1)

    def step(batch: int) -> None:
        made.zero_grad()
        loss(model, batch).backward()
        made.step()
        lg.realize(*model.parameters())

    return step


def mlp() -> Any:
    model = nn.Sequential(nn.Linear(20, 24), nn.ReLU(), nn.Linear(24, 10))
    return trained(model, lambda m, b: F.cross_entropy(m(data(b, 20)), classes(b, 10)))


def mlp_adam() -> Any:
    model = nn.Sequential(nn.Linear(20, 24), nn.LayerNorm(24), nn.Tanh(), nn.Linear(24, 1))
    return trained(model, lambda m, b: (m(data(b, 20)) ** 2).mean(), lg.optim.Adam)


def convnet() -> Any:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3),
        nn.Flatten(),
        nn.Linear(8 * 5 * 5, 10),
    )
    return trained(model, lambda m, b: F.cross_entropy(m(data(b, 1, 14, 14)), classes(b, 10)))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(24), nn.Linear(24, 72), nn.Linear(24, 24)
        self.tokens = nn.Embedding(50, 24)

    def forward(self, x: Any) -> Any:
        x = self.tokens(x)
        b, t = x.shape[:2]
        q, k, v = self.qkv(self.norm(x)).reshape(b, t, 3, 3, 8).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return x + F.dropout(F.gelu(self.out(y.transpose(1, 2).reshape(b, t, 24))), 0.1)


def block() -> Any:
    def loss(model: Any, batch: int) -> Any:
        return (model(classes(batch * 12, 50).reshape(batch, 12)) ** 2).mean()

    return trained(Block(), loss)


def recurrent() -> Any:
    return trained(nn.GRU(6, 7), lambda m, b: m(data(4, b, 6))[0].square().sum())


STEPS = {f.__name__: f for f in (mlp, mlp_adam, convnet, block, recurrent)}


@needs_compiler
@pytest.mark.parametrize("name", STEPS)
def test_a_step_at_another_batch_size(watch: Watch, name: str) -> None:
    """One plan serves batches of very different sizes, and is what planning would make."""
    step = STEPS[name]()
    step(33)
    for batch in (34, 57, 130, 29, 101):
        hits, made = watch.counts(lambda batch=batch: step(batch))
        assert hits >= 1 and made == 0, (batch, watch.why)


@needs_compiler
def test_what_is_asked_about_sizes_is_planned_anew(watch: Watch) -> None:
    """A batch of one, one that is as large as something else, and one that crosses a threshold."""
    step = mlp()
    step(33)
    assert watch.counts(lambda: step(1))[1] == 1
    assert watch.counts(lambda: step(24))[1] == 1  # the width of a layer
    assert watch.counts(lambda: step(24)) == (2, 0)  # and the optimizer's

    def short(rows: int) -> None:  # an innermost axis of fewer than 8 is not walked by vectors
        lg.realize(data(40, rows, 60).transpose(1, 2) * 2.0)

    assert watch.counts(lambda: short(30)) == (0, 1)
    assert watch.counts(lambda: short(9)) == (1, 0)
    assert watch.counts(lambda: short(7)) == (0, 1)


@needs_compiler
def test_without_its_questions_a_plan_would_be_wrong(watch: Watch) -> None:
    """The comparison can fail: a plan that is used where it does not hold is found out."""

    def short(rows: int) -> None:
        lg.realize(data(40, rows, 60).transpose(1, 2) * 2.0)

    short(30)
    for known in watch.plans.values():
        for plan in known:
            plan.formulas.asked.clear()
            plan.formulas._ways.clear()
            plan.formulas._asked_later.clear()
    with pytest.raises(AssertionError):
        short(7)


def graph(steps: list[tuple[str, int, int]], rows: int, columns: int, gradient: bool) -> None:
    """The operations of `test_fused_is_unfused` on matrices of any size."""
    values = [data(rows, columns) + number for number in range(3)]
    lg.realize(*values)
    starts = values = [value.requires_grad_(gradient) for value in values]
    for name, first, second in steps:
        a, b = values[-1 - first % len(values)], values[-1 - second % len(values)]
        values = [*values, OPS[name](a, b, rows, columns)]
    found = values[3:]
    if gradient:
        grads = lg.autograd.grad(values[-1].sum(), starts, allow_unused=True)
        found = [*found, *(g for g in grads if g is not None)]
    lg.realize(*found)


SHAPED: dict[str, Callable[..., Any]] = {
    "sum_rows": lambda a, b, m, n: a.sum(1, keepdim=True).expand(m, n),
    "max_rows": lambda a, b, m, n: a.amax(1, keepdim=True).expand(m, n),
    "mean_columns": lambda a, b, m, n: a.mean(0, keepdim=True).expand(m, n),
    "picked": lambda a, b, m, n: a[:, lg.arange(n - 1, -1, -1)],
    "first_row": lambda a, b, m, n: a[:1].expand(m, n),
    "first_column": lambda a, b, m, n: a[:, :1].expand(m, n),
    "transposed": lambda a, b, m, n: (a.t() + 1).t() * b,
    "halves": lambda a, b, m, n: lg.cat([a[: m // 2], b[m // 2 :]]),
    "every_other": lambda a, b, m, n: a[:, ::2].sum(1, keepdim=True) + b,
    "flat": lambda a, b, m, n: a.reshape(-1).softmax(0).reshape(m, n) + b,
    "window": lambda a, b, m, n: F.max_pool1d(a.unsqueeze(0), 3, 1, 1).squeeze(0),
    "sorted": lambda a, b, m, n: a.sort(1)[0],
    "product": lambda a, b, m, n: (a @ b.t()) @ b / n,
}
OPS: dict[str, Callable[..., Any]] = {
    **{name: (lambda a, b, m, n, f=f: f(a)) for name, f in UNARY.items()},
    **{name: (lambda a, b, m, n, f=f: f(a, b)) for name, f in BINARY.items()},
    **SHAPED,
}
programs = st.lists(
    st.tuples(st.sampled_from(sorted(OPS)), st.integers(0, 30), st.integers(0, 30)),
    min_size=2,
    max_size=10,
)
pairs = st.lists(
    st.tuples(st.integers(1, 140), st.sampled_from([2, 3, 7, 8, 9, 64, 70, 1025, 4097])),
    min_size=3,
    max_size=4,
)
fixed = settings(deadline=None, derandomize=True, database=None)


def check(watch: Watch, steps: Any, sizes: Any, gradient: bool) -> None:
    for rows, columns in sizes:
        graph(steps, rows, columns, gradient)


@needs_compiler
def test_random_graphs(watch: Watch) -> None:
    @settings(fixed, max_examples=40)
    @given(programs, pairs)
    def run(steps: Any, sizes: Any) -> None:
        check(watch, steps, sizes, False)

    run()
    assert watch.hits > 20  # plans are found, too


@needs_compiler
def test_random_gradients(watch: Watch) -> None:
    @settings(fixed, max_examples=15)
    @given(programs, pairs)
    def run(steps: Any, sizes: Any) -> None:
        check(watch, steps, sizes, True)

    run()
    assert watch.hits > 5


@pytest.mark.slow
@needs_compiler
def test_many_random_graphs(watch: Watch) -> None:
    @settings(fixed, max_examples=300)
    @given(programs, pairs, st.booleans())
    def run(steps: Any, sizes: Any, gradient: bool) -> None:
        check(watch, steps, sizes, gradient)

    run()


# -- programs that run ------------------------------------------------------------------------
@needs_compiler
def test_another_batch_size_compiles_and_plans_nothing() -> None:
    step = mlp()
    step(40)
    built, compiles, hits = stats.built, stats.compiles, stats.plan_hits
    for batch in (41, 70, 300, 3):
        step(batch)
    assert (stats.built, stats.compiles) == (built, compiles)
    assert stats.plan_hits == hits + 4


@needs_compiler
def test_a_program_of_a_plan_computes_what_a_planned_one_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(rows: int) -> list[bytes]:
        x = data(rows, 50).requires_grad_()
        y = (x.softmax(1) @ x.t()).tanh().sum(0)
        (y * 2).sum().backward()
        return [y.detach().numpy().tobytes(), x.grad.numpy().tobytes()]

    run(30)
    hits = stats.plan_hits
    found = [run(rows) for rows in (31, 64, 500)]
    assert stats.plan_hits > hits
    monkeypatch.setattr(plans, "find", lambda key, sizes: None)
    assert [run(rows) for rows in (32, 65, 501)]
    monkeypatch.setattr(config, "validate", 1)
    assert found == [run(rows) for rows in (31, 64, 500)]


@needs_compiler
def test_an_error_names_the_line_of_the_graph_that_ran() -> None:
    def at(index: Any, table: Any) -> Any:
        return table[index * 1] + 1.0

    at(lg.tensor([0, 1, 2]), data(10, 4)).numpy()
    hits = stats.plan_hits
    bad = data(12, 4)[lg.tensor([3, 99, 2, 1, 0]) * 1] + 1.0
    with pytest.raises(IndexError, match=r"index 99 is out of bounds .* size 12.*test_plans.py"):
        bad.numpy()
    assert stats.plan_hits == hits + 1


STEP = """
import sys
import lazygrad as lg
from lazygrad.runtime.stats import stats
x = lg.arange(float(sys.argv[1])).reshape(-1, 6).requires_grad_()
(x.softmax(1) * x).sum().backward()
assert abs(x.grad.sum().item()) < 1e3
print(stats.built, stats.compiles, stats.disk_hits, "networkx" in sys.modules)
"""


@needs_compiler
def test_a_new_process_plans_nothing_for_another_size(tmp_path: Path) -> None:
    def run(size: int) -> list[str]:
        env = {**os.environ, "LAZYGRAD_CACHE_DIR": str(tmp_path)}
        done = [sys.executable, "-c", STEP, str(size)]
        out = subprocess.run(done, env=env, capture_output=True, text=True, check=True, cwd=ROOT)
        return out.stdout.split()

    assert run(60)[3] == "True"
    built, compiles, from_disk, planner = run(660)
    assert (built, compiles, planner) == ("0", "0", "False") and int(from_disk) > 0


# -- sizes ------------------------------------------------------------------------------------
def test_a_size_is_the_number_that_it_stands_for() -> None:
    trace = Trace([7, 12])
    a, b = trace.sizes
    made = [a + 1, 3 - a, a * b, b // 5, -(-b // a), b % 7, larger(a, b), abs(a - b), 20 // a]
    assert [s.value for s in made] == [8, -4, 84, 2, 2, 5, 12, 5, 2]
    assert a * 1 is a and a + 0 is a and 0 * a == 0
    found, number = formulas(trace, made)
    values = found.held([9, 100])
    assert values is not None
    assert [values[number(s)] for s in made] == [10, -6, 900, 20, 12, 2, 100, 91, 2]


@pytest.mark.parametrize(
    ("ask", "holds", "breaks"),
    [
        (lambda a, b: a < b * 2, (5, 9), (19, 9)),
        (lambda a, b: a * b == 84, (12, 7), (12, 8)),
        (lambda a, b: a + b != 20, (4, 5), (12, 8)),
        (lambda a, b: max(a, 10), (9, 3), (11, 3)),
        (lambda a, b: [0] * (b % 7 // 5), (2, 5), (2, 4)),
        (lambda a, b: range(a), (7, 30), (8, 30)),
        (lambda a, b: {a * 2, b}, (3, 4), (2, 4)),
        (lambda a, b: bool(b - a), (8, 9), (9, 9)),
    ],
)
def test_what_was_asked_must_hold(ask: Any, holds: Any, breaks: Any) -> None:
    trace = Trace([7, 12])
    ask(*trace.sizes)
    found, _ = formulas(trace, [])
    for sizes in ((7, 12), holds, (7, 12)):  # after what held, and after what did not
        assert found.held(sizes)
        assert not found.held(breaks)


def test_nothing_is_asked_that_all_sizes_answer_alike() -> None:
    trace = Trace([7, 12])
    a, b = trace.sizes
    assert a != b and a != 1 and a > 1 and not a < 2 and a and isinstance(a, Size)
    assert not trace.asked
