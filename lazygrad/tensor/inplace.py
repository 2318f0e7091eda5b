"""In-place operations that are not the in-place form of anything: copy_, fill_, zero_, ...

Owns: writes of given values, `.data` and `.grad`, requires_grad, and the in-place operators. Must
not know: how storages keep shared memory consistent.
"""

from __future__ import annotations

import warnings
import weakref
from typing import Any

from lazygrad.autograd.engine import backward as run_backward
from lazygrad.autograd.hooks import RemovableHandle, add_hook
from lazygrad.autograd.modes import mode
from lazygrad.ir import ops
from lazygrad.tensor import promotion as P
from lazygrad.tensor import storage as memory
from lazygrad.tensor.aliasing import adopt, check_inplace, check_overlap, note_write, resize
from lazygrad.tensor.core import Meta, Tensor, alias, node_of, shape_of, view_of, wrap
from lazygrad.tensor.creation import check_sizes, filled_node
from lazygrad.tensor.declare import declare
from lazygrad.tensor.elementwise import OPERANDS
from lazygrad.tensor.history import fn_of, meta_of, needs_grad, record
from lazygrad.tensor.size import extents
from lazygrad.tensor.views import size_args


@declare(function=False)
def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Write the values of `src`, broadcast and converted."""
    if not isinstance(src, Tensor):
        raise TypeError(
            f"copy_(): argument 'other' (position 1) must be Tensor, not {type(src).__name__}"
        )
    onto_itself = src._storage is self._storage and view_of(src) == view_of(self)
    check_inplace(self, (src,) if self.dtype.kind == "f" else (), may_repeat=onto_itself)
    check_overlap(self, src)
    shape = shape_of(self)
    own = shape_of(src)
    joint = P.joint_shape(shape, own)
    if joint != shape:
        raise RuntimeError(
            f"output with shape {extents(shape)} doesn't match the broadcast shape {extents(joint)}"
        )
    x = node_of(src)
    here = x if x.device == self._storage.device else ops.to_device(x, self._storage.device)
    value = P.spread_to(P.cast(here, self.dtype), shape)
    if value is x:
        value = ops.reshape(x, arg=shape)
    if src._storage is self._storage:
        value = ops.copy(value)
    return adopt(self, record("CopyBackwards", (src,), (x,), value), "CopyBackwards")


@declare("fill_", function=False)
def fill_(self: Tensor, value: Any) -> Tensor:
    """Write one number everywhere."""
    return write_number(self, value, 2 + isinstance(value, Tensor))


def write_number(self: Tensor, value: Any, kind: int) -> Tensor:
    """`fill_`; PyTorch has four records for it."""
    check_inplace(self, (value,), may_repeat=kind == 2)
    shape = shape_of(self)
    name = f"FillBackward{kind}" if shape or kind < 3 else "CopyBackwards"
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} "
                "dimensions."
            )
        x = node_of(value)
        node = P.spread_to(P.cast(x, self.dtype), shape)
        return adopt(self, record(name, (value,), (x,), node), name)
    number = P.filling(value, self.dtype, self._storage.device, halves=kind != 3)
    node = P.spread_to(number, shape) if shape else ops.copy(number)
    return adopt(self, wrap(node), name)


@declare("fill", method=False)
def fill(input: Tensor, value: Any) -> Tensor:
    return write_number(input.clone(), value, int(isinstance(value, Tensor)))


@declare("zero_")
def zero_(self: Tensor) -> Tensor:
    """Write zeros."""
    check_inplace(self, may_repeat=True)
    node = filled_node(0, shape_of(self), self.dtype, self._storage.device)
    return adopt(self, wrap(node), "ZeroBackward0")


@declare(function=False)
def set_(self: Tensor, source: Any = None, *args: Any) -> Tensor:
    """Refer to another tensor's memory."""
    set_data(self, source if source is not None else self.new_empty(0))
    return self


