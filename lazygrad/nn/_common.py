"""What the functions of `lazygrad.nn.functional` share.

Owns: the refusal of dtypes that PyTorch has no kernel for, computing half types in float32 with
one rounding at the end, and sizes given as one number or several. Must not know: any particular
function.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from lazygrad.autograd import composite
from lazygrad.tensor import Tensor, bfloat16, exp, float16, float32, log1p, where
from lazygrad.tensor.core import node_of, wrap
from lazygrad.tensor.promotion import c_name, type_name

Sizes = int | Sequence[int]


def not_implemented(kernel: str, x: Tensor) -> NotImplementedError:
    """The error of a dtype that there is no kernel for."""
    return NotImplementedError(f"\"{kernel}\" not implemented for '{type_name(x.dtype)}'")


def need_floats(kernel: str, x: Tensor) -> None:
    """NotImplementedError unless the tensor is of a float dtype."""
    if not x.is_floating_point():
        raise not_implemented(kernel, x)


def need_numbers(kernel: str, x: Tensor) -> None:
    """NotImplementedError for a tensor of bools."""
    if type_name(x.dtype) == "Bool":
        raise not_implemented(kernel, x)


def check_dim(dim: int, rank: int) -> int:
    """The dim counted from the front; IndexError if there is no such."""
    if not -max(rank, 1) <= dim < max(rank, 1):
        low, high = -max(rank, 1), max(rank, 1) - 1
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{low}, {high}], but got {dim})"
        )
    return dim % max(rank, 1)


def is_half(x: Any) -> bool:
    return isinstance(x, Tensor) and x.dtype in (float16, bfloat16)


def _rounded_once(body: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(body)
    def run(*args: Any, **kwargs: Any) -> Any:
        halves = [a for a in args if is_half(a)]
        if not halves:
            return body(*args, **kwargs)
        result = body(*(a.to(float32) if is_half(a) else a for a in args), **kwargs)
        if isinstance(result, tuple):
            return tuple(r.to(halves[0].dtype) if r.dtype == float32 else r for r in result)
        return result.to(halves[0].dtype) if result.dtype == float32 else result

    return run


def function(
    name: str,
    saves: tuple[str, ...] | None = None,
    *,
    dense: bool = False,
    outline: Callable[..., Any] | None = None,
) -> Callable[[Any], Any]:
    """`composite` of this name that saves these, whose body gets half tensors as float32 and is
    rounded once.

    So is the gradient: it is computed in float32 and rounded at the end. `dense`: the result is
    row-major in memory whatever the operands are, as PyTorch's kernel makes it.
    """

    def decorate(body: Callable[..., Any]) -> Any:
        once = _rounded_once(body)
        return composite(name, saves, outline)(_row_major(once) if dense else once)

    return decorate


def _row_major(body: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(body)
    def run(*args: Any, **kwargs: Any) -> Any:
        result = body(*args, **kwargs)
        return result if result.is_contiguous() else wrap(node_of(result))

    return run


def batched(nd: int, body: Callable[..., Any]) -> Callable[..., Any]:
    """A body over (N, C, *image) with `nd` axes that also takes (C, *image)."""

    @functools.wraps(body)
    def run(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        if x.dim() == nd + 2:
            return body(x, *args, **kwargs)
        result = body(x.unsqueeze(0), *args, **kwargs)
        if isinstance(result, tuple):
            return tuple(part.squeeze(0) for part in result)
        return result.squeeze(0)

    return run


def log1p_exp(x: Tensor) -> Tensor:
    """log(1 + exp(x)) for every x, with the gradient sigmoid(x) at zero too."""
    return where(x > 0, x, 0.0) + log1p(exp(where(x > 0, -x, x)))


def same_dtype(name: str, a: Tensor, b: Tensor) -> None:
    """RuntimeError unless two operands of a product have one dtype."""
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"{name} to have the same dtype, but got: {c_name(a.dtype)} != {c_name(b.dtype)}"
        )
