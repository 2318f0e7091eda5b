"""Looking into it from Python: what a value will be computed from, as what kernels, and how fast.

Owns: `ir`, `explain` and `to_dot` on tensors or nodes, `Look` (every stage of one program, which
`python -m lazygrad dump` prints), and the observer behind `LAZYGRAD_DEBUG`. Must not know: the
command line. Nothing here runs unless it is asked for: `install` registers an observer only where
`config.debug` is set.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from lazygrad.config import config
from lazygrad.ir import printer
from lazygrad.ir.kernel import Kernel
from lazygrad.ir.node import Node, place_text, toposort, user_place
from lazygrad.ir.printer import Record
from lazygrad.ir.schedule import HostStep, KernelStep, MatmulStep, Step, nbytes, reads
from lazygrad.ir.simplify import simplify
from lazygrad.ir.structure import Structure, structure
from lazygrad.realize import observers
from lazygrad.runtime.device import Product, planner
from lazygrad.runtime.program import HostCall, Launch, Program

if TYPE_CHECKING:
    from lazygrad.codegen.target import Rendered

LINES, SOURCE = 2, 4  # levels of LAZYGRAD_DEBUG: a line for every kernel run; its C as well


# -- values of the user ---------------------------------------------------------------------------
def nodes_of(values: Sequence[Any]) -> list[Node]:
    """The nodes behind tensors; nodes stand for themselves. Raises TypeError for anything else."""
    found = []
    for value in values:
        if isinstance(value, Node):
            found.append(value)
        elif hasattr(value, "_storage"):
            found.append(_node_of_tensor(value))
        else:
            raise TypeError(f"expected a Tensor or a Node, got {type(value).__name__}")
    return found


def _node_of_tensor(tensor: Any) -> Node:
    from lazygrad.tensor import core, storage

    node = core.node_of(tensor)
    storage.settle([])  # looking is not reading: shared memory need not be read at once
    return node


# -- one program, all stages ----------------------------------------------------------------------
class Look:
    """The stages of one program, planned anew. Take records before the program runs.

    `backend` plans for another kind of device than the program's, present or not.
    """

    def __init__(self, shape: Structure, backend: str | None = None):
        from lazygrad.runtime.build import plan  # with it come jinja2 and networkx

        self.structure = shape
        self.schedule, self.code = plan(shape, to=planner(backend) if backend else None)
        self.names = printer.Names(self.schedule, shape.leaves)

    def name_of(self, step: Step) -> str:
        """The name of a step's kernel."""
        if isinstance(step, KernelStep):
            return self.code.function(step.kernels).name
        return self.code.name(step)

    def kernel_of(self, step: Step) -> tuple[Kernel, Rendered] | None:
        """The kernel that a step runs, or its product's blocks get, and its code."""
        if isinstance(step, KernelStep):
            return step.kernels[0], self.code.function(step.kernels)
        if isinstance(step, MatmulStep) and step.epilogue is not None:
            return step.epilogue, self.code.of(step.epilogue)
        return None

    def function_of(self, step: MatmulStep | HostStep) -> Product | None:
        """The function that stands for a step's op; None: the host runs it."""
        if isinstance(step, MatmulStep):
            return self.code.product(step)
        return self.code.routine(step)

    def graph(self) -> Record:
        return printer.graph_record(self.structure.order, self.structure.outputs)

    def simplified(self) -> Record:
        outputs = simplify(self.structure.outputs)
        return printer.graph_record(toposort(outputs), outputs)

    def groups(self) -> Record:
        return printer.groups_record(self.schedule, self.names)

    def steps(self) -> Record:
        return printer.schedule_record(self.schedule, self.names, self.name_of)

    def kernels(self) -> list[Record]:
        """Every distinct kernel, and the steps that have none."""
        records: list[Record] = []
        for step in self.distinct():
            if not isinstance(step, KernelStep):
                records.append(printer.other_step_record(step, self.names))
            found = self.kernel_of(step)
            if found is not None:
                records.append(printer.kernel_record(found[0], self.names, found[1].name))
        return records

    def plans(self) -> list[Record]:
        from lazygrad.codegen.printer import phase_record, product_record
        from lazygrad.codegen.target import Phase

        device, records = self.code.device, []
        for step in self.distinct():
            if not isinstance(step, KernelStep):
                record = printer.other_step_record(step, self.names)
                if isinstance(step, MatmulStep):
                    product = self.code.product(step)
                    phase = Phase(product.symbol, product.items, product.grain)
                    record |= product_record(phase, product.dims, device.launch_text(phase))
                records.append(record)
            found = self.kernel_of(step)
            if found is not None:
                kernel, made = found
                own = made.phases if kernel.product is None else ()  # a product launches the other
                phases = [phase_record(p, device.launch_text(p)) for p in own]
                records.append(device.plan_record(kernel, made) | {"phases": phases})
        return records

    def sources(self) -> list[Record]:
        """The source of every distinct kernel, with the user's lines as comments."""
        texts = {}
        for step in self.distinct():
            own = None if isinstance(step, KernelStep) else self.function_of(step)
            if own is not None and own.symbol in self.code.matmuls:
                texts[own.symbol] = self.code.matmuls[own.symbol].body
            found = self.kernel_of(step)
            if found is not None:
                texts[found[1].name] = found[1].shown
        return [{"name": name, "text": text} for name, text in texts.items()]

    def unit(self, names: Sequence[str] | None = None) -> str:
        """The translation unit of these kernels (of all by default), as the compiler sees it."""
        texts = self.code.all()
        chosen = [texts[n] for n in (texts if names is None else names)]
        return self.code.device.unit_text(chosen)

    def distinct(self) -> list[Step]:
        """Steps, each name once (matrix products of other shapes count as others)."""
        found: dict[Any, Step] = {}
        for step in self.schedule.steps:
            shape = () if isinstance(step, KernelStep) else (step.node.shape, *_shapes(step))
            found.setdefault((self.name_of(step), shape), step)
        return list(found.values())

    def summary(self) -> Record:
        """Counts, kernels with their lines, and what was kept apart."""
        steps = self.steps()["steps"]
        moved = [sum(v["bytes"] for v in s["reads"] + s["writes"]) for s in steps]
        return {
            "ops": len(self.structure.order),
            "kernels": [
                {"name": step["name"], "places": step["places"], "bytes": size}
                for step, size in zip(steps, moved)
            ],
            "bytes": sum(moved),
            "memory": printer.memory_record(self.schedule),
            "refused": self.refused(),
        }

    def refused(self) -> list[Record]:
        """Decisions against fusing nodes that are in different kernels in the end, the last one
        for each two, and what became of the values between them."""
        group_of = {n: i for i, group in enumerate(self.schedule.groups) for n in group.nodes}
        last = {}
        for d in self.schedule.decisions:
            producer, consumer = (group_of.get(node) for node in d.edge)
            if d.kind in ("memory", "epilogue") or (
                not d.fused and None is not producer != consumer
            ):
                last[d.edge, d.kind] = d
        return [printer.decision_record(d) for d in last.values()]


