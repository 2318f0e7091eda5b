"""numpy meanings where numpy's own function differs from PyTorch's, or is less accurate.

Owns: the element functions that the interpreter uses beyond plain numpy ufuncs. Must not know:
nodes or ops. Transcendental functions of float32 are computed in float64 and rounded once, so the
interpreter can serve as the truth that generated code is measured against.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from lazygrad.ir.dtypes import DType, bfloat16, bfloat16_to_float32, float32_to_bfloat16

Array = np.ndarray


def wide(function: Callable[..., Array]) -> Callable[..., Array]:
    """Compute in float64, round to the sources' dtype."""

    def run(*arrays: Array) -> Array:
        dtype = arrays[0].dtype
        return function(*(a.astype(np.float64) for a in arrays)).astype(dtype)

    return run


def round_half(values: Array, dtype: DType) -> Array:
    """float32 values rounded to a half type, still held in float32."""
    if dtype is bfloat16:
        return bfloat16_to_float32(float32_to_bfloat16(values))
    with np.errstate(over="ignore"):  # to infinity, which is what rounding means
        return values.astype(np.float16).astype(np.float32)


def cast(x: Array, dtype: DType) -> Array:
    """Conversion as PyTorch's on x86-64: floats out of an integer's range go through int64."""
    if dtype.kind == "b":
        return x != 0
    if dtype.is_half:
        return round_half(x.astype(np.float32), dtype)
    if dtype.kind in "iu" and x.dtype.kind == "f":
        wide_type = np.dtype(np.int64 if dtype.itemsize == 8 else np.int32)
        low, high = -(2.0 ** (8 * wide_type.itemsize - 1)), 2.0 ** (8 * wide_type.itemsize - 1)
        x = x.astype(np.float64)
        good = (x > low - 1) & (x < high)
        out = np.full(x.shape, int(low), wide_type)
        out[good] = np.trunc(x[good]).astype(wide_type)
        return out.astype(dtype.np)
    return x.astype(dtype.np)


def power(a: Array, b: Array) -> Array:
    """a ** b; integers wrap, and a negative integer exponent gives 0 except for bases 1 and -1."""
    if a.dtype.kind == "f":
        return wide(np.power)(a, b)
    a, b = np.broadcast_arrays(a, b)
    result = np.ones(a.shape, a.dtype)
    base, left = a.copy(), np.where(b < 0, 0, b)
    while np.any(left):
        result = np.where(left & 1, result * base, result).astype(a.dtype)
        base = (base * base).astype(a.dtype)
        left = left >> 1
    if a.dtype.kind == "i":
        odd = (b & 1).astype(bool)
        minus = np.where(a == -1, np.where(odd, -1, 1), 0)
        result = np.where(b < 0, np.where(a == 1, 1, minus), result).astype(a.dtype)
    return result


def _integer_divisor(a: Array, b: Array) -> Array:
    if np.any(b == 0):
        raise RuntimeError("ZeroDivisionError")
    return b


def floordiv(a: Array, b: Array) -> Array:
    """Division rounded down; for floats (a - remainder(a, b)) / b as Python's //."""
    if a.dtype.kind in "iu":
        return np.floor_divide(a, _integer_divisor(a, b))
    rest = np.fmod(a, b)
    quotient = (a - rest) / b
    quotient = np.where((rest != 0) & ((b < 0) != (rest < 0)), quotient - 1, quotient)
    floored = np.floor(quotient)
    floored = np.where(quotient - floored > 0.5, floored + 1, floored)
    signed_zero = np.copysign(np.zeros_like(quotient), a / b)
    result = np.where(quotient != 0, floored, signed_zero)
    return np.where(b == 0, a / b, result).astype(a.dtype)


def truncdiv(a: Array, b: Array) -> Array:
    """Integer division rounded towards zero."""
    _integer_divisor(a, b)
    return ((a - np.fmod(a, b)) // b).astype(a.dtype)


def remainder(a: Array, b: Array) -> Array:
    """The remainder with the divisor's sign."""
    if a.dtype.kind in "iu":
        return np.remainder(a, _integer_divisor(a, b))
    rest = np.fmod(a, b)
    return np.where((rest != 0) & ((b < 0) != (rest < 0)), rest + b, rest).astype(a.dtype)


def fmod(a: Array, b: Array) -> Array:
    """The remainder with the dividend's sign."""
    return np.fmod(a, b if a.dtype.kind == "f" else _integer_divisor(a, b))


def _count_in_range(x: Array, count: Array) -> tuple[Array, Array]:
    bits = x.dtype.itemsize * 8
    good = (count >= 0) & (count < bits)
    return good, np.where(good, count, 0).astype(x.dtype)


def shl(x: Array, count: Array) -> Array:
    """x << count; 0 where the count is negative or not below the number of bits."""
    good, safe = _count_in_range(x, count)
    return np.where(good, x << safe, 0).astype(x.dtype)


def shr(x: Array, count: Array) -> Array:
    """x >> count, arithmetic; only the sign is left where the count is out of range."""
    good, safe = _count_in_range(x, count)
    return np.where(good, x >> safe, np.where(x < 0, -1, 0)).astype(x.dtype)


def sign(x: Array) -> Array:
    """-1, 0 or 1; PyTorch gives 0 for NaN."""
    if x.dtype.kind == "b":
        return x
    result = np.sign(x)
    return np.where(np.isnan(x), np.zeros_like(x), result) if x.dtype.kind == "f" else result


def rsqrt(x: Array) -> Array:
    return 1.0 / np.sqrt(x)


def sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-x))


_erf = np.frompyfunc(math.erf, 1, 1)
_erfc = np.frompyfunc(math.erfc, 1, 1)


def erf(x: Array) -> Array:
    return np.asarray(_erf(x), dtype=np.float64)


def erfc(x: Array) -> Array:
    return np.asarray(_erfc(x), dtype=np.float64)
