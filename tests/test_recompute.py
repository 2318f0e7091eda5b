"""Values computed again by their reader: decided by the cost model alone, and no bit changes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from graphs import compiled, interpreted, leaf, normal, same_bits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_fusion import Builder, choices, leaves_of
from test_views import moved, seen, start

import lazygrad as lg
from lazygrad.ir import cost, ops
from lazygrad.ir.dtypes import int64
from lazygrad.ir.fusion import Partition, check_partition
from lazygrad.ir.node import Node
from lazygrad.ir.operands import fold_movement
from lazygrad.ir.recompute import recompute
from lazygrad.ir.schedule import KernelStep, Schedule, make_schedule
from lazygrad.ir.simplify import simplify
from lazygrad.ir.views import View
from lazygrad.realize import realize_nodes
from lazygrad.runtime import compiler


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def memory_decisions(schedule: Schedule) -> dict[str, bool]:
    """By the name of the producing op: whether its value was computed again."""
    found = (d for d in schedule.decisions if d.kind == "memory")
    return {d.edge[0].op.name: d.fused for d in found}


def kernels(schedule: Schedule) -> int:
    return sum(isinstance(step, KernelStep) for step in schedule.steps)


# -- what is decided -------------------------------------------------------------------------------
def prepared_rows(width: int) -> list[Node]:
    """Rows of a table at indices that are computed first: each index serves a whole row."""
    table = normal(rng(), 50, width)
    index = ops.add(leaf(rng().integers(0, 20, 3000), int64), ops.lit(5, leaf([0], int64)))
    rows = ops.expand(ops.reshape(index, arg=(3000, 1)), arg=(3000, width))
    return [ops.gather(table, rows, arg=0)]


def test_an_index_is_computed_where_it_is_used() -> None:
    schedule = make_schedule(prepared_rows(64))
    assert kernels(schedule) == 1
    assert memory_decisions(schedule) == {"add": True}


def broadcast(function: ops.Op) -> list[Node]:
    x, w = normal(rng(), 500, 300), normal(rng(), 1, 300)
    return [ops.mul(x, ops.expand(function(w), arg=(500, 300)))]


def test_a_costly_function_is_not_computed_again_for_every_row() -> None:
    assert kernels(make_schedule(broadcast(ops.exp))) == 2


def test_a_function_of_the_row_is_computed_where_the_row_is_read() -> None:
    x, w = normal(rng(), 500, 300), normal(rng(), 500, 1)
    outputs = [ops.mul(x, ops.expand(ops.neg(w), arg=(500, 300)))]
    assert kernels(make_schedule(outputs)) == 1


def test_what_the_caller_keeps_is_read() -> None:
    outputs = prepared_rows(64)
    index = outputs[0].srcs[1].srcs[0].srcs[0]
    schedule = make_schedule([*outputs, index])
    assert kernels(schedule) == 2


def test_figures_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = prepared_rows(64)
    index = outputs[0].srcs[1].srcs[0].srcs[0]
    outputs.append(ops.mul(index, ops.lit(2, index)))  # it is needed where it is made as well
    for picoseconds, again in ((10**9, False), (cost.OP, True)):
        monkeypatch.setattr(cost, "OP", picoseconds)
        assert memory_decisions(make_schedule(outputs)) == {"add": again}
    for picoseconds, again in ((600, False), (100, True)):
        monkeypatch.setattr(cost, "FUNCTION", picoseconds)
        x, w = normal(rng(), 500, 300), normal(rng(), 500, 1)
        power = ops.exp(w)
        outputs = [ops.mul(x, ops.expand(power, arg=(500, 300))), ops.add(power, ops.lit(1, w))]
        assert memory_decisions(make_schedule(outputs)) == {"exp": again}


def test_a_value_for_one_later_kernel_is_computed_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no work done twice, whatever it takes."""
    monkeypatch.setattr(cost, "FUNCTION", 10**9)
    x, w = normal(rng(), 300, 300), normal(rng(), 300, 300)
    total = ops.matmul(ops.sin(x), w)  # the kernel of sin has x at hand, but nobody needs exp there
    schedule = make_schedule([ops.mul(total, ops.exp(ops.neg(x)))])
    (first, _, last) = schedule.steps
    assert isinstance(first, KernelStep) and isinstance(last, KernelStep)
    assert "exp" not in [ins.op.name for ins in first.kernels[0].instrs]
    assert "exp" in [ins.op.name for ins in last.kernels[0].instrs]


def test_what_is_moved_only_reads_its_sources_where_it_is_moved_to() -> None:
    """Reading them is no further work either; it is where somebody else reads them there."""
    a, b = normal(rng(), 40, 30), normal(rng(), 40, 30)
    total = ops.add(a, b)
    moved = ops.permute(total, arg=(1, 0))
    assert kernels(make_schedule([moved])) == 1
    outputs = [moved, ops.mul(total, a)]
    schedule = make_schedule(outputs)
    assert kernels(schedule) == 2 and memory_decisions(schedule) == {"add": False}


