"""The pipeline: pending nodes in, computed buffers out."""

from __future__ import annotations

from collections.abc import Sequence

from lazygrad.ir.interp import evaluate, to_storage
from lazygrad.ir.node import Node, toposort
from lazygrad.runtime.memory import Buffer, from_array


def read(node: Node):  # type: ignore[no-untyped-def]
    return node.buffer.array(node.dtype.np, node.shape)


def realize_nodes(outputs: Sequence[Node]) -> None:
    order = toposort(outputs)
    values = evaluate(order, read)
    for node in outputs:
        if node.buffer is None:
            node.buffer = from_array(to_storage(values[node], node.dtype))
            node.srcs = ()


__all__ = ["Buffer", "read", "realize_nodes"]
