"""From a schedule to a program: code for every kernel, compiled once, wired to slots.

Owns: rendering of all kernels of a schedule, finding those that are compiled already, compiling
the others in one unit, and laying out slots. Must not know: Tensors, or when to realize.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from math import prod

from lazygrad.codegen.target import Phase, Rendered
from lazygrad.ir import ops
from lazygrad.ir.kernel import Kernel
from lazygrad.ir.node import Node
from lazygrad.ir.operands import Operand
from lazygrad.ir.ops.checks import words_of
from lazygrad.ir.schedule import (
    HostStep,
    KernelStep,
    MatmulStep,
    Schedule,
    delivered,
    fetched,
    last_reads,
    make_schedule,
    nbytes,
    reads,
    writes,
)
from lazygrad.ir.sizes import SizeInText, larger, without_sizes
from lazygrad.ir.skeleton import traced
from lazygrad.ir.structure import Structure
from lazygrad.ir.views import contiguous_strides
from lazygrad.runtime.device import Device, Product, Text, device
from lazygrad.runtime.plans import Plan
from lazygrad.runtime.program import (
    ARENA,
    ERROR_BYTES,
    ERRORS,
    FIRST,
    SCALARS,
    HostCall,
    HostNode,
    Instance,
    Launch,
    Output,
    Program,
    Site,
)
from lazygrad.runtime.stats import stats
from lazygrad.runtime.units import Compilation, compile_missing, where


class Code:
    """The text of all kernels of a schedule: by kernel object, and functions by symbol."""

    def __init__(self, device: Device):
        self.device = device
        self.rendered: dict[int, Rendered] = {}
        # functions of several instances, by the name of one and the number
        self.many: dict[tuple[str, int], Rendered] = {}
        self.texts: dict[str, Text] = {}  # by the name of a kernel
        self.products: dict[int, Product] = {}  # by step object
        self.routines: dict[int, Product | None] = {}  # by step object
        self.matmuls: dict[str, Text] = {}  # and routines

    def of(self, kernel: Kernel) -> Rendered:
        found = self.rendered.get(id(kernel))
        if found is None:
            with stats.stage("render"):
                found = self.rendered[id(kernel)] = self.device.render(kernel)
                without_sizes(found.body)
        return found

    def product(self, step: MatmulStep) -> Product:
        found = self.products.get(id(step))
        if found is None:
            finish = None if step.epilogue is None else self.of(step.epilogue)
            found = self.products[id(step)] = self.device.product(step, finish)
        return found

    def name(self, step: MatmulStep | HostStep) -> str:
        """What a step that is a function of its own is called, with what its blocks get."""
        if isinstance(step, HostStep):
            made = self.routine(step)
            return step.node.op.name if made is None else made.symbol
        product = self.product(step)
        return product.name or product.symbol

    def routine(self, step: HostStep) -> Product | None:
        if id(step) not in self.routines:
            self.routines[id(step)] = self.device.routine(step.node, step.sources)
        return self.routines[id(step)]

    def signature(self, kernel: Kernel) -> str:
        """Kernels of one function may share a launch."""
        made = self.of(kernel)
        return made.name if len(made.phases) == 1 else ""

    @staticmethod
    def text(made: Rendered) -> Text:
        return Text(made.body, tuple(dict.fromkeys(phase.symbol for phase in made.phases)))

    def function(self, kernels: Sequence[Kernel]) -> Rendered:
        """What runs these kernels, which have one signature."""
        made = self.of(kernels[0])
        if made.together is None or len(kernels) == 1:
            return made
        key = made.name, len(kernels)
        if key not in self.many:
            self.many[key] = made.together(len(kernels))
        return self.many[key]

    def add(self, schedule: Schedule) -> None:
        for step in schedule.steps:
            if isinstance(step, KernelStep):
                made = self.function(step.kernels)
                self.texts[made.name] = self.text(made)
            else:
                if isinstance(step, MatmulStep) and step.epilogue is not None:
                    made = self.of(step.epilogue)
                    if made.phases:
                        self.texts[made.name] = self.text(made)
                product = self.product(step) if isinstance(step, MatmulStep) else self.routine(step)
                if product is not None and product.text is not None:
                    self.matmuls[product.symbol] = product.text

    def all(self) -> dict[str, Text]:
        """Every kernel's text by name, matrix products by their symbol."""
        return self.texts | self.matmuls