@declare(function=False)
def resize_(self: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """Another shape over the same memory; where that is too small, over more of it: zeros."""
    shape = size_args(sizes, "resize_")
    check_sizes(shape, self.dtype)
    if needs_grad(self):
        raise RuntimeError("cannot resize variables that require grad")
    if shape != shape_of(self):
        resize(self, shape)
    note_write(self)
    return self


@declare(function=False)
def resize_as_(self: Tensor, other: Tensor, memory_format: Any = None) -> Tensor:
    return resize_(self, shape_of(other))


# -- .data, .grad, requires_grad ----------------------------------------------------------------


def get_data(self: Tensor) -> Tensor:
    made = alias(self)
    meta_of(made).loose = [0]
    return made


def set_data(self: Tensor, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
    if value.dtype is not self.dtype and needs_grad(self) and value.dtype.kind != "f":
        raise RuntimeError(
            "data set to a tensor that requires gradients must be floating point or complex dtype"
        )
    if value._storage is not self._storage or value._view != self._view:
        _note_move(self, value)
    self._storage = value._storage
    self._view = value._view
    if value._view is not None:
        self._cached = value._cached


def _note_move(self: Tensor, value: Tensor) -> None:
    """Records that saved `self` will read it where it is then: its old memory says where."""
    meta, old = meta_of(self), self._storage
    now = meta.moved
    if now is None:
        now = meta.moved = memory.Moved()
    handle, before = weakref.ref(self), now.offset
    if meta.loose is None:
        now.offset += old.version - value._storage.version
    now.storage, now.view = value._storage, value._view
    for stored in (old, value._storage):
        stored.moved = [entry for entry in getattr(stored, "moved", ()) if entry[0] is not handle]
    old.moved.append((handle, now, before))
    old.exports += 1  # so that records look again


def get_grad(self: Tensor) -> Tensor | None:
    meta = self._meta
    if meta is None:
        return None
    if meta.grad is None and meta.fn is not None and needs_grad(self) and not _retains(meta):
        warnings.warn(
            "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its "
            ".grad attribute won't be populated during autograd.backward(). If you indeed want "
            "the .grad field to be populated for a non-leaf Tensor, use .retain_grad() on the "
            "non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access "
            "the leaf Tensor instead. See github.com/pytorch/pytorch/pull/30531 for more "
            "informations.",
            stacklevel=2,
        )
    return meta.grad


def set_grad(self: Tensor, value: Any) -> None:
    if value is not None:
        if not isinstance(value, Tensor):
            raise TypeError(
                f"assigned grad expected to be a Tensor or None but got grad of type "
                f"{type(value).__name__}"
            )
        if value is self:
            raise RuntimeError("can't assign Variable as its own grad")
        if value.dtype is not self.dtype:
            raise RuntimeError(
                f"attempting to assign a gradient with dtype '{_long(value)}' to a tensor with "
                f"grad_dtype '{_long(self)}'. The gradient must match the tensor's grad_dtype "
                "(defaults to the tensor's dtype). You can set the tensor's grad_dtype "
                "attribute with a specific dtype, or None to allow any dtype. Set grad_dtype "
                "with caution. Diverging the dtypes of a tensor and its gradient may break "
                "downstream systems that assume they match."
            )
        if shape_of(value) != shape_of(self):
            raise RuntimeError(
                f"attempting to assign a gradient of size '{extents(shape_of(value))}' to a "
                f"tensor of size '{extents(shape_of(self))}'. Please ensure that the gradient "
                "and the tensor are the same size"
            )
    meta_of(self).grad = value


def _long(t: Tensor) -> str:
    return P.type_name(t.dtype).lower()


def del_grad(self: Tensor) -> None:
    meta_of(self).grad = None


def get_requires_grad(self: Tensor) -> bool:
    return self._meta is not None and needs_grad(self)


def set_requires_grad(self: Tensor, value: Any) -> None:
    if value and self.dtype.kind != "f":
        raise RuntimeError("only Tensors of floating point and complex dtype can require gradients")
    if value and self._storage.inference and not mode.inference:
        raise RuntimeError(
            "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed."
        )
    if self._meta is not None and self._meta.fn is not None:
        raise RuntimeError(_NOT_A_LEAF + ("" if value else _DETACH))
    meta_of(self).requires_grad = bool(value)


_NOT_A_LEAF = "you can only change requires_grad flags of leaf variables."
_DETACH = (
    " If you want to use a computed variable in a subgraph that doesn't require differentiation "
    "use var_no_grad = var.detach()."
)


@declare(function=False)
def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    if requires_grad and self.dtype.kind != "f":
        raise RuntimeError("only Tensors of floating point dtype can require gradients")
    if not requires_grad or self._meta is None or self._meta.fn is None:
        set_requires_grad(self, requires_grad)
    return self


def get_grad_fn(self: Tensor) -> Any:
    return fn_of(self)


def get_is_leaf(self: Tensor) -> bool:
    return get_grad_fn(self) is None


def get_output_nr(self: Tensor) -> int:
    return 0 if self._meta is None else self._meta.nr


def get_retains_grad(self: Tensor) -> bool:
    return self._meta is not None and needs_grad(self) and _retains(self._meta)


def _retains(meta: Meta) -> bool:
    return meta.fn is not None and meta.retains


@declare(function=False)
def retain_grad(self: Tensor) -> None:
    """Let backward fill `.grad` although this is not a leaf."""
    if not get_requires_grad(self):
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    meta = meta_of(self)
    if fn_of(self) is None or meta.retains:
        return
    assert meta.fn is not None
    meta.retains = True
    if meta.fn.retained is None:
        meta.fn.retained = {}
    meta.fn.retained[meta.nr] = weakref.ref(self)


@declare(function=False)
def register_hook(self: Tensor, hook: Any) -> RemovableHandle:
    """hook(grad) runs when this tensor's gradient is known, and may return another one."""
    if not get_requires_grad(self):
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    meta = meta_of(self)
    fn = fn_of(self)
    if fn is None or meta.hooks is not None:
        if meta.hooks is None:
            meta.hooks = {}
        return add_hook(meta.hooks, hook)
    if fn.tensor_hooks is None:
        fn.tensor_hooks = {}
    return add_hook(fn.tensor_hooks.setdefault(meta.nr, {}), hook)


@declare(function=False)
def register_post_accumulate_grad_hook(self: Tensor, hook: Any) -> RemovableHandle:
    """hook(tensor) runs after this leaf's `.grad` was written."""
    if not get_requires_grad(self):
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    meta = meta_of(self)
    if fn_of(self) is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    if meta.post_hooks is None:
        meta.post_hooks = {}
    return add_hook(meta.post_hooks, hook)


@declare(function=False)
def backward(
    self: Tensor,
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of this tensor to the `.grad` of the leaves."""
    run_backward(
        self, None if gradient is None else (gradient,), retain_graph, create_graph, inputs=inputs
    )


def inplace_operator(name: str) -> Any:
    """`x += y` by the in-place method of this name.

    What is no operand makes it `x = x + y`, by the operand's own operator if that has one.
    """

    def run(self: Tensor, other: Any) -> Any:
        if not isinstance(other, (*OPERANDS, complex)):
            return NotImplemented
        return getattr(self, name)(other)

    return run
