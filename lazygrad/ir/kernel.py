"""Kernels: a group with its index space collapsed and every access spelled out.

Owns: `Kernel`, the form that backends plan from, how a group becomes one, and the checks of it.
Must not know: loops, vectors, threads or any backend's text. Axes that all accesses walk through
together are merged, axes of extent 1 dropped, so that a kernel's structure says nothing about
sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.fusion import FULL, ROW, Group, writes_in_place
from lazygrad.ir.node import Node
from lazygrad.ir.operands import Folded, in_memory_sources, is_virtual
from lazygrad.ir.ops import Lowering, Op
from lazygrad.ir.views import View


@dataclass(frozen=True)
class Access:
    """Element strides along the kernel's axes, start offset, and the valid range per axis."""

    strides: tuple[int, ...]
    offset: int = 0
    box: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True)
class Instr:
    """One value. `op` tells what it is: a leaf (read through `access`) or an op on `args`.

    `buffer` is the position in the kernel's buffers of what a leaf or an indexed op reads.
    """

    op: Op
    args: tuple[int, ...]
    dtype: DType
    level: str
    arg: object = None
    buffer: int | None = None
    access: Access | None = None
    stride: int = 0  # indexed: elements from one index to the next
    size: int = 0  # indexed: number of valid indices
    node: Node | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Store:
    """A value written to a buffer. `index` is set for writes at computed positions."""

    value: int
    buffer: int
    access: Access
    level: str
    index: int | None = None
    stride: int = 0
    size: int = 0
    combine: Op | None = None  # scatter: how the value meets what is there (None: replaces it)
    node: Node | None = field(default=None, compare=False)


@dataclass
class Kernel:
    """Axes with extents, instructions in order, stores; `buffers` are the nodes behind pointers."""

    extents: tuple[int, ...]
    reduced: tuple[bool, ...]
    instrs: list[Instr]
    stores: list[Store]
    buffers: list[Node]
    product: Node | None = None  # the matrix product whose blocks it is run on, if it is

    @property
    def reductions(self) -> list[int]:
        return [i for i, ins in enumerate(self.instrs) if ins.op.lowering is Lowering.REDUCE]

    def places(self) -> list[Node]:
        return [ins.node for ins in self.instrs if ins.node is not None]


class _Lowerer:
    def __init__(self, group: Group, folded: Folded, stored: Sequence[Node]):
        self.group = group
        self.folded = folded
        self.stored = stored
        self.instrs: list[tuple[Instr, View | None]] = []
        self.stores: list[tuple[Store, View]] = []
        self.buffers: list[Node] = []
        self.value: dict[object, int] = {}

    def buffer(self, node: Node) -> int:
        if node not in self.buffers:
            self.buffers.append(node)
        return self.buffers.index(node)

    def emit(self, key: object, instr: Instr, view: View | None = None) -> int:
        found = self.value.get(key)
        if found is None:
            found = self.value[key] = len(self.instrs)
            self.instrs.append((instr, view))
        return found

    def full_view(self, view: View, level: str) -> View:
        """A row-level view seen from the full index space: the same along reduced axes."""
        if level == FULL:
            return view
        axes = self.group.axes
        strides = tuple(0 if a in axes else s for a, s in enumerate(view.strides))
        box = view.box and tuple(
            (0, n) if a in axes else span
            for a, (span, n) in enumerate(zip(view.box, self.group.shape))
        )
        return View(self.group.shape, strides, view.offset, box)

    def leaf(self, base: Node, view: View, level: str) -> int:
        key = (base, view, level)
        if is_virtual(base) and base.op is ops.CONST and view.box is None:
            return self.emit((base,), Instr(base.op, (), base.dtype, ROW, base.arg, node=base))
        if is_virtual(base) and base.op is ops.SCALAR and view.box is None:
            at = self.buffer(base)
            return self.emit((base,), Instr(base.op, (), base.dtype, ROW, None, at, node=base))
        seen = self.full_view(view, level)
        if base.buffer is None and base.op in ops.DRAWS:
            args = tuple(self.leaf(s, View((), ()), level) for s in base.srcs)
            instr = Instr(base.op, args, base.dtype, level, base.arg, None, Access(()), node=base)
            return self.emit(key, instr, seen)
        if base.buffer is None and is_virtual(base):
            cell = self.buffer(base) if base.op is ops.SCALAR else None
            instr = Instr(base.op, (), base.dtype, level, base.arg, cell, Access(()), node=base)
            return self.emit(key, instr, seen)
        at = self.buffer(base)
        instr = Instr(ops.BUFFER, (), base.dtype, level, None, at, Access(()), node=base)
        return self.emit(key, instr, seen)

    def source(self, node: Node, position: int) -> int:
        base = self.folded.operands[node][position].base
        found = self.value.get(base)
        if found is not None and base in self.group.level:
            return found
        level = FULL if node.op.lowering is Lowering.REDUCE else self.group.level[node]
        return self.leaf(base, self.group.views[node, position], level)

    def visit(self, node: Node) -> None:
        level = self.group.level[node]
        memory = in_memory_sources(node)
        args = tuple(self.source(node, i) for i in range(len(node.srcs)) if i not in memory)
        if node.op.lowering is not Lowering.INDEXED:
            size = node.arg.size if node.op in ops.CHECKS else 0
            self.emit(node, Instr(node.op, args, node.dtype, level, node.arg, size=size, node=node))
            return
        operand = self.folded.operands[node][0]
        view = self.full_view(self.group.views[node, 0], level)
        if writes_in_place(node):
            self.write(node, args, view, level)
            return
        at = self.buffer(operand.base)
        stride, size = operand.view.strides[node.arg], operand.view.shape[node.arg]
        instr = Instr(
            node.op, args, node.dtype, level, None, at, Access(()), stride, size, node=node
        )
        self.emit(node, instr, view)

    def write(self, node: Node, args: tuple[int, ...], view: View, level: str) -> None:
        at = self.buffer(node)
        if node.op is ops.update:
            self.stores.append((Store(args[0], at, Access(()), level, node=node), view))
            return
        axis = node.arg
        stride = View.contiguous(node.shape).strides[axis]
        combine = ops.add if node.op is ops.scatter_add else None
        store = Store(
            args[1], at, Access(()), level, args[0], stride, node.shape[axis], combine, node
        )
        self.stores.append((store, view))

    def run(self) -> Kernel:
        group = self.group
        for node in group.nodes:
            if node is not group.product:  # it is in memory, block by block
                self.visit(node)
        for node in self.stored:
            if node in group.final or node is group.product:
                continue
            level = group.level[node]
            view = self.full_view(View.contiguous(group.space(level)), level)
            at = self.buffer(node)
            self.stores.append((Store(self.value[node], at, Access(()), level, node=node), view))
        return self.collapsed()

    def collapsed(self) -> Kernel:
        group = self.group
        views = [v for _, v in self.instrs if v is not None] + [v for _, v in self.stores]
        ordered = any(
            ins.op in (ops.sum_, ops.prod) and ins.dtype.kind == "f" for ins, _ in self.instrs
        )
        if group.product is None:
            runs = collapse(group.shape, group.axes, views, ordered)
        else:
            runs = _rows_and_columns(group, views)
        extents = tuple(_run_extent(group.shape, run) for run in runs)
        reduced = tuple(any(axis in group.axes for axis in run) for run in runs)

        def access(view: View) -> Access:
            box = None
            if view.box is not None:
                box = tuple(
                    view.box[run[-1]] if len(run) == 1 else (0, _run_extent(group.shape, run))
                    for run in runs
                )
                if all(span == (0, n) for span, n in zip(box, extents)):
                    box = None
            return Access(tuple(view.strides[run[-1]] for run in runs), view.offset, box)

        instrs = [
            ins
            if view is None
            else Instr(
                ins.op,
                ins.args,
                ins.dtype,
                ins.level,
                ins.arg,
                ins.buffer,
                access(view),
                ins.stride,
                ins.size,
                ins.node,
            )
            for ins, view in self.instrs
        ]
        stores = [
            Store(
                s.value,
                s.buffer,
                access(view),
                s.level,
                s.index,
                s.stride,
                s.size,
                s.combine,
                s.node,
            )
            for s, view in self.stores
        ]
        return Kernel(extents, reduced, instrs, stores, self.buffers, group.product)