def _shapes(step: MatmulStep | HostStep) -> list[tuple[int, ...]]:
    return [n.shape for n in reads(step)]


# -- for the user ---------------------------------------------------------------------------------
def ir(*values: Any) -> str:
    """What these tensors (or nodes) will be computed from, one op a line."""
    outputs = nodes_of(values)
    return printer.graph_text(printer.graph_record(toposort(outputs), outputs))


def explain(*values: Any) -> str:
    """How these tensors (or nodes) would be computed: kernels, bytes, and why not fewer."""
    outputs = [n for n in dict.fromkeys(nodes_of(values)) if n.buffer is None]
    if not outputs:
        return "nothing to compute: the values are in memory"
    return summary_text(Look(structure(outputs)).summary())


def summary_text(record: Record) -> str:
    """The text of `Look.summary`."""
    kernels = record["kernels"]
    lines = [
        f"{record['ops']} ops, {len(kernels)} kernel{'s' * (len(kernels) != 1)}, "
        f"{printer.size_text(record['bytes'])} moved"
    ]
    for kernel in kernels:
        text = f"  {kernel['name']}, {printer.size_text(kernel['bytes'])}"
        lines.append(printer.commented(text, ", ".join(kernel["places"][:4])))
    lines.append(f"  {printer.memory_text(record['memory'])}")
    reasons = [printer.decision_text(d) for d in record["refused"]]
    lines += [f"  {reason}" for reason in dict.fromkeys(reasons)]
    return "\n".join(lines)


def to_dot(path: str | Path, *values: Any, **named: Any) -> Path:
    """Write the graph of these tensors (or nodes) in DOT; keywords give values their names."""
    outputs = nodes_of((*values, *named.values()))
    title = dict(zip(outputs[len(values) :], named))
    order = toposort(outputs)
    number = {node: i for i, node in enumerate(order)}
    lines = ["digraph lazygrad {", '  node [shape=box, fontname="monospace"];']
    for node in order:
        lines.append(f"  n{number[node]} [{_dot_label(node, title.get(node, ''))}];")
        if node.buffer is None:
            lines += [f"  n{number[src]} -> n{number[node]};" for src in node.srcs]
    written = Path(path)
    written.write_text("\n".join([*lines, "}", ""]), encoding="utf-8")
    return written


