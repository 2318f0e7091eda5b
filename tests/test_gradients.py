"""Gradient and second gradient of every op with a rule = finite differences, in float64.

On nodes, by the interpreter: the rules are made of primitives that test_ops.py compiles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from graphs import DEVICE, SAME, interpreted, leaf, normal

from lazygrad.ir import ops
from lazygrad.ir.dtypes import FLOATS, DType, bool_, float32, float64, int64
from lazygrad.ir.node import Node, toposort
from lazygrad.ir.ops import REGISTRY, Lowering
from lazygrad.ir.views import View

Function = Callable[..., Node]
STEP = 1e-6


def gradients(output: Node, seed: Node, inputs: Sequence[Node]) -> list[Node]:
    """d(sum(output * seed)) / d(input), by the rules of the registry."""
    grads: dict[Node, Node] = {output: seed}
    for node in reversed(toposort([output])):
        grad = grads.get(node)
        if grad is None or node.op.vjp is None or not node.srcs:
            continue
        for src, part in zip(node.srcs, node.op.vjp(grad, node, *node.srcs, arg=node.arg)):
            if part is None:
                continue
            assert part.dtype is src.dtype
            part = ops.sum_to(part, src.shape)
            grads[src] = ops.add(grads[src], part) if src in grads else part
    return [grads.get(x) or ops.zeros(x.shape, x.dtype, x.device) for x in inputs]


def leaves(arrays: Sequence[np.ndarray]) -> list[Node]:
    return [leaf(a, float64) for a in arrays]


def differences(
    f: Callable[[Sequence[np.ndarray]], float], arrays: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Central differences of a scalar function of arrays."""
    result = []
    for number, array in enumerate(arrays):
        grad = np.zeros_like(array)
        for at in np.ndindex(array.shape):
            ends = []
            for step in (STEP, -STEP):
                moved = [a.copy() for a in arrays]
                moved[number][at] += step
                ends.append(f(moved))
            grad[at] = (ends[0] - ends[1]) / (2 * STEP)
        result.append(grad)
    return result


def check(function: Function, arrays: Sequence[np.ndarray]) -> None:
    """First and second order: the gradient of sum(seed * gradient) is checked in the same way."""
    rng = np.random.default_rng(7)
    shape = function(*leaves(arrays)).shape
    seed = rng.normal(size=shape)
    weights = [rng.normal(size=a.shape) for a in arrays]

    def first(values: Sequence[np.ndarray]) -> float:
        (made,) = interpreted([function(*leaves(values))])
        return float((made * seed).sum())

    def slope(values: Sequence[np.ndarray]) -> float:
        xs = leaves(values)
        made = interpreted(gradients(function(*xs), leaf(seed, float64), xs))
        return float(sum((m * w).sum() for m, w in zip(made, weights)))

    xs = leaves(arrays)
    y = function(*xs)
    grads = gradients(y, leaf(seed, float64), xs)
    for x, grad in zip(xs, grads):
        assert grad.shape == x.shape and grad.dtype is x.dtype
    for got, want in zip(interpreted(grads), differences(first, arrays)):
        np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-7)
    total: Node | None = None
    for grad, weight in zip(grads, weights):
        part = ops.mul(grad, leaf(weight, float64))
        part = ops.reshape(ops.sum_(part, arg=tuple(range(part.ndim))), arg=())
        total = part if total is None else ops.add(total, part)
    assert total is not None
    seconds = interpreted(gradients(total, leaf(np.array(1.0), float64), xs))
    for got, want in zip(seconds, differences(slope, arrays)):
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)


# -- the functions: from the registry, by hand where there is an arg
Case = tuple[Function, list[np.ndarray]]


def pointwise() -> dict[str, Case]:
    made: dict[str, Case] = {}
    for op in REGISTRY.values():
        if op.lowering is not Lowering.POINTWISE or op.vjp is None or "f" not in op.kinds:
            continue
        if op in (ops.cast, ops.where, ops.copy, ops.graded, *ops.CHECKS):
            continue
        rng = np.random.default_rng(len(made))
        low, high = op.domain
        arrays = [rng.uniform(low, high, (2, 3)) for _ in range(op.arity)]
        made[op.name] = (op, arrays)
        if op.arity > 1:  # a 0-d source is broadcast
            made[f"{op.name} with a number"] = (op, [arrays[0], rng.uniform(low, high, ())])
    return made


