"""Views: other shapes and strides over the same memory, as in PyTorch.

Owns: every operation that may share its input's storage, and which of them must copy instead.
Must not know: how values are computed or how a write reaches a storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from lazygrad.autograd.graph import fn_class
from lazygrad.ir import ops
from lazygrad.ir.sizes import Size
from lazygrad.ir.thread import thread
from lazygrad.ir.views import View, contiguous_strides
from lazygrad.tensor import promotion as P
from lazygrad.tensor.aliasing import make_view
from lazygrad.tensor.core import (
    Tensor,
    alias,
    axis_of,
    cut,
    depth,
    node_of,
    shape_of,
    view_of,
    wrap,
)
from lazygrad.tensor.declare import check_kind, check_tensor, declare
from lazygrad.tensor.history import meta_of, record, relabelled, with_inputs
from lazygrad.tensor.size import extents


def size_args(given: tuple[Any, ...], name: str = "size") -> tuple[int, ...]:
    """Sizes given one by one or as one sequence, as a tuple of ints."""
    if len(given) == 1 and not isinstance(given[0], int):
        first = given[0]
        if isinstance(first, (tuple, list)):
            given = tuple(first)
        elif isinstance(first, Tensor) and first.ndim == 1:
            given = tuple(first.tolist())
    result: list[Any] = []
    for position, value in enumerate(given):
        if type(value) is int or type(value) is Size:  # for all sizes: see families.py
            result.append(value)
            continue
        if isinstance(value, (bool, float, str)) or not hasattr(value, "__index__"):
            raise TypeError(
                f"{name}(): argument 'size' (position 1) must be tuple of ints, "
                f"not {type(value).__name__}"
                if len(given) == 1
                else f"{name}(): argument 'size' must be tuple of ints, but found element of type "
                f"{type(value).__name__} at pos {position}"
            )
        result.append(int(value.__index__()))
    return tuple(result)


def infer_size(shape: Sequence[int], numel: int) -> tuple[int, ...]:
    """The shape with its -1 filled in. Raises RuntimeError if it does not hold numel elements."""
    unknown = None
    count = 1
    for axis, extent in enumerate(shape):
        if extent == -1:
            if unknown is not None:
                raise RuntimeError("only one dimension can be inferred")
            unknown = axis
        elif extent < 0:
            raise RuntimeError(f"invalid shape dimension {extent}")
        else:
            count *= extent
    if unknown is not None:
        if count == 0:
            if numel == 0:
                raise RuntimeError(
                    f"cannot reshape tensor of 0 elements into shape {extents(shape)} because the "
                    "unspecified dimension size -1 can be any value and is ambiguous"
                )
        elif numel % count == 0:
            return (*shape[:unknown], numel // count, *shape[unknown + 1 :])
    elif count == numel:
        return tuple(shape)
    raise RuntimeError(f"shape '{extents(shape)}' is invalid for input of size {numel}")


def _shape_view(input: Tensor, shape: tuple[int, ...], name: str) -> Tensor | None:
    """`input` under another shape on the same memory, or None."""
    view = view_of(input)
    if prod(shape) == 0 and shape != view.shape:
        found: View | None = View(shape, contiguous_strides(shape), view.offset)
    else:
        found = view.reshape(shape)
    return None if found is None else make_view(input, found, name, ops.reshape, shape)


@declare(function=False, short=True)
def view(self: Tensor, *shape: Any, size: Any = None, dtype: Any = None) -> Tensor:
    """The same memory under another shape; with a dtype, reinterpreted."""
    if size is not None or dtype is not None:
        shape = (*shape, *(given for given in (size, dtype) if given is not None))
    check_tensor(self, "view", "self")
    if len(shape) == 1 and isinstance(shape[0], P.DType):
        return _view_dtype(self, shape[0])
    wanted = infer_size(size_args(shape, "view"), self.numel())
    made = _shape_view(self, wanted, "ViewBackward0")
    if made is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return made


def _view_dtype(self: Tensor, dtype: P.DType) -> Tensor:
    if dtype is self.dtype:
        return make_view(self, view_of(self), "AliasBackward0", ops.reshape, shape_of(self))
    from lazygrad.tensor.numpy_bridge import reinterpret

    return reinterpret(self, dtype)


@declare(function=False)
def view_as(self: Tensor, other: Tensor) -> Tensor:
    return view(self, *shape_of(other))


def _reshaped(input: Tensor, shape: Sequence[int], name: str) -> Tensor:
    wanted = infer_size(shape, input.numel())
    dense = view_of(input).has_dense_strides
    made = _shape_view(input, wanted, "ViewBackward0" if dense else "ReshapeAliasBackward0")
    if made is None:
        x = node_of(input)
        value = ops.copy(ops.reshape(x, arg=wanted))
        made = record(name, (input,), (x,), value)
        with_inputs(made, (("CloneBackward0", 0),))
    return made


def unsafe_view(input: Tensor, shape: Sequence[int]) -> Tensor:
    """The same elements in another shape: in the same memory, but no view to autograd, and
    with a version of its own."""
    made = no_view(_reshaped(input, tuple(shape), "UnsafeViewBackward0"))
    if made._meta is not None and made._storage is input._storage:
        made._meta.loose = [0]
    return relabelled(made, fn_class("UnsafeViewBackward0"))


def no_view(t: Tensor) -> Tensor:
    """`t`, a view of memory that nobody else has: to autograd it is none."""
    if t._meta is not None:
        t._meta.base, t._meta.creation = None, ""
    return t


def _reshape(input: Tensor, *shape: Any) -> Tensor:
    """A view where the memory allows it, else a copy."""
    check_tensor(input, "reshape")
    return _reshaped(input, size_args(shape, "reshape"), "UnsafeViewBackward0")


declare("reshape", sizes="shape", short=True)(_reshape)
reshape = _reshape


@declare(function=False)
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    return _reshape(self, shape_of(other))


@declare(short=True)
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions start_dim to end_dim as one."""
    shape = shape_of(input)
    first, last = axis_of(start_dim, len(shape)), axis_of(end_dim, len(shape))
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not shape:
        return _reshape(input, 1)
    if first == last:
        return input
    return _reshape(input, *shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :])


