"""Functions composed of others: clamp, norms, softmax, triangles, and the like.

Owns: their composition, each differentiated as one function under PyTorch's name. Must not know:
primitives beyond calling them.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from lazygrad.autograd.composite import composite
from lazygrad.autograd.graph import fn_class
from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.node import Node
from lazygrad.tensor import promotion as P
from lazygrad.tensor.convert import host_values
from lazygrad.tensor.core import (
    Tensor,
    axis_of,
    cut,
    node_of,
    nodes_of,
    record,
    shape_of,
    wrap,
    wrap_as,
)
from lazygrad.tensor.declare import check_tensor, declare, layout_order
from lazygrad.tensor.elementwise import operands, where
from lazygrad.tensor.reductions import axes_of, drop_axes


def rename(t: Tensor, name: str) -> Tensor:
    """Show the record of a function that was composed in place under its own name."""
    fn = t._meta.fn if t._meta is not None else None
    if fn is not None:
        fn.__class__ = fn_class(name)
    return t


# -- limits -------------------------------------------------------------------------------------


@declare("clamp", "clip", inplace=True, out=True)
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Elements no less than min and no more than max; gradient passes at the limits."""
    check_tensor(input, "clamp")
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    tensors = [t for t in (input, min, max) if isinstance(t, Tensor)]
    nodes = nodes_of(*tensors)
    x, rest = nodes[0], iter(nodes[1:])
    dtype, shape = x.dtype, x.shape
    limits: list[Any] = []
    for limit in (min, max):
        node = next(rest) if isinstance(limit, Tensor) else None
        limits.append(node if node is not None else limit)
        if node is not None:
            dtype = D.promote_types(dtype, node.dtype) if node.shape or not x.shape else \
                P.pair_dtype(x, node)
            shape = P.joint_shape(shape, node.shape)
        elif limit is not None:
            dtype = P.with_number(dtype, limit)
    value = P.expand_to(P.cast(x, dtype), shape)
    for limit, is_low in zip(limits, (True, False)):
        if limit is None:
            continue
        if isinstance(limit, Node):
            bound = P.expand_to(P.cast(limit, dtype), shape)
        else:
            bound = P.scalar(limit, dtype, x.device)
        outside = ops.lt(value, bound) if is_low else ops.lt(bound, value)
        if dtype.kind == "f":
            outside = ops.bit_or(outside, ops.ne(bound, bound))
        value = ops.where(outside, bound, value)
    value = value if value.shape == shape else P.spread_to(value, shape)
    name = "ClampBackward0" if len(tensors) > 1 else "ClampBackward1"
    return record(name, tensors, nodes, value, layout_order(tensors, shape))


@declare(inplace=True, out=True)
def clamp_min(input: Tensor, min: Any) -> Tensor:
    return clamp(input, min=min)


@declare(inplace=True, out=True)
def clamp_max(input: Tensor, max: Any) -> Tensor:
    return clamp(input, max=max)


def _f_extreme(name: str, below: bool) -> Any:
    """fmax and fmin: a NaN loses against a number."""

    def function(input: Tensor, other: Tensor) -> Tensor:
        tensors, nodes, (a, b), order = operands(name, input, other)
        test = ops.lt(a, b) if not below else ops.lt(b, a)
        if a.dtype.kind == "f":
            test = ops.bit_or(test, ops.ne(a, a))
            keep = ops.ne(b, b)
            test = ops.bit_and(test, ops.bit_not(keep))
        return record(f"{name.capitalize()}Backward0", tensors, nodes, ops.where(test, b, a), order)

    function.__name__ = function.__qualname__ = name
    return declare(name, out=True)(function)


fmax, fmin = _f_extreme("fmax", False), _f_extreme("fmin", True)


