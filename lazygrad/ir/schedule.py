"""The schedule: ordered steps over slots, and where each temporary lies.

Owns: which values get memory, when each is last read, reuse of memory between temporaries, and
in-place updates where nobody reads the old value. Must not know: any backend. A slot is a value in
memory: a leaf, an output, or a temporary in one arena or in the memory of a later output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lazygrad.ir import ops
from lazygrad.ir.decision import Decision
from lazygrad.ir.epilogue import epilogues
from lazygrad.ir.fusion import FULL, Group, Partition, check_partition, writes_in_place
from lazygrad.ir.kernel import Access, Instr, Kernel, Store, check_kernel, lower
from lazygrad.ir.node import Node
from lazygrad.ir.operands import Folded, Operand, fold_movement, is_virtual
from lazygrad.ir.ops import Lowering
from lazygrad.ir.order import run_order
from lazygrad.ir.places import place_all
from lazygrad.ir.recompute import recompute
from lazygrad.ir.simplify import simplify
from lazygrad.ir.sizes import Size
from lazygrad.ir.steps import (
    Finishes,
    HostStep,
    KernelStep,
    MatmulStep,
    Step,
    delivered,
    fetched,
    nbytes,
    reads,
    writes,
)
from lazygrad.ir.views import View

Signature = Callable[[Kernel], str]  # equal for kernels that one launch may hold; '' for none


@dataclass
class Later:
    """What gives temporaries their places once sizes are known: `place_all` with these."""

    span: dict[Node, tuple[int, int]]
    outputs: set[Node]
    size: dict[Node, Any]  # bytes
    number: dict[Node, int]  # of each temporary


@dataclass
class Schedule:
    """`memory[node]` is the node whose memory holds it (itself unless updated in place)."""

    steps: list[Step]
    outputs: list[Node]
    memory: dict[Node, Node]
    offsets: dict[Node, int] = field(default_factory=dict)  # temporaries: bytes into the arena,
    homes: dict[Node, Node] = field(default_factory=dict)  # or into the memory of these outputs
    arena: int = 0
    later: Later | None = None  # of a plan for many sizes: what places depend on
    decisions: list[Decision] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    operands: dict[Node, tuple[Operand, ...]] = field(default_factory=dict)  # for those who look


def _copy_kernel(source: Node, target: Node) -> Kernel:
    """All of `source`, in order, to the memory of `target`."""
    access = Access((1,))
    load = Instr(ops.BUFFER, (), source.dtype, "full", None, 0, access, node=source)
    store = Store(0, 1, access, "full", node=target)
    return Kernel((source.numel,), (False,), [load], [store], [source, target])


class _Scheduler:
    def __init__(self, partition: Partition, outputs: list[Node]):
        self.partition = partition
        self.folded: Folded = partition.folded
        self.outputs = outputs
        self.steps: list[Step] = []
        self.memory: dict[Node, Node] = {}
        self.pending = self._uses()
        self.wanted: set[Node] = set()

    def _uses(self) -> dict[Node, int]:
        """How many groups (and outputs) still read each value."""
        uses: dict[Node, int] = {}
        for group in self.partition.groups.values():
            inside = set(group.nodes)
            outside = {
                o.base for n in group.nodes for o in self.folded.operands[n] if o.base not in inside
            }
            for base in outside:
                uses[base] = uses.get(base, 0) + 1
        for node in self.outputs:
            uses[node] = uses.get(node, 0) + 1
        return uses

    def prepare_update(self, node: Node, group: Group) -> None:
        """Give an updated value its memory: its source's own where nobody else reads that."""
        source = self.folded.operands[node][0].base
        here = sum(o.base is source for n in group.nodes for o in self.folded.operands[n])
        if self.pending.get(source) == 1 and here == 1 and source.buffer is None:
            self.memory[node] = self.memory.get(source, source)
        else:
            self.steps.append(KernelStep([_copy_kernel(source, node)]))

    def lower(self) -> dict[int, Kernel]:
        """The kernel of every group that becomes one, by the group's number."""
        wanted = self.wanted = self._wanted()
        kernels = {}
        for number, group in self.partition.groups.items():
            if not group.alone:
                stored = [n for n in group.nodes if n in wanted]
                kernels[number] = lower(group, self.folded, stored)
                check_kernel(kernels[number])
        return kernels

    def run(
        self, kernels: dict[int, Kernel], signature: Signature, overwrite: bool, blocks: bool
    ) -> Schedule:
        groups = [self.partition.groups[n] for n in run_order(self.partition, self.outputs)]
        for group in groups:
            first = group.nodes[0]
            if group.product is not None:
                product = group.product
                a, b = self.folded.operands[product]
                kept, kernel = product in self.wanted, kernels[group.number]
                self.steps.append(MatmulStep(product, a, b, kernel, kept, kept or blocks))
            elif group.alone and first.op.lowering is Lowering.CONTRACT:
                a, b = self.folded.operands[first]
                self.steps.append(MatmulStep(first, a, b))
            elif group.alone:
                self.steps.append(HostStep(first, self.folded.operands[first]))
            else:
                for node in group.nodes:
                    if writes_in_place_here(node):
                        self.prepare_update(node, group)
                self.steps.append(KernelStep([kernels[group.number]]))
            inside = set(group.nodes)
            for base in {o.base for n in group.nodes for o in self.folded.operands[n]} - inside:
                self.pending[base] -= 1
        steps = batch(self.steps, self.memory, signature)
        schedule = Schedule(steps, self.outputs, self.memory)
        if overwrite:
            write_over_dead(schedule)
        schedule.decisions = self.partition.decisions
        schedule.groups = groups
        schedule.operands = self.folded.operands
        plan_memory(schedule)
        return schedule

    def _wanted(self) -> set[Node]:
        """Values that are read outside the group that makes them."""
        wanted = set(self.outputs)
        group_of = self.partition.group_of
        for node in self.folded.nodes:
            for operand in self.folded.operands[node]:
                if group_of.get(operand.base) != group_of[node]:
                    wanted.add(operand.base)
        return wanted


