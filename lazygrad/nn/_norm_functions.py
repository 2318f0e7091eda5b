"""Normalisation of `lazygrad.nn.functional`.

Owns: over which axes each normalisation takes its statistics, how running ones move, and the
checks of shapes and dtypes. Must not know: modules, or how ops run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazygrad.autograd import composite
from lazygrad.nn._common import function, is_half, need_floats
from lazygrad.tensor import Size, Tensor, finfo, float32, no_grad, ones, rsqrt, zeros
from lazygrad.tensor.history import with_inputs
from lazygrad.tensor.out import check_memory, store_out
from lazygrad.tensor.promotion import type_name


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


def _check_mixed(input: Tensor, *parameters: Tensor | None) -> None:
    """Parameters are of the input's dtype, or of float32 beside a half input."""
    kinds = {p.dtype for p in parameters if p is not None} - {input.dtype}
    if not kinds:
        return
    if not is_half(input) or kinds != {float32}:
        wanted = "Float" if is_half(input) else type_name(input.dtype)
        raise RuntimeError(f"mixed dtype (CPU): expect parameter to have scalar type of {wanted}")


def _standardized(x: Tensor, axes: Sequence[int], eps: float) -> Tensor:
    centred = x - x.mean(axes, keepdim=True)
    return centred * rsqrt((centred * centred).mean(axes, keepdim=True) + eps)


# -- over the batch ----------------------------------------------------------------------------


@function("NativeBatchNormBackward0", ("x", "weight", "mean", "var"), dense=True)
def _batch_norm(
    x: Tensor, mean: Tensor, var: Tensor, weight: Any = None, bias: Any = None, *, eps: float
) -> Tensor:
    scale = rsqrt(var + eps)
    shape = [1, -1] + [1] * (x.dim() - 2)
    if weight is not None:
        scale = scale * weight
    out = (x - mean.reshape(shape)) * scale.reshape(shape)
    return out + bias.reshape(shape) if weight is not None else out


@function("NativeBatchNormBackward0", ("x", "weight"), dense=True)
def _batch_norm_train(x: Tensor, weight: Any = None, bias: Any = None, *, eps: float) -> Tensor:
    axes = [axis for axis in range(x.dim()) if axis != 1]
    shape = [1, -1] + [1] * (x.dim() - 2)
    out = _standardized(x, axes, eps)
    return out if weight is None else out * weight.reshape(shape) + bias.reshape(shape)


