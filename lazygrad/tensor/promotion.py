"""Which dtype a result has: PyTorch's promotion of tensors, 0-d tensors and Python numbers.

Owns: the default dtype, result_type, can_cast, finfo and iinfo, scalar nodes, and broadcasting of
nodes to a common shape. Must not know: storages, views, autograd, or what any op does.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.ops import SCALAR
from lazygrad.ir.sizes import Size
from lazygrad.ir.traced import Traced, plain

_NAMES = {
    "bool": "Bool",
    "uint8": "Byte",
    "int8": "Char",
    "int16": "Short",
    "int32": "Int",
    "int64": "Long",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "float32": "Float",
    "float64": "Double",
}


class _Default:
    """The dtype of float results that nothing else decides."""

    dtype: DType = D.float32


default = _Default()


def set_default_dtype(d: Any) -> None:
    """Set the dtype of new float tensors. Raises TypeError unless it is a float dtype."""
    if not isinstance(d, DType):
        raise TypeError(f"invalid dtype object: {d!r}")
    if d.kind != "f":
        raise TypeError("only floating-point types are supported as the default type")
    default.dtype = d


def get_default_dtype() -> DType:
    return default.dtype


def type_name(dtype: DType) -> str:
    """`Float`, `Long`: how dtypes stand in messages."""
    return _NAMES[dtype.name]


def c_name(dtype: DType) -> str:
    """`float`, `long int`: how kernels' messages name dtypes."""
    return {
        "float32": "float",
        "float64": "double",
        "int64": "long int",
        "int32": "int",
        "float16": "c10::Half",
        "bfloat16": "c10::BFloat16",
    }.get(dtype.name, dtype.name)


def number_from(value: Any) -> Any:
    """numpy's numbers as Python's: integers, and floats out of all others, truth values too.

    A complex number is its real part if it is no more. What is no number is given back. Raises
    OverflowError for an integer that has more than 64 bits.
    """
    if isinstance(value, float):
        return value
    if isinstance(value, int):
        if type(value) is int and not -(2**63) <= value < 2**64:
            raise OverflowError("int too big to convert")
        return value
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (np.floating, np.bool_)):
        return float(value)
    if isinstance(value, np.complexfloating) or (isinstance(value, complex) and not value.imag):
        return float(value.real)
    return value


def python_dtype(value: Any) -> DType:
    """The dtype of a Python number standing alone."""
    if isinstance(value, bool):
        return D.bool_
    if isinstance(value, (int, np.integer)):
        return D.int64
    return default.dtype


def with_number(dtype: DType, value: Any) -> DType:
    """The dtype of `tensor op number`: the tensor's unless the number is of a higher category."""
    kind = dtype.kind
    if kind == "f" or isinstance(value, bool):
        return dtype
    if isinstance(value, (int, np.integer)):
        if kind == "b" and type(value) is int and value >= 2**63:
            raise RuntimeError("uint64, which a number of 64 bits would need, is not supported")
        return D.int64 if kind == "b" else dtype
    if isinstance(value, (float, np.floating, np.bool_)):
        return default.dtype
    return dtype


@functools.cache
def _pair(a: DType, a_scalar: bool, b: DType, b_scalar: bool) -> DType:
    """Tensors with dimensions decide, unless a 0-d tensor is of a higher category."""
    if a_scalar == b_scalar:
        return D.promote_types(a, b)
    whole, scalar = (b, a) if a_scalar else (a, b)
    if D.category(scalar) > D.category(whole):
        return D.promote_types(whole, scalar)
    return whole


def common_dtype(nodes: tuple[Node, ...]) -> DType:
    """The dtype of an op on these tensors: those with dimensions before 0-d ones."""
    found: list[DType | None] = [None, None]
    for node in nodes:
        slot = 0 if node.shape else 1
        have = found[slot]
        found[slot] = node.dtype if have is None else D.promote_types(have, node.dtype)
    whole, scalar = found
    if whole is None or scalar is None:
        result = whole or scalar
        assert result is not None
        return result
    return _pair(whole, False, scalar, True)


def pair_dtype(a: Node, b: Node) -> DType:
    if a.dtype is b.dtype:
        return a.dtype
    return _pair(a.dtype, not a.shape, b.dtype, not b.shape)


