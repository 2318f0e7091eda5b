"""Functions composed of others: clamp, norms, softmax, triangles, and the like.

Owns: their composition, each differentiated as one function under PyTorch's name. Must not know:
primitives beyond calling them.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

from lazygrad.autograd.composite import composite
from lazygrad.autograd.graph import fn_class
from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.node import Node
from lazygrad.tensor import promotion as P
from lazygrad.tensor.convert import item
from lazygrad.tensor.core import Tensor, axis_of, cut, node_of, nodes_of, shape_of, wrap, wrap_as
from lazygrad.tensor.declare import check_tensor, declare, layout_order
from lazygrad.tensor.elementwise import number_of, operands
from lazygrad.tensor.history import (
    RESULT,
    Saves,
    needs_grad,
    not_differentiated,
    record,
    relabelled,
)
from lazygrad.tensor.kernels import require
from lazygrad.tensor.logic import where


def rename(t: Tensor, name: str) -> Tensor:
    """Show the record of a function that was composed in place under its own name."""
    return relabelled(t, fn_class(name))


# -- limits -------------------------------------------------------------------------------------


@declare("clamp", "clip", inplace=True, out="clamp")
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Elements no less than min and no more than max; gradient passes at the limits."""
    check_tensor(input, "clamp")
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if isinstance(min, Tensor) != isinstance(max, Tensor):
        mixed = min is not None and max is not None
        min, max = _limit(min, "min", mixed), _limit(max, "max", mixed)
    elif not isinstance(min, Tensor):
        min, max = _limit(min, "min"), _limit(max, "max")
    tensors = [t for t in (input, min, max) if isinstance(t, Tensor)]
    if len(tensors) == 2 and min is not None and max is not None:
        raise TypeError(
            "clamp() received an invalid combination of arguments: min and max must both be "
            "tensors or both be numbers"
        )
    nodes = nodes_of(*tensors)
    x, rest = nodes[0], iter(nodes[1:])
    dtype, shape = x.dtype, x.shape
    limits: list[Any] = []
    for limit in (min, max):
        node = next(rest) if isinstance(limit, Tensor) else None
        limits.append(node if node is not None else limit)
        if node is not None:
            dtype = (
                D.promote_types(dtype, node.dtype)
                if node.shape or not x.shape
                else P.pair_dtype(x, node)
            )
            shape = P.joint_shape(shape, node.shape)
        elif limit is not None:
            dtype = P.with_number(dtype, limit)
    if min is None or max is None:
        kernel = None if len(tensors) > 1 else f"clamp_{'max' if min is None else 'min'} scalar"
    else:
        kernel = "clamp" if len(tensors) > 1 else "clamp scalar"
    if kernel is not None:
        require(kernel, dtype)
    value = P.expand_to(P.cast(x, dtype), shape)
    for limit, is_low in zip(limits, (True, False)):
        if limit is None:
            continue
        if isinstance(limit, Node):
            bound = P.expand_to(P.cast(limit, dtype), shape)
        else:
            bound = P.filling(limit, dtype, x.device)
        inside = ops.le(bound, value) if is_low else ops.le(value, bound)
        if dtype.kind == "f":  # NaN stays, as a value that has no gradient; that of a bound too
            ordered = ops.eq(value, value)
            if isinstance(limit, Node):
                ordered = ops.bit_and(ordered, ops.eq(bound, bound))
            bound = ops.where(ordered, bound, ops.lit(math.nan, value))
        value = ops.where(inside, value, bound)
    value = value if value.shape == shape else P.spread_to(value, shape)
    if len(tensors) == 3 and dtype.kind == "f":
        like = _clamped(*(P.spread_to(P.cast(node, dtype), shape) for node in nodes))
        value = ops.graded(value, like)
    name = "ClampBackward0" if len(tensors) > 1 else "ClampBackward1"
    saves = range(len(tensors))
    return record(name, tensors, nodes, value, layout_order(tensors, shape), saves)


def _clamped(x: Node, low: Node, high: Node) -> Node:
    """What each of the three has a gradient of, as PyTorch says it: equal bounds have none, and
    crossing ones leave all of it to the upper."""
    inside = ops.bit_and(ops.le(low, x), ops.le(x, high))
    below = ops.bit_and(ops.lt(x, low), ops.lt(low, high))
    above = ops.bit_or(ops.lt(high, x), ops.lt(high, low))
    rest = ops.where(above, high, ops.lit(0, x))
    return ops.where(inside, x, ops.where(below, low, rest))


