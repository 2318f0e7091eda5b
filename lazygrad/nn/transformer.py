"""Transformers: encoder and decoder layers, stacks of them, and the whole.

Owns: which sublayers a layer has, in which order, and how masks reach attention. Must not know:
how attention is computed. After Vaswani et al. 2017, with PyTorch's names and options.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from lazygrad.nn import functional as F
from lazygrad.nn import init
from lazygrad.nn.attention import MultiheadAttention
from lazygrad.nn.containers import ModuleList
from lazygrad.nn.layers import Dropout, Linear, kind_of
from lazygrad.nn.module import Module
from lazygrad.nn.normalization import LayerNorm
from lazygrad.tensor import Tensor, float32, full, triu

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]

Activation = str | Callable[[Tensor], Tensor]


def _activation(given: Activation) -> Callable[[Tensor], Tensor]:
    if not isinstance(given, str):
        return given
    if given not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {given}")
    found: Callable[[Tensor], Tensor] = {"relu": F.relu, "gelu": F.gelu}[given]
    return found


def _clones(layer: Module, count: int) -> ModuleList:
    return ModuleList([copy.deepcopy(layer) for _ in range(count)])


def _is_causal(mask: Tensor | None, said: bool | None, size: int) -> bool:
    """Whether the mask hides exactly what comes later; looked at unless the caller says."""
    if said is not None or mask is None:
        return bool(said)
    if mask.dim() < 2 or mask.shape[-2:] != (size, size):
        return False
    wanted = Transformer.generate_square_subsequent_mask(size, mask.device, mask.dtype)
    return bool((mask == wanted).all())


class _Layer(Module):
    """What encoder and decoder layers have in common: the two linear maps, and the norms."""

    norm_first: bool

    def _set_up(
        self,
        attentions: tuple[str, ...],
        d_model: int,
        nhead: int,
        dim_feedforward: int,
        dropout: float,
        activation: Activation,
        layer_norm_eps: float,
        batch_first: bool,
        norm_first: bool,
        bias: bool,
        kind: dict[str, Any],
    ) -> None:
        for name in attentions:
            options = {"dropout": dropout, "batch_first": batch_first, "bias": bias, **kind}
            setattr(self, name, MultiheadAttention(d_model, nhead, **options))
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **kind)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **kind)
        self.norm_first = norm_first
        count = len(attentions) + 1
        for number in range(1, count + 1):
            setattr(self, f"norm{number}", LayerNorm(d_model, layer_norm_eps, bias=bias, **kind))
        for number in range(1, count + 1):
            setattr(self, f"dropout{number}", Dropout(dropout))
        self.activation = _activation(activation)

    def _sublayer(self, number: int, x: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
        """x + dropout(run(norm(x))), or norm(x + dropout(run(x)))."""
        norm = getattr(self, f"norm{number}")
        drop = getattr(self, f"dropout{number}")
        total: Tensor
        if self.norm_first:
            total = x + drop(run(norm(x)))
        else:
            total = norm(x + drop(run(x)))
        return total

    def _feed_forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.linear2(self.dropout(self.activation(self.linear1(x))))
        return found


class TransformerEncoderLayer(_Layer):
    """Self-attention and a feed-forward network, each with a residual path and a norm.

    `src` (S, N, d_model), (N, S, d_model) with `batch_first`, or (S, d_model); the result has its
    shape. `src_mask` (S, S) or (N * nhead, S, S), `src_key_padding_mask` (N, S). `activation` is
    "relu", "gelu" or a function; RuntimeError for another name.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self._set_up(
            ("self_attn",),
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            kind_of(device, dtype),
        )

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        def attend(x: Tensor) -> Tensor:
            found: Tensor = self.self_attn(
                x,
                x,
                x,
                attn_mask=src_mask,
                key_padding_mask=src_key_padding_mask,
                need_weights=False,
                is_causal=is_causal,
            )[0]
            return found

        return self._sublayer(2, self._sublayer(1, src, attend), self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the encoder's result, and a feed-forward network.

    `tgt` (T, N, d_model) and `memory` (S, N, d_model); options as `TransformerEncoderLayer`.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self._set_up(
            ("self_attn", "multihead_attn"),
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            kind_of(device, dtype),
        )

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        def attend(
            which: Module, mask: Tensor | None, padding: Tensor | None, causal: bool
        ) -> Callable[[Tensor, Tensor], Tensor]:
            def run(x: Tensor, to: Tensor) -> Tensor:
                options = {"attn_mask": mask, "key_padding_mask": padding, "is_causal": causal}
                found: Tensor = which(x, to, to, need_weights=False, **options)[0]
                return found

            return run

        itself = attend(self.self_attn, tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = attend(self.multihead_attn, memory_mask, memory_key_padding_mask, memory_is_causal)
        x = self._sublayer(1, tgt, lambda x: itself(x, x))
        x = self._sublayer(2, x, lambda x: other(x, memory))
        return self._sublayer(3, x, self._feed_forward)


class TransformerEncoder(Module):
    """A stack of copies of a layer, and a norm behind it if there is one."""

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = _clones(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        size = src.size(-2 if self._batch_first else 0)
        causal = _is_causal(mask, is_causal, size)
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal=causal)
        return src if self.norm is None else self.norm(src)

    @property
    def _batch_first(self) -> bool:
        return bool(getattr(getattr(self.layers[0], "self_attn", None), "batch_first", False))


class TransformerDecoder(Module):
    """A stack of copies of a layer, and a norm behind it if there is one."""

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = _clones(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        batch_first = bool(getattr(self.layers[0].self_attn, "batch_first", False))
        causal = _is_causal(tgt_mask, tgt_is_causal, tgt.size(-2 if batch_first else 0))
        for layer in self.layers:
            tgt = layer(
                tgt,
                memory,
                tgt_mask,
                memory_mask,
                tgt_key_padding_mask,
                memory_key_padding_mask,
                causal,
                memory_is_causal,
            )
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder and a decoder: `src` (S, N, d_model) and `tgt` (T, N, d_model) to tgt's shape.

    All matrices start by Xavier's uniform rule. RuntimeError for sizes that do not fit.
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        kind = kind_of(device, dtype)
        options = {
            "dim_feedforward": dim_feedforward,
            "dropout": dropout,
            "activation": activation,
            "layer_norm_eps": layer_norm_eps,
            "batch_first": batch_first,
            "norm_first": norm_first,
            "bias": bias,
            **kind,
        }

        def norm() -> LayerNorm:
            return LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **kind)

        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(d_model, nhead, **options), num_encoder_layers, norm()
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(d_model, nhead, **options), num_decoder_layers, norm()
        )
        for parameter in self.parameters():
            if parameter.dim() > 1:
                init.xavier_uniform_(parameter)
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        batch = 0 if self.batch_first else 1
        if src.dim() == 3 and src.size(batch) != tgt.size(batch):
            raise RuntimeError("the batch number of src and tgt must be equal")
        if src.size(-1) != self.d_model or tgt.size(-1) != self.d_model:
            raise RuntimeError("the feature number of src and tgt must be equal to d_model")
        memory = self.encoder(src, src_mask, src_key_padding_mask, is_causal=src_is_causal)
        found: Tensor = self.decoder(
            tgt,
            memory,
            tgt_mask,
            memory_mask,
            tgt_key_padding_mask,
            memory_key_padding_mask,
            tgt_is_causal,
            memory_is_causal,
        )
        return found

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """(sz, sz): 0 up to the diagonal, -inf beyond it."""
        hidden = full((sz, sz), float("-inf"), dtype=dtype or float32, device=device)
        return triu(hidden, diagonal=1)