class _Layout:
    """Slots and byte offsets of the values of a schedule."""

    def __init__(self, schedule: Schedule, structure: Structure):
        self.schedule = schedule
        self.scalars = [
            (i, "f" if n.dtype.kind == "f" else "i")
            for i, n in enumerate(structure.leaves)
            if n.buffer is None
        ]
        self.cell = {structure.leaves[leaf]: 8 * k for k, (leaf, _) in enumerate(self.scalars)}
        self.leaf_number = {n: i for i, n in enumerate(structure.leaves)}
        self.leaf_slots = [i for i, n in enumerate(structure.leaves) if n.buffer is not None]
        self.leaf_slot = {structure.leaves[i]: FIRST + k for k, i in enumerate(self.leaf_slots)}
        self.out_slot: dict[Node, int] = {}
        self.outputs: list[Output] = []
        self.output_of: list[int] = []  # per requested output its position in `outputs`
        for node in schedule.outputs:
            self.output_of.append(self._output(node))

    def _output(self, node: Node) -> int:
        owner = self.schedule.memory.get(node, node)
        for number, known in enumerate(self._known):
            if known is owner:
                return number
        self._known.append(owner)
        if owner.buffer is not None:
            self.outputs.append(Output(self.leaf_number[owner], -1, 0))
        else:
            made = sum(o.leaf < 0 for o in self.outputs)
            slot = FIRST + len(self.leaf_slots) + made
            self.out_slot[owner] = slot
            self.outputs.append(Output(-1, slot, nbytes(owner)))
        return len(self.outputs) - 1

    @functools.cached_property
    def _known(self) -> list[Node]:
        return []

    def pointer(self, node: Node) -> tuple[int, int]:
        if node in self.cell:
            return SCALARS, self.cell[node]
        owner = self.schedule.memory.get(node, node)
        if owner in self.leaf_slot:
            return self.leaf_slot[owner], 0
        if owner in self.out_slot:
            return self.out_slot[owner], 0
        later = self.schedule.later
        if later is not None:
            return -1 - later.number[owner], self.schedule.offsets[owner]
        home = self.schedule.homes.get(owner)
        slot = ARENA if home is None else self.out_slot[home]
        return slot, self.schedule.offsets[owner]


