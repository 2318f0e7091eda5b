"""Movement folded away: every compute node's sources as (base, View).

Owns: resolving chains of movement into one View on a node that is computed or in memory, and the
explicit copies where no View exists. Must not know: how nodes are grouped. This is the normal form
that fusion works on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lazygrad.ir import ops
from lazygrad.ir.node import Node, Shape, override, toposort
from lazygrad.ir.ops import Lowering
from lazygrad.ir.views import View


@dataclass(frozen=True)
class Operand:
    """Where a source's elements lie in the row-major value of `base`, over some index space.

    Of a matrix in a product the last axes of the view make its two indices: `rows` axes the first,
    `columns` axes the second, where no one stride walks along them (the windows of an image).
    """

    base: Node
    view: View
    rows: int = 1
    columns: int = 1


@dataclass
class Folded:
    """Compute nodes (sources first), their operands, and what each output is."""

    nodes: list[Node] = field(default_factory=list)
    operands: dict[Node, tuple[Operand, ...]] = field(default_factory=dict)
    outputs: list[Node] = field(default_factory=list)  # a base each: computed or a leaf


def is_virtual(node: Node) -> bool:
    """A leaf that has no memory: a literal, a run-time scalar, or a function of its index."""
    return node.op.lowering is Lowering.LEAF and node.buffer is None


def on_host(node: Node) -> bool:
    """Ops without a kernel: functions of their own, or run by their numpy meaning."""
    return node.op.lowering is Lowering.EXTERN


def in_memory_sources(node: Node) -> tuple[int, ...]:
    """Positions of sources that must be in memory before the kernel of `node` starts."""
    kind = node.op.lowering
    if kind is Lowering.CONTRACT or on_host(node):
        return tuple(range(len(node.srcs)))
    return (0,) if kind is Lowering.INDEXED else ()


def needs_plain_memory(node: Node, position: int) -> bool:
    """Whether that source must be in memory row-major: what is copied, then written into."""
    return (on_host(node) and not node.op.strided) or (
        node.op.lowering is Lowering.INDEXED and position == 0 and node.op is not ops.gather
    )


def domain_of(node: Node) -> Shape:
    """The index space that a node's pointwise sources are read over."""
    if node.op.lowering is Lowering.REDUCE:
        return node.srcs[0].shape
    if node.op.lowering is Lowering.INDEXED:
        return node.srcs[1].shape
    return node.shape


def as_matrix(source: Operand, node: Node) -> Operand | None:
    """A reshape that no View expresses as matrices, whose two indices are made of several axes."""
    view, shape = source.view, node.shape
    if node.op is not ops.reshape or len(shape) < 2 or view.box is not None or node.numel == 0:
        return None
    if is_virtual(source.base) or view.reshape(shape) is not None:
        return None
    batch = len(shape) - 2
    if view.shape[:batch] != shape[:batch]:
        return None
    count, axis = 1, batch
    while axis < len(view.shape) and count < shape[-2]:
        count *= view.shape[axis]
        axis += 1
    if count != shape[-2] or axis == batch or axis == len(view.shape):
        return None
    return Operand(source.base, view, axis - batch, len(view.shape) - axis)


class _Folder:
    def __init__(self) -> None:
        self.result = Folded()
        self.resolved: dict[Node, Operand] = {}
        self.matrices: dict[Node, Operand] = {}  # reshapes without a View that are sums of axes

    def operand(self, node: Node) -> Operand:
        """Where a value is; a reshape that no View expresses is copied when it is first read."""
        if node not in self.resolved:
            self.resolved[node] = self.movement(node, self.copy_of(node.srcs[0]))
        return self.resolved[node]

    def copy_of(self, node: Node) -> Operand:
        """A compute node that writes `node` to memory row-major."""
        source = self.operand(node)
        override.place = node.place
        made = ops.copy(node)
        self.result.nodes.append(made)
        self.result.operands[made] = (self.over(source, made.shape),)
        return Operand(made, View.contiguous(made.shape))

    def over(self, operand: Operand, domain: Shape) -> Operand:
        """A 0-d operand is read everywhere in the domain."""
        if operand.view.shape == domain:
            return operand
        assert operand.view.shape == (), (operand, domain)
        return Operand(operand.base, operand.view.expand(domain))

    def movement(self, node: Node, source: Operand) -> Operand:
        assert node.op.view is not None
        view = node.op.view(source.view, node.arg)
        if view is None:
            source = self.copy_of(node.srcs[0])
            view = node.op.view(source.view, node.arg)
        return Operand(source.base, view)

    def source(self, node: Node, position: int, in_memory: bool) -> Operand:
        src = node.srcs[position]
        if node.op.lowering is Lowering.CONTRACT and src in self.matrices:
            return self.matrices[src]
        operand = self.operand(src)
        if not in_memory:
            return self.over(operand, domain_of(node))
        plain = needs_plain_memory(node, position)
        bad = operand.view.box is not None or (plain and not operand.view.is_contiguous)
        if is_virtual(operand.base) or bad or (plain and operand.base.numel != src.numel):
            operand = self.copy_of(src)
        return operand

    def visit(self, node: Node) -> None:
        if node.buffer is not None or is_virtual(node):
            self.resolved[node] = Operand(node, View.contiguous(node.shape))
            return
        if node.op.lowering is Lowering.MOVEMENT:
            source = self.operand(node.srcs[0])
            matrix = as_matrix(source, node)
            if matrix is not None:  # for a product; whoever else reads it has it copied
                self.matrices[node] = matrix
            else:
                self.resolved[node] = self.movement(node, source)
            return
        memory = in_memory_sources(node)
        operands = tuple(self.source(node, i, i in memory) for i in range(len(node.srcs)))
        self.result.nodes.append(node)
        self.result.operands[node] = operands
        self.resolved[node] = Operand(node, View.contiguous(node.shape))

    def output(self, node: Node) -> Node:
        operand = self.operand(node)
        whole = operand.view.is_contiguous and operand.base.numel == node.numel
        if whole and not is_virtual(operand.base):
            return operand.base
        return self.copy_of(node).base


def fold_movement(outputs: Sequence[Node]) -> Folded:
    """Resolve all movement below `outputs`."""
    outer = override.place
    folder = _Folder()
    try:
        for node in toposort(outputs):
            folder.visit(node)
        made: dict[Node, Node] = {}
        for node in outputs:
            if node not in made:
                made[node] = folder.output(node)
        folder.result.outputs = [made[node] for node in outputs]
    finally:
        override.place = outer
    return folder.result