@declare(inplace=True, out=True)
def nan_to_num(input: Tensor, nan: float | None = None, posinf: float | None = None,
               neginf: float | None = None) -> Tensor:
    """NaN and infinities replaced by numbers."""
    x = node_of(input)
    if x.dtype.kind != "f":
        return record("NanToNumBackward0", (input,), (x,), ops.copy(x))
    limits = P.finfo(x.dtype)
    inf = ops.lit(float("inf"), x)
    value = ops.where(ops.ne(x, x), P.scalar(nan or 0.0, x.dtype, x.device), x)
    top = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    value = ops.where(ops.eq(x, inf), P.scalar(top, x.dtype, x.device), value)
    value = ops.where(ops.eq(x, ops.neg(inf)), P.scalar(low, x.dtype, x.device), value)
    return record("NanToNumBackward0", (input,), (x,), value)


# -- ternary ------------------------------------------------------------------------------------


@declare(inplace=True, out=True)
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    return _addc("Addcmul", ops.mul, input, tensor1, tensor2, value)


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
    return _addc("Addcdiv", ops.div, input, tensor1, tensor2, value)


def _addc(name: str, op: Any, input: Tensor, a: Tensor, b: Tensor, value: Any) -> Tensor:
    nodes = nodes_of(input, a, b)
    dtype = P.common_dtype(tuple(nodes))
    shape = P.joint_shape(P.joint_shape(nodes[0].shape, nodes[1].shape), nodes[2].shape)
    x, y, z = (P.expand_to(P.cast(node, dtype), shape) for node in nodes)
    if value != 1:
        y = ops.mul(P.scalar(value, dtype, x.device), y)
    return record(f"{name}Backward0", (input, a, b), nodes, ops.add(x, op(y, z)),
                  layout_order((input, a, b), shape))