def _dot_label(node: Node, name: str) -> str:
    op = "buffer" if node.buffer is not None else node.op.name
    kind = printer.type_text(node.dtype.short, node.shape)
    text = "\\n".join(filter(None, (name, op, kind, place_text(node.place))))
    text = text.replace('"', '\\"')
    return f'label="{text}"' + (", style=filled" if node.buffer is not None else "")


# -- LAZYGRAD_DEBUG -------------------------------------------------------------------------------
class Lines:
    """Observer: one line for every kernel run, and at level 4 the C of programs not seen yet."""

    def __init__(self, level: int = LINES, file: TextIO | None = None):
        self.level = level
        self.file = file
        self.count = 0
        self.shown: set[str] = set()  # kernels whose source was written
        self.places: dict[Any, list[str]] = {}  # per program and its lines: the lines of each step

    def write(self, text: str) -> None:
        print(text, file=self.file or sys.stderr)

    def __call__(self, shape: Structure, program: Program | None) -> Any:
        if program is None:
            self.interpreted(shape, place_text(user_place(3)))
            return None
        places = iter(self.lines_of(shape))
        launches = [launch for part in program.parts for launch in _launches(part)]
        following = {
            id(one): not after.counted
            for one, after in pairwise(launches)
            if isinstance(one, Launch) and isinstance(after, Launch)
        }
        spent = 0

        def observe(launch: Launch | HostCall, nanoseconds: int) -> None:
            nonlocal spent
            spent += nanoseconds
            if not following.get(id(launch)):
                self.write(self.line(program, launch, spent, next(places, "")))
                spent = 0

        return observe

    def interpreted(self, shape: Structure, place: str) -> None:
        self.count += 1
        self.write(f"*** NUMPY {self.count:4} {len(shape.order)} ops interpreted  <- {place}")

    def lines_of(self, shape: Structure) -> list[str]:
        """The user's lines of each step: a program found in a cache knows another script's."""
        key = (shape.key, tuple(node.place for node in shape.order))
        found = self.places.get(key)
        if found is None:
            look = Look(shape)
            found = [", ".join(k["places"][:4]) for k in look.summary()["kernels"]]
            self.places[key] = found
            if self.level >= SOURCE:
                self.show(look)
        return found

    def show(self, look: Look) -> None:
        for source in look.sources():
            if source["name"] not in self.shown:
                self.shown.add(source["name"])
                self.write(source["text"])

    def line(self, program: Program, launch: Launch | HostCall, spent: int, place: str) -> str:
        """*** CPU   3 add_mul_tanh_a1b2  n=4096  12.3us  9.8 GB/s  <- train.py:31"""
        self.count += 1
        if isinstance(launch, HostCall):
            host = program.host_nodes[launch.node]
            name, size = host.node.op.name, host.node.numel
            moved = sum(nbytes(n) for n in (host.node, *host.sources))
        else:
            name, size, moved = launch.name.removeprefix("lg_"), launch.size, launch.moved
        where = "HOST" if isinstance(launch, HostCall) else "CPU"
        rate = f"{moved / spent:.1f} GB/s" if spent else "- GB/s"
        took = f"{spent / 1e3:.1f}us"
        text = f"*** {where:<4}{self.count:4} {name:<44}  n={size:<9} {took:>11}  {rate:>10}"
        return f"{text}  <- {place}" if place else text


def _launches(part: list[Launch] | HostCall) -> Sequence[Launch | HostCall]:
    return [part] if isinstance(part, HostCall) else part


_installed: list[Lines] = []


def install() -> None:
    """Register the observer of `LAZYGRAD_DEBUG`, once, if `config.debug` asks for it."""
    if config.debug >= LINES and not _installed:
        _installed.append(Lines(config.debug))
        observers.append(_installed[0])


@contextmanager
def lines(level: int = LINES, file: TextIO | None = None) -> Iterator[Lines]:
    """`with debug.lines():` prints a line for every kernel that runs in the block."""
    observer = Lines(level, file)
    observers.append(observer)
    try:
        yield observer
    finally:
        observers.remove(observer)


__all__ = ["Lines", "Look", "explain", "install", "ir", "lines", "nodes_of", "to_dot"]
