"""The activations of `lazygrad.nn.functional`.

Owns: each activation's formula, which of two neighbouring pieces a point between them belongs to
(that decides its gradient), and the in-place forms. Must not know: modules, or how ops run.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from lazygrad.nn._common import (
    check_dim,
    function,
    log1p_exp,
    need_floats,
    need_numbers,
    not_implemented,
)
from lazygrad.tensor import Tensor, erf, exp, expm1, finfo, log1p, uint8, where
from lazygrad.tensor import bool as bool_
from lazygrad.tensor.declare import inplace_form
from lazygrad.tensor.promotion import type_name

# -- smooth ------------------------------------------------------------------------------------


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x)), of the input's shape."""
    return input.sigmoid()


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent, of the input's shape."""
    return input.tanh()


@function("GeluBackward0", ("x",))
def _gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1.0 + erf(x * math.sqrt(0.5)))


@function("GeluBackward0", ("x",))
def _gelu_tanh(x: Tensor) -> Tensor:
    inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * (x * x * x))
    return 0.5 * x * (1.0 + inner.tanh())


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function of x, or its approximation by "tanh".

    RuntimeError for another `approximate`.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    need_floats("GeluKernelImpl", input)
    result: Tensor = _gelu(input) if approximate == "none" else _gelu_tanh(input)
    return result


@function("SiluBackward0", ("x",))
def _silu(x: Tensor) -> Tensor:
    return x * x.sigmoid()


_silu_into = inplace_form("silu", _silu)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x), of the input's shape."""
    need_floats("silu_cpu", input)
    result: Tensor = (_silu_into if inplace else _silu)(input)
    return result


@function("MishBackward0", ("x",))
def _mish(x: Tensor) -> Tensor:
    return x * log1p_exp(x).tanh()


_mish_into = inplace_form("mish", _mish)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)), of the input's shape."""
    need_floats("mish_cpu", input)
    result: Tensor = (_mish_into if inplace else _mish)(input)
    return result


@function("SoftplusBackward0", ("x",))
def _softplus(x: Tensor, *, beta: float, threshold: float) -> Tensor:
    scaled = x * beta
    straight = scaled > threshold
    # exp sees no value past the threshold: its overflow would turn the gradient into NaN.
    return where(straight, x, log1p(exp(where(straight, 0.0, scaled))) / beta)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x exceeds the threshold."""
    need_floats("softplus_cpu", input)
    result: Tensor = _softplus(input, beta=beta, threshold=threshold)
    return result


@function("LogSigmoidBackward0", ("x",), dense=True)
def _logsigmoid(x: Tensor) -> Tensor:
    return -log1p_exp(-x)


def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + exp(-x))), computed without loss."""
    need_floats("log_sigmoid_cpu", input)
    result: Tensor = _logsigmoid(input)
    return result


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return input / (input.abs() + 1)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)."""
    return input - input.tanh()


# -- of exponentials below zero ------------------------------------------------------------------


def _elu_body(x: Tensor, *, alpha: float, scale: float = 1.0, rate: float = 1.0) -> Tensor:
    # expm1 sees no positive value: its overflow there would turn the gradient into NaN. Zero is a
    # straight piece of its own: the gradient there is that of the left, its gradient is none. NaN
    # belongs to the right.
    low = where(x < 0, x, 0.0)
    low = (alpha * scale) * expm1(low if rate == 1.0 else low * rate)
    high = x if scale == 1.0 else x * scale
    if alpha * rate != 1.0:
        high = where(x == 0, x * (alpha * scale * rate), high)
    return where(x < 0, low, high)


_elu = function("EluBackward0", ("x",))(_elu_body)
_elu_into = inplace_form("elu", function("EluBackward1", ("result",))(_elu_body))
_celu = function("CeluBackward0", ("x",))(_elu_body)
_celu_into = inplace_form("celu", function("CeluBackward1", ("result",))(_elu_body))
# Constants of the self-normalising fixed point (Klambauer et al., 2017).
_SELU = {"alpha": 1.6732632423543772848170429916717, "scale": 1.0507009873554804934193349852946}


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where positive, alpha * (exp(x) - 1) elsewhere."""
    need_floats("elu_cpu", input)
    result: Tensor = (_elu_into if inplace else _elu)(input, alpha=alpha)
    return result