def test_a_decision_does_not_depend_on_the_batch() -> None:
    found = set()
    for size in (4, 100, 10**5):
        x, w = normal(rng(), size, 8), normal(rng(), 1, 8)
        y = ops.mul(x, ops.expand(ops.neg(w), arg=(size, 8)))
        schedule = make_schedule([ops.sub(y, ops.spread(ops.sum_(y, arg=(0, 1)), y.shape))])
        found.add((kernels(schedule), *memory_decisions(schedule).items()))
    assert len(found) == 1


def test_explain_quotes_the_figures() -> None:
    x, w = lg.ones(500, 300).realize(), lg.ones(300).realize()
    from lazygrad import debug

    text = debug.explain(lg.exp(w) * x)
    assert re.search(
        r"- exp\[300\] .*kept for mul\[500, 300\].*: 1200 bytes through memory take [\d.]+ us, "
        r"1 op again [\d.]+ us, 500 times each",
        text,
    )
    assert "different numbers of elements, 300 and 150000: each is read several times" in text


# -- that it changes nothing -----------------------------------------------------------------------
@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Memory is dear and computing free: everything that can be is computed again."""
    for name in ("OP", "DIVISION", "FUNCTION", "RANDOM"):
        monkeypatch.setattr(cost, name, 0)
    monkeypatch.setattr(cost.Comparison, "compute_again", True)
    yield


@pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler")
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(choices)
def test_random_graphs_of_integers_are_the_same(always: None, numbers: list[int]) -> None:
    outputs = Builder(leaves_of("i"), numbers).outputs
    folded = fold_movement(simplify(outputs))
    made = Partition(folded)
    recompute(made, folded.outputs)
    check_partition(made)
    wanted = interpreted(outputs)
    for node, have, want in zip(outputs, compiled(outputs), wanted):
        assert same_bits(have, want), node


@pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler")
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(choices)
def test_random_graphs_of_floats_are_the_same(always: None, numbers: list[int]) -> None:
    leaves = leaves_of("f")
    again, single = Builder(leaves, numbers).outputs, Builder(leaves, numbers).outputs
    got = compiled(again)
    for node in single:
        realize_nodes([node])
    for node, have, want in zip(single, got, compiled(single)):
        assert same_bits(have, want), node


@pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler")
def test_what_is_read_at_computed_positions_stays_in_memory(always: None) -> None:
    x, index = normal(rng(), 30, 4), leaf(rng().integers(0, 30, (9, 4)), int64)
    y = ops.exp(x)
    outputs = [ops.add(ops.gather(y, index, arg=0), ops.gather(ops.neg(y), index, arg=0))]
    wanted = interpreted(outputs)
    np.testing.assert_allclose(compiled(outputs)[0], wanted[0], rtol=1e-6)


def test_something_is_computed_again_in_random_graphs(always: None) -> None:
    """The tests above are about something."""
    count = 0
    for seed in range(20):
        numbers = [int(n) for n in np.random.default_rng(seed).integers(0, 1000, 60)]
        schedule = make_schedule(Builder(leaves_of("i"), numbers).outputs)
        count += sum(d.kind == "memory" for d in schedule.decisions)
    assert count > 10


# -- views of views --------------------------------------------------------------------------------
@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_a_view_read_at_a_view(data: st.DataObject) -> None:
    """inner.at(outer) shows what `outer` shows of what `inner` shows, or is None."""
    draw = data.draw
    view, array = start(draw(st.sampled_from([(6,), (4, 6), (2, 3, 4), (1, 6), (4, 1, 3)])))
    size = array.size
    for _ in range(draw(st.integers(0, 3))):
        view, array = moved(draw, view, array) or (view, array)
    outer, _ = start(view.shape)
    shown = array
    for _ in range(draw(st.integers(0, 3))):
        outer, shown = moved(draw, outer, shown) or (outer, shown)
    found = view.at(outer)
    if found is not None:
        np.testing.assert_array_equal(seen(found, np.arange(1, size + 1)), shown)


def test_views_that_carry_over() -> None:
    inner = View((4, 1), (1, 0)).expand((4, 6))
    assert inner.at(View.contiguous((24,))) is None
    assert View.contiguous((4, 6)).at(View((2, 6), (6, 1), 12)) == View((2, 6), (6, 1), 12)
    assert inner.at(View((2, 6), (6, 1), 12)) == View((2, 6), (1, 0), 2)
    assert View.contiguous((4, 6)).at(View((4, 6), (-6, 1), 18)) == View((4, 6), (-6, 1), 18)
    assert View.contiguous((4, 6)).at(View((4, 4), (6, -1), 2)) is None  # backwards through rows
    assert View((4,), (2,)).at(View((3, 4), (0, 1))) == View((3, 4), (0, 2))
    assert View.contiguous((4, 6)).at(View((5,), (5,))) is None  # diagonally through rows
