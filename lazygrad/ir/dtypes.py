"""Element types and PyTorch's promotion rules.

Owns: the ten dtypes, their sizes, their numpy storage types and which type two of them promote
to. Must not know: tensors, nodes, or how any backend spells a type beyond the short name that all
of them build on (`f32`, `i64`, ...).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np


class DType:
    """One element type. Compared by identity; the ten instances below are all there are."""

    __slots__ = ("itemsize", "kind", "name", "np", "order", "short")

    def __init__(self, name: str, short: str, kind: str, np_type: Any, order: int):
        self.name = name
        self.short = short  # spelling used in generated text: f32, i64, ...
        self.kind = kind  # "b" bool, "u" unsigned, "i" signed, "f" floating
        self.np = np.dtype(np_type)  # how it is stored; bfloat16 as uint16 bit patterns
        self.itemsize = self.np.itemsize
        self.order = order

    @property
    def is_floating_point(self) -> bool:
        return self.kind == "f"

    @property
    def is_complex(self) -> bool:
        return False

    @property
    def is_signed(self) -> bool:
        return self.kind in "if"

    @property
    def is_half(self) -> bool:
        """Stored in 16 bits, computed in float32 and rounded after every op."""
        return self.kind == "f" and self.itemsize == 2

    def __repr__(self) -> str:
        return f"lazygrad.{self.name}"

    def __reduce__(self) -> str | tuple[Any, ...]:
        return (dtype_of, (self.name,))


bool_ = DType("bool", "b8", "b", np.bool_, 0)
uint8 = DType("uint8", "u8", "u", np.uint8, 1)
int8 = DType("int8", "i8", "i", np.int8, 2)
int16 = DType("int16", "i16", "i", np.int16, 3)
int32 = DType("int32", "i32", "i", np.int32, 4)
int64 = DType("int64", "i64", "i", np.int64, 5)
float16 = DType("float16", "f16", "f", np.float16, 6)
bfloat16 = DType("bfloat16", "bf16", "f", np.uint16, 7)
float32 = DType("float32", "f32", "f", np.float32, 8)
float64 = DType("float64", "f64", "f", np.float64, 9)

ALL = (bool_, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64)
FLOATS = tuple(d for d in ALL if d.kind == "f")
INTS = tuple(d for d in ALL if d.kind in "iu")
_BY_NAME = {d.name: d for d in ALL}
_BY_NUMPY = {d.np: d for d in ALL if d is not bfloat16}
_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2}


def dtype_of(name: str) -> DType:
    """The dtype of this name ("float32", "bool", ...). Raises KeyError for any other."""
    return _BY_NAME[name]


def from_numpy_dtype(dtype: Any) -> DType:
    """The dtype that a numpy dtype is stored as. Raises TypeError where there is none."""
    found = _BY_NUMPY.get(np.dtype(dtype).newbyteorder("="))
    if found is None:
        raise TypeError(
            f"can't convert np.ndarray of type numpy.{np.dtype(dtype).type.__name__}. "
            "The only supported types are: float64, float32, float16, int64, int32, int16, int8, "
            "uint8, and bool."
        )
    return found


@cache
def promote_types(a: DType, b: DType) -> DType:
    """The smallest dtype that both convert to, as torch.promote_types."""
    if a is b:
        return a
    low, high = (a, b) if a.order < b.order else (b, a)
    if _CATEGORY[low.kind] < _CATEGORY[high.kind]:
        return high
    if high.kind == "f":
        return float32 if high is bfloat16 else high  # float16 with bfloat16 fits neither
    if low is uint8 and high is int8:
        return int16
    return high


def category(dtype: DType) -> int:
    """0 for bool, 1 for integers, 2 for floating types: what promotion looks at first."""
    return _CATEGORY[dtype.kind]


def compute_dtype(dtype: DType) -> DType:
    """The type that arithmetic on `dtype` is done in: float32 for the half types."""
    return float32 if dtype.is_half else dtype


def bfloat16_to_float32(bits: np.ndarray) -> np.ndarray:
    """uint16 bit patterns -> the float32 values they stand for (exact)."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def float32_to_bfloat16(values: np.ndarray) -> np.ndarray:
    """float32 -> uint16 bit patterns of bfloat16, to nearest, ties to even; NaN stays NaN."""
    values = np.asarray(values, dtype=np.float32, order="C")
    bits = values.view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)


def accumulate(dtype: DType) -> DType:
    """What sums and products of `dtype` are kept in between blocks: float64 for all floats."""
    return float64 if dtype.kind == "f" else dtype
