"""Attention: one op, and its gradient as another, so that no matrix of all weights need be kept.

Owns: `attention` and `attention_grad`, their numpy meanings and gradients. Both compute the weights
softmax(q k' * scale) anew, as FlashAttention does (arXiv:2205.14135), from q (*, L, E), k (*, S, E)
and v (*, S, V), which have the same axes before the last two. `arg` is (scale, causal): causal row
i sees the keys up to i. The gradient's result is flat: (*, L E + S E + S V), the gradients of q, k
and v one after the other.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.ops.core import Lowering, Op, register
from lazygrad.ir.ops.indexed import matmul, swap
from lazygrad.ir.ops.leaf import iota, lit
from lazygrad.ir.ops.movement import expand, reshape, slice_
from lazygrad.ir.ops.pointwise import add, div, exp, le, mul, sub, where
from lazygrad.ir.ops.reduce import max_, sum_


def _infer(srcs: tuple[Node, ...], arg: Any) -> tuple[Shape, DType]:
    q, k, v = srcs[:3]
    batch = q.shape[:-2]
    same = k.shape[:-1] == v.shape[:-1] and q.shape[-1] == k.shape[-1] and k.shape[:-2] == batch
    kinds = {s.dtype for s in srcs}
    if not same or len(kinds) > 1 or q.dtype.is_half or not q.numel or not k.numel:
        raise ValueError(f"attention of {q!r}, {k!r} and {v!r}")
    return (*batch, q.shape[-2], v.shape[-1]), q.dtype


def _infer_grad(srcs: tuple[Node, ...], arg: Any) -> tuple[Shape, DType]:
    _infer(srcs, arg)
    return (*srcs[0].shape[:-2], sum(prod(s.shape[-2:]) for s in srcs[:3])), srcs[0].dtype


def _numpy_weights(q: np.ndarray, k: np.ndarray, arg: Any) -> np.ndarray:
    scale, causal = arg
    scores = q @ np.swapaxes(k, -1, -2) * scale
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:]) > 0, scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(weights / weights.sum(-1, keepdims=True))


def _numpy(q: np.ndarray, k: np.ndarray, v: np.ndarray, *, node: Node) -> np.ndarray:
    wide = _numpy_weights(q.astype(np.float64), k.astype(np.float64), node.arg)
    return (wide @ v.astype(np.float64)).astype(q.dtype)


def _numpy_grad(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, g: np.ndarray, *, node: Node
) -> np.ndarray:
    dtype = q.dtype
    q, k, v, g = (a.astype(np.float64) for a in (q, k, v, g))
    p = _numpy_weights(q, k, node.arg)
    inner = g @ np.swapaxes(v, -1, -2)
    scores = p * (inner - (inner * p).sum(-1, keepdims=True)) * node.arg[0]
    turned = np.swapaxes(scores, -1, -2)
    parts = scores @ k, turned @ q, np.swapaxes(p, -1, -2) @ g
    flat = [a.reshape(*a.shape[:-2], -1) for a in parts]
    return np.concatenate(flat, -1).astype(dtype)


def _row_sum(x: Node) -> Node:
    return expand(sum_(x, arg=(x.ndim - 1,)), arg=x.shape)


def _weights(q: Node, k: Node, arg: Any) -> Node:
    """The matrix of weights as a node: only second derivatives need one."""
    scale, causal = arg
    scores = mul(matmul(q, swap(k)), lit(scale, q))
    if causal:
        rows, columns = scores.shape[-2:]
        at = reshape(iota((rows,), q.device), arg=(rows, 1))
        to = reshape(iota((columns,), q.device), arg=(1, columns))
        seen = le(expand(to, arg=(rows, columns)), expand(at, arg=(rows, columns)))
        seen = reshape(seen, arg=(*(1,) * (scores.ndim - 2), rows, columns))
        scores = where(expand(seen, arg=scores.shape), scores, lit(float("-inf"), q))
    top = expand(max_(scores, arg=(scores.ndim - 1,)), arg=scores.shape)
    powers = exp(sub(scores, top))
    return div(powers, _row_sum(powers))


def _parts(packed: Node, q: Node, k: Node, v: Node) -> list[Node]:
    """The three matrices of a flat gradient."""
    found, at = [], 0
    for like in (q, k, v):
        size = prod(like.shape[-2:])
        spans = [(0, n, 1) for n in packed.shape]
        spans[-1] = (at, at + size, 1)
        found.append(reshape(slice_(packed, arg=tuple(spans)), arg=like.shape))
        at += size
    return found


def _vjp(g: Node, y: Node, q: Node, k: Node, v: Node, *, arg: Any) -> list[Node]:
    return _parts(attention_grad(q, k, v, g, arg=arg), q, k, v)


def _grad_vjp(
    h: Node, y: Node, q: Node, k: Node, v: Node, g: Node, *, arg: Any
) -> tuple[Node, ...]:
    """With P the weights, X = g v' and Z = P (X - rowsum(P X)), the gradients of q, k and v are
    s Z k, s Z' q and P' g. This is the derivative of <a, s Z k> + <b, s Z' q> + <c, P' g>."""
    a, b, c = _parts(h, q, k, v)
    s = lit(arg[0], q)
    p = _weights(q, k, arg)
    centred = matmul(g, swap(v))
    inner = centred
    centred = sub(centred, _row_sum(mul(p, centred)))
    z = mul(p, centred)
    of_z = mul(add(matmul(a, swap(k)), matmul(q, swap(b))), s)
    mean = _row_sum(mul(p, of_z))
    of_x = mul(p, sub(of_z, mean))
    of_p = sub(add(matmul(g, swap(c)), mul(of_z, centred)), mul(mean, inner))
    of_scores = mul(p, sub(of_p, _row_sum(mul(p, of_p))))
    of_q = mul(add(matmul(of_scores, k), matmul(z, b)), s)
    of_k = mul(add(matmul(swap(of_scores), q), matmul(swap(z), a)), s)
    of_v = matmul(swap(of_x), g)
    return of_q, of_k, of_v, add(matmul(of_x, v), matmul(p, c))


attention: Op = register(
    Op(
        "attention",
        Lowering.EXTERN,
        _infer,
        _numpy,
        _vjp,
        (0, 1, 2),
        arity=3,
        kinds="f",
        ulp=64,
        strided=True,
    )
)
attention_grad: Op = register(
    Op(
        "attention_grad",
        Lowering.EXTERN,
        _infer_grad,
        _numpy_grad,
        _grad_vjp,
        (0, 1, 2, 3),
        arity=4,
        kinds="f",
        ulp=64,
        strided=True,
    )
)
