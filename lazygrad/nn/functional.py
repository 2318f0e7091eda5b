"""`lazygrad.nn.functional`: the functions that layers are made of.

Owns: activations, linear maps, embeddings, dropout and normalisation, each a composition of
public tensor ops in PyTorch's signature; windows and losses are brought in from their own files.
Must not know: modules, how ops are recorded, fused or run. A function whose result has a
`grad_fn` of its own in PyTorch is declared `composite` under that name.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from lazygrad.autograd import composite
from lazygrad.nn._loss_functions import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from lazygrad.nn._windows import avg_pool2d, conv1d, conv2d, max_pool2d, pad
from lazygrad.tensor import (
    Size,
    Tensor,
    arange,
    erf,
    exp,
    expm1,
    float32,
    int64,
    log1p,
    no_grad,
    ones,
    rand,
    rsqrt,
    where,
    zeros,
)
from lazygrad.tensor.promotion import type_name

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "conv2d",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "relu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "tanh",
]


def _into(input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    """The result itself, or the input after it was overwritten by the result."""
    return input.copy_(result) if inplace else result


# -- activations -------------------------------------------------------------------------------


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0), of the input's shape and dtype."""
    return input.relu_() if inplace else input.relu()


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x)), of the input's shape."""
    return input.sigmoid()


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent, of the input's shape."""
    return input.tanh()


@composite("GeluBackward0")
def _gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1.0 + erf(x * math.sqrt(0.5)))


@composite("GeluBackward0")
def _gelu_tanh(x: Tensor) -> Tensor:
    inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * (x * x * x))
    return 0.5 * x * (1.0 + inner.tanh())


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function of x, or its approximation by "tanh".

    RuntimeError for another `approximate`.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return _gelu(input) if approximate == "none" else _gelu_tanh(input)


@composite("SiluBackward0")
def _silu(x: Tensor) -> Tensor:
    return x * x.sigmoid()


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x), of the input's shape."""
    return _into(input, _silu(input), inplace)


@composite("EluBackward0")
def _elu(x: Tensor, *, alpha: float) -> Tensor:
    # expm1 sees no positive value: its overflow there would turn the gradient into NaN.
    return where(x > 0, x, alpha * expm1(where(x > 0, 0.0, x)))


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where positive, alpha * (exp(x) - 1) elsewhere."""
    return _into(input, _elu(input, alpha=alpha), inplace)


@composite("LeakyReluBackward0")
def _leaky_relu(x: Tensor, *, slope: float) -> Tensor:
    return where(x > 0, x, x * slope)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where positive, negative_slope * x elsewhere."""
    return _into(input, _leaky_relu(input, slope=negative_slope), inplace)


@composite("SoftplusBackward0")
def _softplus(x: Tensor, *, beta: float, threshold: float) -> Tensor:
    scaled = x * beta
    straight = scaled > threshold
    # exp sees no value past the threshold: its overflow would turn the gradient into NaN.
    return where(straight, x, log1p(exp(where(straight, 0.0, scaled))) / beta)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x exceeds the threshold."""
    return _softplus(input, beta=beta, threshold=threshold)


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


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """The logarithm of softmax along `dim`, computed without loss; in `dtype` where given."""
    if dim is None:
        dim = _implicit_dim("log_softmax", input.dim(), _stacklevel)
    return input.log_softmax(dim) if dtype is None else input.log_softmax(dim, dtype=dtype)


# -- linear maps and look-ups ------------------------------------------------------------------


@composite("AddmmBackward0")
def _addmm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x @ weight.t() + bias


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias: (*, in) with weight (out, in) and bias (out) gives (*, out).

    RuntimeError if the sizes do not fit.
    """
    if weight.dim() != 2:
        return input.matmul(weight.t()) if bias is None else input.matmul(weight.t()) + bias
    if input.dim() == 2:
        return input.mm(weight.t()) if bias is None else _addmm(input, weight, bias)
    if input.dim() == 0:
        raise RuntimeError(
            "both arguments to linear need to be at least 1D, but they are 0D and 2D"
        )
    # As one matrix, whatever the leading axes: one product, one kernel for all of them.
    flat = input.reshape(-1, input.shape[-1])
    out = flat.mm(weight.t()) if bias is None else _addmm(flat, weight, bias)
    return out.view(*input.shape[:-1], weight.shape[0])