@declare(inplace=True, out=True)
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight * (end - input)."""
    if input.dtype is not end.dtype:
        raise RuntimeError(
            f"expected dtype {_c_name(input.dtype)} for `end` but got dtype {_c_name(end.dtype)}"
        )
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
        return record("LerpBackward1", tensors, nodes, value)
    return record("LerpBackward0", tensors, nodes, near if builtins.abs(weight) < 0.5 else far)


def _c_name(dtype: D.DType) -> str:
    return {"float32": "float", "float64": "double"}.get(dtype.name, dtype.name)


@declare(inplace=True, out=True)
@composite("HypotBackward0")
def hypot(input: Tensor, other: Tensor) -> Tensor:
    a, b = input.abs(), other.abs()
    top = a.maximum(b)
    scale = where(top == 0, top.new_ones(()), top)
    return top * ((a / scale).square() + (b / scale).square()).sqrt()


@declare(inplace=True, out=True)
def copysign(input: Tensor, other: Any) -> Tensor:
    """The size of one, the sign of the other."""
    from lazygrad.tensor.elementwise import signbit

    if not isinstance(other, Tensor):
        negative = math.copysign(1.0, other) < 0
        a = input.abs() if input.dtype.kind == "f" else input.to(P.default.dtype).abs()
        return -a if negative else a
    tensors, nodes, (a, b), order = operands("copysign", input, other, to_float=True)
    minus = node_of(signbit(wrap(b)))
    minus_a = node_of(signbit(wrap(a)))
    value = ops.where(ops.ne(minus, minus_a), ops.neg(a), a)
    return record("CopysignBackward0", tensors, nodes, value, order)


@declare(out=True)
@composite("LogaddexpBackward0")
def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """log(exp(a) + exp(b)) without overflow."""
    top = input.maximum(other)
    low = input.minimum(other)
    value = top + (low - top).exp().log1p()
    return where(low == top, top + math.log(2.0), value)


@declare(out=True)
@composite("Logaddexp2Backward0")
def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    top = input.maximum(other)
    low = input.minimum(other)
    value = top + (low - top).exp2().log1p() / math.log(2.0)
    return where(low == top, top + 1.0, value)


@declare(inplace=True, out=True)
def xlogy(input: Any, other: Any) -> Tensor:
    tensors, nodes, (a, b), order = operands("xlogy", input, other, to_float=True)
    zero = ops.bit_and(ops.eq(a, ops.lit(0, a)), ops.eq(b, b))
    value = ops.where(zero, ops.lit(0, a), ops.mul(a, ops.log(b)))
    return record("XlogyBackward0", tensors, nodes, value, order)


@declare(inplace=True, out=True)
@composite("LogitBackward0", saves=("input",))
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    z = input if eps is None else clamp(input, eps, 1 - eps)
    return (z / (1 - z)).log()


@declare(inplace=True, out=True)
@composite("SincBackward0")
def sinc(input: Tensor) -> Tensor:
    x = input * math.pi
    return where(input == 0, input.new_ones(()), x.sin() / where(input == 0, 1.0, x))


@declare(inplace=True)
def deg2rad(input: Tensor) -> Tensor:
    return input * (math.pi / 180)


@declare(inplace=True)
def rad2deg(input: Tensor) -> Tensor:
    return input * (180 / math.pi)


@declare()
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    one = ops.lit(1, node_of(input))
    _, _, (a, b), order = operands("heaviside", input, values)
    zero = ops.lit(0, a)
    return wrap_as(ops.where(ops.eq(a, zero), b, ops.where(ops.lt(a, zero), zero, one)), order)


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
    if x.dtype.kind != "f":
        kernel = "lastdim_kernel_impl" if axis == max(len(x.shape) - 1, 0) else "kernel_impl"
        raise NotImplementedError(
            f'"{name}_{kernel}" not implemented for \'{P.type_name(x.dtype)}\''
        )
    return x, axis


@composite("SoftmaxBackward0", saves=("result",))
def _softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    x, axis = _soft_input(input, dim, dtype, "softmax")
    if not x.shape:
        return wrap(ops.exp(ops.sub(x, x)))
    e = ops.exp(_shifted(x, axis))
    return wrap(ops.div(e, P.spread_to(ops.sum_(e, arg=(axis,)), x.shape)))


@composite("LogSoftmaxBackward0", saves=("result",))
def _log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    x, axis = _soft_input(input, dim, dtype, "log_softmax")
    if not x.shape:
        return wrap(ops.sub(x, x))
    moved = _shifted(x, axis)
    total = ops.log(ops.sum_(ops.exp(moved), arg=(axis,)))
    return wrap(ops.sub(moved, P.spread_to(total, x.shape)))


@declare(out=True)
def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """exp(x) over its sum along a dim."""
    return _softmax(input, dim, dtype)


@declare(out=True)
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


# -- norms --------------------------------------------------------------------------------------


def norm_node(x: Node, p: float, axes: tuple[int, ...], keepdim: bool) -> Node:
    """The p-norm over axes."""
    size = ops.absolute(x)
    if p == math.inf:
        value = ops.max_(size, arg=axes) if axes else size
    elif p == -math.inf:
        value = ops.min_(size, arg=axes) if axes else size
    elif p == 0:
        value = P.cast(ops.ne(x, ops.lit(0, x)), x.dtype)
        value = ops.sum_(value, arg=axes) if axes else value
    elif p == 1:
        value = ops.sum_(size, arg=axes) if axes else size
    elif p == 2:
        squares = ops.mul(x, x)
        value = ops.sqrt(ops.sum_(squares, arg=axes) if axes else squares)
    else:
        power = ops.power(size, P.scalar(p, x.dtype, x.device))
        power = ops.sum_(power, arg=axes) if axes else power
        value = ops.power(power, P.scalar(1 / p, x.dtype, x.device))
    return drop_axes(value, axes, keepdim)


def _check_norm(x: Node) -> None:
    if x.dtype.kind != "f":
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{P.type_name(x.dtype)}"
        )


@composite("LinalgVectorNormBackward0", saves=("input", "result"))
def vector_norm(input: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False,
                dtype: Any = None) -> Tensor:
    """The norm of vectors along some dims; its gradient at 0 is 0."""
    x = node_of(input)
    if dtype is not None:
        x = P.cast(x, dtype)
    _check_norm(x)
    axes = axes_of(dim, len(x.shape))
    if ord == 2 and axes:
        return wrap(drop_axes(_safe_root(ops.sum_(ops.mul(x, x), arg=axes)), axes, keepdim))
    return wrap(norm_node(x, float(ord), axes, keepdim))


def _safe_root(total: Node) -> Node:
    """sqrt whose gradient at 0 is 0: the root is taken of 1 there, and 0 put in its place."""
    zero = ops.lit(0, total)
    flat = ops.eq(total, zero)
    root = ops.sqrt(ops.where(flat, ops.lit(1, total), total))
    return ops.where(flat, zero, root)


@declare()
def norm(input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False,
         dtype: Any = None, out: Any = None) -> Tensor:
    """The norm over some dims, or of all elements."""
    check_tensor(input, "norm")
    if isinstance(dim, int):
        dim = (dim,)
    if p == "nuc":
        from lazygrad.tensor.linalg import matrix_norm

        return matrix_norm(input, "nuc", dim or (-2, -1), keepdim)
    order = 2.0 if p in ("fro", None) else float(p)
    return vector_norm(input, order, dim, keepdim, dtype)


@declare()
@composite("DistBackward0")
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    return norm(input - other, p)


@declare(inplace=True)
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    axis = axis_of(dim, input.ndim)
    rest = [a for a in range(input.ndim) if a != axis]
    size = vector_norm(input, p, rest, True)
    scale = where(size > maxnorm, maxnorm / (size + 1e-7), size.new_ones(()))
    return input * scale


# -- triangles and diagonals --------------------------------------------------------------------


def _band(x: Node, diagonal: int, upper: bool) -> Node:
    rows, columns = x.shape[-2:]
    r = P.spread_to(ops.reshape(ops.iota((rows,), x.device), arg=(rows, 1)), (rows, columns))
    c = P.spread_to(ops.iota((columns,), x.device), (rows, columns))
    edge = ops.add(r, ops.lit(diagonal, r))
    keep = ops.le(edge, c) if upper else ops.le(c, edge)
    return P.spread_to(keep, x.shape)


def _triangle(name: str, upper: bool) -> Any:
    def function(input: Tensor, diagonal: int = 0) -> Tensor:
        x = node_of(input)
        if len(x.shape) < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        value = ops.where(_band(x, diagonal, upper), x, ops.lit(0, x))
        return record(f"{name.capitalize()}Backward0", (input,), (x,), value)

    function.__name__ = function.__qualname__ = name
    return declare(name, inplace=True, out=True)(function)


tril, triu = _triangle("tril", False), _triangle("triu", True)


@declare(out=True)
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A matrix with this diagonal, or the diagonal of a matrix."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise RuntimeError(
            "diag(): Supports 1D or 2D tensors. Got " + f"{input.ndim}D"
        )
    return input.diagonal(diagonal).clone()


@declare()
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with these diagonals."""
    rank = input.ndim + 1
    a, b = axis_of(dim1, rank), axis_of(dim2, rank)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    size = shape_of(input)[-1] + builtins.abs(offset)
    shape = list(shape_of(input)[:-1])
    for axis in sorted((a, b)):
        shape.insert(axis, size)
    room = input.new_zeros(shape)
    room.diagonal(offset, a, b).copy_(input)
    return rename(room, "DiagEmbedBackward0")


