"""Linear maps, look-ups and dropout of `lazygrad.nn.functional`.

Owns: the shapes these maps take and give, rows of a table by index, and what dropout drops. Must
not know: modules, how a product of matrices is done, or how random numbers are made.
"""

from __future__ import annotations

from lazygrad.autograd import composite
from lazygrad.nn._common import function
from lazygrad.tensor import Tensor, arange, float32, int64, no_grad, rand, where, zeros
from lazygrad.tensor.promotion import type_name
from lazygrad.tensor.views import unsafe_view

# -- linear maps -------------------------------------------------------------------------------


@function("AddmmBackward0", ("x?weight", "weight?x"), outline=lambda *_: (2, 0, ("TBackward0", 1)))
def _addmm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x @ weight.t() + bias


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias: (*, in) with weight (out, in) and bias (out) gives (*, out).

    RuntimeError if the sizes do not fit.
    """
    if input.dim() == 0 or weight.dim() == 0:
        raise RuntimeError(
            "both arguments to linear need to be at least 1D, but they are "
            f"{input.dim()}D and {weight.dim()}D"
        )
    if weight.dim() != 2:
        return input.matmul(weight.t()) if bias is None else input.matmul(weight.t()) + bias
    if input.dim() == 2:
        return input.mm(weight.t()) if bias is None else _addmm(input, weight, bias)
    if input.dim() == 1 and bias is None:
        return input.matmul(weight.t())
    if bias is not None and input.dim() > 2 and not input.is_contiguous():
        return input.matmul(weight.t()) + bias
    # As one matrix, whatever the leading axes: one product, one kernel for all of them.
    flat = input.reshape(-1, input.shape[-1])
    out = flat.mm(weight.t()) if bias is None else _addmm(flat, weight, bias)
    shape = (*input.shape[:-1], weight.shape[0])
    return unsafe_view(out, shape) if bias is None else out.view(shape)


@function("TrilinearBackward0", ("a?weight", "a?b", "weight?a", "weight?b", "b?a", "b?weight"))
def _trilinear(a: Tensor, weight: Tensor, b: Tensor) -> Tensor:
    pairs = (a.unsqueeze(2) * b.unsqueeze(1)).flatten(1)
    return pairs @ weight.flatten(1).t()


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """a @ weight @ b + bias: (*, n) and (*, m) with weight (out, n, m) gives (*, out).

    RuntimeError if the sizes do not fit.
    """
    if input1.dim() != input2.dim():
        raise RuntimeError(
            f"bilinear(): input dimensions do not match: got {input1.dim()} and {input2.dim()}"
        )
    for axis in range(input1.dim() - 1):
        if input1.shape[axis] != input2.shape[axis]:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {axis}: "
                f"got {input1.shape[axis]} and {input2.shape[axis]}"
            )
    for number, given in ((1, input1), (2, input2)):
        if given.shape[-1] != weight.shape[number]:
            raise RuntimeError(
                f"bilinear(): input{number} size does not match weight size: "
                f"got {given.shape[-1]} but expected {weight.shape[number]}"
            )
    if bias is not None and bias.shape[0] != weight.shape[0]:
        raise RuntimeError(
            "bilinear(): bias size does not match weight size: "
            f"got {bias.shape[0]} but expected {weight.shape[0]}"
        )
    flat = _trilinear(
        input1.reshape(-1, input1.shape[-1]), weight, input2.reshape(-1, input2.shape[-1])
    )
    out = flat.view(*input1.shape[:-1], weight.shape[0])
    return out if bias is None else out + bias


# -- look-ups ----------------------------------------------------------------------------------


@composite("EmbeddingBackward0", saves=("index",))
def _embedding(
    weight: Tensor, index: Tensor, *frozen: Tensor, at: int | None, by_frequency: bool
) -> Tensor:
    """`frozen` is the weight without gradient, where that is not the rows' own."""
    shape, places = (*index.shape, weight.shape[1]), index.reshape(-1)
    rows = weight.index_select(0, places).reshape(shape)
    if not frozen:
        return rows
    fixed = frozen[0].index_select(0, places).reshape(shape)
    if by_frequency:
        counts = (places.unsqueeze(0) == places.unsqueeze(1)).sum(1).reshape(*index.shape, 1)
        share = 1.0 / counts.to(rows.dtype)
        rows = fixed + (rows * share - fixed * share)  # its value, and a share of its gradient
    return rows if at is None else where((index == at).contiguous().unsqueeze(-1), fixed, rows)


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
    scaled down in place to that norm. With `scale_grad_by_freq`, a row's gradient is divided by
    how often it is looked up. RuntimeError for an index that is no int64 or int32 or a weight
    that is no matrix; IndexError for an index out of range; NotImplementedError for `sparse`.
    """
    if sparse:
        raise NotImplementedError("embedding: sparse gradients are not supported")
    if padding_idx is not None:
        count = weight.shape[0]
        if not -count <= padding_idx < count:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= count
    if max_norm is not None:
        _renorm(input, weight, max_norm, norm_type)
    if weight.dim() != 2:
        raise RuntimeError("'weight' must be 2-D")
    if type_name(input.dtype) not in ("Long", "Int"):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            f"Long, Int; but got {input.type()} instead (while checking arguments for embedding)"
        )
    scaled = scale_grad_by_freq and weight.is_floating_point()
    frozen = (weight.detach(),) if padding_idx is not None or scaled else ()
    result: Tensor = _embedding(weight, input, *frozen, at=padding_idx, by_frequency=scaled)
    return result


def _renorm(input: Tensor, weight: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale the rows that are looked up down to a norm, in place."""
    if not weight.is_floating_point():
        raise RuntimeError(
            "norm(): input dtype should be either floating point or complex. "
            f"Got {type_name(weight.dtype)} instead."
        )
    with no_grad():
        rows = weight.detach()
        used = (arange(rows.shape[0]).unsqueeze(1) == input.reshape(1, -1)).any(1, keepdim=True)
        norms = rows.norm(norm_type, 1, keepdim=True)
        rows.mul_(where(used & (norms > max_norm), max_norm / (norms + 1e-7), 1.0))


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """int64 of shape (*, num_classes): one where the class is, zero elsewhere.

    Without `num_classes` it is the largest class plus one. RuntimeError for an index that is not
    int64, negative or too large: the values are read for that.
    """
    if input.dtype != int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if input.numel() == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return zeros(*input.shape, num_classes, dtype=int64)
    values = input.detach()
    if int(values.min().item()) < 0:
        raise RuntimeError("Class values must be non-negative.")
    largest = int(values.max().item())
    if num_classes == -1:
        num_classes = largest + 1
    elif num_classes <= largest:
        raise RuntimeError("Class values must be smaller than num_classes.")
    classes = arange(num_classes, device=input.device)
    return (input.unsqueeze(-1) == classes).to(int64).contiguous()


