"""The numpy interpreter: what a graph means, op by op.

Owns: evaluation of nodes by the numpy meaning in their declarations. It is the oracle that
generated code is tested against and what runs where there is no compiler. Must not know: fusion,
kernels, backends. Half types are computed in float32 and rounded after every op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from lazygrad.ir.dtypes import (
    DType,
    bfloat16,
    bfloat16_to_float32,
    compute_dtype,
    float16,
    float32_to_bfloat16,
)
from lazygrad.ir.hostmath import round_half
from lazygrad.ir.node import Node
from lazygrad.ir.ops.core import Lowering


def from_storage(stored: np.ndarray, dtype: DType) -> np.ndarray:
    """What is in memory -> values in the compute dtype."""
    if dtype is bfloat16:
        return bfloat16_to_float32(stored)
    return stored.astype(np.float32) if dtype is float16 else stored


def to_storage(values: np.ndarray, dtype: DType) -> np.ndarray:
    """Values in the compute dtype -> what is in memory."""
    if dtype is bfloat16:
        return float32_to_bfloat16(values)
    return values.astype(dtype.np, copy=False)


def apply(node: Node, arrays: list[np.ndarray]) -> np.ndarray:
    """One op on the values of its sources, in compute dtypes."""
    op = node.op
    if op.lowering is Lowering.POINTWISE:
        arrays = [np.asarray(a) for a in arrays]
        if any(a.shape != node.shape for a in arrays):
            arrays = [np.broadcast_to(a, node.shape) for a in arrays]
    with np.errstate(all="ignore"):
        result = np.asarray(op.numpy(*arrays, node=node))
    if result.shape != node.shape:
        raise AssertionError(f"{node!r}: numpy meaning has shape {result.shape}")
    if node.dtype.is_half and op.lowering is not Lowering.MOVEMENT:
        return round_half(result.astype(np.float32), node.dtype)
    return result.astype(compute_dtype(node.dtype).np, copy=False)


def evaluate(
    order: Iterable[Node], value_of: Callable[[Node], np.ndarray]
) -> dict[Node, np.ndarray]:
    """Values (compute dtypes) of all nodes of `order` (sources first).

    `value_of` gives the stored array of nodes that have a buffer.
    """
    values: dict[Node, np.ndarray] = {}
    for node in order:
        if node.buffer is not None:
            values[node] = from_storage(value_of(node), node.dtype)
        else:
            values[node] = apply(node, [values[src] for src in node.srcs])
    return values
