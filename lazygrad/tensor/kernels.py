"""For which dtypes an operation exists, where it is not all: PyTorch's kernels and their refusals.

Owns: one table of operations, the dtypes that each takes, and the type and words of the exception
for any other. Must not know: the operations; each asks with the dtype that it would compute in.
"""

from __future__ import annotations

from lazygrad.ir import dtypes as D
from lazygrad.ir.dtypes import DType
from lazygrad.runtime.device import device
from lazygrad.tensor.promotion import type_name

FLOATS = frozenset(d for d in D.ALL if d.kind == "f")
WIDE = frozenset((D.float32, D.float64))  # what LAPACK computes in
NUMBERS = frozenset(d for d in D.ALL if d is not D.bool_)
WHOLE = frozenset(d for d in NUMBERS if d.kind != "f")
BITS = WHOLE | {D.bool_}

# operation: (dtypes it takes, the name of PyTorch's kernel, which its refusal shows)
KERNELS: dict[str, tuple[frozenset[DType], str]] = {
    "abs": (NUMBERS, "abs_cpu"),
    "ceil": (NUMBERS, "ceil_vml_cpu"),
    "floor": (NUMBERS, "floor_vml_cpu"),
    "trunc": (NUMBERS, "trunc_vml_cpu"),
    "round": (NUMBERS, "round_vml_cpu"),
    "round 0": (FLOATS, "round_vml_cpu"),
    "round decimals": (FLOATS, "round_cpu"),
    "frac": (FLOATS, "frac_cpu"),
    "fmod": (NUMBERS, "fmod_cpu"),
    "remainder": (NUMBERS, "remainder_cpu"),
    "floor_divide": (NUMBERS, "div_floor_cpu"),
    "div floor": (NUMBERS, "div_floor_cpu"),
    "div trunc": (NUMBERS, "div_trunc_cpu"),
    "pow": (NUMBERS, "pow"),
    "bitwise_and": (BITS, "bitwise_and_cpu"),
    "bitwise_or": (BITS, "bitwise_or_cpu"),
    "bitwise_xor": (BITS, "bitwise_xor_cpu"),
    "bitwise_not": (BITS, "bitwise_not_cpu"),
    "bitwise_left_shift": (WHOLE, "lshift_cpu"),
    "bitwise_right_shift": (WHOLE, "rshift_cpu"),
    "clamp": (NUMBERS, "clamp_cpu"),
    "clamp scalar": (NUMBERS, "clamp_scalar_cpu"),
    "clamp_min scalar": (NUMBERS, "clamp_min_scalar_cpu"),
    "clamp_max scalar": (NUMBERS, "clamp_max_scalar_cpu"),
    "addcmul": (NUMBERS, "addcmul_cpu_out"),
    "addcdiv": (NUMBERS, "addcdiv_cpu_out"),
    "lerp tensor": (FLOATS, "lerp_kernel_tensor"),
    "lerp scalar": (FLOATS, "lerp_kernel_scalar"),
    "cdist": (WIDE, "cdist"),
    "searchsorted": (NUMBERS, "searchsorted_out_cpu"),
    "hypot": (FLOATS, "hypot_cpu"),
    "logaddexp": (FLOATS, "logaddexp_cpu"),
    "logaddexp2": (FLOATS, "logaddexp2_cpu"),
    "dot": (NUMBERS, "dot"),
    "mv": (NUMBERS, "addmv_impl_cpu"),
    "mm": (NUMBERS, "addmm_impl_cpu_"),
    "bmm": (NUMBERS, "bmm"),
    "baddbmm": (NUMBERS, "baddbmm"),
    "cross": (NUMBERS, "cross"),
    "trace": (NUMBERS, "trace"),
    "median": (NUMBERS, "median_cpu"),
    "median dim": (NUMBERS, "median_out"),
    "kthvalue": (NUMBERS, "kthvalue_cpu"),
    "cumsum_": (NUMBERS, "cumsum_out_cpu"),
    "cumprod_": (NUMBERS, "cumprod_out_cpu"),
    "logcumsumexp": (FLOATS, "logcumsumexp_out_cpu"),
    "nansum out": (FLOATS, "nansum_cpu"),
    "bincount": (WHOLE, "bincount_cpu"),
    "histc": (FLOATS, "histogram_cpu"),
    "histc edges": (NUMBERS, "linspace_cpu"),
    "scatter_reduce mean": (NUMBERS, "scatter_gather_tensor_cpu_reduce_mean"),
    "arange": (NUMBERS, "arange_cpu"),
    "linspace": (NUMBERS, "linspace_cpu"),
    "logspace": (NUMBERS, "logspace_cpu"),
    "randperm": (NUMBERS, "randperm"),
    "rand": (FLOATS, "check_uniform_bounds"),
    "randn": (FLOATS, "normal_kernel_cpu"),
    "bernoulli": (FLOATS, "bernoulli_tensor_cpu_p_"),
    "linalg.det": (WIDE, "lu_cpu"),
    "linalg.solve": (WIDE, "lu_cpu"),
    "linalg.cholesky": (WIDE, "cholesky_cpu"),
    "linalg.qr": (WIDE, "geqrf_cpu"),
    "linalg.svd": (WIDE, "linalg_svd_cpu"),
    "linalg.eigh": (WIDE, "linalg_eigh_cpu"),
}