def float_dtype(dtype: DType) -> DType:
    """What float functions compute integers in."""
    return dtype if dtype.kind == "f" else default.dtype


class Numbered(float):
    """A number that is found again among the leaves of a program."""

    __slots__ = ("index",)

    def __new__(cls, value: float, index: int) -> Numbered:
        made = super().__new__(cls, value)
        made.index = index
        return made

    index: int


def number_for(value: Any, dtype: DType) -> Any:
    """A Python number in the spelling that this dtype's scalars have."""
    kind = dtype.kind
    if type(value) is Traced:
        return _traced_for(value, dtype)
    if isinstance(value, (str, bytes)):
        raise TypeError(f"value must be Number, not {type(value).__name__}")
    if kind == "f":
        if type(value) is Numbered or type(value) is Size:
            return value
        try:
            return float(value)
        except ValueError:
            raise TypeError(f"value must be Number, not {type(value).__name__}") from None
    if kind == "b":
        return bool(value)
    if isinstance(value, float) and not np.isfinite(value):
        return int(np.iinfo(dtype.np).min) if dtype.kind == "i" else 0
    number = int(value)
    info = np.iinfo(dtype.np)
    if not info.min <= number <= info.max:
        if not -(2**63) <= number < 2**64:
            raise RuntimeError("value cannot be converted to type int64_t without overflow")
        number = (number - int(info.min)) % (1 << (8 * dtype.itemsize)) + int(info.min)
    return number


def _traced_for(value: Traced, dtype: DType) -> Any:
    """The same for a number that is being recorded: an input still, if no more than a float()."""
    if dtype.kind == "f":
        return value.as_float()
    if dtype.kind in "iu" and isinstance(value, int):
        info = np.iinfo(dtype.np)
        if int(info.min) <= value <= int(info.max):
            return value
    return number_for(plain(value.tape.fix(value)), dtype)


_C_NUMBERS = {  # the dtypes' names in what PyTorch says of a number that does not fit
    "uint8": "uint8_t",
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int",
    "int64": "int64_t",
    "float16": "c10::Half",
    "bfloat16": "c10::BFloat16",
    "float32": "float",
}
_LARGEST = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38, "float32": 3.4028234663852886e38}


def check_fits(value: Any, dtype: DType, halves: bool = True) -> None:
    """Raise RuntimeError where PyTorch refuses to fill with a number: it is out of range.

    A float has to be within it; an integer may be negative where the dtype has no sign. Not
    `halves`: it becomes infinite in a half type.
    """
    if dtype.kind == "f":
        largest = _LARGEST.get(dtype.name)
        fits = (
            largest is None
            or (dtype.is_half and not halves)
            or type(value) is Traced
            or not isinstance(value, (int, float))
            or abs(value) <= largest
            or value != value
            or abs(value) == float("inf")
        )
    elif dtype.kind == "b" or not isinstance(value, (int, float)):
        return
    else:
        info = np.iinfo(dtype.np)
        least = -int(info.max) if dtype.kind == "u" and isinstance(value, int) else int(info.min)
        fits = least <= value <= int(info.max)
    if not fits:
        kind = _C_NUMBERS[dtype.name]
        raise RuntimeError(f"value cannot be converted to type {kind} without overflow")


def filling(value: Any, dtype: DType, device: str, halves: bool = True) -> Node:
    """`scalar` of a number that is written to elements.

    Raises RuntimeError if it does not fit, TypeError for what is no number.
    """
    if type(value) is not float:
        value = number_from(value)
        if isinstance(value, complex):
            value = _real(value, dtype)
        elif not isinstance(value, (int, float, Traced)):
            raise TypeError(f"value must be Number, not {type(value).__name__}")
    check_fits(value, dtype, halves)
    return scalar(value, dtype, device)


def _real(value: complex, dtype: DType) -> bool:
    """A complex number as a truth value. Raises RuntimeError for other dtypes."""
    if dtype.kind != "b":
        kind = _C_NUMBERS.get(dtype.name, "double")
        raise RuntimeError(f"value cannot be converted to type {kind} without overflow")
    return True


def scalar(value: Any, dtype: DType, device: str) -> Node:
    """A number of the user's, as a 0-d node that is not part of the program's structure."""
    return Node(SCALAR, (), None, (), dtype, device, number_for(value, dtype))


