"""Elementwise logic and selection: and, or, not, questions to floats, where.

Owns: operations whose result is or depends on truth values. Must not know: views or storages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.node import Node
from lazygrad.ir.ops import Op
from lazygrad.tensor import promotion as P
from lazygrad.tensor.core import Tensor, node_of, nodes_of, wrap_as
from lazygrad.tensor.declare import check_tensor, declare, layout_order
from lazygrad.tensor.elementwise import operands
from lazygrad.tensor.history import record, with_inputs
from lazygrad.tensor.kernels import require

# -- logic --------------------------------------------------------------------------------------


def as_bool(node: Node) -> Node:
    return P.cast(node, D.bool_)


def _logical(name: str, op: Op) -> Callable[[Tensor, Tensor], Tensor]:
    def function(input: Tensor, other: Tensor) -> Tensor:
        check_tensor(input, name)
        check_tensor(other, name, "other", 2)
        x, y = as_bool(node_of(input)), as_bool(node_of(other))
        shape = P.joint_shape(x.shape, y.shape)
        order = layout_order((input, other), shape)
        return wrap_as(op(P.expand_to(x, shape), P.expand_to(y, shape)), order)

    function.__name__ = function.__qualname__ = name
    return declare(name, inplace=True, out=True)(function)


logical_and = _logical("logical_and", ops.bit_and)
logical_or = _logical("logical_or", ops.bit_or)
logical_xor = _logical("logical_xor", ops.bit_xor)


@declare(inplace=True, out=True)
def logical_not(input: Tensor) -> Tensor:
    x = node_of(input)
    return wrap_as(ops.bit_not(as_bool(x)), layout_order((input,), x.shape))


@declare(inplace=True, out="same")
def bitwise_not(input: Tensor) -> Tensor:
    x = node_of(input)
    require("bitwise_not", x.dtype)
    return wrap_as(ops.bit_not(x), layout_order((input,), x.shape))


def _float_test(
    name: str, test: Callable[[Node], Node], whole: bool, out: str | bool = False
) -> Any:
    """A question to each element that only floats can answer otherwise than `whole`."""

    def function(input: Tensor) -> Tensor:
        check_tensor(input, name)
        x = node_of(input)
        if x.dtype.kind == "f":
            value = test(x)
        else:
            value = ops.const(whole, D.bool_, x.device)
            value = value if not x.shape else P.spread_to(value, x.shape)
        return wrap_as(value, layout_order((input,), x.shape))

    function.__name__ = function.__qualname__ = name
    return declare(name, out=out)(function)


def _inf(x: Node) -> Node:
    return ops.lit(float("inf"), x)


isnan = _float_test("isnan", lambda x: ops.ne(x, x), False)
isinf = _float_test("isinf", lambda x: ops.eq(ops.absolute(x), _inf(x)), False)
isfinite = _float_test("isfinite", lambda x: ops.lt(ops.absolute(x), _inf(x)), True)
isposinf = _float_test("isposinf", lambda x: ops.eq(x, _inf(x)), False, "bool")
isneginf = _float_test("isneginf", lambda x: ops.eq(x, ops.lit(float("-inf"), x)), False, "bool")
isreal = _float_test("isreal", lambda x: ops.bit_or(ops.eq(x, x), ops.ne(x, x)), True)


@declare(out="same")
def signbit(input: Tensor) -> Tensor:
    x = node_of(input)
    zero = ops.lit(0, x)
    value = ops.lt(x, zero)
    if x.dtype.kind == "f":  # -0.0 shows by its reciprocal
        value = ops.bit_or(value, ops.bit_and(ops.eq(x, zero), ops.lt(ops.reciprocal(x), zero)))
    return wrap_as(value, layout_order((input,), x.shape))


# -- selection ----------------------------------------------------------------------------------


def where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """self where the condition holds, else other."""
    return where(condition, self, other)


@declare(out="same", method=False)
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """input where the condition holds, else other; with one argument: where it is not zero."""
    check_tensor(condition, "where", "condition")
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if condition.dtype is not D.bool_:
        if condition.dtype is not D.uint8:
            raise RuntimeError(
                "where expected condition to be a boolean tensor, but got a tensor with dtype "
                f"{P.type_name(condition.dtype)}"
            )
        condition = condition != 0
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        _, nodes, pair, _ = _where_numbers(input, other, condition)
        tensors = [t for t in (input, other) if isinstance(t, Tensor)]
    else:
        tensors = [input, other]
        nodes = nodes_of(input, other)
        dtype = P.pair_dtype(*nodes)
        pair = [P.cast(node, dtype) for node in nodes]
    c = node_of(condition)
    shape = P.joint_shape(pair[0].shape, pair[1].shape)
    shape = P.joint_shape(c.shape, shape)
    value = ops.where(P.expand_to(c, shape), *(P.expand_to(node, shape) for node in pair))
    if value.shape != shape:
        value = P.spread_to(value, shape)
    order = layout_order([condition, *tensors], shape, number=len(tensors) < 2)
    result = record("WhereBackward0", [condition, *tensors], [c, *nodes], value, order)
    if len(tensors) != 1 or result._meta is None:
        return result
    return with_inputs(result, (0, -1) if input is tensors[0] else (-1, 0))


def _where_numbers(input: Any, other: Any, condition: Tensor) -> Any:
    if isinstance(input, Tensor) or isinstance(other, Tensor):
        found = operands("where", input, other)
        number = other if isinstance(input, Tensor) else input
        P.check_fits(P.number_from(number), found[2][0].dtype)
        return found
    input, other = P.number_from(input), P.number_from(other)
    dtype = P.promote_scalars(input, other)
    where = condition._storage.device
    return [], [], [P.scalar(input, dtype, where), P.scalar(other, dtype, where)], None


__all__ = [name for name in globals() if not name.startswith("_")]
