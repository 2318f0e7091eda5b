"""Reductions: over all elements or over some dims, with keepdim.

Owns: how dims are read, what dtype a reduction has, and the reductions themselves. Must not know:
how a reduction is computed, or anything of views.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from math import prod as product
from typing import Any

from lazygrad.autograd.composite import composite
from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node
from lazygrad.tensor import promotion as P
from lazygrad.tensor.core import Tensor, axis_of, cut, node_of, shape_of, wrap
from lazygrad.tensor.declare import check_kind, check_tensor, declare, named
from lazygrad.tensor.history import record, record_many, saving
from lazygrad.tensor.kernels import require
from lazygrad.tensor.size import extents


def axes_of(dim: Any, rank: int, name: str = "") -> tuple[int, ...]:
    """The sorted axes that `dim` names; None and () name all."""
    if dim is None:
        return tuple(range(rank))
    if isinstance(dim, int):
        axis = axis_of(dim, rank)
        return (axis,) if rank else ()
    axes = [axis_of(d, rank) for d in dim]
    if not axes:
        return tuple(range(rank))
    if len(set(axes)) != len(axes):
        twice = next(a for i, a in enumerate(axes) if a in axes[:i])
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    return tuple(sorted(axes)) if rank else ()


def drop_axes(node: Node, axes: Sequence[int], keepdim: bool) -> Node:
    """A reduced node without its reduced axes, unless they are kept."""
    if keepdim or not axes:
        return node
    return ops.reshape(node, arg=tuple(e for a, e in enumerate(node.shape) if a not in axes))


def _over(op: Any, x: Node, axes: tuple[int, ...], keepdim: bool) -> Node:
    if x.dtype is D.bool_:  # a sum of truth values that is one too is "any", a product "all"
        op = {ops.sum_: ops.max_, ops.prod: ops.min_}.get(op, op)
    return drop_axes(op(x, arg=axes) if axes else ops.copy(x), axes, keepdim)


def _sum_dtype(x: Node, dtype: DType | None) -> DType:
    return dtype or (x.dtype if x.dtype.kind == "f" else D.int64)


@declare(out="own", short=True)
def sum(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Tensor:
    """The sum; integers add up in int64."""
    check_tensor(input, "sum")
    x = node_of(input)
    dim = axis if dim is None else dim
    axes = axes_of(dim, len(x.shape))
    value = P.cast(x, _sum_dtype(x, dtype))
    name = "SumBackward0" if dim is None else "SumBackward1"
    return record(name, (input,), (x,), _over(ops.sum_, value, axes, keepdim or keepdims))


@declare(out="own")
def nansum(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    x = node_of(input)
    value = x
    if x.dtype.kind == "f":
        valid = ops.eq(
            x, x
        )  # the gradient is multiplied by this: nothing but a number times 0 is 0
        value = ops.graded(
            ops.where(valid, x, ops.lit(0, x)), ops.mul(x, ops.cast(valid, arg=x.dtype))
        )
    value = P.cast(value, _sum_dtype(x, dtype))
    axes = axes_of(dim, len(x.shape))
    return record("NansumBackward0", (input,), (x,), _over(ops.sum_, value, axes, keepdim))


@declare(out="own", short=True)
def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    x = node_of(input)
    axes = axes_of(dim, len(x.shape))
    value = P.cast(x, _sum_dtype(x, dtype))
    name = "ProdBackward0" if dim is None else "ProdBackward1"
    result = record(name, (input,), (x,), _over(ops.prod, value, axes, keepdim))
    return result if x.shape else saving(result, input, result)


def _check_float(name: str, x: Node, dtype: DType | None) -> DType:
    found = dtype or x.dtype
    if found.kind != "f":
        which = "Input" if dtype is None else "Optional"
        raise RuntimeError(
            f"{name}(): could not infer output dtype. {which} dtype must be either a floating "
            f"point or complex dtype. Got: {P.type_name(found)}"
        )
    return found


@composite("MeanBackward0", saves=())
def _mean_all(input: Tensor, dtype: DType | None) -> Tensor:
    return wrap(_mean_node(node_of(input), tuple(range(input.ndim)), False, dtype))


@composite("MeanBackward1", saves=())
def _mean_dim(input: Tensor, axes: tuple[int, ...], keepdim: bool, dtype: DType | None) -> Tensor:
    return wrap(_mean_node(node_of(input), axes, keepdim, dtype))


def _mean_node(x: Node, axes: tuple[int, ...], keepdim: bool, dtype: DType | None) -> Node:
    kind = _check_float("mean", x, dtype)
    value = _wide(P.cast(x, kind))
    count = product(x.shape[a] for a in axes)
    total = _over(ops.sum_, value, axes, keepdim)
    return P.cast(ops.div(total, P.scalar(count, value.dtype, value.device)), kind)


def _wide(x: Node) -> Node:
    """Half types as float32: sums of them may be beyond their largest number, means are not."""
    return P.cast(x, D.float32) if x.dtype.is_half else x


@declare(out="own")
def mean(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    axis: Any = None,
) -> Tensor:
    """The mean of floats."""
    dim = axis if dim is None else dim
    _check_float("mean", node_of(input), dtype)
    if dim is None:
        return _mean_all(input, dtype)
    return _mean_dim(input, axes_of(dim, input.ndim), keepdim, dtype)


@declare(out="own")
def nanmean(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """The mean of the floats that are not NaN."""
    require("nanmean", input.dtype)
    _check_float("nanmean", node_of(input), dtype)
    valid = (input == input).sum(dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / valid


# -- variance -----------------------------------------------------------------------------------


def _var_nodes(
    x: Node, axes: tuple[int, ...], correction: float, keepdim: bool
) -> tuple[Node, Node]:
    """Variance and mean, of half types in float32."""
    x = _wide(x)
    count = product(x.shape[a] for a in axes)
    size = P.scalar(count, x.dtype, x.device)
    center = ops.div(ops.sum_(x, arg=axes) if axes else x, size)
    off = ops.sub(x, P.spread_to(center, x.shape))
    squares = ops.mul(off, off)
    total = ops.sum_(squares, arg=axes) if axes else squares
    var = ops.div(total, P.scalar(builtins.max(0.0, count - correction), x.dtype, x.device))
    return drop_axes(var, axes, keepdim), drop_axes(center, axes, keepdim)


def _spread_args(dim: Any, unbiased: Any, correction: Any) -> tuple[Any, float]:
    if isinstance(dim, bool):  # var(unbiased)
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    return dim, float(correction)


def _spread_check(name: str, input: Tensor) -> None:
    check_tensor(input, name)
    if input.dtype.kind != "f":
        names = name if "_mean" in name else "std and var"
        raise RuntimeError(f"{names} only support floating point and complex dtypes")


@composite("VarBackward0", saves=("input",))
def _var(input: Tensor, axes: tuple[int, ...], correction: float, keepdim: bool) -> Tensor:
    var = _var_nodes(node_of(input), axes, correction, keepdim)[0]
    return wrap(P.cast(var, input.dtype))


@composite("StdBackward0", saves=("input", "result"))
def _std(input: Tensor, axes: tuple[int, ...], correction: float, keepdim: bool) -> Tensor:
    var = _var_nodes(node_of(input), axes, correction, keepdim)[0]
    return wrap(P.cast(_root(var), input.dtype))


def _root(var: Node) -> Node:
    """sqrt whose gradient at 0 is 0: the root is taken of 1 there, and 0 put in its place."""
    zero = ops.lit(0, var)
    flat = ops.eq(var, zero)
    return ops.where(flat, zero, ops.sqrt(ops.where(flat, ops.lit(1, var), var)))


@composite("VarMeanBackward0", saves=("input",))
def _var_mean(input: Tensor, axes: Any, correction: float, keepdim: bool) -> tuple[Tensor, Tensor]:
    var, center = _var_nodes(node_of(input), axes, correction, keepdim)
    return wrap(P.cast(var, input.dtype)), wrap(P.cast(center, input.dtype))


@composite("StdMeanBackward0", saves=("input", "result"))
def _std_mean(input: Tensor, axes: Any, correction: float, keepdim: bool) -> tuple[Tensor, Tensor]:
    var, center = _var_nodes(node_of(input), axes, correction, keepdim)
    return wrap(P.cast(_root(var), input.dtype)), wrap(P.cast(center, input.dtype))


def _spread_function(name: str, run: Any) -> Any:
    def function(
        input: Tensor,
        dim: Any = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: float | None = None,
    ) -> Any:
        _spread_check(name, input)
        dim, fix = _spread_args(dim, unbiased, correction)
        return run(input, axes_of(dim, input.ndim), fix, keepdim)

    function.__name__ = function.__qualname__ = name
    return declare(name, out=not name.endswith("mean"))(function)


var = _spread_function("var", _var)
std = _spread_function("std", _std)
var_mean = _spread_function("var_mean", _var_mean)
std_mean = _spread_function("std_mean", _std_mean)


# -- extremes -----------------------------------------------------------------------------------

max_result = named("max", "values", "indices")
min_result = named("min", "values", "indices")
aminmax_result = named("aminmax", "min", "max")


def _check_nonempty(name: str, x: Node, axes: Sequence[int], dim_given: bool) -> None:
    if not dim_given:
        if 0 in x.shape:
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
                "Specify the reduction dim with the 'dim' argument."
            )
        return
    for axis in axes:
        if x.shape[axis] == 0:
            raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")


def _with_index(name: str, arg_op: Any, result: Any) -> Any:
    """max and min along one dim: the value at the index chosen, which alone gets gradient."""

    def run(input: Tensor, dim: int, keepdim: bool) -> Any:
        x = node_of(input)
        axis = axis_of(dim, len(x.shape))
        if not x.shape:
            values = saving(record(f"{name.capitalize()}Backward0", (input,), (x,), ops.copy(x)))
            return result(values, wrap(ops.zeros((), D.int64, x.device)))
        _check_nonempty(name, x, (axis,), True)
        index = arg_op(x, arg=(axis,))
        value = ops.gather(x, index, arg=axis)
        outs = [drop_axes(value, (axis,), keepdim), drop_axes(index, (axis,), keepdim)]
        return result(*record_many(f"{name.capitalize()}Backward0", (input,), (x,), outs))

    return run


_max_dim = _with_index("max", ops.argmax, max_result)
_min_dim = _with_index("min", ops.argmin, min_result)


def _extreme(name: str, op: Any, with_index: Any, pair: Any) -> Any:
    def function(
        input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None
    ) -> Any:
        check_tensor(input, name)
        if isinstance(dim, Tensor) or other is not None:
            return pair(input, dim if other is None else other)
        if dim is not None:
            return with_index(input, dim, keepdim)
        x = node_of(input)
        axes = tuple(range(len(x.shape)))
        _check_nonempty(name, x, axes, False)
        found = _over(op, x, axes, False)
        result = record(f"{name.capitalize()}Backward1", (input,), (x,), found)
        return result if x.shape else saving(result, input, result)

    function.__name__ = function.__qualname__ = name
    return declare(name, out=True, short=True)(function)


def _maximum(a: Any, b: Any) -> Tensor:
    from lazygrad.tensor.elementwise import maximum

    return maximum(a, b)


def _minimum(a: Any, b: Any) -> Tensor:
    from lazygrad.tensor.elementwise import minimum

    return minimum(a, b)


max = _extreme("max", ops.max_, _max_dim, _maximum)
min = _extreme("min", ops.min_, _min_dim, _minimum)


def _am(name: str, op: Any) -> Any:
    def function(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
        check_tensor(input, name)
        x = node_of(input)
        axes = axes_of(dim, len(x.shape))
        _check_nonempty(name, x, axes, dim != ())
        found = _over(op, x, axes, keepdim)
        result = record(f"{name.capitalize()}Backward0", (input,), (x,), found)
        return result if x.shape else saving(result, input, result)

    function.__name__ = function.__qualname__ = name
    return declare(name, out="same", short=True)(function)


amax = _am("amax", ops.amax)
amin = _am("amin", ops.amin)


@declare(out="same")
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest and the largest element, of all or along a dim."""
    wanted = () if dim is None else dim
    found = [amin(input.detach(), wanted, keepdim), amax(input.detach(), wanted, keepdim)]
    outs = [node_of(t) for t in found]
    made = record_many("AminmaxBackward0", (input,), (node_of(input),), outs)
    if not input.ndim:
        saving(made[0], input, *made)
    return aminmax_result(*made)