class _Builder:
    def __init__(self, schedule: Schedule, structure: Structure, code: Code):
        self.schedule = schedule
        self.code = code
        self.layout = _Layout(schedule, structure)
        # by line, as simplification makes new nodes: it keeps the line of what they stand for
        self.number_of = {n.place: number for number, n in enumerate(structure.order)}
        self.where = where(code.all().values(), code.device)
        self.functions: list[tuple[str, int, int]] = []
        self.sites: list[Site] = []
        self.parts: list[list[Launch] | HostCall] = []
        self.host_nodes: list[HostNode] = []
        self.scratch_at = schedule.arena
        self.scratch = 0
        self.kernels = 0
        self.last_reads = last_reads(schedule)

    def function(self, symbol: str) -> int:
        at = self.where.get(symbol, ("", 0, 0))  # without a unit: the function of a library
        if at not in self.functions:
            self.functions.append(at)
        return self.functions.index(at)

    def lines(self, nodes: Sequence[Node]) -> tuple[int, ...]:
        """The numbers of the nodes whose lines an error is to name: of what was computed here."""
        known = [n.place for n in nodes if n.op is not ops.CONST and n.buffer is None]
        numbers = [self.number_of[place] for place in known if place in self.number_of]
        return tuple(dict.fromkeys(numbers))

    def append(self, launch: Launch) -> None:
        if not self.parts or isinstance(self.parts[-1], HostCall):
            self.parts.append([])
        part = self.parts[-1]
        assert isinstance(part, list)
        part.append(launch)

    def kernel_step(self, step: KernelStep) -> None:
        self.kernels += 1
        moved = sum(nbytes(n) for n in [*reads(step), *writes(step)])
        first = self.code.function(step.kernels)
        lines = self.lines([n for k in step.kernels for n in k.places()])
        instances: list[list[Instance]] = [[] for _ in first.phases]
        for kernel in step.kernels:
            made = self.code.of(kernel)
            pointers = [self.layout.pointer(n) for n in kernel.buffers]
            pointers += self.sites_of(kernel, made.errors)
            if made.scratch:
                pointers.append((ARENA, self.scratch_at))
                self.scratch = larger(self.scratch, made.scratch)
            dims = self.dims(kernel, made)
            for phase, into in zip(made.phases, instances):
                into.append(Instance(phase.items, pointers, [*dims, *phase.dims]))
        for number, (phase, into) in enumerate(zip(first.phases, instances)):
            grain = functools.reduce(
                larger, [self.code.of(k).phases[number].grain for k in step.kernels]
            )
            self.append(
                Launch(
                    self.function(phase.symbol),
                    grain,
                    into,
                    first.name,
                    lines,
                    number == 0,
                    moved if number == 0 else 0,
                    sum(prod(k.extents) for k in step.kernels),
                    first.at_once,
                )
            )

    def dims(self, kernel: Kernel, made: Rendered) -> list[int]:
        """A kernel's parameters; what is large and read by no later step is stored past caches."""
        dims = list(made.dims)
        for buffer, parameter in made.streams:
            node = kernel.buffers[buffer]
            owner = self.schedule.memory.get(node, node)
            if 2 * nbytes(owner) >= self.code.device.target.cache_bytes:
                dims[parameter] = int(owner not in self.last_reads)
        return dims

    def sites_of(self, kernel: Kernel, errors: Sequence[int]) -> list[tuple[int, int]]:
        """Cells for errors; an instruction's before a store's, which is of what they made."""
        order = sorted(errors, key=lambda number: (number < 0, abs(number)))
        cells = {number: self.site(kernel, number) for number in order}
        return [cells[number] for number in errors]

    def site(self, kernel: Kernel, number: int) -> tuple[int, int]:
        """A cell for errors of an instruction (or, below 0, of a store)."""
        if number >= 0:
            ins = kernel.instrs[number]
            node, size = ins.node, ins.size
        else:
            store = kernel.stores[-1 - number]
            node, size = store.node, store.size
        assert node is not None
        self.sites.append(Site(words_of(node), size, self.number_of.get(node.place, -1)))
        return ERRORS, ERROR_BYTES * (len(self.sites) - 1)

    def matmul_step(self, step: MatmulStep) -> None:
        self.function_step(self.code.product(step), step.node, (step.a, step.b), step)

    def function_step(
        self,
        made: Product,
        node: Node,
        sources: Sequence[Operand],
        step: MatmulStep | HostStep,
    ) -> None:
        """An op that is a function of its own."""
        self.kernels += 1
        pointers = []
        for operand in sources:
            slot, at = self.layout.pointer(operand.base)
            pointers.append((slot, at + operand.base.dtype.itemsize * operand.view.offset))
        pointers += [self.layout.pointer(n) for n in made.buffers or (node,)]
        if made.scratch:
            pointers.append((ARENA, self.scratch_at))
            self.scratch = larger(self.scratch, made.scratch)
        moved = sum(nbytes(n) for n in [*fetched(step), *delivered(step)])
        name, nodes = self.code.name(step), [node]
        if isinstance(step, MatmulStep) and step.epilogue is not None:
            nodes += step.epilogue.places()
        called = made.calls and (self.function(made.calls[0]), made.calls[1])
        phases = (Phase(made.symbol, made.items, made.grain, made.dims), *made.later)
        for number, call in enumerate(phases):
            self.append(
                Launch(
                    self.function(call.symbol),
                    call.grain,
                    [Instance(call.items, pointers, list(call.dims))],
                    name,
                    self.lines(nodes),
                    number == 0,
                    moved if number == 0 else 0,
                    node.numel,
                    calls=called,
                )
            )

    def host_step(self, step: HostStep) -> None:
        made = self.code.routine(step)
        if made is not None:
            self.function_step(made, step.node, step.sources, step)
            return
        plain = all(o.view.is_contiguous for o in step.sources)  # as it is read here
        assert plain, f"{self.code.device.name} has no {step.node.op.name} of its own"
        node, *sources = (stub(n) for n in (step.node, *step.node.srcs))
        self.host_nodes.append(HostNode(node, tuple(sources)))
        self.parts.append(
            HostCall(
                len(self.host_nodes) - 1,
                [self.layout.pointer(s.base) for s in step.sources],
                self.layout.pointer(step.node),
            )
        )

    def run(self) -> tuple[Program, list[int]]:
        for step in self.schedule.steps:
            if isinstance(step, KernelStep):
                self.kernel_step(step)
            elif isinstance(step, MatmulStep):
                self.matmul_step(step)
            else:
                self.host_step(step)
        layout = self.layout
        program = self.code.device.program(
            self.functions,
            self.parts,
            layout.scalars,
            layout.leaf_slots,
            layout.outputs,
            self.scratch_at + self.scratch,
            self.sites,
            self.kernels,
            self.host_nodes,
        )
        return program, layout.output_of


