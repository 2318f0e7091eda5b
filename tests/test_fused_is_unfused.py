"""Random graphs: one program has the bits of one program for every operation.

A graph is a list of steps, each an operation on earlier values. Once everything is put off and
computed at the end, once every value is computed as soon as it is recorded. No step copies into
another layout: fusion leaves such copies out, and layout may decide the order of a sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lazygrad as lg

ROWS, COLUMNS = 6, 70  # a vector and a piece

UNARY: dict[str, Callable[[Any], Any]] = {
    "neg": lambda a: -a,
    "tanh": lambda a: a.tanh(),
    "exp": lambda a: (-a.abs()).exp(),
    "rsqrt": lambda a: (a.abs() + 1).rsqrt(),
    "relu": lambda a: a.relu(),
    "third": lambda a: a / 3,
    "sum_rows": lambda a: a.sum(1, keepdim=True).expand(ROWS, COLUMNS),
    "max_rows": lambda a: a.amax(1, keepdim=True).expand(ROWS, COLUMNS),
    "mean_columns": lambda a: a.mean(0, keepdim=True).expand(ROWS, COLUMNS),
    "softmax": lambda a: a.softmax(1),
    "flip": lambda a: a.flip(1),
    "shifted": lambda a: lg.nn.functional.pad(a[:, 1:], (1, 0)),
    "cumsum": lambda a: a.cumsum(1),
    "picked": lambda a: a[:, lg.arange(COLUMNS - 1, -1, -1)],
    "first_row": lambda a: a[:1].expand(ROWS, COLUMNS),
    "first_column": lambda a: a[:, :1].expand(ROWS, COLUMNS),
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / (b.abs() + 1),
    "where": lambda a, b: lg.where(a > b, a, b * 0.5),
    "maximum": lambda a, b: lg.maximum(a, b),
    "product": lambda a, b: (a @ b.t()) @ b / COLUMNS,
}
DTYPES = (lg.float32, lg.float64, lg.float16)

steps = st.lists(
    st.tuples(st.sampled_from([*UNARY, *BINARY]), st.integers(0, 30), st.integers(0, 30)),
    min_size=2,
    max_size=14,
)


def leaves(dtype: Any) -> list[Any]:
    rng = np.random.default_rng(0)
    return [lg.tensor(rng.standard_normal((ROWS, COLUMNS))).to(dtype) for _ in range(3)]


def run(graph: list[tuple[str, int, int]], dtype: Any, at_once: bool, gradient: bool) -> list[Any]:
    """Every value of the graph, and the gradients of the leaves, as bytes."""
    values = leaves(dtype)
    lg.realize(*values)
    if gradient:
        values = [value.requires_grad_() for value in values]
    starts = list(values)
    for name, first, second in graph:
        a, b = values[-1 - first % len(values)], values[-1 - second % len(values)]
        made = UNARY[name](a) if name in UNARY else BINARY[name](a, b)
        if at_once:
            lg.realize(made)
        values.append(made)
    found = values[len(starts) :]
    if gradient:
        grads = lg.autograd.grad(values[-1].float().sum(), starts, allow_unused=True)
        found += [g for g in grads if g is not None]
    lg.realize(*found)
    return [value.detach().contiguous().numpy().tobytes() for value in found]


def check(graph: list[tuple[str, int, int]], dtype: Any, gradient: bool) -> None:
    assert run(graph, dtype, False, gradient) == run(graph, dtype, True, gradient)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(steps, st.sampled_from(DTYPES))
def test_values(graph: list[tuple[str, int, int]], dtype: Any) -> None:
    check(graph, dtype, False)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(steps, st.sampled_from(DTYPES[:2]))
def test_gradients(graph: list[tuple[str, int, int]], dtype: Any) -> None:
    check(graph, dtype, True)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True)
@given(steps, st.sampled_from(DTYPES), st.booleans())
def test_many(graph: list[tuple[str, int, int]], dtype: Any, gradient: bool) -> None:
    check(graph, dtype, gradient)
