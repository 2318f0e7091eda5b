"""Every rule of ir/simplify.py: what it removes, and what it must leave."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from graphs import DEVICE, compiled, interpreted, leaf, same_bits

from lazygrad.ir import ops, simplify
from lazygrad.ir.dtypes import FLOATS, bool_, float16, float32, float64, int32, int64
from lazygrad.ir.node import Node, toposort
from lazygrad.ir.views import View

X = leaf(np.array([[1.5, -0.0, np.nan], [np.inf, -2.0, 3.0]], np.float32))
Y = leaf(np.array([[0.5, 2.0, 1.0], [3.0, -1.0, 0.25]], np.float32))
CUBE = leaf(np.linspace(0.5, 1.5, 30).reshape(2, 1, 3, 5).astype(np.float32))
I32 = leaf(np.array([[1, -2, 3], [4, 5, -6]], np.int32), int32)
B = leaf(np.array([[True, False, True], [False, False, True]]), bool_)
Pair = tuple[str, Node, Node]


def one(value: float = 1, like: Node = X) -> Node:
    return ops.lit(value, like)


def text(node: Node) -> list[object]:
    """A graph without the identity of its nodes."""
    order = toposort([node])
    at = {n: i for i, n in enumerate(order)}
    return [
        (n.buffer or n.op.name, n.arg, n.shape, n.dtype, tuple(at[s] for s in n.srcs))
        for n in order
    ]


full = (2, 3)
IMAGES = leaf(np.arange(8.0).reshape(2, 1, 4), float32)
TURNED = ops.permute(CUBE, arg=(0, 2, 1, 3))
HALF = leaf(np.array([[0.5, 2.0, 1.0], [3.0, -1.0, 0.25]], np.float16), float16)
WIDE = ops.cast(HALF, arg=float32)
PLACES = leaf(np.array([[2, 2, 2], [0, 1, 0]]), int64)
KERNEL = leaf(np.arange(4.0).reshape(2, 1, 2), float32)
REMOVED: dict[str, list[tuple[Node, Node]]] = {
    "unit_factor": [
        (ops.mul(X, one()), X),
        (ops.mul(one(), X), X),
        (ops.div(X, one()), X),
        (ops.mul(I32, one(1, I32)), I32),
    ],
    "double_negation": [(ops.neg(ops.neg(X)), X), (ops.bit_not(ops.bit_not(I32)), I32)],
    "no_cast": [(ops.cast(X, arg=float32), X), (ops.cast(B, arg=bool_), B)],
    "fold_constants": [
        (ops.add(one(2), one(3)), one(5)),
        (ops.neg(one(2, I32)), one(-2, I32)),
        (ops.lt(one(2), one(3)), ops.const(True, bool_, DEVICE)),
        (ops.cast(one(2.7), arg=int64), ops.const(2, int64, DEVICE)),
    ],
    "repeated_literal": [
        (ops.add(X, ops.expand(one(3), arg=full)), ops.add(X, one(3))),
        (ops.where(B, ops.expand(one(3), arg=full), X), ops.where(B, one(3), X)),
    ],
    "still_movement": [
        (ops.reshape(X, arg=full), X),
        (ops.expand(X, arg=full), X),
        (ops.permute(X, arg=(0, 1)), X),
        (ops.slice_(X, arg=((0, 2, 1), (0, 3, 1))), X),
        (ops.pad(X, arg=((0, 0), (0, 0))), X),
        (ops.as_strided(X, arg=View.contiguous(full)), X),
    ],
    "reshape_twice": [
        (ops.reshape(ops.reshape(X, arg=(6,)), arg=(3, 2)), ops.reshape(X, arg=(3, 2))),
        (ops.reshape(ops.reshape(X, arg=(3, 2)), arg=full), X),
    ],
    "join_short_axes": [
        (
            ops.sum_(X, arg=(0, 1)),
            ops.reshape(ops.sum_(ops.reshape(X, arg=(6,)), arg=(0,)), arg=(1, 1)),
        ),
        (
            ops.prod(CUBE, arg=(0, 2)),
            ops.reshape(ops.prod(ops.reshape(CUBE, arg=(6, 5)), arg=(0,)), arg=(1, 1, 1, 5)),
        ),
    ],
    "transposed_matmul": [
        (
            ops.permute(ops.matmul(X, ops.reshape(Y, arg=(3, 2))), arg=(1, 0)),
            ops.matmul(
                ops.permute(ops.reshape(Y, arg=(3, 2)), arg=(1, 0)), ops.permute(X, arg=(1, 0))
            ),
        ),
    ],
    "permute_before_join": [
        (
            ops.permute(ops.reshape(TURNED, arg=(6, 5)), arg=(1, 0)),
            ops.reshape(ops.permute(TURNED, arg=(2, 3, 0, 1)), arg=(5, 6)),
        ),
    ],
    "reduce_before_permute": [
        (
            ops.sum_(ops.permute(X, arg=(1, 0)), arg=(0,)),
            ops.permute(ops.sum_(X, arg=(1,)), arg=(1, 0)),
        ),
    ],
    "written_with_others": [
        (
            ops.conv(IMAGES, KERNEL, arg=((1,), (1,))),
            ops.permute(
                ops.reshape(
                    ops.matmul(
                        ops.reshape(KERNEL, arg=(2, 2)),
                        ops.reshape(
                            ops.permute(ops.window(IMAGES, arg=(2, 2, 1)), arg=(1, 3, 0, 2)),
                            arg=(2, 6),
                        ),
                    ),
                    arg=(2, 2, 3),
                ),
                arg=(1, 0, 2),
            ),
        ),
    ],
    "reduce_nothing": [(ops.max_(X, arg=()), X), (ops.max_(I32, arg=()), I32)],
    "wide_scatter": [
        (
            ops.scatter_add(HALF, PLACES, HALF, arg=1),
            ops.cast(ops.scatter_add(WIDE, PLACES, WIDE, arg=1), arg=float16),
        ),
    ],
}


def cases() -> list[Pair]:
    return [(rule, a, b) for rule, pairs in REMOVED.items() for a, b in pairs]


@pytest.mark.parametrize(("rule", "before", "after"), cases())
def test_rule(rule: str, before: Node, after: Node) -> None:
    assert text(simplify.simplify([before])[0]) == text(simplify.simplify([after])[0])
    assert text(simplify.simplify([before])[0]) == text(after)
    (got,), (want,) = interpreted(simplify.simplify([before])), interpreted([before])
    assert same_bits(got, want)


KEPT: dict[str, Callable[[], Node]] = {
    "x + 0 turns -0.0 into 0.0": lambda: ops.add(X, one(0)),
    "x * 0 keeps NaN": lambda: ops.mul(X, one(0)),
    "x - x is NaN at infinity": lambda: ops.sub(X, X),
    "1 / x": lambda: ops.div(one(), X),
    "a product of the other's shape": lambda: ops.mul(one(2), ops.scalar(1.0, float32, DEVICE)),
    "a cast there and back": lambda: ops.cast(ops.cast(X, arg=float16), arg=float32),
    "the order of long rows": lambda: ops.sum_(leaf(np.ones((3, 2000))), arg=(0, 1)),
    "the order of integers, which is free": lambda: ops.sum_(I32, arg=(0, 1)),
    "reduced axes that are not neighbours": lambda: ops.sum_(leaf(np.ones((3, 4, 5))), arg=(0, 2)),
    "a flip": lambda: ops.flip(X, arg=(0,)),
    "a permute of a square": lambda: ops.permute(leaf(np.eye(3)), arg=(1, 0)),
    "x == x is false for NaN": lambda: ops.eq(X, X),
    "division by zero of integers, to be reported": lambda: ops.floordiv(one(1, I32), one(0, I32)),
    "functions that are not exact on the host": lambda: ops.exp(one(2)),
    "half types, which round": lambda: ops.add(
        ops.const(1, float16, DEVICE), ops.const(2, float16, DEVICE)
    ),
    "a run-time number, though it be 1": lambda: ops.mul(X, ops.scalar(1.0, float32, DEVICE)),
}


@pytest.mark.parametrize("why", KEPT)
def test_what_changes_bits_stays(why: str) -> None:
    node = KEPT[why]()
    assert text(simplify.simplify([node])[0]) == text(node)


def test_equal_nodes_become_one() -> None:
    a, b = ops.exp(ops.neg(X)), ops.exp(ops.neg(X))
    left, right = simplify.simplify([a, b])
    assert left is right
    assert len(toposort(simplify.simplify([ops.add(a, b)]))) == 4


def test_equal_numbers_of_other_kinds_stay_apart() -> None:
    """0.0 and -0.0, 1 and True, run-time numbers: equal to Python, not to the program."""
    zero, minus = simplify.simplify([one(0.0), one(-0.0)])
    assert zero is not minus
    a, b = ops.scalar(1.0, float32, DEVICE), ops.scalar(1.0, float32, DEVICE)
    assert len(set(simplify.simplify([ops.mul(X, a), ops.mul(X, b)]))) == 2
    x, y = simplify.simplify([ops.const(1, float32, DEVICE), ops.const(1, float64, DEVICE)])
    assert x is not y


def test_leaves_with_values_stay_the_objects_they_are() -> None:
    assert simplify.simplify([X, I32]) == [X, I32]
    done = ops.neg(X)
    compiled([done])
    assert simplify.simplify([ops.neg(done)])[0].srcs[0] is done


def test_a_computed_node_is_not_looked_through() -> None:
    """Its sources are gone."""
    inner = ops.neg(X)
    outer = ops.neg(inner)
    moved = ops.sum_(ops.permute(inner, arg=(1, 0)), arg=(0,))
    compiled([inner])
    for node in (outer, moved, ops.cast(inner, arg=float32), ops.reshape(inner, arg=(6,))):
        (want,) = interpreted([node])
        (got,) = compiled([node])
        assert same_bits(got, want)


def test_every_rule_has_a_test() -> None:
    assert {rule.__name__ for rule in simplify.RULES} <= {*REMOVED, *COMPARISONS}


def test_rules_keep_the_users_line() -> None:
    node = ops.reshape(ops.reshape(X, arg=(6,)), arg=(3, 2))
    assert simplify.simplify([node])[0].place == node.place


# -- indices, one for each row, as comparisons that fuse -------------------------------------------
COMPARISONS = {"pick_by_comparison", "spread_by_comparison"}
AT = np.array([[2], [0], [1], [2], [1]])


@pytest.mark.parametrize("dtype", [*FLOATS, int32, bool_], ids=lambda d: d.name)
def test_pick_by_comparison_is_the_gather(dtype: ops.Op) -> None:
    values = np.array(
        [[1.0, -0.0, np.inf], [np.nan, 2, 3], [-np.inf, -np.inf, 0], [1, 2, -0.0], [-1, -2, -3]]
    )
    if dtype.kind != "f":
        values = np.nan_to_num(values, posinf=9, neginf=-9).astype(dtype.np)
    elif dtype is not float64:
        values = values.astype(np.float32)
    x = ops.copy(leaf(values, dtype))
    node = ops.gather(x, leaf(AT, int64), arg=1)
    picked = simplify.simplify([node])[0]
    assert ops.gather not in {n.op for n in toposort([picked])}
    want = np.take_along_axis(values, AT, 1)
    (got,) = compiled([node])
    assert np.array_equal(got, want, equal_nan=dtype.kind == "f")
    if dtype.kind == "f":
        assert np.array_equal(
            np.signbit(got), np.signbit(want) & ~np.isnan(want) | np.signbit(got) & np.isnan(want)
        )


def test_spread_by_comparison_is_the_scatter_add() -> None:
    for dtype in (float32, float64, int32):
        values = np.array([[1.5], [-0.0], [7], [-3], [2]]).astype(dtype.np)
        base = ops.zeros((5, 3), dtype, DEVICE)
        node = ops.scatter_add(base, leaf(AT, int64), ops.copy(leaf(values, dtype)), arg=1)
        assert ops.scatter_add not in {n.op for n in toposort(simplify.simplify([node]))}
        (want,), (got,) = interpreted([node]), compiled([node])
        assert same_bits(got, want)


@pytest.mark.parametrize("bad", [-1, 3])
def test_an_index_out_of_range_is_still_an_error(bad: int) -> None:
    at = leaf(np.where(AT == 2, bad, AT), int64)
    x = ops.exp(leaf(np.ones((5, 3), np.float32)))
    zeros, src = ops.zeros((5, 3), float32, DEVICE), ops.exp(leaf(np.ones((5, 1), np.float32)))
    for node in (ops.gather(x, at, arg=1), ops.scatter_add(zeros, at, src, arg=1)):
        with pytest.raises(IndexError, match=f"index {bad} is out of bounds .* with size 3"):
            compiled([node])
