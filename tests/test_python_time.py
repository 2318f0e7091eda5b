"""How much Python runs: function calls are counted, as time is the machine's.

The ceilings are a tenth above what was counted. One that is broken says that the way of an op, a
step or a replay has become longer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lazygrad as lg
from lazygrad import nn
from lazygrad.bench.counts import python_calls
from lazygrad.nn import functional as F
from lazygrad.runtime import compiler
from lazygrad.runtime.stats import stats

TESTS = Path(__file__).parent
pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="counts are of compiled runs")


def calls(function: Callable[[], Any]) -> int:
    """Calls of Python and of C functions while `function` runs."""
    return python_calls(function, ("call", "c_call"))


def chain(x: Any, a: Any, length: int) -> Any:
    for _ in range(length // 4):
        x = x * a
        x = x + a
        x = x * 0.5
        x = x - a
    return x


def small_step() -> Callable[[], Any]:
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = lg.optim.SGD(model.parameters(), lr=0.1)
    x, y = lg.randn(32, 16).realize(), lg.randint(0, 10, (32,)).realize()

    def step() -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(3):
        step()
    return step


def test_recording_an_op() -> None:
    x, a = lg.ones(16).realize(), lg.ones(16).realize()
    assert calls(lambda: chain(x, a, 400)) <= 11 * 400


def test_recording_an_op_with_gradient() -> None:
    x, a = lg.ones(16, requires_grad=True).realize(), lg.ones(16).realize()
    assert calls(lambda: chain(x, a, 400)) <= 19 * 400


def moved_and_reduced(x: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """400 views and 300 reductions of it."""

    def views() -> None:
        for _ in range(100):
            x.T, x.reshape(16), x[0], x[:, 1]

    def reductions() -> None:
        for _ in range(100):
            x.sum(), x.sum(1), x.amax(0)

    views(), reductions()
    return views, reductions


def test_recording_a_view_or_a_reduction() -> None:
    """In a process of its own: once a subclass of Tensor was defined, methods look at arguments."""
    script = """if True:
        import lazygrad as lg, test_python_time as counted
        for gradient in (False, True):
            x = lg.ones(4, 4, requires_grad=gradient).realize()
            print(*map(counted.calls, counted.moved_and_reduced(x)))
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    run = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    views, reductions, views_with, reductions_with = map(int, run.stdout.split())
    assert views <= 12 * 400 and reductions <= 12.2 * 300
    assert views_with <= 19.3 * 400 and reductions_with <= 25.7 * 300


def test_a_small_step() -> None:
    assert calls(small_step()) <= 645


def test_a_replay() -> None:
    step = lg.jit(small_step())
    for _ in range(5):
        step()
    assert step.replays
    assert calls(step) <= 112


def test_a_long_graph_costs_no_more_for_each_op() -> None:
    x, a = lg.ones(16, requires_grad=True).realize(), lg.ones(16).realize()

    def run(length: int) -> None:
        x.grad = None
        chain(x, a, length).sum().backward()

    def calls_per_op(length: int) -> float:
        run(length)  # plans and compiles
        return calls(lambda: run(length)) / length

    assert calls_per_op(1600) <= 1.15 * calls_per_op(400)


def test_another_batch_size_plans_but_compiles_nothing() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = lg.optim.SGD(model.parameters(), lr=0.1)

    def step(size: int) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(lg.ones(size, 6)), lg.zeros(size, dtype=lg.int64)).backward()
        optimizer.step()

    for size in (4, 16):
        step(size)
    before = stats.compiles
    for size in (5, 7, 33, 100):
        step(size)
    assert stats.compiles == before
