"""The memory plan: what is live when, where it lies, and that the plan is what programs take."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from graphs import DEVICE, compiled, interpreted, leaf, normal

from lazygrad.bench.peers import LazygradPeer
from lazygrad.bench.workloads import WORKLOADS
from lazygrad.debug import Look
from lazygrad.ir import ops, schedule
from lazygrad.ir.node import Node
from lazygrad.ir.printer import memory_record
from lazygrad.ir.schedule import KernelStep, MatmulStep, Schedule, make_schedule, nbytes
from lazygrad.realize import observers
from lazygrad.runtime.memory import pool

N = 256
SIZE = 4 * N * N


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def square() -> Node:
    return normal(rng(), N, N)


def needed(plan: Schedule) -> int:
    record = memory_record(plan)
    return int(record["output_bytes"] + record["arena"])


def test_what_frees_memory_runs_first() -> None:
    """The second product is the last to read `a`: recorded last, it runs before the long chain."""
    x, w = square(), square()
    a = ops.matmul(x, w)
    b = ops.matmul(a, w)
    c = ops.matmul(b, w)
    last = ops.matmul(a, x)
    plan = make_schedule([c, last])
    order = [step.node for step in plan.steps if isinstance(step, MatmulStep)]
    assert [n.srcs for n in order].index(last.srcs) < [n.srcs for n in order].index(c.srcs)


def test_what_needs_memory_keeps_its_place() -> None:
    x, y = square(), square()
    a, b, c = ops.matmul(x, y), ops.matmul(y, x), ops.matmul(y, y)
    d = ops.matmul(c, b)
    plan = make_schedule([ops.matmul(d, a)])
    order = [step.node.srcs for step in plan.steps if isinstance(step, MatmulStep)]
    assert order[:3] == [c.srcs, b.srcs, plan.steps[2].node.srcs]  # sources before their readers
    assert order[3] == a.srcs


def test_temporaries_lie_in_outputs_that_are_written_later() -> None:
    x = square()
    a = ops.matmul(x, x)
    plan = make_schedule([ops.matmul(ops.matmul(a, x), x)])
    assert plan.arena == SIZE  # of two temporaries, one is in the result's memory
    assert list(plan.homes.values()) == plan.outputs


def test_a_kernel_writes_over_what_it_is_the_last_to_read() -> None:
    x, bias = square(), normal(rng(), 1, N)
    a = ops.matmul(x, x)
    b = ops.exp(ops.add(a, ops.expand(bias, arg=(N, N))))
    outputs = [ops.sum_(ops.matmul(b, x), arg=(0,))]
    plan = make_schedule(outputs)
    first = plan.steps[1]
    assert isinstance(first, KernelStep)
    (store,) = first.kernels[0].stores
    assert plan.memory[first.kernels[0].buffers[store.buffer]].op is ops.matmul
    assert plan.arena == 2 * SIZE == make_schedule(outputs, overwrite=False).arena


def test_a_result_is_written_over_what_it_is_made_of() -> None:
    x = square()
    outputs = [ops.exp(ops.matmul(x, x))]
    plan = make_schedule(outputs)
    assert needed(plan) == SIZE
    assert needed(make_schedule(outputs, overwrite=False)) == 2 * SIZE


@pytest.mark.parametrize("how", ["transposed", "rows", "read later"])
def test_what_is_read_otherwise_is_not_overwritten(how: str) -> None:
    x = square()
    a = ops.cumsum(x, arg=1)
    if how == "transposed":
        b = ops.add(a, ops.permute(a, arg=(1, 0)))
    elif how == "rows":  # the row is read twice
        b = ops.sub(a, ops.expand(ops.sum_(a, arg=(1,)), arg=(N, N)))
    else:
        b = ops.exp(a)
    outputs = [ops.matmul(b, x)] + ([ops.matmul(a, b)] if how == "read later" else [])
    plan = make_schedule(outputs)
    assert not plan.memory
    for got, want in zip(compiled(outputs), interpreted(outputs)):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4 * np.abs(want).max())


def test_a_clash_is_found() -> None:
    x = square()
    a, b = ops.matmul(x, x), ops.matmul(x, ops.exp(x))
    plan = make_schedule([ops.sum_(ops.matmul(a, b), arg=(0, 1))])
    first, second = [n for n in plan.offsets if nbytes(n) == SIZE][:2]
    plan.homes.clear()
    plan.offsets[first] = plan.offsets[second] = 0
    with pytest.raises(AssertionError, match="live in the same memory"):
        schedule.check_schedule(plan)


# what a step needs beyond its inputs in PyTorch 2.13, eager, by its profiler (bytes)
EAGER = {"mlp_fwdbwd": 3_205_000, "gpt_block": 33_860_000}


@pytest.mark.skipif(DEVICE != "cpu", reason="counts the host's memory")
@pytest.mark.parametrize(("name", "most"), [("mlp_fwdbwd", 1.0), ("gpt_block", 1.15)])
def test_a_step_takes_what_was_planned(name: str, most: float) -> None:
    w = WORKLOADS[name]
    call = LazygradPeer(1).prepare(w, w.make(np.random.default_rng(0)))
    plans = []

    def observe(shape: object, program: object) -> None:
        plans.append((Look(shape), program))  # type: ignore[arg-type]

    observers.append(observe)
    try:
        call()
    finally:
        observers.remove(observe)
    ((look, program),) = plans
    planned = needed(look.schedule)
    assert planned <= most * EAGER[name]
    scratch = program.arena - look.schedule.arena  # type: ignore[attr-defined]
    assert 0 <= scratch <= 4096
    sizes = [o.nbytes for o in program.outputs] + [program.arena]  # type: ignore[attr-defined]
    assert sum(sizes) == planned + scratch
    gc.collect()
    before, pool.peak = pool.in_use, pool.in_use
    call()
    assert pool.peak - before == sum(map(pool.rounded, sizes))


def test_what_a_kernel_overwrites_has_the_right_values() -> None:
    x, bias = leaf(rng().normal(size=(300, 70))), normal(rng(), 1, 70)
    w = normal(rng(), 70, 70)
    a = ops.matmul(x, w)
    b = ops.mul(ops.add(a, ops.expand(bias, arg=(300, 70))), a)
    outputs = [ops.matmul(b, w), ops.sum_(b, arg=(0,))]
    assert make_schedule(outputs).memory
    for got, want in zip(compiled(outputs), interpreted(outputs)):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3)


def test_memory_that_was_written_over_too_early_is_found() -> None:
    x, y = square(), square()
    plan = make_schedule([ops.matmul(ops.matmul(x, y), ops.matmul(y, x))])
    first, second, _ = (step.node for step in plan.steps if isinstance(step, MatmulStep))
    plan.memory[second] = first
    with pytest.raises(AssertionError, match="is read where there is"):
        schedule.check_schedule(plan)