def _check_batch_norm(input: Tensor, training: bool, named: dict[str, Tensor | None]) -> None:
    if training:
        count = 1
        for axis in range(input.dim()):
            count *= 1 if axis == 1 else input.shape[axis]
        if input.dim() and count == 1:
            raise ValueError(
                "Expected more than 1 value per channel when training, "
                f"got input size {Size(input.shape)}"
            )
    if input.dim() < 2:
        low, high = -max(input.dim(), 1), max(input.dim(), 1) - 1
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{low}, {high}], but got 1)"
        )
    for name, given in named.items():
        if given is None:
            if name.startswith("running") and not training:
                raise RuntimeError(f"{name} must be defined in evaluation mode")
        elif given.numel() != input.shape[1]:
            raise RuntimeError(
                f"{name} should contain {input.shape[1]} elements not {given.numel()}"
            )
    if (named["running_mean"] is None) != (named["running_var"] is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    need_floats("batch_norm", input)
    _check_mixed(input, *named.values())


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
    named = dict(running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    _check_batch_norm(input, training, named)
    affine = _affine(input, weight, bias)
    if not training:
        result: Tensor = _batch_norm(input, running_mean, running_var, *affine, eps=eps)
        return with_inputs(result, (0, 3, 4))
    with no_grad():
        axes = [axis for axis in range(input.dim()) if axis != 1]
        seen = input.detach()
        if running_mean is not None:
            mean = seen.mean(axes, dtype=running_mean.dtype)
            running_mean.mul_(1.0 - momentum).add_(mean, alpha=momentum)
        if running_var is not None:
            spread = seen.to(running_var.dtype).var(axes, unbiased=True)
            running_var.mul_(1.0 - momentum).add_(spread, alpha=momentum)
    result = _batch_norm_train(input, *affine, eps=eps)
    return with_inputs(result, (0, 1, 2))


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise every channel of every example of (N, C, *) over the other axes.

    With `use_input_stats` by their own statistics, whose mean over the batch moves the running
    ones in place; else by the running ones. Errors as of `batch_norm`.
    """
    if use_input_stats:
        count = 1
        for extent in input.shape[2:]:
            count *= extent
        if count == 1:
            raise ValueError(
                "Expected more than 1 spatial element when training, "
                f"got input size {Size(input.shape)}"
            )
    elif running_mean is None or running_var is None:
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when use_input_stats is false"
        )
    batch, channels = input.shape[:2]

    def repeated(given: Tensor | None) -> Tensor | None:
        return None if given is None else given.repeat(batch)

    mean, var = repeated(running_mean), repeated(running_var)
    out = batch_norm(
        input.reshape(1, batch * channels, *input.shape[2:]),
        mean,
        var,
        repeated(weight),
        repeated(bias),
        use_input_stats,
        momentum,
        eps,
    )
    with no_grad():
        for own, moved in ((running_mean, mean), (running_var, var)):
            if own is not None and moved is not None and use_input_stats:
                own.copy_(moved.reshape(batch, channels).mean(0))
    return out.view(input.shape)


# -- over features -----------------------------------------------------------------------------


@function(
    "NativeLayerNormBackward0", ("x", "affine"), dense=True, outline=lambda *_, **__: (0, 1, 2)
)
def _layer_norm(x: Tensor, *affine: Tensor, axes: Sequence[int], eps: float) -> Tensor:
    out = _standardized(x, axes, eps)
    return out * affine[0] + affine[1] if affine else out


def _normalized_shape(
    name: str, given: Any, input: Tensor, weight: Tensor | None, bias: Tensor | None
) -> list[int]:
    """The sizes of the last axes; TypeError and RuntimeError where they do not fit."""
    if isinstance(given, int):
        raise TypeError(
            f"{name}(): argument 'normalized_shape' (position 2) must be tuple of ints, not int"
        )
    shape = [int(size) for size in given]
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least "
            "one element, but got normalized_shape = []"
        )
    for words, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and list(tensor.shape) != shape:
            raise RuntimeError(
                f"Expected {words} to be of same shape as normalized_shape, but got {words} of "
                f"shape {list(tensor.shape)} and normalized_shape = {shape}"
            )
    if list(input.shape[-len(shape) :]) != shape:
        star = "*" if name == "rms_norm" else "*, "
        raise RuntimeError(
            f"Given normalized_shape={shape}, expected input with shape "
            f"[{star}{', '.join(map(str, shape))}], but got input of size{list(input.shape)}"
        )
    return shape


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
    shape = _normalized_shape("layer_norm", normalized_shape, input, weight, bias)
    need_floats("LayerNormKernelImpl", input)
    _check_mixed(input, weight, bias)
    axes = list(range(-len(shape), 0))
    result: Tensor = _layer_norm(input, *_affine(input, weight, bias), axes=axes, eps=eps)
    return result


_SCALE = ("RsqrtBackward0", ("AddBackward1", ("MeanBackward1", ("PowBackward0", 0))))


def _rms_outline(x: Tensor, *weight: Tensor, **_: Any) -> tuple[Any, ...]:
    return (("MulBackward0", 0, _SCALE), 1) if weight else (0, _SCALE)


@function("MulBackward0", ("x?x", "weight?x"), dense=True, outline=_rms_outline)
def _rms_norm(x: Tensor, *weight: Tensor, axes: Sequence[int], eps: float) -> Tensor:
    out = x * rsqrt((x * x).mean(axes, keepdim=True) + eps)
    return out * weight[0] if weight else out


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean(x * x) + eps) over the last axes, of sizes `normalized_shape`, times weight.

    Without `eps` it is the spacing of numbers at 1. Zhang and Sennrich, 2019. RuntimeError if
    the input does not end in that shape or the weight is not of it.
    """
    shape = _normalized_shape("rms_norm", normalized_shape, input, weight, None)
    need_floats("rms_norm", input)
    if eps is None:
        eps = finfo(float32 if is_half(input) else input.dtype).eps
    extra = () if weight is None else (weight,)
    result: Tensor = _rms_norm(input, *extra, axes=list(range(-len(shape), 0)), eps=eps)
    return result


@function(
    "NativeGroupNormBackward0", ("x", "weight"), dense=True, outline=lambda *_, **__: (0, 1, 2)
)
def _group_norm(
    x: Tensor, weight: Any = None, bias: Any = None, *, groups: int, eps: float
) -> Tensor:
    split = x.reshape(x.shape[0], groups, -1)
    out = _standardized(split, [-1], eps).reshape(x.shape)
    shape = [1, -1] + [1] * (x.dim() - 2)
    return out if weight is None else out * weight.reshape(shape) + bias.reshape(shape)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise every group of channels of every example of (N, C, *), then weight * x + bias.

    RuntimeError for groups that do not divide the channels, and for weight or bias that are not
    of shape (C); ValueError with one value a group.
    """
    shape = list(input.shape)
    if input.dim() < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {input.dim()}"
        )
    sizes = [shape[0] * shape[1] // num_groups, num_groups, *shape[2:]]
    count = sizes[0]
    for extent in sizes[2:]:
        count *= extent
    if count == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {sizes}"
        )
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if shape[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, "
            f"but got input of shape {shape} and num_groups={num_groups}"
        )
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None and list(given.shape) != [shape[1]]:
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in "
                f"input, but got {name} of shape {list(given.shape)} and input of shape {shape}"
            )
    need_floats("GroupNormKernelImpl", input)
    _check_mixed(input, weight, bias)
    affine = _affine(input, weight, bias)
    result: Tensor = _group_norm(input, *affine, groups=num_groups, eps=eps)
    return result


# -- by the norm -------------------------------------------------------------------------------


_NORM = ("ExpandBackward0", ("ClampMinBackward0", ("LinalgVectorNormBackward0", 0)))


@composite("DivBackward0", saves=("x",), outline=lambda *_, **__: (0, _NORM))
def _normalize(x: Tensor, *, p: float, dim: Any, eps: float) -> Tensor:
    return x / x.norm(p, dim, keepdim=True).clamp(min=eps)


def normalize(
    input: Tensor,
    p: float = 2.0,
    dim: int | tuple[int, ...] = 1,
    eps: float = 1e-12,
    out: Tensor | None = None,
) -> Tensor:
    """x divided by its p-norm along `dim`, or by eps where the norm is smaller.

    RuntimeError for integers; IndexError for a dim that there is not.
    """
    if not input.is_floating_point():
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. "
            f"Got {type_name(input.dtype)}"
        )
    if out is not None:
        check_memory("normalize", [out], [input])
    result: Tensor = _normalize(input, p=p, dim=dim, eps=eps)
    return result if out is None else store_out("div", result, out)