def writes_in_place_here(node: Node) -> bool:
    return node.op.lowering is Lowering.INDEXED and writes_in_place(node)


def batch(steps: list[Step], memory: dict[Node, Node], signature: Signature) -> list[Step]:
    """Put kernels with equal text that do not depend on each other into one launch.

    A kernel moves up to an earlier launch when nothing from there on makes what it reads, nor
    reads or writes the memory it writes. Or the earlier launch moves down to the kernel, when
    nothing in between reads what it makes, and what it reads is in use until then anyway.
    """
    result: list[Step | None] = []
    touched: list[tuple[set[Node], set[Node]]] = []  # (memory read, memory written) per launch

    def owners(nodes: list[Node]) -> set[Node]:
        return {memory.get(n, n) for n in nodes}

    used = {n: number for number, step in enumerate(steps) for n in owners(reads(step))}
    last: dict[str, int] = {}
    for number, step in enumerate(steps):
        read, written = owners(reads(step)), owners(writes(step))
        if isinstance(step, KernelStep):
            step.signature = signature(step.kernels[0])
            at = last.get(step.signature) if step.signature else None
            if at is not None:
                launch, (before, made) = result[at], touched[at]
                assert isinstance(launch, KernelStep)
                if not any((read & w) or (written & (r | w)) for r, w in touched[at:]):
                    launch.kernels += step.kernels
                    touched[at] = (before | read, made | written)
                    continue
                between = [*touched[at + 1 :], (read, written)]
                free = not any((made & (r | w)) or (before & w) for r, w in between)
                if free and all(n.buffer is not None or used[n] >= number for n in before):
                    step.kernels[:0] = launch.kernels
                    read, written = before | read, made | written
                    result[at], touched[at] = None, (set(), set())
            last[step.signature] = len(result)
        result.append(step)
        touched.append((read, written))
    return [step for step in result if step is not None]