@composite("EmbeddingBackward0")
def _embedding(weight: Tensor, index: Tensor) -> Tensor:
    return weight.index_select(0, index.reshape(-1)).reshape(*index.shape, weight.shape[1])


@composite("EmbeddingBackward0")
def _embedding_padded(weight: Tensor, index: Tensor, frozen: Tensor, *, at: int) -> Tensor:
    shape = (*index.shape, weight.shape[1])
    rows = weight.index_select(0, index.reshape(-1)).reshape(shape)
    fixed = frozen.index_select(0, index.reshape(-1)).reshape(shape)
    return where((index == at).unsqueeze(-1), fixed, rows)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of `weight` (n, d) by an integer index of any shape (*): (*, d).

    The row `padding_idx` gets no gradient. With `max_norm`, the rows that are looked up are first
    scaled down in place to that norm. RuntimeError for an index that is no integer or a weight
    that is no matrix; IndexError for an index out of range.
    """
    if scale_grad_by_freq or sparse:
        raise NotImplementedError("embedding: scale_grad_by_freq and sparse are not supported")
    if weight.dim() != 2:
        raise RuntimeError("'weight' must be 2-D")
    if input.is_floating_point():
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            f"Long, Int; but got {input.type()} instead (while checking arguments for embedding)"
        )
    count = weight.shape[0]
    if max_norm is not None:
        with no_grad():
            used = (arange(count).unsqueeze(1) == input.reshape(1, -1)).any(1, keepdim=True)
            norms = weight.detach().norm(norm_type, 1, keepdim=True)
            scale = where(used & (norms > max_norm), max_norm / (norms + 1e-7), 1.0)
            weight.detach().mul_(scale)
    if padding_idx is None:
        return _embedding(weight, input)
    if not -count <= padding_idx < count:
        raise AssertionError("Padding_idx must be within num_embeddings")
    at = padding_idx % count
    return _embedding_padded(weight, input, weight.detach(), at=at)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 of shape (*, num_classes): one where the class is, zero elsewhere.

    Without `num_classes` it is the largest class plus one. RuntimeError for an index that is not
    int64, negative or too large: the values are read for that.
    """
    if tensor.dtype != int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if tensor.numel() == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return zeros(*tensor.shape, num_classes, dtype=int64)
    values = tensor.detach()
    if int(values.min().item()) < 0:
        raise RuntimeError("Class values must be non-negative.")
    largest = int(values.max().item())
    if num_classes == -1:
        num_classes = largest + 1
    elif num_classes <= largest:
        raise RuntimeError("Class values must be smaller than num_classes.")
    classes = arange(num_classes, device=tensor.device)
    return (tensor.unsqueeze(-1) == classes).to(int64)