def stub(node: Node) -> Node:
    """What a program keeps of a node: not its sources, nor their memory."""
    return Node(node.op, (), node.arg, node.shape, node.dtype, node.device)


def plan(
    structure: Structure, compilation: Compilation | None = None, to: Device | None = None
) -> tuple[Schedule, Code]:
    """Schedule and code: what dumps show and programs are built from.

    Kernels are given to `compilation`, if there is one, before they are put in order. `to` plans
    for another device than the program's own.
    """
    code = Code(to or device(structure.device))

    def lowered(kernels: list[Kernel]) -> None:
        if compilation is not None and kernels:
            alike: dict[str, list[Kernel]] = {}
            for kernel in kernels:  # most of one signature are put into one step
                if code.of(kernel).phases:
                    alike.setdefault(code.of(kernel).name, []).append(kernel)
            compilation.start(code.text(code.function(some)) for some in alike.values())

    with stats.stage("plan"):
        schedule = make_schedule(
            structure.outputs,
            code.signature,
            lowered,
            code.device.overwrites,
            code.device.finishes,
            code.device.blocks,
        )
    code.add(schedule)
    return schedule, code


def build_program(structure: Structure) -> tuple[Program, list[int]]:
    """Plan, render, compile and wire a program for this structure.

    Also gives, per output of the structure, its position among the program's outputs.
    """
    return _built(structure).run()


def _built(structure: Structure) -> _Builder:
    """All that a program is made of, planned and compiled."""
    where_to = device(structure.device)
    compilation = Compilation(where_to)
    compilation.matmuls(structure.order)
    schedule, code = plan(structure, compilation)
    compilation.wait()
    compile_missing(code.all().values(), where_to)  # copies, which ordering may have added
    return _Builder(schedule, structure, code)


def build_plan(structure: Structure, sizes: tuple[int, ...]) -> Plan | None:
    """A plan for this structure and all that differ from it in sizes which planning treats alike.

    `sizes`: those of its skeleton. None where a text has one of them in it.
    """
    alike, trace = traced(structure, sizes)
    try:
        made = _built(alike)
        program, output_of = made.run()
        later, out_slot = made.schedule.later, made.layout.out_slot
        return Plan.traced(program, output_of, trace, later, out_slot)
    except SizeInText:
        return None
    finally:
        contiguous_strides.cache_clear()  # of Sizes that nobody has any more