@declare()
def ravel(input: Tensor) -> Tensor:
    return _reshape(input.contiguous(), -1)


@declare(short=True)
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension as several."""
    shape = shape_of(input)
    axis = axis_of(dim, len(shape))
    sizes = tuple(sizes)
    for size in sizes:
        check_kind(size, (int, np.integer), "unflatten", "sizes", 3)
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    known = prod(size for size in sizes if size != -1)
    bad = (
        shape[axis] % known if -1 in sizes and known else (-1 not in sizes and known != shape[axis])
    )
    if bad:
        raise RuntimeError(
            f"unflatten: Provided sizes {extents(sizes)} don't multiply up to the size of dim "
            f"{axis} ({shape[axis]}) in the input tensor"
        )
    whole = infer_size(sizes, shape[axis]) if prod(shape) else sizes
    return view(input, *shape[:axis], *whole, *shape[axis + 1 :])


# -- axes ---------------------------------------------------------------------------------------


def permuted(input: Tensor, order: tuple[int, ...], name: str) -> Tensor:
    return make_view(input, view_of(input).permute(order), name, ops.permute, order)


@declare(sizes="dims", short=True)
def permute(input: Tensor, *dims: Any) -> Tensor:
    """The axes in another order."""
    check_tensor(input, "permute")
    given = size_args(dims, "permute")
    rank = input.ndim
    if len(given) != rank:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {rank} is not "
            f"equal to len(dims) = {len(given)}"
        )
    order = tuple(axis_of(dim, rank) for dim in given)
    if len(set(order)) != rank:
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return permuted(input, order, "PermuteBackward0")


@declare("transpose", "swapaxes", "swapdims", short=True)
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged."""
    check_tensor(input, "transpose")
    rank = input.ndim
    a, b = axis_of(dim0, rank), axis_of(dim1, rank)
    order = list(range(rank))
    if rank:
        order[a], order[b] = order[b], order[a]
    return permuted(input, tuple(order), "TransposeBackward0")