def elu_(input: Tensor, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Tensor:
    """`elu` of input_scale * x where negative, times `scale`, written into the input."""
    need_floats("elu_cpu", input)
    result: Tensor = _elu_into(input, alpha=alpha, scale=scale, rate=input_scale)
    return result


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where positive, alpha * (exp(x / alpha) - 1) elsewhere. RuntimeError for an alpha of 0."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    need_floats("elu_cpu", input)
    result: Tensor = (_celu_into if inplace else _celu)(input, alpha=alpha, rate=1.0 / alpha)
    return result


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`celu`, written into the input."""
    return celu(input, alpha, True)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale * x where positive, scale * alpha * (exp(x) - 1) elsewhere, for two fixed numbers."""
    need_floats("elu_cpu", input)
    result: Tensor = (_elu_into if inplace else _elu)(input, **_SELU)
    return result


def selu_(input: Tensor) -> Tensor:
    """`selu`, written into the input."""
    return selu(input, True)


# -- of straight pieces ------------------------------------------------------------------------


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0), of the input's shape and dtype."""
    return input.relu_() if inplace else input.relu()


def relu_(input: Tensor) -> Tensor:
    """`relu`, written into the input."""
    return input.relu_()


def _leaky_body(x: Tensor, *, slope: float) -> Tensor:
    return where(x > 0, x, x * slope)


_leaky_relu = function("LeakyReluBackward0", ("x",))(_leaky_body)
_leaky_into = inplace_form("leaky_relu", function("LeakyReluBackward1", ("result",))(_leaky_body))


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where positive, negative_slope * x elsewhere."""
    need_floats("leaky_relu_cpu", input)
    result: Tensor = (_leaky_into if inplace else _leaky_relu)(input, slope=negative_slope)
    return result


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`leaky_relu`, written into the input."""
    return leaky_relu(input, negative_slope, True)


@function("PreluKernelBackward0", ("x", "slope"))
def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    # At zero the gradient is the slope, but the slope's gradient does not lead back there.
    return where(x > 0, 1.0, where(x == 0, slope.detach(), slope)) * x


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where positive, weight * x elsewhere; one weight, or one for each channel (axis 1).

    RuntimeError for a weight of another number of elements, rank or dtype.
    """
    if input.dtype != weight.dtype:
        raise RuntimeError(
            "prelu: Type promoting not supported. Got "
            f"{type_name(input.dtype)} and {type_name(weight.dtype)}"
        )
    if weight.numel() != 1:
        if input.dim() == 0:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = input.shape[1] if input.dim() > 1 else 1
        if weight.numel() != channels:
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{weight.numel()} and channel size = {channels}."
            )
    if weight.dim() > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.dim()}"
        )
    need_floats("prelu_cpu", input)
    shape = [1] * input.dim()
    if input.dim() > 1 and weight.dim():
        shape[1] = weight.numel()
    result: Tensor = _prelu(input, weight.reshape(shape))
    return result


def _hardtanh_body(x: Tensor, *, low: float, high: float) -> Tensor:
    # At either end the gradient is zero: the ends are pieces of their own.
    return where(x <= low, low, where(x >= high, high, x))


_hardtanh = function("HardtanhBackward0", ("x",))(_hardtanh_body)
_hardtanh_into = inplace_form("hardtanh", _hardtanh)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """x between the two bounds, the nearer bound outside.

    ValueError for bounds in the wrong order; RuntimeError for bools, and for a negative bound
    and unsigned numbers.
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if input.dtype == bool_:
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if not input.is_floating_point():
        min_val, max_val = int(min_val), int(max_val)
        if input.dtype == uint8 and (min_val < 0 or max_val < 0):
            raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    result: Tensor = (_hardtanh_into if inplace else _hardtanh)(input, low=min_val, high=max_val)
    return result


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """`hardtanh`, written into the input."""
    return hardtanh(input, min_val, max_val, True)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """x between 0 and 6, the nearer of the two outside."""
    return hardtanh(input, 0.0, 6.0, inplace)


@function("HardsigmoidBackward0", ("x",))
def _hardsigmoid(x: Tensor) -> Tensor:
    # A NaN stays one and has, as what lies outside, no gradient.
    return where(x <= -3, 0.0, where(x < 3, (x + 3.0) / 6.0, where(x >= 3, 1.0, math.nan)))


