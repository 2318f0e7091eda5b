"""Attention of `lazygrad.nn.functional`.

Owns: the one definition of scaled dot product attention (`_attend`), what masks mean, and the
checks of shapes and dtypes. Must not know: modules, or how a product of matrices is done.
"""

from __future__ import annotations

import math
from typing import Any

from lazygrad.ir import ops
from lazygrad.nn._common import function
from lazygrad.tensor import Tensor, arange, float32, float64, rand, where
from lazygrad.tensor import bool as bool_
from lazygrad.tensor.core import nodes_of
from lazygrad.tensor.history import record
from lazygrad.tensor.kernels import attends
from lazygrad.tensor.promotion import broadcast_shapes, c_name


def _weigh(
    query: Tensor, key: Tensor, mask: Tensor | None, *, scale: float, causal: bool, safe: bool
) -> Tensor:
    """softmax(query @ key.T * scale, masked).

    Where it is `safe`, a row of which nothing is visible gives zeros, with a gradient of zero.
    """
    scores = (query * scale) @ key.transpose(-2, -1)
    if causal:
        rows = arange(scores.shape[-2], device=scores.device).unsqueeze(1)
        scores = where(arange(scores.shape[-1], device=scores.device) <= rows, scores, -math.inf)
    if mask is None:
        return scores.softmax(-1)
    scores = where(mask, scores, -math.inf) if mask.dtype == bool_ else scores + mask
    if not safe:
        return scores.softmax(-1)
    blind = (scores == -math.inf).all(-1, keepdim=True)
    result: Tensor = where(blind, 0.0, where(blind, 0.0, scores).softmax(-1))
    return result


def _in_blocks(
    query: Tensor, key: Tensor, value: Tensor, scale: float | None, causal: bool
) -> Tensor | None:
    """Attention without a matrix of all weights, where the device has a function for that.

    None where it has not, where there is nothing to attend to, and where sizes do not fit, which
    the products then say.
    """
    given = (query, key, value)
    width = max(query.shape[-1], value.shape[-1])
    if query.dtype not in (float32, float64):
        return None
    if not attends(query._storage.device, query.dtype, width):
        return None
    if not all(t.numel() for t in given) or len({t.dtype for t in given}) > 1:
        return None
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        return None
    batch = broadcast_shapes(*(t.shape[:-2] for t in given))
    if scale is not None:  # a number of the user's is no part of the program
        query = query * scale
    seen = [
        t.expand(*batch, *t.shape[-2:]) if t.shape[:-2] != batch else t for t in (query, key, value)
    ]
    nodes = nodes_of(*seen)
    own = 1.0 / math.sqrt(query.shape[-1]) if scale is None else 1.0
    made = ops.attention(*nodes, arg=(own, causal))
    return record(_NAME, seen, nodes, made)


def _attend_body(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *extra: Tensor,
    scale: float | None,
    causal: bool,
    masked: bool,
) -> Tensor:
    """The weights times the values. `extra`: the mask, if there is one, and the dropout's noise."""
    if not extra:
        made = _in_blocks(query, key, value, scale, causal)
        if made is not None:
            return made
    if scale is None:
        scale = 1.0 / math.sqrt(query.shape[-1])
    mask = extra[0] if masked else None
    weights = _weigh(query, key, mask, scale=scale, causal=causal, safe=True)
    if len(extra) > masked:
        weights = weights * extra[-1]
    return weights @ value


_NAME = "ScaledDotProductFlashAttentionForCpuBackward0"
_attend_at_once = function(_NAME, ("query", "key", "value", "result"))(_attend_body)
_attend = function(_NAME, ("value?query|key|extra",))(_attend_body)  # as a product of the weights
_attend_repeated = function(_NAME)(_attend_body)  # of keys and values that are copies


def _is_at_once(query: Tensor, key: Tensor, value: Tensor, dropped: bool) -> bool:
    """Whether PyTorch computes it in one kernel, whose gradient reads all of it."""
    given = (query, key, value)
    return not dropped and all(t.dim() == 4 and t.stride(-1) == 1 and t.numel() for t in given)