@declare(inplace=True, out="clamp")
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """Elements no less than min."""
    if min is None:
        raise TypeError("clamp_min(): argument 'min' (position 2) must be Number, not NoneType")
    return clamp(input, min=min)


@declare(inplace=True, out="clamp")
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """Elements no more than max."""
    if max is None:
        raise TypeError("clamp_max(): argument 'max' (position 2) must be Number, not NoneType")
    return clamp(input, max=max)


def _limit(limit: Any, name: str, mixed: bool = False) -> Any:
    """A limit of clamp; beside a number, a 0-d tensor that needs no gradient is its number."""
    if isinstance(limit, Tensor):
        return item(limit) if mixed and not limit.ndim and not needs_grad(limit) else limit
    return None if limit is None else number_of(limit, "clamp", name, 2 + (name == "max"))


def _f_extreme(name: str, below: bool) -> Any:
    """fmax and fmin: a NaN loses against a number."""

    def function(input: Tensor, other: Tensor) -> Tensor:
        tensors, nodes, (a, b), order = operands(name, input, other)
        test = ops.lt(a, b) if not below else ops.lt(b, a)
        if a.dtype.kind == "f":
            test = ops.bit_or(test, ops.ne(a, a))
            keep = ops.ne(b, b)
            test = ops.bit_and(test, ops.bit_not(keep))
        value = ops.where(test, b, a)
        return record(f"{name.capitalize()}Backward0", tensors, nodes, value, order, (0, 1))

    function.__name__ = function.__qualname__ = name
    return declare(name, out=True)(function)


fmax, fmin = _f_extreme("fmax", False), _f_extreme("fmin", True)