@declare(short=True)
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; vectors stay."""
    rank = input.ndim
    if rank > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {rank}D")
    return permuted(input, tuple(range(rank))[::-1], "TBackward0")


def _T(self: Tensor) -> Tensor:
    if self.ndim not in (0, 2):
        import warnings

        thread.looked = True  # each call is to say so
        warnings.warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is "
            "deprecated and it will throw an error in a future release. Consider `x.mT` to "
            "transpose batches of matrices or `x.permute(*torch.arange(x.ndim - 1, -1, -1))` to "
            "reverse the dimensions of a tensor.",
            stacklevel=3,
        )
    return permuted(self, tuple(range(self.ndim))[::-1], "PermuteBackward0")


def _mT(self: Tensor) -> Tensor:
    if self.ndim < 2:
        raise RuntimeError(
            "tensor.mT is only supported on matrices or batches of matrices. Got "
            f"{self.ndim}-D tensor."
        )
    return transpose(self, -2, -1)


@declare("movedim", "moveaxis", short=True)
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Some axes at other places, the others in their order."""
    rank = input.ndim
    if isinstance(source, int) is not isinstance(destination, int):
        raise TypeError("movedim(): 'source' and 'destination' must both be int or tuple of ints")
    src = [axis_of(d, rank) for d in ((source,) if isinstance(source, int) else source)]
    dst = [
        axis_of(d, rank) for d in ((destination,) if isinstance(destination, int) else destination)
    ]
    if len(src) != len(dst):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({extents(src)} dims) should "
            f"contain the same number of dims as destination ({extents(dst)} dims)"
        )
    if len(set(src)) != len(src):
        raise RuntimeError(f"movedim: repeated dim in `source` ({extents(src)})")
    if len(set(dst)) != len(dst):
        raise RuntimeError(f"movedim: repeated dim in `destination` ({extents(dst)})")
    order = [-1] * rank
    for a, b in zip(src, dst) if rank else ():
        order[b] = a
    rest = iter(axis for axis in range(rank) if axis not in src)
    return permuted(input, tuple(a if a >= 0 else next(rest) for a in order), "PermuteBackward0")


@declare(short=True)
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without axes of extent 1."""
    shape = shape_of(input)
    if dim is None:
        drop = {axis for axis, extent in enumerate(shape) if extent == 1}
        name = "SqueezeBackward0"
    else:
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
        drop = {axis_of(d, len(shape)) for d in dims}
        drop = {axis for axis in drop if shape and shape[axis] == 1}
        name = "SqueezeBackward1" if isinstance(dim, int) else "SqueezeBackward2"
    keep = [axis for axis in range(len(shape)) if axis not in drop]
    old = view_of(input)
    found = View(tuple(shape[a] for a in keep), tuple(old.strides[a] for a in keep), old.offset)
    return make_view(input, found, name, ops.reshape, found.shape)


@declare(short=True)
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With an axis of extent 1 at `dim`."""
    check_tensor(input, "unsqueeze")
    old = view_of(input)
    axis = axis_of(dim, len(old.shape) + 1)
    step = old.shape[axis] * old.strides[axis] if axis < len(old.shape) else 1
    found = View(
        (*old.shape[:axis], 1, *old.shape[axis:]),
        (*old.strides[:axis], step, *old.strides[axis:]),
        old.offset,
    )
    return make_view(input, found, "UnsqueezeBackward0", ops.reshape, found.shape)


