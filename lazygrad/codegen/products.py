"""Matrix products as numbers: sizes and strides of a node's product, for any backend.

Owns: how a product of two operands becomes the parameters of a kernel. Must not know: the text.
"""

from __future__ import annotations

from lazygrad.codegen.gemm import gemm_dims
from lazygrad.ir.node import Node
from lazygrad.ir.operands import Operand
from lazygrad.ir.views import contiguous_strides


def matmul_dims(node: Node, a: Operand, b: Operand) -> tuple[int, ...]:
    """The parameters of the matmul kernel."""
    c = contiguous_strides(node.shape)
    sa, sb = a.view.strides, b.view.strides
    (ai, ak), (bk, bj), (ci, cj) = sa[-2:], sb[-2:], c[-2:]
    batch = [
        (node.shape[axis], sa[axis], sb[axis], c[axis])
        for axis in range(node.ndim - 2)
        if node.shape[axis] != 1
    ]
    return gemm_dims(
        node.shape[-2], node.shape[-1], a.view.shape[-1], (ai, ak), (bk, bj), (ci, cj), batch
    )