_hardsigmoid_into = inplace_form("hardsigmoid", _hardsigmoid)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """x / 6 + 1 / 2 between -3 and 3; 0 below, 1 above."""
    need_floats("hardsigmoid_cpu", input)
    result: Tensor = (_hardsigmoid_into if inplace else _hardsigmoid)(input)
    return result


@function("HardswishBackward0", ("x",))
def _hardswish(x: Tensor) -> Tensor:
    # At either end the gradient is that of the outer piece.
    inner = x.clamp(-3.0, 3.0)  # no infinity may come into the gradient
    return where(x <= -3, x * 0.0, where(x < 3, inner * (inner + 3.0) / 6.0, x))


_hardswish_into = inplace_form("hardswish", _hardswish)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * (x + 3) / 6 between -3 and 3; 0 below, x above."""
    need_floats("hardswish_cpu", input)
    result: Tensor = (_hardswish_into if inplace else _hardswish)(input)
    return result


@function("HardshrinkBackward0", ("x",))
def _hardshrink(x: Tensor, *, lambd: float) -> Tensor:
    return where((x >= -lambd) & (x <= lambd), 0.0, x)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x, but 0 where |x| <= lambd."""
    need_floats("hardshrink_cpu", input)
    result: Tensor = _hardshrink(input, lambd=lambd)
    return result


@function("SoftshrinkBackward0", ("x",))
def _softshrink(x: Tensor, *, lambd: float) -> Tensor:
    inner = where(x == x, x * 0.0, x)  # to a NaN, as to what lies outside, the gradient passes
    return where(x > lambd, x - lambd, where(x < -lambd, x + lambd, inner))


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved by lambd towards zero, and 0 where |x| <= lambd. RuntimeError for a negative one."""
    need_floats("softshrink_check", input)
    if lambd < 0:
        raise RuntimeError(
            f"lambda must be in range [0, {finfo(input.dtype).max:g}] for input dtype "
            f"{type_name(input.dtype)}, but found {lambd:g}"
        )
    result: Tensor = _softshrink(input, lambd=lambd)
    return result


def _threshold_body(x: Tensor, *, threshold: float, value: float) -> Tensor:
    return where(x <= threshold, value, x)


_threshold = function("ThresholdBackward0", ("x",))(_threshold_body)
_threshold_into = inplace_form("threshold", function("ThresholdBackward1")(_threshold_body))


def _apply_threshold(input: Tensor, least: float, value: float, inplace: bool) -> Tensor:
    need_numbers("threshold_cpu", input)
    if not input.is_floating_point():
        least, value = int(least), int(value)
    form = _threshold_into if inplace else _threshold
    result: Tensor = form(input, threshold=least, value=value)
    return result


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where it exceeds the threshold, `value` elsewhere."""
    return _apply_threshold(input, threshold, value, inplace)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """`threshold`, written into the input."""
    return _apply_threshold(input, threshold, value, True)


# -- along a dim -------------------------------------------------------------------------------


@function("GluBackward0", ("x",))
def _glu(x: Tensor, *, dim: int) -> Tensor:
    half = x.shape[dim] // 2
    return x.narrow(dim, 0, half) * x.narrow(dim, half, half).sigmoid()


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along a dim times the sigmoid of the second half.

    RuntimeError for a tensor without dims or an odd extent.
    """
    if input.dim() == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    at = check_dim(dim, input.dim())
    if input.shape[at] % 2:
        raise RuntimeError(
            f"Halving dimension must be even, but dimension {at} is size {input.shape[at]}"
        )
    if not input.is_floating_point():
        raise not_implemented("glu_cpu", input)
    result: Tensor = _glu(input, dim=at)
    return result


def _implicit_dim(name: str, ndim: int, stacklevel: int) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. "
        "Change the call to include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`; in `dtype` where one is given."""
    if dim is None:
        dim = _implicit_dim("softmax", input.dim(), _stacklevel)
    return input.softmax(dim) if dtype is None else input.softmax(dim, dtype=dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """`softmax` of -x along `dim`; in `dtype` where one is given."""
    if dim is None:
        dim = _implicit_dim("softmin", input.dim(), _stacklevel)
    return (-input).softmax(dim) if dtype is None else (-input).softmax(dim, dtype=dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """The logarithm of softmax along `dim`, computed without loss; in `dtype` where given."""
    if dim is None:
        dim = _implicit_dim("log_softmax", input.dim(), _stacklevel)
    return input.log_softmax(dim) if dtype is None else input.log_softmax(dim, dtype=dtype)
