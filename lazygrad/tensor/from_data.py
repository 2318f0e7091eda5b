"""Tensors from Python data: nested lists, numbers, numpy arrays, other tensors.

Owns: `tensor`, `as_tensor`, the legacy constructors; the errors of ragged lists and of arrays that
no tensor can be on. Must not know: numpy sharing (see numpy_bridge.py) or tensors made of sizes
alone (creation.py).
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.views import View, contiguous_strides
from lazygrad.realize import FROM_NUMPY, value_read
from lazygrad.runtime.device import from_array
from lazygrad.tensor import promotion as P
from lazygrad.tensor.core import Tensor, wrap, wrap_viewed
from lazygrad.tensor.creation import check_dtype, empty, from_values, no_more
from lazygrad.tensor.declare import check_kind, declare, order_of
from lazygrad.tensor.size import device_name


def _shape_of_list(data: Any) -> tuple[int, ...]:
    """The shape that the first elements of a nested sequence promise."""
    shape = []
    while isinstance(data, (list, tuple)) or (
        hasattr(data, "__len__")
        and hasattr(data, "__getitem__")
        and not isinstance(data, (str, bytes, dict, Tensor, np.ndarray))
    ):
        shape.append(len(data))
        if len(shape) > 128:
            raise ValueError("too many dimensions")
        if not len(data):
            break
        data = data[0]
    if isinstance(data, (Tensor, np.ndarray)):
        shape.extend(data.shape)
    if shape and isinstance(data, str):
        raise ValueError("too many dimensions 'str'")
    return tuple(shape)


def _fill_list(
    data: Any, shape: tuple[int, ...], depth: int, flat: list[Any], dtype: DType | None
) -> None:
    if depth == len(shape):
        if isinstance(data, (Tensor, np.generic, np.ndarray)):
            data = data.item()
        elif not isinstance(data, (bool, int, float)):
            data = _odd_number(data, dtype)
        flat.append(data)
        return
    if isinstance(data, (Tensor, np.ndarray)):
        if isinstance(data, np.ndarray):
            value_read(FROM_NUMPY)
        data = data.tolist()
    try:
        length = len(data)
    except TypeError:
        raise TypeError(f"not a sequence: {type(data).__name__}") from None
    if length != shape[depth]:
        raise ValueError(
            f"expected sequence of length {shape[depth]} at dim {depth} (got {length})"
        )
    for item in data:
        _fill_list(item, shape, depth + 1, flat, dtype)


def _odd_number(data: Any, dtype: DType | None) -> Any:
    """A number out of what is none of Python's or numpy's. Raises TypeError or RuntimeError."""
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    if isinstance(data, complex) and dtype is None:
        raise TypeError("complex numbers are not supported")
    if isinstance(data, (list, tuple)):
        raise TypeError("only size-1 sequences can be converted to Python scalars")
    if dtype is None:
        raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")
    for convert in ("__index__", "__float__"):
        if hasattr(data, convert) and not isinstance(data, builtins.type):
            return getattr(data, convert)()
    if dtype.kind == "f":
        raise TypeError(f"must be real number, not {type(data).__name__}")
    raise TypeError(f"'{type(data).__name__}' object cannot be interpreted as an integer")


def list_values(data: Any, dtype: DType | None) -> tuple[np.ndarray, DType]:
    """The values of nested sequences, and their dtype if none is given."""
    shape = _shape_of_list(data)
    flat: list[Any] = []
    if 0 not in shape:
        _fill_list(data, shape, 0, flat, dtype)
    if dtype is None:
        kinds = {type(value) for value in flat}
        if not kinds or float in kinds:
            dtype = _list_float(data) or P.default.dtype
        else:
            dtype = D.int64 if int in kinds else D.bool_
            dtype = _list_float(data) or dtype
    if dtype.kind in "iu":
        flat = [_whole(value, dtype) for value in flat]
    values = np.array(flat, dtype=np.float64 if dtype.kind == "f" else dtype.np)
    if dtype.kind == "f" and dtype.itemsize < 8:
        with np.errstate(over="ignore"):
            values = values.astype(np.float32)
    return values.reshape(shape), dtype


def _whole(value: Any, dtype: DType) -> int:
    """An element of a list as an integer of this dtype; -1 is the largest of one without sign."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("Overflow when unpacking long long")
    info = np.iinfo(dtype.np)
    wraps = dtype.kind == "u" and not isinstance(value, float)
    if not (-int(info.max) if wraps else int(info.min)) <= value <= int(info.max):
        raise RuntimeError(f"value cannot be converted to type {dtype.name} without overflow")
    return int(value) % (int(info.max) + 1) if wraps else int(value)


def _list_float(data: Any) -> DType | None:
    """Lists of tensors and numpy scalars keep their elements' dtype."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    if isinstance(data, Tensor):
        return data.dtype
    if isinstance(data, (np.generic, np.ndarray)):
        return D.from_numpy_dtype(data.dtype)
    return None


def tensor(
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor with a copy of the data."""
    dtype = check_dtype(dtype, "tensor")
    where = device_name(device)
    if isinstance(data, Tensor):
        import warnings

        warnings.warn(
            "To copy construct from a tensor, it is recommended to use "
            "sourceTensor.detach().clone() or sourceTensor.detach().clone()"
            ".requires_grad_(True), rather than torch.tensor(sourceTensor).",
            stacklevel=2,
        )
        made = data.detach().clone()
        made.__class__ = Tensor
        if dtype is not None or device is not None:
            made = made.to(device=device, dtype=dtype)
        if requires_grad:
            made.requires_grad = True
        return made
    return _from_data(data, dtype, where, requires_grad)


