"""The plan of an advanced index: from index tensors to rows of a matrix, and back.

Owns: the joint shape of index tensors, their one linear index, and where the joint axes stand.
Must not know: how an index expression is read.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from math import prod

import numpy as np

from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.node import Node, Shape
from lazygrad.tensor import promotion as P
from lazygrad.tensor.checks import wrapped_index
from lazygrad.tensor.core import Tensor, node_of, shape_of
from lazygrad.tensor.size import extents


class IndexPlan:
    """An advanced index: which axes, the joint shape of the index tensors, the linear index."""

    def __init__(self, base: Tensor, tensors: Sequence[Tensor | None]):
        self.shape = shape = shape_of(base)
        self.axes = [a for a, t in enumerate(tensors) if t is not None]
        self.rest = [a for a, t in enumerate(tensors) if t is None]
        given = [t for t in tensors if t is not None]
        for t in given:
            if t.dtype.kind == "f":
                raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        try:
            self.joint = P.broadcast_shapes(*(shape_of(t) for t in given))
        except RuntimeError:
            listed = ", ".join(extents(shape_of(t)) for t in given)
            raise IndexError(
                f"shape mismatch: indexing tensors could not be broadcast together with shapes "
                f"{listed}"
            ) from None
        self.count = prod(self.joint)
        if self.count and not all(shape[a] for a in self.axes):
            raise IndexError("index is out of bounds for dimension with size 0")
        self.room = prod(shape[a] for a in self.axes)
        self.width = prod(shape[a] for a in self.rest)
        self.given, self.device = given, node_of(base).device
        adjacent = self.axes == list(range(self.axes[0], self.axes[0] + len(self.axes)))
        self.at = self.axes[0] if adjacent else 0  # where the joint axes stand in the result

    @functools.cached_property
    def linear(self) -> Node:
        """One index for all axes. IndexError if one is out of range: shapes are looked at first."""
        given, device = self.given, self.device
        total: Node | None = None
        apart = len({node_of(t).device for t in given}) > 1  # a list beside a mask, say
        for number, (axis, t) in enumerate(zip(self.axes, given)):
            size = self.shape[axis]
            words = (
                f"IndexError: index {{asked}} is out of bounds for dimension {number} with size "
                "{size}"
            )
            node = wrapped_index(t, size, words)
            if apart and node.device != device:
                node = ops.to_device(node, device)
            node = P.spread_to(node, self.joint)
            if total is not None:
                total = ops.mul(total, P.scalar(size, D.int64, node.device))
                node = ops.add(total, node)
            total = node
        assert total is not None
        return ops.reshape(total, arg=(self.count,))

    def index(self) -> Node:
        """(count, width): the row of each element."""
        column = ops.reshape(self.linear, arg=(self.count, 1))
        return P.spread_to(column, (self.count, self.width))

    def rows(self, x: Node) -> Node:
        """x as (room, width): the indexed axes first."""
        order = (*self.axes, *self.rest)
        moved = x if order == tuple(range(len(order))) else ops.permute(x, arg=order)
        return ops.reshape(moved, arg=(self.room, self.width))

    def back(self, rows: Node) -> Node:
        """The inverse of `rows`."""
        order = (*self.axes, *self.rest)
        moved = ops.reshape(rows, arg=tuple(self.shape[a] for a in order))
        if order == tuple(range(len(order))):
            return moved
        return ops.permute(moved, arg=tuple(int(i) for i in np.argsort(order)))

    @property
    def result_shape(self) -> Shape:
        rest = [self.shape[a] for a in self.rest]
        return (*rest[: self.at], *self.joint, *rest[self.at :])

    def out(self, rows: Node) -> Node:
        """(count, width) -> the result's shape."""
        rest = tuple(self.shape[a] for a in self.rest)
        node = ops.reshape(rows, arg=(*self.joint, *rest))
        if self.at == 0:
            return node
        lead, rank = len(self.joint), len(self.joint) + len(rest)
        order = (*range(lead, lead + self.at), *range(lead), *range(lead + self.at, rank))
        return ops.permute(node, arg=order)

    def into(self, value: Node) -> Node:
        """The inverse of `out`."""
        if self.at:
            lead = len(self.joint)
            order = (
                *range(self.at, self.at + lead),
                *range(self.at),
                *range(self.at + lead, len(value.shape)),
            )
            value = ops.permute(value, arg=order)
        return ops.reshape(value, arg=(self.count, self.width))