@declare()
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    return diag_embed(input.reshape(-1), offset)


@declare()
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
                     ) -> Tensor:
    made = input.clone()
    made.diagonal(offset, dim1, dim2).copy_(src)
    return made


@declare()
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    made = input.clone()
    made.select(dim, index).copy_(src)
    return made


@declare()
def slice_scatter(input: Tensor, src: Tensor, dim: int = 0, start: int | None = None,
                  end: int | None = None, step: int = 1) -> Tensor:
    made = input.clone()
    made[(slice(None),) * axis_of(dim, input.ndim) + (slice(start, end, step),)] = src
    return made


@declare(inplace=True)
def fill_diagonal(input: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    made = input.clone()
    made.diagonal().fill_(fill_value)
    return made


@declare()
def trace(input: Tensor) -> Tensor:
    if input.ndim != 2:
        raise RuntimeError("trace: expected a matrix")
    x = node_of(input)
    keep = ops.where(_eye(x), x, ops.lit(0, x))
    keep = P.cast(keep, x.dtype if x.dtype.kind == "f" else D.int64)
    total = drop_axes(ops.sum_(keep, arg=(0, 1)), (0, 1), False)
    return record("TraceBackward0", (input,), (x,), total)


def _eye(x: Node) -> Node:
    rows, columns = x.shape
    r = P.spread_to(ops.reshape(ops.iota((rows,), x.device), arg=(rows, 1)), x.shape)
    return ops.eq(r, P.spread_to(ops.iota((columns,), x.device), x.shape))


@declare()
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    count = shape_of(x)[0] if N is None else N
    order = range(count) if increasing else range(count - 1, -1, -1)
    from lazygrad.tensor.joining import stack

    return stack([x**i for i in order], 1)


@declare(out=True)
def diff(input: Tensor, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None
         ) -> Tensor:
    """Differences of neighbours."""
    from lazygrad.tensor.joining import cat

    parts = [t for t in (prepend, input, append) if t is not None]
    value: Any = cat(parts, dim) if len(parts) > 1 else input
    axis = axis_of(dim, value.ndim)
    for _ in range(n):
        size = value.shape[axis]
        late, early = value.narrow(axis, 1, size - 1), value.narrow(axis, 0, size - 1)
        value = late ^ early if value.dtype is D.bool_ else late - early
    return value


# -- by index -----------------------------------------------------------------------------------


@declare(out=True)
@composite("TakeBackward0", saves=("index",))
def take(input: Tensor, index: Tensor) -> Tensor:
    """Elements by their position in row-major order."""
    flat = input.reshape(-1)
    return flat[index.reshape(-1)].reshape(shape_of(index))


@declare(out=True)
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    if dim is None:
        return input.reshape(-1).gather(0, indices.reshape(-1))
    axis = axis_of(dim, input.ndim)
    shape = list(P.broadcast_shapes(
        [1 if a == axis else e for a, e in enumerate(shape_of(input))],
        [1 if a == axis else e for a, e in enumerate(shape_of(indices))]))
    own, wanted = list(shape), list(shape)
    own[axis], wanted[axis] = shape_of(input)[axis], shape_of(indices)[axis]
    return input.expand(own).gather(axis, indices.expand(wanted))


def _indexed(name: str, change: Any) -> Any:
    """index_add and its kin: whole slices at given indices along a dim."""
    grad = "".join(part.capitalize() for part in name.split("_")) + "Backward0"

    def function(input: Tensor, dim: int, index: Tensor, source: Any, **options: Any) -> Tensor:
        axis = axis_of(dim, input.ndim)
        if index.dtype not in (D.int64, D.int32):
            raise RuntimeError(f"{name}_(): Expected dtype int32/int64 for index")
        key = (slice(None),) * axis + (index.reshape(-1),)
        made = input.clone()
        change(made, key, source, **options)
        return rename(made, grad)

    function.__name__ = function.__qualname__ = name
    return declare(name, inplace=True)(function)


def _add_at(made: Any, key: Any, source: Any, alpha: Any = 1) -> None:
    made.index_put_(key, source if alpha == 1 else source * alpha, accumulate=True)


def _copy_at(made: Any, key: Any, source: Any) -> None:
    made[key] = source


index_add = _indexed("index_add", _add_at)
index_copy = _indexed("index_copy", _copy_at)
index_fill = _indexed("index_fill", _copy_at)


@declare(inplace=True)
def scatter_reduce(input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *,
                   include_self: bool = True) -> Tensor:
    """Combine src into input at index: sum, prod, mean, amax or amin."""
    axis = axis_of(dim, input.ndim)
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(
            "reduce argument must be either sum, prod, mean, amax or amin, got " + reduce
        )
    ones = src.new_ones(shape_of(index))
    counts = input.new_zeros(shape_of(input)).scatter_add(axis, index, ones)
    if reduce in ("sum", "mean"):
        base = input if include_self else where(counts > 0, input.new_zeros(()), input)
        total = base.scatter_add(axis, index, src)
        if reduce == "sum":
            return total
        size = counts + 1 if include_self else counts.clamp(min=1)
        if input.dtype.kind == "f":
            return total / size
        return total.div(size, rounding_mode="floor")
    values, places, data = (host_values(t) for t in (input, index, src))
    out = np.array(values)
    grids = list(np.ogrid[tuple(slice(0, n) for n in places.shape)])
    grids[axis] = places
    spots = tuple(grids)
    data = data[tuple(slice(0, n) for n in places.shape)]
    if not include_self:
        start: Any = 1 if reduce == "prod" else None
        if start is None:
            limit = np.finfo if values.dtype.kind == "f" else np.iinfo
            info = limit(values.dtype)
            start = (-np.inf if reduce == "amax" else np.inf) if values.dtype.kind == "f" else \
                (info.min if reduce == "amax" else info.max)
        out[spots] = start
    {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}[reduce].at(out, spots, data)
    from lazygrad.tensor.creation import from_values

    result = from_values(out, input.dtype)
    if not (input.requires_grad or src.requires_grad):
        return result
    # the gradient: at the elements that made the result
    picked = result.gather(axis, index)
    if reduce == "prod":
        part = src * (picked / src).detach()
        base = input * (result / input).detach()
        return base + (part - part.detach()).new_zeros(()) + input.new_zeros(
            shape_of(input)).scatter_add(axis, index, part - part.detach())
    mine = (input == result).to(input.dtype)
    theirs = (src == picked).to(input.dtype)
    share = (mine if include_self else mine * 0).scatter_add(axis, index, theirs)
    base = input * mine / share if include_self else input * 0
    moved = input.new_zeros(shape_of(input)).scatter_add(
        axis, index, src * theirs / share.gather(axis, index))
    total = base + moved
    return total + (result - total).detach()


@declare(method=False)
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 vectors with a single 1."""
    if tensor.dtype is not D.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if num_classes == -1 or node_of(tensor).buffer is not None:
        values = host_values(tensor)
        if values.size and values.min() < 0:
            raise RuntimeError("Class values must be non-negative.")
        if num_classes == -1:
            if not values.size:
                raise RuntimeError(
                    "Can not infer total number of classes from empty tensor.")
            num_classes = int(values.max()) + 1
        elif values.size and values.max() >= num_classes:
            raise RuntimeError("Class values must be smaller than num_classes.")
    classes = ops.iota((num_classes,), "cpu")
    shape = (*shape_of(tensor), num_classes)
    x = ops.reshape(node_of(tensor), arg=(*shape_of(tensor), 1))
    return wrap(ops.cast(ops.eq(P.spread_to(x, shape), P.spread_to(classes, shape)), arg=D.int64))


# -- comparisons of whole tensors ---------------------------------------------------------------


@declare()
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether shapes and all elements agree."""
    if shape_of(input) != shape_of(other):
        return False
    return builtins.bool((input == other).all())


@declare()
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08,
            equal_nan: bool = False) -> Tensor:
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
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08,
             equal_nan: bool = False) -> bool:
    return builtins.bool(isclose(input, other, rtol, atol, equal_nan).all())


@declare()
def cov(input: Tensor, *, correction: int = 1) -> Tensor:
    x = input if input.ndim > 1 else input.reshape(1, -1)
    x = x - x.mean(1, True)
    return (x @ x.T / builtins.max(0, x.shape[1] - correction)).squeeze()


@declare()
def corrcoef(input: Tensor) -> Tensor:
    c = cov(input)
    if not c.ndim:
        return c / c
    d = c.diagonal().sqrt()
    return (c / d.unsqueeze(0) / d.unsqueeze(1)).clamp(-1, 1)


@declare(method=False)
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0) -> Tensor:
    gap = x1.unsqueeze(-2) - x2.unsqueeze(-3)
    return vector_norm(gap, p, (-1,))
