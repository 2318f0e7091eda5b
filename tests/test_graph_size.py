"""Very long, wide and shared graphs: no recursion error, no blow-up, memory given back."""

from __future__ import annotations

import gc
import time
import weakref

import numpy as np
import pytest
from graphs import Launches, leaf, normal, value

import lazygrad as lg
from lazygrad.ir import ops
from lazygrad.ir.node import Node
from lazygrad.ir.simplify import simplify
from lazygrad.ir.structure import structure
from lazygrad.realize import realize_nodes
from lazygrad.runtime import compiler
from lazygrad.runtime.memory import pool
from lazygrad.runtime.stats import stats

LENGTH = 100_000
SECONDS = 60.0  # a bound against blow-up, far above what is measured: CI machines are slow


def chain(x: Node, length: int) -> Node:
    one, other = ops.lit(0.5, x), ops.lit(1.0, x)
    for _ in range(length // 2):
        x = ops.add(ops.mul(x, one), other)
    return x


def test_a_long_chain_of_nodes() -> None:
    x = normal(np.random.default_rng(0), 50)
    compiles, start = stats.compiles, time.perf_counter()
    y = chain(x, LENGTH)
    with Launches() as names:
        realize_nodes([y])
    np.testing.assert_allclose(value(y), 2.0, rtol=1e-6)
    assert time.perf_counter() - start < SECONDS
    assert stats.compiles - compiles <= 8 and len(set(names)) <= 8


def test_a_long_chain_through_the_tensor_api_forward_and_backward() -> None:
    x = lg.ones(20, requires_grad=True)
    compiles, start = stats.compiles, time.perf_counter()
    y = x
    for _ in range(LENGTH // 2):
        y = y * 0.9999 + 0.0001
    with Launches() as names:
        y.sum().backward()
    assert time.perf_counter() - start < 2 * SECONDS
    want = 0.9999 ** (LENGTH // 2)
    np.testing.assert_allclose(x.grad.numpy(), np.full(20, want), rtol=1e-2)
    assert stats.compiles - compiles <= 8 and len(set(names)) <= 8


def test_dropping_a_long_chain_does_not_crash() -> None:
    x = normal(np.random.default_rng(0), 5)
    y = chain(x, LENGTH)
    inner = weakref.ref(y.srcs[0].srcs[0])
    del y
    gc.collect()
    assert inner() is None
    t = lg.ones(5, requires_grad=True)
    z = t
    for _ in range(LENGTH):
        z = z * 1.0001
    fn = weakref.ref(z.grad_fn)
    del z
    gc.collect()
    assert fn() is None


def test_thousands_of_inputs_are_summed() -> None:
    xs = [leaf(np.full(7, float(i), np.float32)) for i in range(5_000)]
    start = time.perf_counter()
    total = xs[0]
    for x in xs[1:]:
        total = ops.add(total, x)
    realize_nodes([total])
    assert time.perf_counter() - start < SECONDS
    assert value(total).tolist() == [float(np.arange(5_000).sum())] * 7


def test_thousands_of_tensors_are_summed_with_gradients() -> None:
    xs = [lg.ones(3, requires_grad=True) for _ in range(5_000)]
    start = time.perf_counter()
    sum(xs, lg.zeros(3)).sum().backward()
    assert all(x.grad.tolist() == [1, 1, 1] for x in xs[::500])
    assert time.perf_counter() - start < 2 * SECONDS


def test_doubling_sixty_times() -> None:
    """2**60 paths through 60 nodes."""
    x = leaf(np.arange(4, dtype=np.float32))
    y = x
    for _ in range(60):
        y = ops.add(y, y)
    before = stats.kernels
    realize_nodes([y])
    assert stats.kernels - before == (1 if compiler.compiler() else 0)
    assert value(y).tolist() == [0, 2.0**60, 2.0**61, 3 * 2.0**60]
    t = lg.ones(3, requires_grad=True)
    z = t
    for _ in range(60):
        z = z + z
    z.sum().backward()
    assert t.grad.tolist() == [2.0**60] * 3


def test_memory_of_intermediate_values_is_given_back() -> None:
    x = normal(np.random.default_rng(0), 1000)
    gc.collect()
    before = pool.in_use
    y = chain(x, 20_000)
    realize_nodes([y])
    gc.collect()
    assert pool.in_use - before <= 64 * 1024
    inner = weakref.ref(y)
    del y
    gc.collect()
    assert inner() is None and pool.in_use <= before


def test_walks_keep_their_own_stack() -> None:
    y = chain(normal(np.random.default_rng(0), 3), 20_000)
    assert len(structure([y]).order) > 20_000
    assert simplify([y])[0].shape == (3,)


@pytest.mark.parametrize("depth", [3_000, 20_000])
def test_a_long_chain_of_movement(depth: int) -> None:
    y = leaf(np.arange(6, dtype=np.float32).reshape(2, 3))
    for _ in range(depth):
        y = ops.permute(y, arg=(1, 0))
    y = ops.neg(y)
    realize_nodes([y])
    assert value(y).tolist() == [[0, -1, -2], [-3, -4, -5]]