def _rows_and_columns(group: Group, views: Sequence[View]) -> list[tuple[int, ...]]:
    """Runs of axes, of which the last one is the columns of the group's product."""
    at, shape = group.columns, group.shape
    rows = [View(v.shape[:at], v.strides[:at]) for v in views]
    columns = [View(v.shape[at:], v.strides[at:]) for v in views]
    runs = collapse(shape[:at], (), rows) if prod(shape[:at]) > 1 else []
    inner = collapse(shape[at:], (), columns)
    assert len(inner) == 1, "the columns of a product are walked as one axis"
    return [*runs, tuple(axis + at for axis in inner[0])]


def _run_extent(shape: tuple[int, ...], run: tuple[int, ...]) -> int:
    total = 1
    for axis in run:
        total *= shape[axis]
    return total


def collapse(
    shape: tuple[int, ...], axes: tuple[int, ...], views: Sequence[View], ordered: bool = False
) -> list[tuple[int, ...]]:
    """Runs of axes that every view walks as one long axis; axes of extent 1 are left out.

    At least one axis stays, and one reduced axis where the group reduces. `ordered`: the innermost
    reduced axis stays as it is, since it gives the order of a sum's additions.
    """
    innermost = max((axis for axis in axes if shape[axis] != 1), default=-1)

    def cut(axis: int) -> bool:
        return any(v.box is not None and v.box[axis] != (0, shape[axis]) for v in views)

    runs: list[tuple[int, ...]] = []
    for axis, extent in enumerate(shape):
        if extent == 1 and not cut(axis):
            continue
        if runs and not cut(axis) and not cut(runs[-1][-1]):
            last = runs[-1][-1]
            same = (last in axes) == (axis in axes) and not (ordered and axis == innermost)
            if same and all(v.strides[last] == v.strides[axis] * extent for v in views):
                runs[-1] = (*runs[-1], axis)
                continue
        runs.append((axis,))
    if axes and not any(run[0] in axes for run in runs):
        runs.append((axes[-1],))
        runs.sort()
    if not runs:
        runs.append((len(shape) - 1,))
    return runs


def lower(group: Group, folded: Folded, stored: Sequence[Node]) -> Kernel:
    """A group as a kernel that writes the values of `stored` to memory."""
    return _Lowerer(group, folded, stored).run()


def check_kernel(kernel: Kernel) -> None:
    """Sources come before their users, levels agree, and accesses have the kernel's rank."""
    rank = len(kernel.extents)
    for number, ins in enumerate(kernel.instrs):
        if any(arg >= number for arg in ins.args):
            raise AssertionError(f"value {number} is used before it is made")
        if ins.access is not None and len(ins.access.strides) != rank:
            raise AssertionError(f"value {number} has an access of another rank")
        if ins.level == ROW and ins.op.lowering is not Lowering.REDUCE:
            for arg in ins.args:
                if kernel.instrs[arg].level == FULL:
                    raise AssertionError(f"row value {number} reads the full level")
    for store in kernel.stores:
        if store.value >= len(kernel.instrs) or len(store.access.strides) != rank:
            raise AssertionError("a store has no value or another rank")