@declare(function=False, short=True)
def expand(self: Tensor, *sizes: Any, size: Any = None, implicit: bool = False) -> Tensor:
    """Axes of extent 1, and new leading ones, repeated without copying."""
    wanted = size_args(sizes if size is None else (*sizes, size), "expand")
    old = shape_of(self)
    lead = len(wanted) - len(old)
    if lead < 0:
        raise RuntimeError(
            f"expand(lazygrad.{P.type_name(self.dtype)}Tensor{{{extents(old)}}}, "
            f"size={extents(wanted)}): the number of sizes provided ({len(wanted)}) must be "
            f"greater or equal to the number of dimensions in the tensor ({len(old)})"
        )
    shape = []
    for axis, extent in enumerate(wanted):
        have = old[axis - lead] if axis >= lead else None
        if extent == -1:
            if have is None:
                raise RuntimeError(
                    f"The expanded size of the tensor (-1) isn't allowed in a leading, "
                    f"non-existing dimension {axis}"
                )
            extent = have
        elif have is not None and have != extent and have != 1:
            raise RuntimeError(
                f"The expanded size of the tensor ({extent}) must match the existing size "
                f"({have}) at non-singleton dimension {axis}.  Target sizes: "
                f"{extents(wanted)}.  Tensor sizes: {extents(old)}"
            )
        if extent < 0:
            raise RuntimeError(
                f"expand(): sizes must be -1 or at least 0, but got {extent} at dimension {axis}"
            )
        shape.append(extent)
    target = tuple(shape)
    found = view_of(self).expand(target)
    if lead and old and target[lead - 1] == 1:
        found = _leading(found, lead)
    if self._storage.node is None:
        return make_view(self, found, "ExpandBackward0")
    return make_view(
        self,
        found,
        "ExpandBackward0",
        lambda node, arg: P.spread_to(ops.reshape(node, arg=node.shape), arg),
        target,
    )


def _leading(view: View, lead: int) -> View:
    """New axes of extent 1 have strides as if they were not expanded."""
    strides = list(view.strides)
    for axis in range(lead - 1, -1, -1):
        if view.shape[axis] == 1:
            strides[axis] = view.shape[axis + 1] * strides[axis + 1]
    return View(view.shape, tuple(strides), view.offset)


@declare(function=False)
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    return expand(self, *shape_of(other))


@declare(function=False, sizes="size")
def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """The opposite of `expand`: summed to a size that expands to this one's. RuntimeError for
    another size."""
    if not size:
        raise TypeError('sum_to_size() missing 1 required positional arguments: "size"')
    wanted, shape = size_args(size, "sum_to_size"), shape_of(self)
    lead = len(shape) - len(wanted)
    if lead < 0 or any(w not in (1, e) for w, e in zip(wanted, shape[lead:])):
        raise RuntimeError(
            f"size {{{extents(wanted)}}} is not expandable to size {{{extents(shape)}}}."
        )
    axes = [a for a, e in enumerate(shape) if a < lead or (wanted[a - lead] == 1 and e != 1)]
    if not axes:
        return self
    summed: Tensor = self.sum(axes, keepdim=True)
    return summed.view(wanted) if lead else summed


@declare(short=True)
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    return expand(input, *size)


# -- off the graph ------------------------------------------------------------------------------


@declare()
def detach(input: Tensor) -> Tensor:
    """The same memory, without history."""
    if depth.cuts is not None:
        return wrap(cut(node_of(input)))
    made = alias(input)
    if input._meta is not None and input._meta.loose is not None:
        meta_of(made).loose = input._meta.loose
    return made


def detach_(self: Tensor) -> Tensor:
    """Cut this tensor off its history."""
    meta = self._meta
    if meta is not None:
        if meta.base is not None:
            raise RuntimeError(
                "Can't detach views in-place. Use detach() instead. If you are using "
                "DistributedDataParallel (DDP) for training, and gradient_as_bucket_view is set "
                "as True, gradients are views of DDP buckets, and hence detach_() cannot be "
                "called on these gradients. To fix this error, please refer to the "
                "Optimizer.zero_grad() function in torch/optim/optimizer.py as a solution."
            )
        meta.fn = None
        meta.requires_grad = False
    return self


PROPERTIES = {"T": _T, "mT": _mT, "H": _T, "mH": _mT}
__all__ = [name for name in globals() if not name.startswith("_")]