def _arg(name: str, op: Any) -> Any:
    def function(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
        check_tensor(input, name)
        x = node_of(input)
        require(name, x.dtype)
        rank = len(x.shape)
        if dim is None:
            if 0 in x.shape:
                raise IndexError(
                    f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
                    "Specify the reduction dim with the 'dim' argument."
                )
            flat = ops.reshape(x, arg=(x.numel,))
            shape = (1,) * rank if keepdim else ()
            return wrap(ops.reshape(op(flat, arg=(0,)), arg=shape))
        axis = axis_of(dim, rank)
        if not rank:
            return wrap(ops.zeros((), D.int64, x.device))
        _check_nonempty(name, x, (axis,), True)
        return wrap(drop_axes(op(x, arg=(axis,)), (axis,), keepdim))

    function.__name__ = function.__qualname__ = name
    return declare(name, out="same")(function)


argmax = _arg("argmax", ops.argmax)
argmin = _arg("argmin", ops.argmin)


# -- logic and counting -------------------------------------------------------------------------


def _quantifier(name: str, op: Any) -> Any:
    def function(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
        check_tensor(input, name)
        x = node_of(input)
        result = x.dtype if x.dtype is D.uint8 else D.bool_
        truth = P.cast(x, D.bool_)
        if dim == ():  # unlike for other reductions: none
            return wrap(P.cast(ops.copy(truth), result))
        axes = axes_of(dim, len(x.shape))
        return wrap(P.cast(_over(op, truth, axes, keepdim), result))

    function.__name__ = function.__qualname__ = name
    return declare(name, out="truth")(function)


all = _quantifier("all", ops.min_)
any = _quantifier("any", ops.max_)


@declare()
def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    x = P.cast(P.cast(node_of(input), D.bool_), D.int64)
    return wrap(_over(ops.sum_, x, axes_of(dim, len(x.shape)), False))


@declare(out=True)
@composite("LogsumexpBackward0", saves=("input", "result"))
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log(sum(exp(x))) without overflow."""
    if dim is None:
        raise TypeError("logsumexp(): argument 'dim' (position 2) must be tuple of ints")
    check_kind(keepdim, bool, "logsumexp", "keepdim", 3)
    x = node_of(input)
    x = P.cast(x, P.float_dtype(x.dtype))
    axes = axes_of(dim, len(x.shape))
    if not axes:
        return wrap(ops.copy(x))
    if any_empty(x, axes):
        top = None
        total = ops.sum_(ops.exp(x), arg=axes)
        value = ops.log(total)
    else:
        top = ops.max_(x, arg=axes)
        size = ops.absolute(top)
        top = cut(ops.where(ops.lt(size, ops.lit(float("inf"), top)), top, ops.lit(0, top)))
        moved = ops.exp(ops.sub(x, P.spread_to(top, x.shape)))
        value = ops.add(ops.log(ops.sum_(moved, arg=axes)), top)
    return wrap(drop_axes(value, axes, keepdim))


def any_empty(x: Node, axes: Sequence[int]) -> bool:
    return 0 in [x.shape[a] for a in axes]


def shape_text(t: Tensor) -> str:
    return extents(shape_of(t))
