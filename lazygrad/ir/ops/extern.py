"""Ops that run on the host by their numpy meaning: scans and sorting, until they have kernels, and
copies between devices, which programs never contain: they are made between programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.ir.dtypes import DType, int64
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.ops.core import Lowering, Op, register
from lazygrad.ir.ops.movement import flip


def _keep(srcs: tuple[Node, ...], arg: Any) -> tuple[Shape, DType]:
    return srcs[0].shape, srcs[0].dtype


def _scan(x: np.ndarray, *, node: Node) -> np.ndarray:
    if x.dtype == np.float32:
        return np.cumsum(x, axis=node.arg, dtype=np.float64).astype(np.float32)
    return np.cumsum(x, axis=node.arg, dtype=x.dtype)


def _reverse_scan(g: Node, axis: int) -> Node:
    return flip(cumsum(flip(g, arg=(axis,)), arg=axis), arg=(axis,))


def _argsort(x: np.ndarray, *, node: Node) -> np.ndarray:
    """Stable; NaN counts as the largest value, as in PyTorch."""
    axis, descending = node.arg
    if not descending:
        return np.argsort(x, axis=axis, kind="stable").astype(np.int64)
    # reversing twice keeps equal elements in their order
    backwards = np.flip(x, axis)
    order = np.flip(np.argsort(backwards, axis=axis, kind="stable"), axis)
    return (x.shape[axis] - 1 - order).astype(np.int64)


cumsum: Op = register(
    Op(
        "cumsum",
        Lowering.EXTERN,
        _keep,
        _scan,
        lambda g, y, x, *, arg: (_reverse_scan(g, arg),),
        kinds="uif",
    )
)
argsort: Op = register(
    Op("argsort", Lowering.EXTERN, lambda srcs, arg: (srcs[0].shape, int64), _argsort)
)


def to_device(x: Node, device: str) -> Node:
    """The same values on another device."""
    return Node(transfer, (x,), device, x.shape, x.dtype, device)


transfer: Op = register(
    Op(
        "transfer",
        Lowering.EXTERN,
        _keep,
        lambda x, *, node: x,
        lambda g, y, x, *, arg: (to_device(g, x.device),),
    )
)
