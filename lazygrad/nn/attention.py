"""The attention layer.

Owns: the projections of queries, keys and values, how heads lie in them, and what the masks of
`MultiheadAttention` mean. Must not know: how attention is computed, which is
`lazygrad.nn.functional`'s.
"""

from __future__ import annotations

import math
from typing import Any

from lazygrad.nn import functional as F
from lazygrad.nn import init
from lazygrad.nn._attention import attention_weights
from lazygrad.nn.layers import Linear, kind_of
from lazygrad.nn.module import Module
from lazygrad.nn.parameter import Parameter
from lazygrad.tensor import Tensor, cat, empty, where, zeros
from lazygrad.tensor import bool as bool_

__all__ = ["MultiheadAttention"]


class NonDynamicallyQuantizableLinear(Linear):
    """`Linear`, under the name that PyTorch prints here."""


class MultiheadAttention(Module):
    """Attention by several heads, each of a part of the projected features (Vaswani et al., 2017).

    Query (L, N, E), key (S, N, kdim) and value (S, N, vdim), with N in front if `batch_first` and
    absent altogether if unbatched, give (L, N, E) and the weights (N, L, S), the mean over heads.
    ValueError, AssertionError for sizes that do not fit.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "embed_dim and num_heads must be greater than 0, "
                f"got embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        super().__init__()
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim == self.vdim
        self.batch_first, self.add_zero_attn = batch_first, add_zero_attn
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")
        kind = kind_of(device, dtype)
        same = self._qkv_same_embed_dim
        for name, width in (("q", embed_dim), ("k", self.kdim), ("v", self.vdim)):
            own = None if same else Parameter(empty(embed_dim, width, **kind))
            self.register_parameter(f"{name}_proj_weight", own)
        joint = Parameter(empty(3 * embed_dim, embed_dim, **kind)) if same else None
        self.register_parameter("in_proj_weight", joint)
        shift = Parameter(empty(3 * embed_dim, **kind)) if bias else None
        self.register_parameter("in_proj_bias", shift)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, **kind)
        for name in ("bias_k", "bias_v"):
            extra = Parameter(empty(1, 1, embed_dim, **kind)) if add_bias_kv else None
            self.register_parameter(name, extra)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Draw the weights anew; biases zero."""
        for weight in (
            self.in_proj_weight,
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
        ):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
            init.constant_(self.out_proj.bias, 0.0)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    def _projected(self, inputs: tuple[Tensor, Tensor, Tensor]) -> list[Tensor]:
        """Query, key and value (L, N, E) by their parts of the weights."""
        if self.in_proj_weight is not None:
            weights = list(self.in_proj_weight.chunk(3))
        else:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        shift = self.in_proj_bias
        shifts = [None] * 3 if shift is None else list(shift.chunk(3))
        return [F.linear(x, w, b) for x, w, b in zip(inputs, weights, shifts, strict=True)]

    def _heads(self, x: Tensor) -> Tensor:
        """(L, N, E) to (N, heads, L, E / heads)."""
        return x.reshape(x.shape[0], x.shape[1], self.num_heads, self.head_dim).permute(1, 2, 0, 3)

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        if query.dim() not in (2, 3):
            raise AssertionError(
                "query should be unbatched 2D or batched 3D tensor but received "
                f"{query.dim()}-D query tensor"
            )
        kind = "batched (3-D)" if query.dim() == 3 else "unbatched (2-D)"
        if key.dim() != query.dim() or value.dim() != query.dim():
            raise AssertionError(
                f"For {kind} `query`, expected `key` and `value` to be {query.dim()}-D but found "
                f"{key.dim()}-D and {value.dim()}-D tensors respectively"
            )

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The output, and the weights if they are wanted.

        Masks are bool (True: do not look) or added to the scores: `key_padding_mask` (N, S),
        `attn_mask` (L, S) or (N * heads, L, S). `is_causal` says that `attn_mask` is causal, and
        needs it. RuntimeError for masks of other shapes.
        """
        self._check(query, key, value)
        batched = query.dim() == 3
        if not batched:
            query, key, value = (x.unsqueeze(1) for x in (query, key, value))
            if key_padding_mask is not None:
                key_padding_mask = key_padding_mask.unsqueeze(0)
        elif self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        if is_causal and attn_mask is None:
            raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
        length, batch, width = query.shape
        if width != self.embed_dim:
            raise AssertionError(
                f"was expecting embedding dimension of {self.embed_dim}, but got {width}"
            )
        mask = self._mask(query, key, key_padding_mask, attn_mask)
        q, k, v = self._projected((query, key, value))
        if self.bias_k is not None:
            k = cat([k, self.bias_k.repeat(1, batch, 1)])
            v = cat([v, self.bias_v.repeat(1, batch, 1)])
        q, k, v = self._heads(q), self._heads(k), self._heads(v)
        if self.add_zero_attn:
            none = zeros(batch, self.num_heads, 1, self.head_dim, dtype=k.dtype, device=k.device)
            k, v = cat([k, none], 2), cat([v, none], 2)
        p = self.dropout if self.training else 0.0
        weights: Tensor | None = None
        if need_weights:
            weights = F.dropout(
                attention_weights(q, k, mask, 1.0 / math.sqrt(self.head_dim)), p, self.training
            )
            out = weights @ v
            weights = weights.mean(1) if average_attn_weights else weights
            weights = weights if batched else weights.squeeze(0)
        else:
            out = F.scaled_dot_product_attention(q, k, v, mask, p)
        out = out.permute(2, 0, 1, 3).reshape(length, batch, self.embed_dim)
        out = F.linear(out, self.out_proj.weight, self.out_proj.bias)
        if not batched:
            return out.squeeze(1), weights
        return out.transpose(0, 1) if self.batch_first else out, weights

    def _mask(
        self, query: Tensor, key: Tensor, padding: Tensor | None, given: Tensor | None
    ) -> Tensor | None:
        """Both masks as one that is added to (N, heads, L, S), or None."""
        length, batch, _ = query.shape
        sources = key.shape[0]

        def added(mask: Tensor) -> Tensor:
            if mask.dtype != bool_:
                return mask
            result: Tensor = where(mask, -math.inf, 0.0)
            return result.to(query.dtype)

        total: Tensor | None = None
        if given is not None:
            wanted: tuple[int, ...] = (length, sources)
            if given.dim() == 3:
                wanted = (batch * self.num_heads, length, sources)
            elif given.dim() != 2:
                raise RuntimeError(f"attn_mask's dimension {given.dim()} is not supported")
            if tuple(given.shape) != wanted:
                raise RuntimeError(
                    f"The shape of the {given.dim()}D attn_mask is {given.shape}, "
                    f"but should be {wanted}."
                )
            total = added(given).reshape(-1 if given.dim() == 3 else 1, length, sources)
            heads = self.num_heads if given.dim() == 3 else 1
            total = total.unflatten(0, (-1, heads))
        if padding is not None:
            if tuple(padding.shape) != (batch, sources):
                raise AssertionError(
                    f"expecting key_padding_mask shape of {(batch, sources)}, "
                    f"but got {padding.shape}"
                )
            own = added(padding).reshape(batch, 1, 1, sources)
            total = own if total is None else total + own
        extra = (self.bias_k is not None) + self.add_zero_attn
        return total if total is None or not extra else F.pad(total, (0, extra))
