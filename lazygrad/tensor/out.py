"""`out=`: the form of a function that writes its result into a tensor that is given.

Owns: which dtypes and which memory an `out` may have, what becomes of its shape, and what autograd
makes of it. Must not know: what is computed.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from lazygrad.autograd.modes import mode, no_grad
from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.views import View
from lazygrad.tensor import promotion
from lazygrad.tensor.aliasing import adopt, check_inplace, check_overlap, is_dense, resize
from lazygrad.tensor.core import Tensor, node_of, shape_of
from lazygrad.tensor.declare import ODD, SUBCLASSES, check_arguments, kept, tensors_in
from lazygrad.tensor.history import needs_grad, not_differentiated, record
from lazygrad.tensor.kernels import require
from lazygrad.tensor.keywords import own_names
from lazygrad.tensor.size import extents

# Functions whose `out` must not even be what they read: they do not go element by element.
_APART = frozenset(
    (
        *("cat", "concat", "concatenate", "stack", "hstack", "vstack", "row_stack", "dstack"),
        *("column_stack", "gather", "index_select", "masked_select", "kthvalue", "take"),
        *("take_along_dim", "cross", "linalg.cross", "outer", "ger", "kron"),
    )
)
# Compositions to PyTorch: their result is copied into `out`, with its history.
_COPIED = frozenset(
    (
        *("copy", "inner", "tensordot", "linalg.norm", "linalg.matrix_norm", "linalg.cond"),
        *("quantile", "nanquantile", "slice_scatter", "conj_physical"),
    )
)
# Functions of which PyTorch records that they have no gradient when there is an `out`.
_NO_GRADIENT = frozenset(("softmax", "log_softmax", "diag"))
# Functions that have none: an `out` that wants one does not trouble them.
_NOT_DIFFERENTIABLE = frozenset(("histc",))
_NEED_DIM = frozenset(("sum", "prod"))
# Products: that of a vector and a matrix is one row of a matrix to PyTorch, also in `out`.
_PRODUCTS = frozenset(("linear", "matmul"))
# Functions that give `out` another shape without a word.
_SILENT = frozenset(("bernoulli", "multinomial", "log_sigmoid", "addbmm"))

_SAME_WITH = {"clamp": 1, "lerp": 3}  # so many tensors given


def out_form(name: str, fn: Callable[..., Any], kind: str = "cast") -> Callable[..., Any]:
    """The function with an `out` argument; `kind` says which dtypes that may have.

    "cast": those that the result can be cast to. "joined": these too; to PyTorch another is a
    TypeError. "same": the result's, as always where results are several. "own": any, in which is
    then computed. "clamp" and "lerp": "same" if limits are numbers, weights are not; else "cast".
    "power": "cast" for the powers 0 and 1, else "same". "truth": bool and uint8. "any": all.
    "bool", "float64": these, with words of their own.
    """

    @functools.wraps(fn)
    def run(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            try:
                result = fn(*args, **kwargs)
            except ODD:
                again = own_names(name, fn, kwargs)
                if again is None:
                    check_arguments(name, fn, args, kwargs)
                    raise
                result = fn(*args, **again)
            return kept(result, (*args, *kwargs.values())) if SUBCLASSES else result
        kwargs = own_names(name, fn, kwargs) or kwargs
        targets = [out] if isinstance(out, Tensor) else out
        if not isinstance(targets, (list, tuple)):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
        given = tensors_in((*args, *kwargs.values()))
        check_memory(name, targets, given)
        rule = kind
        if kind in _SAME_WITH:
            rule = "same" if len(given) == _SAME_WITH[kind] else "cast"
        elif kind == "own":
            rule = "same"
            if kwargs.get("dtype") is None:
                kwargs["dtype"] = targets[0].dtype
            if name in _NEED_DIM and len(args) < 2 and not kwargs.keys() & {"dim", "axis"}:
                raise TypeError(f"{name}() with 'out' is missing the argument 'dim'")
            if name.startswith("nan") and given and given[0].dtype.kind == "f":
                require("nansum out", targets[0].dtype)
        elif kind == "power":
            power = kwargs["n"] if "n" in kwargs else args[1]
            if power in (0, 1) and isinstance(out, Tensor):
                result = given[0].detach() if power == 0 else given[0]
                return store_out("copy", fn(result, power), out)
            rule = "same"
        elif name in _PRODUCTS and isinstance(out, Tensor) and _is_row_times_matrix(given):
            return store_out(name, fn(*args, **kwargs).unsqueeze(0), out, kind).squeeze_(0)
        result = fn(*args, **kwargs)
        if isinstance(result, Tensor) is not isinstance(out, Tensor):
            wanted = "Tensor" if isinstance(result, Tensor) else "tuple of Tensors"
            raise TypeError(f"{name}(): argument 'out' must be {wanted}, not {type(out).__name__}")
        if isinstance(out, Tensor):
            copied = name == "linalg.pinv" and any(
                isinstance(value, float) for value in (*args, *kwargs.values())
            )  # tolerances that are numbers
            return store_out("copy" if copied else name, result, out, rule)
        if len(result) != len(out):
            raise TypeError(f"{name}(): expected {len(result)} tensors in 'out', got {len(out)}")
        for part, target in zip(result, out):
            store_out(name, part, target, "cast" if name == "linalg.lstsq" else "same")
        return tuple(out) if type(result) is tuple else type(result)(*out)

    return run


def _is_row_times_matrix(given: Sequence[Tensor]) -> bool:
    return [len(shape_of(t)) for t in given[:2]] == [1, 2]


def makes(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function that makes a tensor of a `dtype`, with `out`, whose dtype is the default then."""
    name = fn.__name__

    @functools.wraps(fn)
    def run(*args: Any, out: Any = None, dtype: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return fn(*args, dtype=dtype, **kwargs)
        if not isinstance(out, Tensor):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
        if dtype is not None and dtype is not out.dtype:
            raise RuntimeError(
                f"dtype {promotion.type_name(dtype)} does not match dtype of out parameter "
                f"({promotion.type_name(out.dtype)})"
            )
        check_memory(name, [out], tensors_in(args))
        if name == "normal":
            require("randn", out.dtype)
            if mode.grad and any(needs_grad(t) for t in tensors_in(args)):
                raise RuntimeError(_NO_GRADIENT_WORDS.format(name))
        made = fn(*args, dtype=out.dtype, **kwargs)
        count = out.numel()
        if name == "arange" and count not in (0, made.numel()):
            warnings.warn(
                f"The number of elements in the out tensor of shape {extents(out.shape)} is "
                f"{count}, which does not match the computed number of elements {made.numel()}. "
                "This may come from rounding. The out tensor is resized to shape "
                f"{tuple(made.shape)}.",
                stacklevel=2,
            )
        drawn_by = name == "normal" and tensors_in((*args, *kwargs.values()))
        if shape_of(out) != shape_of(made) and not drawn_by:
            resize(out, shape_of(made))  # what was in it does not matter here
        return store_out(name, made, out)

    return run


def check_memory(name: str, targets: Sequence[Any], given: Sequence[Tensor]) -> None:
    """Raise where the result cannot be written to `out`, whatever it will be."""
    for t in targets:
        if not isinstance(t, Tensor):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(t).__name__}")
        for other in given:
            check_overlap(t, other, name in _APART)