def _from_data(data: Any, dtype: DType | None, where: str, requires_grad: bool) -> Tensor:
    if dtype is not None and isinstance(data, np.number):
        data = P.number_from(data)  # whose own dtype does not matter
    if isinstance(data, (np.ndarray, np.generic)):
        made = _of_array(np.asarray(data), dtype, where)
    else:
        values, kind = list_values(data, dtype)
        made = from_values(values, kind, where)
    if requires_grad:
        made.requires_grad = True
    return made


def array_dtype(array: np.ndarray) -> DType:
    """The dtype of an array whose memory can be a tensor's.

    Raises TypeError for another dtype, ValueError for bytes in another order and strides that a
    tensor cannot have.
    """
    dtype = D.from_numpy_dtype(array.dtype)
    if not array.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion "
            "between byte orders is currently not supported."
        )
    if any(step < 0 for step in array.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array  with array.copy().) "
        )
    if any(step % dtype.itemsize for step in array.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy "
            "array to reallocate the memory."
        )
    return dtype


def _of_array(array: np.ndarray, dtype: DType | None, where: str) -> Tensor:
    """A copy of an array, whose axes lie in memory in the order of the array's."""
    kind = array_dtype(array)
    if not array.size:  # numpy's strides of no elements are kept, whatever they are
        view = View(array.shape, tuple(step // kind.itemsize for step in array.strides))
        empty = np.empty(array.shape, (dtype or kind).np)
        base = ops.buffer_leaf(from_array(empty, where), array.shape, dtype or kind, where)
        return wrap_viewed(base, view, base)
    if array.ndim:
        value_read(FROM_NUMPY)
    order = None if array.flags.c_contiguous else order_of([array.strides], array.shape)
    if order is None:
        made = wrap(ops.buffer_leaf(from_array(array, where), array.shape, kind, where))
    else:
        turned = array.transpose(order)
        base = ops.buffer_leaf(from_array(turned, where), turned.shape, kind, where)
        back = tuple(order.index(axis) for axis in range(array.ndim))
        steps = contiguous_strides(turned.shape)
        view = View(array.shape, tuple(steps[at] for at in back))
        made = wrap_viewed(base, view, ops.permute(base, arg=back))
    return made if dtype is None or dtype is kind else made.to(dtype)


def as_tensor(data: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """The data as a tensor, sharing memory where that is possible."""
    dtype = check_dtype(dtype, "as_tensor")
    if isinstance(data, Tensor):
        return data if dtype is device is None else data.to(device=device, dtype=dtype)
    if isinstance(data, np.ndarray):
        from lazygrad.tensor.numpy_bridge import from_numpy

        made = from_numpy(data).to(device=device)
        return made if dtype is None or dtype is made.dtype else made.to(dtype)
    if hasattr(data, "__cuda_array_interface__"):
        from lazygrad.tensor.cuda_array import taken

        return taken(data).to(device=device, dtype=dtype)
    return _from_data(data, dtype, device_name(device), False)


def asarray(
    obj: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    made = (
        tensor(obj, dtype=dtype, device=device)
        if copy and not isinstance(obj, Tensor)
        else as_tensor(obj, dtype=dtype, device=device)
    )
    if copy and made is obj:
        made = made.clone()
    return made.requires_grad_() if requires_grad else made


def scalar_tensor(
    s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    if not (isinstance(s, Tensor) and not s.ndim):
        check_kind(s, (int, float, np.number, np.bool_), "scalar_tensor", "s", 1)
    return tensor(s, dtype=dtype or P.default.dtype, device=device, requires_grad=requires_grad)


def legacy_new(
    *args: Any, dtype: DType | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`Tensor(5, 3)` and `Tensor([1, 2, 3])`: sizes, or data in the default dtype."""
    if device is not None and device_name_kind(device) != "cpu":
        raise RuntimeError(
            "legacy constructor expects device type: cpu but device type: "
            f"{device_name_kind(device)} was passed"
        )
    dtype = P.default.dtype if dtype is None else dtype
    if not args:
        return empty(0, dtype=dtype)
    first = args[0]
    if len(args) == 1 and not isinstance(first, int):
        if isinstance(first, Tensor):
            if first.dtype is not dtype:
                raise TypeError(
                    f"expected {P.type_name(dtype)}Tensor (got {P.type_name(first.dtype)}Tensor)"
                )
            return first.detach()
        from lazygrad.tensor.size import Size

        if isinstance(first, Size):
            return empty(*first, dtype=dtype)
        if isinstance(first, np.ndarray):
            return _from_data(first, dtype, "cpu", False)
        if isinstance(first, float) or not hasattr(first, "__getitem__"):
            raise TypeError(f"new(): data must be a sequence (got {type(first).__name__})")
        return _from_data(first, dtype, "cpu", False)
    return empty(*args, dtype=dtype)


def device_name_kind(where: Any) -> str:
    return "cuda" if isinstance(where, int) else str(where).partition(":")[0]


class _TypedMeta(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, Tensor) and value.dtype is cls._dtype  # type: ignore[attr-defined]


def typed_constructor(name: str, dtype: DType) -> Any:
    """`FloatTensor` and its kin."""

    def new(cls: Any, *args: Any, **kwargs: Any) -> Tensor:
        return legacy_new(*args, dtype=dtype, **kwargs)

    return _TypedMeta(
        name, (), {"__new__": new, "_dtype": dtype, "dtype": dtype, "__module__": "lazygrad"}
    )


@declare(function=False)
def new_tensor(
    self: Tensor,
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **more: Any,
) -> Tensor:
    no_more("new_tensor", more)
    kind, where = dtype or self.dtype, device or self.device
    return tensor(data, dtype=kind, device=where, requires_grad=requires_grad)


@declare(function=False)
def new(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return legacy_new(*args, dtype=self.dtype, **kwargs)
