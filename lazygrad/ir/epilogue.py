"""Epilogues: what is done to a matrix product, done to each of its blocks once that is complete.

Owns: which kernels run in the blocks of a product, and the change to the partition. Must not know:
how a product is made: who makes it is asked whether it finishes it so. No bit changes: the kernel
does what it would do after the product, to the same values. They are in the cache then, or not yet
in memory, and a product that nobody else reads costs no traffic of its own. It is decided after
`recompute`, when it is known who reads what.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from lazygrad.ir.decision import Decision
from lazygrad.ir.fusion import MAX_BUFFERS, Group, Key, Partition, Refused
from lazygrad.ir.kernel import collapse, lower
from lazygrad.ir.node import Node
from lazygrad.ir.operands import is_virtual
from lazygrad.ir.ops import DRAWS, Lowering
from lazygrad.ir.steps import Finishes, MatmulStep
from lazygrad.ir.views import View

LEAST_COLUMNS = 8  # of a product: a kernel over shorter rows takes longer than the memory it saves


def epilogues(partition: Partition, finishes: Finishes) -> None:
    """Let pointwise groups run in the blocks of a product that they read."""
    products = [n for n in partition.folded.nodes if n.op.lowering is Lowering.CONTRACT]
    if not products:
        return
    _relate(partition)
    for product in products:
        readers = dict.fromkeys(
            partition.group_of[node] for node, _ in partition.uses.get(product, ())
        )
        for number in readers:
            if _attach(partition, product, partition.groups[number], finishes):
                break


def _attach(partition: Partition, product: Node, group: Group, finishes: Finishes) -> bool:
    """Try to make a group the product's epilogue; the decision is recorded."""
    if group.alone or group.product is not None:
        return False
    first = next(n for n in group.nodes for o in partition.folded.operands[n] if o.base is product)
    try:
        columns = _columns(partition, product, group)
        done, reason = finishes(_step(partition, product, replace(group, columns=columns)))
    except Refused as refusal:
        done, reason = False, str(refusal)
    if done:
        group.columns = columns
        _absorb(partition, group, product)
    partition.decisions.append(Decision(done, reason, (product, first), "epilogue"))
    return done


def _step(partition: Partition, product: Node, group: Group) -> MatmulStep:
    """The step that the product would be with this group in its blocks."""

    def outside(node: Node) -> bool:
        readers = partition.uses.get(node, ())
        return node in partition.folded.outputs or any(
            partition.group_of[reader] != group.number for reader, _ in readers
        )

    stored = [node for node in group.nodes if outside(node)]
    kernel = lower(replace(group, product=product), partition.folded, stored)
    a, b = partition.folded.operands[product]
    return MatmulStep(product, a, b, kernel, outside(product))


def _columns(partition: Partition, product: Node, group: Group) -> int:
    """The axis of the group from which on its axes are the product's columns.

    Raises Refused with the reason where the group cannot run block by block.
    """
    columns = product.shape[-1]
    if group.axes:
        raise Refused("its kernel reduces, in an order that is not that of blocks")
    for node in group.nodes:
        if node.op.lowering is not Lowering.POINTWISE or node.op.errors:
            raise Refused(f"{node.op.name} is not done block by block")
    if columns < LEAST_COLUMNS or product.numel == 0:
        raise Refused(f"its rows have {columns} elements")
    if prod(group.shape) != product.numel:
        raise Refused(f"it has {prod(group.shape)} elements, the product {product.numel}")
    axis = len(group.shape)
    while prod(group.shape[axis:]) < columns:
        axis -= 1
    if prod(group.shape[axis:]) != columns:
        raise Refused(f"the axes of its kernel do not end with the product's {columns} columns")
    reads = [
        (operand.base, group.views[node, position])
        for node in group.nodes
        for position, operand in enumerate(partition.folded.operands[node])
        if (node, position) in group.views
    ]
    inner = [View(v.shape[axis:], v.strides[axis:]) for _, v in reads]
    if len(collapse(group.shape[axis:], (), [*inner, View.contiguous(group.shape[axis:])])) > 1:
        raise Refused("along a row of the product it reads a value that lies in several pieces")
    last = max(a for a, extent in enumerate(group.shape) if extent != 1)
    for base, view in reads:
        if base is product and not view.is_contiguous:
            raise Refused("it reads the product in another order than it is made")
        if view.box is not None or view.strides[last] not in (0, 1):
            raise Refused("it reads a value beside the product in another order")
        if base.op in DRAWS and base.buffer is None:
            raise Refused("it draws random numbers, which are made in order")
    found = {o.base for n in group.nodes for o in partition.folded.operands[n]}
    if sum(not is_virtual(b) for b in found - set(group.nodes)) > MAX_BUFFERS:
        raise Refused(f"it reads more than {MAX_BUFFERS} values")
    if partition.path_outside(partition.group_of[product], group.number):
        raise Refused("a value between them is computed by another kernel")
    return axis


def _relate(partition: Partition) -> None:
    """Who needs whom, worked out anew: values that are computed again have changed it."""
    groups, group_of = partition.groups, partition.group_of
    parents: dict[int, set[int]] = {number: set() for number in groups}
    children: dict[int, set[int]] = {number: set() for number in groups}
    uses: dict[Node, list[Key]] = {}
    for node in partition.folded.nodes:
        own = group_of[node]
        for place, operand in enumerate(partition.folded.operands[node]):
            uses.setdefault(operand.base, []).append((node, place))
            source = group_of.get(operand.base, own)
            if source != own:
                parents[own].add(source)
                children[source].add(own)
    ancestors: dict[int, int] = {}
    waits = {number: len(found) for number, found in parents.items()}
    ready = [number for number, count in waits.items() if not count]
    while ready:
        number = ready.pop()
        ancestors[number] = 0
        for parent in parents[number]:
            ancestors[number] |= (1 << parent) | ancestors[parent]
        for child in children[number]:
            waits[child] -= 1
            if not waits[child]:
                ready.append(child)
    partition.parents, partition.children = parents, children
    partition.ancestors, partition.uses = ancestors, uses


def _absorb(partition: Partition, group: Group, product: Node) -> None:
    """Make the product a part of a group that reads it."""
    number = partition.group_of[product]
    group.product = product
    group.nodes.append(product)
    group.nodes.sort(key=partition.position.__getitem__)
    group.sources = (group.sources | partition.groups[number].sources) - {product}
    partition.group_of[product] = group.number
    partition.join_relations(group.number, number)