def last_reads(schedule: Schedule) -> dict[Node, int]:
    """The number of the last step that reads each piece of memory."""
    found: dict[Node, int] = {}
    for number, step in enumerate(schedule.steps):
        for node in reads(step):
            found[schedule.memory.get(node, node)] = number
    return found


def _reads_once(kernel: Kernel) -> bool:
    """Whether each element is read, computed and written in one pass: nothing at the full level
    waits for a reduction."""
    late: set[int] = set()
    for number, ins in enumerate(kernel.instrs):
        waits = any(a in late or _is_reduction(kernel.instrs[a]) for a in ins.args)
        if waits and (ins.level == FULL or _is_reduction(ins)):
            return False
        if waits:
            late.add(number)
    return not any(s.level == FULL and s.value in late for s in kernel.stores)


def _is_reduction(ins: Instr) -> bool:
    return ins.op.lowering is Lowering.REDUCE


def _may_overwrite(kernel: Kernel, source: Node, target: Node) -> bool:
    """Whether a kernel may write `target` over `source`: it reads each element once, where and when
    it writes it."""
    same = source.dtype.itemsize == target.dtype.itemsize and source.numel == target.numel
    if not same or is_virtual(source):
        return False
    stores = [s for s in kernel.stores if kernel.buffers[s.buffer] is target]
    if len(stores) != 1 or stores[0].level != FULL or stores[0].index is not None:
        return False
    at = kernel.buffers.index(source)
    return _reads_once(kernel) and all(
        ins.op is ops.BUFFER and ins.level == FULL and ins.access == stores[0].access
        for ins in kernel.instrs
        if ins.buffer == at
    )


def write_over_dead(schedule: Schedule) -> None:
    """Let values take the memory of temporaries that their own kernel is the last to read: so a
    temporary lies in an output's memory from the start if the output is written over it."""
    memory, last = schedule.memory, last_reads(schedule)
    outputs = {memory.get(n, n) for n in schedule.outputs}
    begun: set[Node] = set()  # written by an earlier step: an update's copy is, before the update
    for number, step in enumerate(schedule.steps):
        kernels, beside = _kernels_of(step)
        factors = {memory.get(n, n) for n in beside}  # of a product: read until its last block
        # kernels of one launch run in any order: what two of them touch stays
        touching = Counter(memory.get(n, n) for k in kernels for n in {*k.buffers})
        for kernel in kernels:
            dead = [n for n in kernel.buffers if last.get(n) == number and n.buffer is None]
            dead = [n for n in dead if n not in outputs and n not in memory and touching[n] == 1]
            dead = [n for n in dead if n not in factors]
            dead.sort(key=lambda n: n is not kernel.product)
            for store in kernel.stores:
                target = kernel.buffers[store.buffer]
                if target in memory or target in begun:
                    continue
                source = next((n for n in dead if _may_overwrite(kernel, n, target)), None)
                if source is None:
                    continue
                dead.remove(source)
                if target not in outputs:
                    memory[target] = source
                    last[source] = last.get(target, number)
                    continue
                for held in [n for n, owner in memory.items() if owner is source]:
                    memory[held] = target
                memory[source] = target
        begun.update(writes(step))


def _kernels_of(step: Step) -> tuple[list[Kernel], list[Node]]:
    """The kernels of a step, and what it reads beside them at any time."""
    if isinstance(step, KernelStep):
        return step.kernels, []
    if isinstance(step, MatmulStep) and step.epilogue is not None:
        return [step.epilogue], [step.a.base, step.b.base]
    return [], []


def spans(schedule: Schedule) -> dict[Node, tuple[int, int]]:
    """For each piece of memory that the schedule writes, the first and the last step to use it."""
    found: dict[Node, tuple[int, int]] = {}
    for number, step in enumerate(schedule.steps):
        for node in [*writes(step), *reads(step)]:
            owner = schedule.memory.get(node, node)
            if owner.buffer is None:
                found[owner] = (found.get(owner, (number, number))[0], number)
    return found