# operation: (dtypes it takes, what PyTorch says to others; all are RuntimeErrors)
REFUSALS: dict[str, tuple[frozenset[DType], str]] = {
    "neg": (
        NUMBERS,
        "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
        "invert a mask, use the `~` or `logical_not()` operator instead.",
    ),
    "positive": (NUMBERS, "The `+` operator, on a bool tensor is not supported."),
    "argmax": (NUMBERS, "argmax(): does not support bool input"),
    "argmin": (NUMBERS, "argmin(): does not support bool input"),
    "topk": (NUMBERS, "topk does not support bool dtypes on CPU"),
    "isin": (NUMBERS, "Unsupported input type encountered for isin(): {dtype}"),
    "nanmean": (
        FLOATS,
        "nanmean(): expected input to have floating point or complex dtype but got {dtype}",
    ),
    "exponential_": (
        FLOATS,
        "Exponential distribution is a continuous probability distribution. dtype must be a "
        "floating point but you specified {dtype}",
    ),
}
_FLOAT_INPUT = "{name}: Expected a floating point or complex tensor as input. Got {dtype}"
_NOT_LOW = "{name}: Low precision dtypes not supported. Got {dtype}"


def require(name: str, dtype: DType) -> None:
    """Raise NotImplementedError or RuntimeError, as PyTorch does, unless the operation exists."""
    kernel = KERNELS.get(name)
    if kernel is not None:
        if dtype not in kernel[0]:
            raise NotImplementedError(f"\"{kernel[1]}\" not implemented for '{type_name(dtype)}'")
        return
    taken, words = REFUSALS[name]
    if dtype not in taken:
        raise RuntimeError(words.format(dtype=type_name(dtype)))


def require_float(name: str, dtype: DType, low: bool = True) -> None:
    """What linear algebra asks of its input: RuntimeError unless floating; `low`: also of half."""
    if dtype.kind != "f":
        raise RuntimeError(_FLOAT_INPUT.format(name=name, dtype=type_name(dtype)))
    if not low and dtype not in WIDE:
        raise RuntimeError(_NOT_LOW.format(name=name, dtype=type_name(dtype)))


def require_same(name: str, input: DType, product: DType) -> None:
    """RuntimeError if what is added to a product is of another dtype."""
    if input is not product:
        raise RuntimeError(
            f"{name}: input dtypes must be the same, got: input {type_name(input)}, "
            f"product {type_name(product)}"
        )


def attends(where: str, dtype: DType, width: int) -> bool:
    """Whether a device has attention as a function of its own, for rows of so many columns."""
    return device(where).attends(dtype, width)