# -- dropout and normalisation -----------------------------------------------------------------


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero every element with probability p and scale the others by 1 / (1 - p).

    The input itself outside of training. ValueError for a probability outside [0, 1].
    """
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0.0 or input.numel() == 0:
        return input
    if p == 1.0:
        noise = zeros((), dtype=input.dtype, device=input.device)
        return input.mul_(noise) if inplace else input * noise
    if not input.is_floating_point():
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {type_name(input.dtype)}"
        )
    kept = rand(*input.shape, dtype=float32, device=input.device) >= p
    noise = kept.to(input.dtype) * (1.0 / (1.0 - p))
    return input.mul_(noise) if inplace else input * noise


@composite("NativeBatchNormBackward0")
def _batch_norm(x: Tensor, mean: Tensor, var: Tensor, *affine: Tensor, eps: float) -> Tensor:
    scale = rsqrt(var + eps)
    shape = [1, -1] + [1] * (x.dim() - 2)
    if affine:
        scale = scale * affine[0]
    out = (x - mean.reshape(shape)) * scale.reshape(shape)
    return out + affine[1].reshape(shape) if affine else out


@composite("NativeBatchNormBackward0")
def _batch_norm_train(x: Tensor, *affine: Tensor, eps: float) -> Tensor:
    axes = [axis for axis in range(x.dim()) if axis != 1]
    shape = [1, -1] + [1] * (x.dim() - 2)
    centred = x - x.mean(axes, keepdim=True)
    out = centred * rsqrt((centred * centred).mean(axes, keepdim=True) + eps)
    return out * affine[0].reshape(shape) + affine[1].reshape(shape) if affine else out


def _affine(like: Tensor, weight: Tensor | None, bias: Tensor | None) -> tuple[Tensor, ...]:
    """Weight and bias, the absent one filled in; none if both are absent."""
    if weight is None and bias is None:
        return ()
    given: Any = weight if weight is not None else bias
    shape, kind = given.shape, {"dtype": given.dtype, "device": like.device}
    return (
        ones(*shape, **kind) if weight is None else weight,
        zeros(*shape, **kind) if bias is None else bias,
    )


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise every channel (axis 1) of an input (N, C, *) over all its other axes.

    In training by the statistics of the batch, which also move the running ones in place; else
    by the running ones. ValueError with one value a channel in training; RuntimeError for
    statistics, weight or bias that are not of shape (C), or absent where needed.
    """
    channels = input.shape[1]
    named = dict(running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    for name, given in named.items():
        if given is None:
            if name.startswith("running") and not training:
                raise RuntimeError(f"{name} must be defined in evaluation mode")
        elif given.numel() != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {given.numel()}")
    if not training:
        assert running_mean is not None and running_var is not None
        affine = _affine(input, weight, bias)
        return _batch_norm(input, running_mean, running_var, *affine, eps=eps)
    count = input.numel() // max(channels, 1)
    if count == 1:
        raise ValueError(
            "Expected more than 1 value per channel when training, "
            f"got input size {Size(input.shape)}"
        )
    with no_grad():
        axes = [axis for axis in range(input.dim()) if axis != 1]
        seen = input.detach()
        if running_mean is not None:
            running_mean.mul_(1.0 - momentum).add_(seen.mean(axes), alpha=momentum)
        if running_var is not None:
            spread = seen.var(axes, unbiased=True)
            running_var.mul_(1.0 - momentum).add_(spread, alpha=momentum)
    return _batch_norm_train(input, *_affine(input, weight, bias), eps=eps)


@composite("NativeLayerNormBackward0")
def _layer_norm(x: Tensor, *affine: Tensor, axes: Sequence[int], eps: float) -> Tensor:
    centred = x - x.mean(axes, keepdim=True)
    out = centred * rsqrt((centred * centred).mean(axes, keepdim=True) + eps)
    return out * affine[0] + affine[1] if affine else out


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise over the last axes, whose sizes are `normalized_shape`, then weight * x + bias.

    RuntimeError if the input does not end in that shape or weight or bias are not of it.
    """
    shape = list(normalized_shape)
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least "
            "one element, but got normalized_shape = []"
        )
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None and list(given.shape) != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of "
                f"shape {list(given.shape)} and normalized_shape = {shape}"
            )
    if list(input.shape[-len(shape) :]) != shape:
        wanted = ", ".join(map(str, ["*", *shape]))
        raise RuntimeError(
            f"Given normalized_shape={shape}, expected input with shape [{wanted}], "
            f"but got input of size{list(input.shape)}"
        )
    axes = list(range(-len(shape), 0))
    return _layer_norm(input, *_affine(input, weight, bias), axes=axes, eps=eps)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x divided by its p-norm along `dim`, or by eps where the norm is smaller."""
    return input / input.norm(p, dim, keepdim=True).clamp(min=eps)