@declare(inplace=True, out="same")
def nan_to_num(
    input: Tensor,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Tensor:
    """NaN and infinities replaced by numbers."""
    x = node_of(input)
    order = layout_order((input,), x.shape)
    if x.dtype.kind != "f":
        return record("NanToNumBackward0", (input,), (x,), ops.copy(x), order)
    limits = P.finfo(x.dtype)
    inf = ops.lit(float("inf"), x)
    value = ops.where(ops.ne(x, x), P.scalar(nan or 0.0, x.dtype, x.device), x)
    top = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    value = ops.where(ops.eq(x, inf), P.scalar(top, x.dtype, x.device), value)
    value = ops.where(ops.eq(x, ops.neg(inf)), P.scalar(low, x.dtype, x.device), value)
    return record("NanToNumBackward0", (input,), (x,), value, order)


# -- ternary ------------------------------------------------------------------------------------


@declare(inplace=True, out=True)
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    return _addc("Addcmul", ops.mul, input, tensor1, tensor2, value, ((1, 2), (2, 1)))


@declare(inplace=True, out=True)
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 / tensor2."""
    if tensor1.dtype.kind != "f" and tensor2.dtype.kind != "f":
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release "
            "addcdiv will perform a true division of tensor1 and tensor2. The historic addcdiv "
            "behavior can be implemented as (input + value * torch.trunc(tensor1 / "
            "tensor2)).to(input.dtype) for integer inputs and as (input + value * tensor1 / "
            "tensor2) for float inputs. The future addcdiv behavior is just the latter "
            "implementation: (input + value * tensor1 / tensor2), for all dtypes."
        )
    return _addc("Addcdiv", ops.div, input, tensor1, tensor2, value, ((1, 2), 2))


def _addc(
    name: str, op: Any, input: Tensor, a: Tensor, b: Tensor, value: Any, saves: Saves
) -> Tensor:
    nodes = nodes_of(input, a, b)
    dtype = P.common_dtype(tuple(nodes))
    require(name.lower(), dtype)
    shape = P.joint_shape(P.joint_shape(nodes[0].shape, nodes[1].shape), nodes[2].shape)
    x, y, z = (P.expand_to(P.cast(node, dtype), shape) for node in nodes)
    if value != 1:
        y = ops.mul(P.scalar(value, dtype, x.device), y)
    return record(
        f"{name}Backward0",
        (input, a, b),
        nodes,
        ops.add(x, op(y, z)),
        layout_order((input, a, b), shape),
        saves,
    )


@declare(inplace=True, out="lerp")
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight * (end - input)."""
    if input.dtype is not end.dtype:
        raise RuntimeError(
            f"expected dtype {_c_name(input.dtype)} for `end` but got dtype {_c_name(end.dtype)}"
        )
    if isinstance(weight, Tensor) and weight.dtype is not input.dtype:
        raise RuntimeError(
            f"expected dtype {_c_name(input.dtype)} for `weight` but got dtype "
            f"{_c_name(weight.dtype)}"
        )
    require(f"lerp {'tensor' if isinstance(weight, Tensor) else 'scalar'}", input.dtype)
    tensors = [input, end] + ([weight] if isinstance(weight, Tensor) else [])
    nodes = nodes_of(*tensors)
    shape = P.joint_shape(nodes[0].shape, nodes[1].shape)
    if len(nodes) == 3:
        shape = P.joint_shape(shape, nodes[2].shape)
        w = P.expand_to(nodes[2], shape)
        half = ops.lt(ops.absolute(w), ops.lit(0.5, w))
    else:
        w = P.scalar(weight, nodes[0].dtype, nodes[0].device)
    a, b = (P.expand_to(node, shape) for node in nodes[:2])
    gap = ops.sub(b, a)
    near = ops.add(a, ops.mul(w, gap))
    far = ops.sub(b, ops.mul(gap, ops.sub(ops.lit(1, w), w)))
    if len(nodes) == 3:
        value = ops.where(half, near, far)
        order, saves = layout_order(tensors, shape), ((0, 2), (1, 2), 2)
        return record("LerpBackward1", tensors, nodes, value, order, saves)
    value = near if builtins.abs(weight) < 0.5 else far
    return record("LerpBackward0", tensors, nodes, value, layout_order(tensors, shape), ())


def _c_name(dtype: D.DType) -> str:
    return {"float32": "float", "float64": "double"}.get(dtype.name, dtype.name)


@declare(inplace=True, out=True)
@composite("HypotBackward0", saves=("input?input", "other?other", "result"))
def hypot(input: Tensor, other: Tensor) -> Tensor:
    kind = P.pair_dtype(node_of(input), node_of(other))
    require("hypot", kind)
    a, b = input.to(kind).abs(), other.to(kind).abs()
    infinite = (a == math.inf) | (b == math.inf)  # also beside NaN, as C's hypot
    near, other_near = where(infinite, 1.0, a), where(infinite, 1.0, b)
    top = near.maximum(other_near)
    scale = where(top == 0, top.new_ones(()), top)
    size = top * ((near / scale).square() + (other_near / scale).square()).sqrt()
    # each over the result is the gradient: 0 of what is finite, none of an infinity
    far = (where(infinite, a, 1.0).square() + where(infinite, b, 1.0).square()).sqrt()
    return where(infinite, where(far == far, far, math.inf), size)


@declare(inplace=True, out=True)
def copysign(input: Tensor, other: Any) -> Tensor:
    """The size of one, the sign of the other."""
    from lazygrad.tensor.logic import signbit

    tensors, nodes, (a, b), order = operands("copysign", input, other, to_float=True)
    minus = node_of(signbit(wrap(b)))
    minus_a = node_of(signbit(wrap(a)))
    flip = ops.ne(minus, minus_a)
    zero = ops.eq(a, ops.lit(0, a))  # of either sign: no gradient
    plain = ops.where(flip, ops.neg(a), a)
    value = ops.where(zero, ops.where(minus, ops.lit(-0.0, a), ops.lit(0.0, a)), plain)
    # the gradient is the result over `a`: none for NaN and infinities, as of the root of a square
    odd = ops.bit_not(ops.lt(ops.absolute(a), ops.lit(math.inf, a)))
    alone = ops.where(odd, a, ops.lit(1, a))
    size = ops.sqrt(ops.mul(alone, alone))
    value = ops.where(odd, ops.where(minus, ops.neg(size), size), value)
    name, saves = f"CopysignBackward{2 - len(tensors)}", ((0, 0), RESULT)
    return record(name, tensors, nodes, value, order, saves)


@declare(out=True)
@composite("LogaddexpBackward0", saves=("input", "other"))
def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """log(exp(a) + exp(b)) without overflow."""
    return _log_sum("logaddexp", input, other, lambda gap: gap.exp().log1p())


@declare(out=True)
@composite("Logaddexp2Backward0", saves=("input", "other"))
def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """log2(2**a + 2**b) without overflow."""
    return _log_sum("logaddexp2", input, other, lambda gap: gap.exp2().log1p() / math.log(2.0))


def _log_sum(name: str, input: Tensor, other: Tensor, rest: Any) -> Tensor:
    """The larger one and `rest` of the difference; at ties one of the two is taken for the larger,
    so that all derivatives are there."""
    _, _, (a, b), order = operands(name, input, other)
    require(name, a.dtype)
    below = ops.lt(a, b)
    top, low = ops.where(below, b, a), ops.where(below, a, b)
    gap = ops.sub(low, top)
    infinite = ops.bit_and(ops.eq(a, b), ops.ne(gap, gap))
    value = ops.add(top, node_of(rest(wrap(ops.where(infinite, ops.lit(0, gap), gap)))))
    value = ops.where(infinite, top, value)
    # two of one sign have NaN as their gradient
    none = ops.where(infinite, ops.lit(math.nan, value), ops.lit(1, value))
    return wrap_as(ops.graded(value, ops.mul(value, none)), order)


@declare(inplace=True, out=True)
def xlogy(input: Any, other: Any) -> Tensor:
    tensors, nodes, (a, b), order = operands("xlogy", input, other, to_float=True)
    nothing = ops.bit_and(ops.eq(a, ops.lit(0, a)), ops.eq(b, b))
    # 0 times a logarithm is 0; the gradient of that 0 is the logarithm where there is one
    beyond = ops.bit_or(ops.le(b, ops.lit(0, b)), ops.eq(b, ops.lit(math.inf, b)))
    fixed = ops.bit_and(nothing, beyond)
    product = ops.mul(a, ops.log(ops.where(fixed, ops.lit(1, b), b)))
    zero = ops.where(nothing, ops.lit(0.0, a), ops.lit(-0.0, a))  # -0.0 makes no difference
    # of 0 log(0) the gradient of that 0 is 0 / 0: that of the root of a square at 0
    at_zero = ops.bit_and(nothing, ops.eq(b, ops.lit(0, b)))
    alone = ops.where(at_zero, b, ops.lit(1, b))
    none = ops.where(at_zero, ops.sqrt(ops.mul(alone, alone)), ops.lit(0, a))
    # of 0 log(inf) it is infinite, as that of the root at 0
    at_inf = ops.bit_and(nothing, ops.eq(b, ops.lit(math.inf, b)))
    root = ops.sqrt(ops.add(ops.where(at_inf, a, ops.lit(1, a)), ops.lit(0.0, a)))
    none = ops.where(at_inf, root, none)
    value = ops.where(fixed, none, ops.add(product, zero))
    return record("XlogyBackward0", tensors, nodes, value, order, tuple(range(len(tensors))))


@declare(inplace=True, out=True)
@composite("LogitBackward0", saves=("input",))
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    z = input.to(P.float_dtype(input.dtype))
    z = z if eps is None else where(z == z, clamp(z, eps, 1 - eps), z)
    z = z + where((z < 0) | (z > 1), math.nan, 0.0).to(z.dtype)  # with its gradient
    # at 0 and 1 the gradient is infinite, not that of a quotient of nothing
    low, high = z == 0, z == 1
    inner = where(low | high, 0.5, z)
    value = where(high, -(-where(high, z, 0.0)).log1p(), (inner / (1 - inner)).log())
    return where(low, (where(low, z, 1.0) + 0.0).log(), value)  # of 0, where it was -0


@declare(inplace=True, out=True)
@composite("SincBackward0", saves=("input",))
def sinc(input: Tensor) -> Tensor:
    x = input * math.pi
    return where(input == 0, input.new_ones(()), x.sin() / where(input == 0, 1.0, x))


@declare(inplace=True, out=True)
@composite("Deg2RadBackward0", saves=())
def deg2rad(input: Tensor) -> Tensor:
    return input * (math.pi / 180)


@declare(inplace=True, out=True)
@composite("Rad2DegBackward0", saves=())
def rad2deg(input: Tensor) -> Tensor:
    return input * (180 / math.pi)


@declare(inplace=True, out="same")
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 below zero, 1 above, `values` at it. RuntimeError for tensors of different dtypes."""
    check_tensor(values, "heaviside", "values", 2)
    if input.dtype is not values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    one = ops.lit(1, node_of(input))
    tensors, nodes, (a, b), order = operands("heaviside", input, values)
    zero = ops.lit(0, a)  # and so it is for NaN
    value = ops.where(ops.eq(a, zero), b, ops.where(ops.lt(zero, a), one, zero))
    return not_differentiated(record("", tensors, nodes, value, order), "heaviside")


# -- softmax ------------------------------------------------------------------------------------


def _shifted(x: Node, axis: int) -> Node:
    """x minus its largest along the axis: what exp can take."""
    if not x.shape or x.shape[axis] == 0:
        return x
    return ops.sub(x, P.spread_to(cut(ops.max_(x, arg=(axis,))), x.shape))


def _soft_input(input: Tensor, dim: int, dtype: Any, name: str) -> tuple[Node, int]:
    x = node_of(input)
    if dtype is not None:
        x = P.cast(x, dtype)
    axis = axis_of(dim, len(x.shape))
    if x.dtype.kind != "f" and x.numel:
        kernel = "lastdim_kernel_impl" if axis == max(len(x.shape) - 1, 0) else "kernel_impl"
        raise NotImplementedError(
            f"\"{name}_{kernel}\" not implemented for '{P.type_name(x.dtype)}'"
        )
    return x, axis


@composite("SoftmaxBackward0", saves=("result",))
def _softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    x, axis = _soft_input(input, dim, dtype, "softmax")
    if not x.numel:
        return wrap(ops.copy(x))
    if not x.shape:
        return wrap(ops.exp(ops.sub(x, x)))
    e = ops.exp(_shifted(x, axis))
    return wrap(ops.div(e, P.spread_to(ops.sum_(e, arg=(axis,)), x.shape)))


@composite("LogSoftmaxBackward0", saves=("result",))
def _log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    x, axis = _soft_input(input, dim, dtype, "log_softmax")
    if not x.numel:
        return wrap(ops.copy(x))
    if not x.shape:
        return wrap(ops.sub(x, x))
    moved = _shifted(x, axis)
    total = ops.log(ops.sum_(ops.exp(moved), arg=(axis,)))
    return wrap(ops.sub(moved, P.spread_to(total, x.shape)))


@declare(out="same")
def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """exp(x) over its sum along a dim."""
    return _softmax(input, dim, dtype)


@declare(out="same")
def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The logarithm of softmax, accurately."""
    return _log_softmax(input, dim, dtype)


@declare("relu", inplace=True)
@composite("ReluBackward0", saves=("result",))
def relu(input: Tensor) -> Tensor:
    """The larger of x and 0."""
    x = node_of(input)
    if x.dtype is D.bool_:
        raise RuntimeError("Boolean inputs not supported for relu")
    zero = ops.lit(0, x)
    return wrap_as(ops.where(ops.le(x, zero), zero, x), layout_order((input,), x.shape))


# -- comparisons of whole tensors ---------------------------------------------------------------


@declare()
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether shapes and all elements agree."""
    if shape_of(input) != shape_of(other):
        return False
    return builtins.bool((input == other).all())


@declare()
def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Tensor:
    """|a - b| <= atol + rtol * |b|, element by element."""
    if input.dtype is not other.dtype:
        raise RuntimeError(f"{P.type_name(input.dtype)} did not match {P.type_name(other.dtype)}")
    a, b = input.detach(), other.detach()
    close = a == b
    if a.dtype.kind == "f":
        near = (a - b).abs() <= atol + (rtol * b).abs()
        close = close | (near & b.isfinite() & a.isfinite())
        if equal_nan:
            close = close | (a.isnan() & b.isnan())
    elif rtol or atol:
        x, y = a.double(), b.double()
        close = close | ((x - y).abs() <= atol + (rtol * y).abs())
    return close


@declare()
def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    return builtins.bool(isclose(input, other, rtol, atol, equal_nan).all())