def plan_memory(schedule: Schedule) -> None:
    """Give temporaries their places. In a plan for many sizes these are not known yet: they have
    numbers, and a place each once it is asked for sizes."""
    outputs = {schedule.memory.get(n, n) for n in schedule.outputs}
    span = spans(schedule)
    size: dict[Node, Any] = {n: nbytes(n) for n in span}
    trace = next((s.trace for s in size.values() if s.__class__ is Size), None)
    if trace is None:
        schedule.offsets, schedule.homes, schedule.arena = place_all(span, outputs, size)
        return
    temporaries = [n for n in span if n not in outputs]
    *places, schedule.arena = trace.later(len(temporaries) + 1)
    schedule.offsets = dict(zip(temporaries, places))
    schedule.later = Later(span, outputs, size, {n: at for at, n in enumerate(temporaries)})


def check_schedule(schedule: Schedule) -> None:
    """Memory holds what is read from it, and no two live values share a place."""
    memory = schedule.memory
    held: dict[Node, Node] = {}
    for step in schedule.steps:
        written = writes(step)
        for node in reads(step):
            found = held.get(memory.get(node, node))
            if node.buffer is None and found is not node and node not in written:
                raise AssertionError(f"{node!r} is read where there is {found!r}")
        held.update((memory.get(node, node), node) for node in written)
    for node in schedule.outputs:
        found = held.get(memory.get(node, node))
        if node.buffer is None and found is not node:
            raise AssertionError(f"output {node!r} is not there in the end, but {found!r}")
    _check_places(schedule)


def _check_places(schedule: Schedule) -> None:
    if schedule.later is not None:
        return
    span = spans(schedule)
    for node in {schedule.memory.get(n, n) for n in schedule.outputs} & span.keys():
        span[node] = (span[node][0], len(schedule.steps))
    at: dict[Node | None, list[tuple[int, int, Node]]] = {}
    for node in span:
        home = node if node not in schedule.offsets else schedule.homes.get(node)
        start = schedule.offsets.get(node, 0)
        at.setdefault(home, []).append((start, start + nbytes(node), node))
    for places in at.values():
        places.sort(key=lambda place: place[:2])
        for number, (_, end, node) in enumerate(places):
            for start, _, other in places[number + 1 :]:
                if start >= end:
                    break
                if span[node][0] <= span[other][1] and span[other][0] <= span[node][1]:
                    raise AssertionError(f"{node!r} and {other!r} are live in the same memory")


def make_schedule(
    outputs: Sequence[Node],
    signature: Signature = lambda kernel: "",
    lowered: Callable[[list[Kernel]], None] = lambda kernels: None,
    overwrite: bool = True,
    finishes: Finishes | None = None,
    blocks: bool = True,
) -> Schedule:
    """Simplify, fold movement, partition and order: all that does not depend on a backend.

    `lowered` is told of the kernels as soon as they are known, so that a compiler can be at work
    while they are put in order. `overwrite`: kernels may write where they read. `finishes`: asked
    for each kernel that could run in the blocks of a matrix product. `blocks`: these blocks are
    in memory then, and not in registers.
    """
    folded = fold_movement(simplify(outputs))
    partition = Partition(folded)
    recompute(partition, folded.outputs)
    if finishes is not None:
        epilogues(partition, finishes)
    scheduler = _Scheduler(partition, folded.outputs)
    kernels = scheduler.lower()
    lowered(list(kernels.values()))
    check_partition(partition)
    schedule = scheduler.run(kernels, signature, overwrite, blocks)
    check_schedule(schedule)
    return schedule


__all__ = [
    "HostStep",
    "KernelStep",
    "MatmulStep",
    "Schedule",
    "Step",
    "View",
    "delivered",
    "fetched",
    "last_reads",
    "make_schedule",
    "nbytes",
    "reads",
    "writes",
]