def reductions() -> dict[str, Case]:
    made: dict[str, Case] = {}
    for op in REGISTRY.values():
        if op.lowering is Lowering.REDUCE and op.vjp is not None:
            for axes in ((0,), (1,), (0, 2), (0, 1, 2)):
                rng = np.random.default_rng(len(made))
                x = rng.permutation(np.linspace(*op.domain, 12)).reshape(2, 3, 2)
                made[f"{op.name} over {axes}"] = (lambda x, o=op, a=axes: o(x, arg=a), [x])
    zeros = np.array([[1.5, 0.0, 0.7], [0.0, 0.0, 2.0], [1.0, 2.0, 3.0]])
    made["prod with zeros"] = (lambda x: ops.prod(x, arg=(1,)), [zeros])
    # of the second alone: a square has the slope of x times x
    made["graded by another"] = (
        lambda x: ops.graded(ops.mul(x, x), ops.mul(x, ops.copy(x))),
        [zeros],
    )
    return made


def by_hand() -> dict[str, Case]:
    rng = np.random.default_rng(3)

    def new(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    mask, at = leaf(rng.random((2, 3)) < 0.5, bool_), leaf(rng.integers(0, 4, (3, 5)), int64)
    same = leaf(np.array([[1, 3, 1, 0, 2], [2, 2, 0, 1, 3], [0, 1, 2, 3, 3]]), int64)
    distinct = leaf(np.array([[1, 3, 0], [2, 0, 3]]), int64)
    box, inner = View((2, 2), (3, 2), 1), View((2, 2), (2, 1), 1)
    overlapping = View((3, 2), (1, 2), 0)
    expand = ops.expand
    return {
        "where": (lambda a, b: ops.where(mask, a, b), [new(2, 3), new(2, 3)]),
        "copy": (ops.copy, [new(2, 3)]),
        "cast": (lambda x: ops.cast(ops.cast(ops.mul(x, x), arg=float64), arg=float64), [new(3)]),
        "reshape": (
            lambda x: ops.mul(ops.reshape(x, arg=(3, 2)), ops.reshape(x, arg=(3, 2))),
            [new(2, 3)],
        ),
        "permute": (lambda x: ops.exp(ops.permute(x, arg=(2, 0, 1))), [new(2, 3, 2)]),
        "expand": (lambda x: ops.exp(expand(x, arg=(4, 2, 3))), [new(2, 1)]),
        "expand of 0-d": (lambda x: ops.exp(expand(x, arg=(2, 3))), [new()]),
        "slice": (lambda x: ops.exp(ops.slice_(x, arg=((1, 3, 1), (0, 2, 1)))), [new(4, 3)]),
        "slice with steps": (
            lambda x: ops.exp(ops.slice_(x, arg=((0, 5, 2), (1, 4, 2)))),
            [new(5, 4)],
        ),
        "flip": (lambda x: ops.exp(ops.flip(x, arg=(0,))), [new(3, 2)]),
        "pad": (lambda x: ops.exp(ops.pad(x, arg=((1, 0), (2, 1)))), [new(2, 2)]),
        "window": (lambda x: ops.exp(ops.window(x, arg=(1, 3, 1))), [new(2, 6)]),
        "window by steps": (lambda x: ops.exp(ops.window(x, arg=(1, 3, 2))), [new(2, 8)]),
        "window, narrow": (lambda x: ops.exp(ops.window(x, arg=(0, 2, 3))), [new(8, 2)]),
        "window, side by side": (lambda x: ops.exp(ops.window(x, arg=(0, 3, 3))), [new(8, 2)]),
        "window, wide": (lambda x: ops.exp(ops.window(x, arg=(0, 5, 2))), [new(10, 2)]),
        "as_strided": (lambda x: ops.exp(ops.as_strided(x, arg=box)), [new(3, 3)]),
        "as_strided that overlaps": (
            lambda x: ops.exp(ops.as_strided(x, arg=overlapping)),
            [new(6)],
        ),
        "update": (
            lambda a, b: ops.exp(ops.write(ops.mul(a, a), b, inner)),
            [new(2, 3), new(2, 2)],
        ),
        "matmul": (ops.matmul, [new(3, 4), new(4, 2)]),
        "matmul, batches": (ops.matmul, [new(2, 2, 3), new(2, 3, 2)]),
        "conv": (conv((1, 1), (1, 1)), [new(2, 3, 5, 4), new(2, 3, 3, 2)]),
        "conv, steps": (conv((2, 3), (1, 1)), [new(1, 2, 7, 8), new(3, 2, 2, 3)]),
        "conv, spread": (conv((2,), (3,)), [new(2, 2, 9), new(2, 2, 2)]),
        "attention": (attention(False), [new(2, 3, 2), new(2, 4, 2), new(2, 4, 3)]),
        "attention, causal": (attention(True), [new(3, 2), new(2, 2), new(2, 1)]),
        "attention_grad": (attention_grad(False), [new(2, 2), new(3, 2), new(3, 3), new(2, 3)]),
        "attention_grad, causal": (
            attention_grad(True),
            [new(3, 2), new(3, 2), new(3, 1), new(3, 1)],
        ),
        "conv, groups": (conv((1,), (1,)), [new(2, 1, 2, 5), new(2, 3, 2, 2)]),
        "gather": (lambda x: ops.exp(ops.gather(x, at, arg=0)), [new(4, 5)]),
        "gather along the last": (lambda x: ops.exp(ops.gather(x, same, arg=1)), [new(3, 4)]),
        "scatter_add": (
            lambda a, b: ops.exp(ops.scatter_add(a, at, b, arg=0)),
            [new(4, 5), new(3, 5)],
        ),
        "scatter": (
            lambda a, b: ops.exp(ops.scatter(a, distinct, b, arg=1)),
            [new(2, 4), new(2, 3)],
        ),
        "check_unit": (
            lambda x: ops.check_unit(x, arg=ops.Check(0)),
            [np.array([[0.2, 0.7, 0.5]])],
        ),
        "cumsum": (lambda x: ops.exp(ops.cumsum(x, arg=1)), [new(2, 3)]),
        "cumprod": (lambda x: ops.exp(ops.cumprod(x, arg=1)), [new(2, 3)]),
        "cumprod of zeros": (lambda x: ops.cumprod(x, arg=1), [np.array([[2.0, 0.0, 3.0, 0.0]])]),
        "recurrence": (lambda a, b: ops.exp(ops.recurrence(a, b, arg=1)), [new(2, 3), new(2, 3)]),
        "logcumsumexp": (lambda x: ops.exp(ops.logcumsumexp(x, arg=1)), [new(2, 3)]),
        "transfer": (lambda x: ops.exp(ops.to_device(x, x.device)), [new(2, 3)]),
    }


def attention(causal: bool) -> Callable[..., Node]:
    return lambda q, k, v: ops.attention(q, k, v, arg=(0.7, causal))


def attention_grad(causal: bool) -> Callable[..., Node]:
    return lambda q, k, v, g: ops.attention_grad(q, k, v, g, arg=(0.7, causal))


def conv(steps: tuple[int, ...], spreads: tuple[int, ...]) -> Callable[..., Node]:
    return lambda x, w: ops.conv(x, w, arg=(steps, spreads))


CASES = {**pointwise(), **reductions(), **by_hand()}


@pytest.mark.parametrize("name", CASES)
def test_first_and_second_gradient(name: str) -> None:
    check(*CASES[name])


def test_every_op_with_a_rule_is_in_a_case() -> None:
    covered = {name.split(" ")[0].rstrip(",") for name in CASES}
    assert {op.name for op in REGISTRY.values() if op.vjp is not None} <= covered


@pytest.mark.parametrize("layout", SAME)
def test_gradients_through_every_layout(layout: str) -> None:
    rng = np.random.default_rng(5)
    shapes: list[tuple[int, ...]] = []

    def shape_of(*shape: int) -> Node:
        shapes.append(shape)
        return leaf(np.zeros(shape), float64)

    SAME[layout](shape_of)
    x = rng.normal(size=shapes[0])
    check(lambda a: ops.exp(SAME[layout](lambda *shape: a)), [x])


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: d.name)
def test_gradients_keep_the_dtype(dtype: DType) -> None:
    """The rule of every op gives nodes of its sources' dtypes: also through a cast."""
    rng = np.random.default_rng(1)
    for op in REGISTRY.values():
        if op.lowering is Lowering.POINTWISE and op.vjp and "f" in op.kinds and op.arity < 3:
            srcs = [normal(rng, 2, 3, dtype=dtype) for _ in range(op.arity)]
            arg = float32 if op is ops.cast else None
            y = op(*srcs, arg=arg)
            seed = ops.expand(ops.const(1, y.dtype, DEVICE), arg=y.shape)
            for src, grad in zip(srcs, gradients(y, seed, srcs)):
                assert (grad.shape, grad.dtype) == (src.shape, src.dtype), op.name


def test_what_is_between_equals_is_shared() -> None:
    """maximum and minimum halve the gradient of a tie, amax shares it evenly (as PyTorch)."""
    a = leaf(np.array([1.0, 2.0, 3.0]), float64)
    b = leaf(np.array([1.0, 3.0, 2.0]), float64)
    one = leaf(np.ones(3), float64)
    for op, want in ((ops.maximum, [0.5, 0, 1]), (ops.minimum, [0.5, 1, 0])):
        left, right = interpreted(gradients(op(a, b), one, [a, b]))
        assert left.tolist() == want and (left + right).tolist() == [1, 1, 1]
    ties = leaf(np.array([3.0, 1.0, 3.0, 3.0]), float64)
    (grad,) = interpreted(gradients(ops.max_(ties, arg=(0,)), leaf(np.ones(1), float64), [ties]))
    assert np.allclose(grad, [1 / 3, 0, 1 / 3, 1 / 3])
