"""`lazygrad.nn.init`: how fresh parameters are filled, in place.

Owns: the distributions and the gains and fans behind their bounds. Must not know: modules or how
random numbers are made. Nothing is computed here: a filled tensor is pending until it is read.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from lazygrad.tensor import Tensor, eye, linalg, no_grad, rand, where

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_GAINS = {"tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75, "sigmoid": 1.0, "linear": 1.0}
_LINEAR = {f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3)}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much a nonlinearity's input should be scaled; `param` is the slope of leaky_relu.

    ValueError for a nonlinearity that is not known or a slope that is no number.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, int | float):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1.0 + slope**2))
    if nonlinearity in _LINEAR:
        return 1.0
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return _GAINS[nonlinearity]


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output sees and the reverse; ValueError below two dimensions."""
    if tensor.dim() < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _options(generator: Any) -> dict[str, Any]:
    return {} if generator is None else {"generator": generator}


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Fill from the uniform distribution on [a, b); RuntimeError if a > b."""
    with no_grad():
        return tensor.uniform_(a, b, **_options(generator))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Fill from the normal distribution; RuntimeError if std < 0."""
    with no_grad():
        return tensor.normal_(mean, std, **_options(generator))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value."""
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return constant_(tensor, 0.0)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fans = _calculate_fan_in_and_fan_out(tensor)
    fan = fans[0 if mode.lower() == "fan_in" else 1]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _is_empty(tensor: Tensor) -> bool:
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return True
    return False


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Fill uniformly so that the variance is kept through layers of `nonlinearity` (He et al.).

    ValueError below two dimensions, for another mode or nonlinearity.
    """
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """As `kaiming_uniform_`, from a normal distribution."""
    if _is_empty(tensor):
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _xavier_std(tensor: Tensor, gain: float) -> float:
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return gain * math.sqrt(2.0 / float(fan_in + fan_out))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Fill uniformly by the mean of both fans (Glorot and Bengio); ValueError below two axes."""
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """As `xavier_uniform_`, from a normal distribution."""
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with ones on its diagonal and zeros elsewhere; ValueError for another rank."""
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with no_grad():
        return tensor.copy_(eye(*tensor.shape, dtype=tensor.dtype))


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """Fill with a random matrix whose rows (or columns, of a tall one) are orthogonal and `gain`
    long; further axes count as columns (Saxe et al., 2013). ValueError below two dimensions."""
    if tensor.dim() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    with no_grad():
        rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
        drawn = tensor.new_empty((rows, columns)).normal_(0, 1, **_options(generator))
        q, r = linalg.qr(drawn.t() if rows < columns else drawn)
        q = q * r.diagonal().sign()  # so that all such matrices are equally likely
        return tensor.copy_((q.t() if rows < columns else q).reshape(tensor.shape) * gain)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Fill from the normal distribution of this mean and deviation, cut off outside [a, b].

    The distribution function is inverted at uniform numbers. UserWarning where the mean is more
    than two deviations outside of the bounds: the distribution may then be inaccurate.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    low, high = (math.erf((bound - mean) / std / math.sqrt(2.0)) for bound in (a, b))
    with no_grad():
        tensor.uniform_(low, high, **_options(generator))
        tensor.copy_(_erfinv(tensor))
        return tensor.mul_(std * math.sqrt(2.0)).add_(mean).clamp_(a, b)


# The inverse of erf is x times a polynomial of w = -log(1 - x^2), or of its root where w is large:
# M. Giles, "Approximating the erfinv function", GPU Computing Gems, 2012, single precision.
_NEAR: tuple[float, ...] = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
)
_NEAR += (-0.00125372503, -0.00417768164, 0.246640727, 1.50140941)
_FAR: tuple[float, ...] = (
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
)
_FAR += (-0.0076224613, 0.00943887047, 1.00167406, 2.83297682)


def _erfinv(x: Tensor) -> Tensor:
    """The inverse of erf to some 4e-7 of it: enough where numbers are drawn."""
    w = -((1.0 - x) * (1.0 + x)).log()
    near, far = w - 2.5, w.sqrt() - 3.0
    sums = [terms[0] for terms in (_NEAR, _FAR)]
    for terms in zip(_NEAR[1:], _FAR[1:]):
        sums = [total * at + term for total, at, term in zip(sums, (near, far), terms)]
    return where(w < 5.0, sums[0], sums[1]) * x


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weights so that each group passes on as many channels as it can.

    ValueError for other than 3 to 5 dimensions, and where `groups` does not divide the first.
    """
    if tensor.dim() not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.shape[0] % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    out = tensor.shape[0] // groups
    center = tuple(extent // 2 for extent in tensor.shape[2:])
    with no_grad():
        tensor.zero_()
        for group in range(groups):
            for channel in range(min(out, tensor.shape[1])):
                tensor[(group * out + channel, channel, *center)] = 1
    return tensor


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Fill a matrix from the normal distribution, then set this share of each column to zero.

    How many elements that is, is rounded up. ValueError for other than two dimensions.
    """
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows = tensor.shape[0]
    zeros = math.ceil(sparsity * rows)
    with no_grad():
        tensor.normal_(0, std, **_options(generator))
        order = rand(tensor.shape, **_options(generator)).argsort(0)  # of each column its own
        return tensor.scatter_(0, order[:zeros], 0)