# -- dropout -----------------------------------------------------------------------------------


def _check_dropout(p: float) -> None:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _dropped(
    input: Tensor, shape: tuple[int, ...], p: float, training: bool, inplace: bool
) -> Tensor:
    """The input times a noise of `shape`: zero with probability p, else 1 / (1 - p)."""
    if not training or p == 0.0 or input.numel() == 0:
        return input
    if p == 1.0:  # nothing is drawn
        noise = zeros((), dtype=input.dtype, device=input.device)
        return input.mul_(noise) if inplace else input * noise
    if not input.is_floating_point():
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {type_name(input.dtype)}"
        )
    kept = rand(*shape, dtype=float32, device=input.device) >= p
    noise = kept.to(input.dtype) * (1.0 / (1.0 - p))
    return input.mul_(noise) if inplace else input * noise


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero every element with probability p and scale the others by 1 / (1 - p).

    The input itself outside of training. ValueError for a probability outside [0, 1],
    RuntimeError for integers.
    """
    _check_dropout(p)
    return _dropped(input, tuple(input.shape), p, training, inplace)


def _channels(input: Tensor, p: float, training: bool, inplace: bool, nd: int) -> Tensor:
    """Dropout of whole channels; without the batch axis the first one is the channels'."""
    _check_dropout(p)
    batched = input.dim() == nd + 2 or nd == 2
    lead = input.shape[:2] if batched else input.shape[:1]
    shape = (*lead, *[1] * (input.dim() - len(lead)))
    return _dropped(input, shape, p, training, inplace)


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels of (N, C, L) or (C, L). RuntimeError for another rank."""
    if input.dim() not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.dim()}D input. "
            "Note that dropout1d exists to provide channel-wise dropout on inputs with 1 spatial "
            "dimension, a channel dimension, and an optional batch dimension "
            "(i.e. 2D or 3D inputs)."
        )
    return _channels(input, p, training, inplace, 1)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels of (N, C, *)."""
    return _channels(input, p, training, inplace, 2)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    return _channels(input, p, training, inplace, 3)


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout that keeps mean and variance behind `selu`: dropped elements become its lowest value.

    Klambauer et al., 2017. ValueError for a probability outside [0, 1].
    """
    _check_dropout(p)
    if not training or p == 0.0 or input.numel() == 0:
        return input
    low = -1.7580993408473766
    scale = (1.0 / ((low * low * p + 1) * (1 - p)) ** 0.5) if p < 1.0 else 0.0
    kept = rand(*input.shape, dtype=float32, device=input.device) >= p
    # low where dropped; the scale and shift give mean 0 and variance 1 back
    shift = (1 - kept.to(input.dtype)) * (low * scale) - low * scale * p
    noise = kept.to(input.dtype) * scale
    return input.mul_(noise).add_(shift) if inplace else input * noise + shift