@function("SoftmaxBackward0", ("result",))
def _weights(query: Tensor, key: Tensor, *mask: Tensor, scale: float) -> Tensor:
    return _weigh(query, key, *(mask or (None,)), scale=scale, causal=False, safe=False)


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """What attention multiplies the values by: (*, L, S), for those who want to see it."""
    result: Tensor = _weights(query, key, *(() if mask is None else (mask,)), scale=scale)
    return result


def _check(query: Tensor, key: Tensor, value: Tensor, mask: Any, causal: bool, p: float) -> None:
    if mask is not None and not isinstance(mask, Tensor):
        raise TypeError(
            "scaled_dot_product_attention(): argument 'attn_mask' (position 4) must be Tensor, "
            f"not {type(mask).__name__}"
        )
    kinds = [c_name(t.dtype) for t in (query, key, value)]
    if len(set(kinds)) > 1:
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{kinds[0]} key.dtype: {kinds[1]} and value.dtype: {kinds[2]} instead."
        )
    ranks = [t.dim() for t in (query, key, value)]
    if min(ranks) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got "
            f"query.dim: {ranks[0]} key.dim: {ranks[1]} and value.dim: {ranks[2]} instead."
        )
    if mask is not None:
        if mask.dtype not in (bool_, query.dtype, float32):
            raise RuntimeError(
                "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
                f"attn_mask.dtype: {c_name(mask.dtype)} and  query.dtype: {kinds[0]} instead."
            )
        if causal:
            raise RuntimeError(
                "_scaled_dot_product_attention: Explicit attn_mask should not be set when "
                "is_causal=True"
            )
    if p < 0.0 or p > 1.0:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p:g}")
    if not query.is_floating_point():
        raise RuntimeError(f"expected scalar type Float but found {query.type().split('.')[-1]}")


def _repeated(x: Tensor, heads: int) -> Tensor:
    """(..., h, L, E) to (..., heads, L, E): each head stands for as many queries' heads."""
    own = x.shape[-3]
    if own == heads:
        return x
    wide = x.unsqueeze(-3).expand(*x.shape[:-2], heads // own, *x.shape[-2:])
    return wide.flatten(-4, -3)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query @ key.T * scale) @ value: (*, L, E), (*, S, E), (*, S, V) gives (*, L, V).

    `attn_mask`, broadcast to (*, L, S), is bool (True: take part) or added to the scores;
    `is_causal` lets row i see the first i + 1 keys. `scale` is 1 / sqrt(E) by default. Weights are
    dropped with probability `dropout_p`. With `enable_gqa` the heads (axis -3) of key and value
    each serve several of query. Vaswani et al., 2017. RuntimeError for shapes and dtypes that do
    not fit.
    """
    _check(query, key, value, attn_mask, is_causal, dropout_p)
    if enable_gqa:
        heads = query.shape[-3] if query.dim() > 2 else 1
        if min(query.dim(), key.dim(), value.dim()) < 3 or any(
            heads % t.shape[-3] for t in (key, value)
        ):
            raise RuntimeError(
                "Number of heads in key and value must divide the number of heads in "
            )
        key, value = _repeated(key, heads), _repeated(value, heads)
    extra: tuple[Tensor, ...] = () if attn_mask is None else (attn_mask,)
    if dropout_p > 0.0:
        batch = (query[..., :1, :1] + key[..., :1, :1]).shape[:-2]
        shape = (*batch, query.shape[-2], key.shape[-2])
        kept = rand(*shape, dtype=float32, device=query.device) >= dropout_p
        rescale = 1.0 / (1.0 - dropout_p) if dropout_p < 1.0 else 0.0
        extra = (*extra, kept.to(query.dtype) * rescale)
    whole = _is_at_once(query, key, value, dropout_p > 0)
    attend = _attend_repeated if enable_gqa else _attend_at_once if whole else _attend
    result: Tensor = attend(
        query,
        key,
        value,
        *extra,
        scale=scale,
        causal=is_causal,
        masked=attn_mask is not None,
    )
    return result
