"""Matrix products as numbers: sizes and strides of a node's product, for any backend.

Owns: how a product of two operands becomes the parameters of a kernel. Must not know: the text.
"""

from __future__ import annotations

from math import prod

from lazygrad.codegen.gemm import gemm_dims
from lazygrad.ir.operands import Operand
from lazygrad.ir.steps import MatmulStep
from lazygrad.ir.views import contiguous_strides


def matmul_dims(step: MatmulStep) -> tuple[int, ...]:
    """The parameters of the matmul kernel."""
    node, a, b = step.node, step.a, step.b
    c = contiguous_strides(node.shape)
    (first_a, last_a), (first_b, last_b) = _indices(a), _indices(b)
    batch = [
        (node.shape[axis], a.view.strides[axis], b.view.strides[axis], c[axis])
        for axis in range(node.ndim - 2)
        if node.shape[axis] != 1
    ]
    m, n, depth = node.shape[-2], node.shape[-1], prod(extent for extent, _ in last_a)
    ends = (c[-2], c[-1])
    return gemm_dims(m, n, depth, (first_a, last_a), (first_b, last_b), ends, batch)


def _indices(operand: Operand) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(extent, stride) of the axes that make a matrix's row index, and of its column index."""
    view, rows = operand.view, operand.rows
    axes = list(zip(view.shape, view.strides))
    last = len(axes) - operand.columns
    return axes[last - rows : last], axes[last:]