def cast(node: Node, dtype: DType) -> Node:
    return node if node.dtype is dtype else ops.cast(node, arg=dtype)


def broadcast_shapes(*shapes: Any) -> Shape:
    """The common shape. Raises RuntimeError with PyTorch's words where there is none."""
    result: list[int] = []
    for number, shape in enumerate(shapes):
        if shape is None:
            continue
        if not isinstance(shape, (int, tuple, list)):
            raise RuntimeError(
                "Input shapes should be of type ints, a tuple of ints, or a list of ints, got "
                f"{shape}"
            )
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        for extent in shape:
            if not isinstance(extent, (int, Size)):
                raise TypeError(f"a shape is of ints, not of {type(extent).__name__}")
            if extent < 0:
                raise ValueError("Attempting to broadcast a dimension with negative length!")
        if len(shape) > len(result):
            result = [1] * (len(shape) - len(result)) + result
        lead = len(result) - len(shape)
        for axis, extent in enumerate(shape):
            have = result[lead + axis]
            if have == extent or extent == 1:
                continue
            if have != 1:
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {extent} at "
                    f"{axis - len(shape)}! Mismatching argument at index {number} had "
                    f"{shapes[number]}; but expected shape should be broadcastable to {result}"
                )
            result[lead + axis] = extent
    return tuple(result)


@functools.lru_cache(4096)
def joint_shape(a: Shape, b: Shape) -> Shape:
    """The shape of `a op b`. Raises RuntimeError naming the first axis that does not fit."""
    if a == b:
        return a
    rank = max(len(a), len(b))
    left = (1,) * (rank - len(a)) + a
    right = (1,) * (rank - len(b)) + b
    result = []
    for axis in range(rank - 1, -1, -1):
        x, y = left[axis], right[axis]
        if x != y and x != 1 and y != 1:
            raise RuntimeError(
                f"The size of tensor a ({x}) must match the size of tensor b ({y}) at "
                f"non-singleton dimension {axis}"
            )
        result.append(y if x == 1 else x)
    return tuple(reversed(result))


def expand_to(node: Node, shape: Shape) -> Node:
    """Broadcast; 0-d nodes stay, since pointwise ops take them as they are."""
    if node.shape == shape or not node.shape:
        return node
    return spread_to(node, shape)


def spread_to(node: Node, shape: Shape) -> Node:
    """Broadcast, 0-d nodes too."""
    if node.shape == shape:
        return node
    lead = len(shape) - len(node.shape)
    if lead > 0:
        node = ops.reshape(node, arg=(1,) * lead + node.shape)
    return node if node.shape == shape else ops.expand(node, arg=shape)


def can_cast(from_: DType, to: DType) -> bool:
    """Whether PyTorch lets a result of one dtype be stored into the other."""
    return D.category(from_) <= D.category(to)


class finfo:
    """Limits of a float dtype."""

    def __init__(self, dtype: DType | None = None):
        dtype = default.dtype if dtype is None else dtype
        if dtype.kind != "f":
            raise TypeError(
                f"lazygrad.finfo() requires a floating point input type. Use lazygrad.iinfo to "
                f"handle '{dtype.name}'"
            )
        self.dtype = dtype.name
        self.bits = dtype.itemsize * 8
        if dtype is D.bfloat16:
            self.eps, self.tiny = 2.0**-7, 2.0**-126
            self.max = (2 - 2.0**-7) * 2.0**127
            self.resolution = 0.01
        else:
            info = np.finfo(dtype.np)
            self.eps, self.tiny, self.max = float(info.eps), float(info.tiny), float(info.max)
            self.resolution = float(info.resolution)
        self.min, self.smallest_normal = -self.max, self.tiny

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.tiny:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer dtype."""

    def __init__(self, dtype: DType):
        if dtype.kind not in "iu":
            raise TypeError(
                "lazygrad.iinfo() requires an integer input type. Use lazygrad.finfo to handle "
                f"'{dtype.name}'"
            )
        info = np.iinfo(dtype.np)
        self.dtype, self.bits = dtype.name, dtype.itemsize * 8
        self.min, self.max = int(info.min), int(info.max)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"


def promote_scalars(a: Any, b: Any) -> DType:
    """The dtype of two Python numbers together."""
    return D.promote_types(python_dtype(a), python_dtype(b))