def store_out(name: str, result: Tensor, out: Tensor, kind: str = "cast") -> Tensor:
    """Put a result into the tensor given as `out`, which takes its shape.

    Raises RuntimeError where the dtypes do not fit, or where autograd would have to follow; warns
    where elements of `out` are lost.
    """
    if result.dtype is not out.dtype:
        if kind != "any":
            _check_dtype(name, result.dtype, out.dtype, kind)
        elif not promotion.can_cast(result.dtype, out.dtype):
            result = result.to(out.dtype)
    if mode.grad:
        result = _recorded(name, result, out)
    if shape_of(out) != shape_of(result):
        if out.numel() and name not in _SILENT:
            warnings.warn(
                "An output with one or more elements was resized since it had shape "
                f"{extents(out.shape)}, which does not match the required output shape "
                f"{extents(result.shape)}. This behavior is deprecated, and in a future PyTorch "
                "release outputs will not be resized unless they have zero elements. You can "
                "explicitly reuse an out tensor t by resizing it, inplace, to zero elements with "
                "t.resize_(0).",
                stacklevel=3,
            )
        _take_shape(out, result)
    if mode.grad and not result.requires_grad:  # a truth value may be written to any leaf
        with no_grad():
            check_inplace(out)
            return adopt(out, result)
    check_inplace(out)
    return adopt(out, result)


def _check_dtype(name: str, made: DType, given: DType, kind: str) -> None:
    if kind == "truth" and given is D.uint8:
        return
    if kind == "bool":
        raise RuntimeError(f"{name} does not support non-boolean outputs.")
    if kind == "float64":
        raise RuntimeError(
            f"the output given to {name} has dtype {promotion.type_name(given)} but the "
            f"operation's result requires dtype {promotion.type_name(made)}"
        )
    if kind in ("same", "truth"):
        have, wanted = (promotion.c_name(dtype) for dtype in (given, made))
        raise RuntimeError(f"Expected out tensor to have dtype {wanted}, but got {have} instead")
    if not promotion.can_cast(made, given):
        words = (
            f"result type {promotion.type_name(made)} can't be cast to the desired output type "
            f"{promotion.type_name(given)}"
        )
        if kind == "joined":
            raise TypeError(f"{name}(): {words}")
        raise RuntimeError(words)


def _recorded(name: str, result: Tensor, out: Tensor) -> Tensor:
    """The result as autograd takes it. A form with `out` has no gradient: mostly it refuses."""
    made = result.requires_grad
    if made and name in _NO_GRADIENT:
        return not_differentiated(result, name)
    if made and name in _COPIED:
        node = node_of(result)
        return record("CopyBackwards", (result,), (node,), ops.copy(node))
    refused = made and result.grad_fn.name() != "NotImplemented"
    takes_leaf = result.dtype is D.bool_ or name in _NOT_DIFFERENTIABLE
    if refused or (needs_grad(out) and not takes_leaf):
        raise RuntimeError(_NO_GRADIENT_WORDS.format(name))
    return result


_NO_GRADIENT_WORDS = (
    "{}(): functions with out=... arguments don't support automatic differentiation, but one of "
    "the arguments requires grad."
)


def _take_shape(out: Tensor, result: Tensor) -> None:
    """Make `out` of the result's shape, its axes in the order in memory that the result's have."""
    view, shape = result._view, shape_of(result)
    if view is None or not is_dense(view):
        resize(out, shape)
        return
    resize(out, (result.numel(),))
    out._view = View(shape, view.strides, out.storage_offset())
