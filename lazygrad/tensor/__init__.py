"""The tensor namespace: every function on tensors, and `Tensor` itself.

Owns: the order in which operations are declared and put on the class, and the public names. Must
not know: what any of them does.
"""

# ruff: noqa: F401 - this module is the list of names
from __future__ import annotations

import builtins as _builtins
import math as _math
import sys as _sys
from types import ModuleType as _ModuleType
from typing import TYPE_CHECKING, Any

from lazygrad.autograd.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from lazygrad.ir import dtypes as _dtypes
from lazygrad.ir.dtypes import DType, promote_types
from lazygrad.runtime.memory import OutOfMemoryError, memory_stats, reset_peak_memory_stats
from lazygrad.tensor import core as _core
from lazygrad.tensor import declare as _declare
from lazygrad.tensor import methods as _methods
from lazygrad.tensor import out as _out
from lazygrad.tensor import promotion as _promotion
from lazygrad.tensor import size as _size
from lazygrad.tensor import ways as _ways
from lazygrad.tensor.convert import realize
from lazygrad.tensor.core import Tensor
from lazygrad.tensor.creation import (
    empty,
    empty_like,
    empty_strided,
    full,
    full_like,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from lazygrad.tensor.dlpack import from_dlpack, to_dlpack
from lazygrad.tensor.from_data import (
    as_tensor,
    asarray,
    scalar_tensor,
    tensor,
    typed_constructor,
)
from lazygrad.tensor.joining import constant_pad_nd
from lazygrad.tensor.numpy_bridge import from_numpy
from lazygrad.tensor.printing import get_printoptions, set_printoptions
from lazygrad.tensor.promotion import (
    can_cast,
    finfo,
    get_default_dtype,
    iinfo,
    set_default_dtype,
)
from lazygrad.tensor.random import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    normal,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    seed,
    set_rng_state,
)
from lazygrad.tensor.ranges import arange, eye, linspace, logspace, tril_indices, triu_indices
from lazygrad.tensor.ranges import range_ as range
from lazygrad.tensor.size import Size, device

if TYPE_CHECKING:  # the declared functions are added below

    def __getattr__(name: str) -> Any: ...


_methods.install()

for _entry in _declare.DECLARED.values():
    if _entry.is_function:
        _form = (
            _out.out_form(_entry.name, _entry.function, _entry.out)
            if _entry.out
            else _declare.sized_form(_entry.name, _entry.function, _entry.sizes, False)
            if _entry.sizes
            else _declare.explained(_entry.name, _entry.function)
        )
        globals()[_entry.name] = _ways.short(_form) if _entry.short else _form


def is_tensor(obj: Any) -> _builtins.bool:
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> _builtins.bool:
    return input.is_floating_point()


def is_complex(input: Tensor) -> _builtins.bool:
    return input.is_complex()


def is_nonzero(input: Tensor) -> _builtins.bool:
    return input.is_nonzero()


def is_signed(input: Tensor) -> _builtins.bool:
    return input.is_signed()


def is_same_size(input: Tensor, other: Tensor) -> _builtins.bool:
    return input.is_same_size(other)


def numel(input: Tensor) -> _builtins.int:
    return input.numel()


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that tensors of these are broadcast to. RuntimeError where there is none."""
    return Size(_promotion.broadcast_shapes(*shapes))


def result_type(tensor1: Any, tensor2: Any) -> DType:
    """The dtype that arithmetic on the two gives."""
    a, b = tensor1, tensor2
    for value in (a, b):
        if not isinstance(value, (Tensor, _builtins.bool, _builtins.int, _builtins.float)):
            raise TypeError(
                "result_type() received an invalid combination of arguments - got "
                f"({type(a).__name__}, {type(b).__name__}), but expected tensors or numbers"
            )
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        return _promotion.promote_scalars(a, b)
    if not isinstance(a, Tensor):
        a, b = b, a
    if isinstance(b, Tensor):
        return _promotion.pair_dtype(_core.node_of(a), _core.node_of(b))
    return _promotion.with_number(a.dtype, b)


for _function in (
    zeros_like,
    ones_like,
    empty_like,
    full_like,
    rand_like,
    randn_like,
    randint_like,
    is_floating_point,
    is_complex,
    is_nonzero,
    is_signed,
    is_same_size,
    numel,
    result_type,
    constant_pad_nd,
):
    globals()[_function.__name__] = _declare.explained(_function.__name__, _function)


def set_default_tensor_type(kind: Any) -> None:
    set_default_dtype(kind._dtype)


def set_default_device(device: Any) -> None:
    """Where new tensors are made when nothing else is said; None: on the CPU."""
    _size.default.name = _size.HOST if device is None else _size.device_name(device)


def get_default_device() -> device:
    return _size.device(_size.default.name)


dtype = DType
strided = "lazygrad.strided"
contiguous_format = "lazygrad.contiguous_format"
preserve_format = "lazygrad.preserve_format"
channels_last = "lazygrad.channels_last"
pi, e, inf, nan, newaxis = _math.pi, _math.e, _math.inf, _math.nan, None

float64 = double = _dtypes.float64
float32 = float = _dtypes.float32
float16 = half = _dtypes.float16
bfloat16 = _dtypes.bfloat16
int64 = long = _dtypes.int64
int32 = int = _dtypes.int32
int16 = short = _dtypes.int16
int8 = _dtypes.int8
uint8 = _dtypes.uint8
bool = _dtypes.bool_

for _dtype in _dtypes.ALL:
    _name = f"{_promotion.type_name(_dtype)}Tensor"
    globals()[_name] = typed_constructor(_name, _dtype)


class _Callable(_ModuleType):
    """`lazygrad.tensor` is this module and, called, the function `tensor` of PyTorch."""

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        return tensor(*args, **kwargs)


_sys.modules[__name__].__class__ = _Callable

__all__ = [
    _name
    for _name in globals()
    if not _name.startswith("_") and _name not in ("annotations", "Any", "tensor")
]
__all__ = [_name for _name in __all__ if not isinstance(globals()[_name], _ModuleType)]
