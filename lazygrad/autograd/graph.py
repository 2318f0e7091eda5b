"""The gradient graph: one record for each user-level operation, on nodes.

Owns: `GradFn` (what was computed from what, and where its inputs came from), the capture of a
record out of the nodes that a function has made, its gradient by the rules in the op registry,
and `AccumulateGrad`. Must not know: in which order records run (engine.py) or how tensors are
handled by users; it sees tensors only as things that have a storage and a `_meta`.

A record is a piece of the forward graph, so that its gradient is again nodes, of which a new
record can be made: that is all there is to double backward.
"""

from __future__ import annotations

import functools
import itertools
import traceback
from collections.abc import Callable, Container, Sequence
from typing import Any

from lazygrad.autograd.late import tensors
from lazygrad.autograd.modes import mode
from lazygrad.ir import ops
from lazygrad.ir.node import Node, override, stand_in
from lazygrad.ir.ops import BUFFER, Lowering, Op

Entry = tuple[Node, Op, tuple[Node, ...], Any]  # a node and its sources, kept from being dropped
Edge = tuple[Any, int] | None
# storage, version and all writes then, who made the value, output number, value, view, and where
# versions are counted, if not in the storage
Saved = tuple[Any, int, int, Any, int, Node, Any, list[int] | None]

_sequence = itertools.count()
_classes: dict[str, type[GradFn]] = {}  # named cache: PyTorch shows each name as a class
LAST = 1 << 62  # leaves accumulate as soon as they can

# Which values an op's rule reads for the gradient of each source, where that depends on it.
_READS: dict[str, dict[int, tuple[int, ...]]] = {
    "mul": {0: (1,), 1: (0,)},
    "div": {0: (1,), 1: (0, 1)},
    "matmul": {0: (1,), 1: (0,)},
    "conv": {0: (1,), 1: (0,)},
    "pow": {0: (0, 1), 1: (0, 1, -1)},
    "where": {1: (0,), 2: (0,)},
    "gather": {0: (1,)},
    "scatter_add": {2: (1,)},
    "scatter": {0: (1,), 2: (1,)},
    "remainder": {0: (), 1: (0, 1)},
    "fmod": {0: (), 1: (0, 1)},
}


def _reads(node: Node, op: Op, srcs: tuple[Node, ...], wanted: Container[Node]) -> list[Node]:
    """The values that an op's rule reads for the gradients of those sources that are wanted."""
    by_source = _READS.get(op.name)
    if by_source is None:
        return [node if position == -1 else srcs[position] for position in op.saves]
    found = []
    for source, needs in by_source.items():
        if srcs[source] in wanted:
            found += [node if position == -1 else srcs[position] for position in needs]
    return found


def _origin(value: Node, ends: Container[Node]) -> Node:
    """The value that this one was moved or cast from, if that is one of the ends."""
    at = value
    while at not in ends and _moves(at):
        at = at.srcs[0]
    return at if at in ends else value


def _moves(node: Node) -> bool:
    return bool(node.srcs) and (node.op.lowering is Lowering.MOVEMENT or node.op is ops.cast)


def _replaced(value: Node, old: Node, new: Node) -> Node:
    """`value`, if it was moved or cast from `old`: the same of `new`."""
    steps: list[Node] = []
    while value is not old and _moves(value):
        steps.append(value)
        value = value.srcs[0]
    if value is not old:
        return steps[0] if steps else value
    for step in reversed(steps):
        new = step.op(new, arg=step.arg)
    return new


class RemovableHandle:
    """Takes a hook away again."""

    def __init__(self, hooks: dict[int, Any]):
        self._hooks = hooks
        self.id = next(_sequence)

    def remove(self) -> None:
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error: Any) -> None:
        self.remove()


class BaseFn:
    """What records and leaves have in common: hooks, and a place in the graph."""

    __slots__ = (
        "__weakref__",
        "edges",
        "notes",
        "post_hooks",
        "pre_hooks",
        "retained",
        "seq",
        "stack",
        "tensor_hooks",
    )

    plain = False  # whether it is nothing but a piece of the forward graph: see repeats.py

    def __init__(self, edges: Sequence[Edge], seq: int):
        self.edges = tuple(edges)
        self.seq = seq
        self.tensor_hooks: dict[int, dict[int, Callable[..., Any]]] | None = None
        self.pre_hooks: dict[int, Callable[..., Any]] | None = None
        self.post_hooks: dict[int, Callable[..., Any]] | None = None
        self.retained: dict[int, Any] | None = None  # output number -> tensor that keeps its grad
        self.notes: dict[Any, Any] | None = None
        self.stack: str | None = None

    def name(self) -> str:
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return tuple((None, 0) if edge is None else edge for edge in self.edges)

    @property
    def metadata(self) -> dict[Any, Any]:
        if self.notes is None:
            self.notes = {}
        return self.notes

    def _sequence_nr(self) -> int:
        return self.seq

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """hook(grad_inputs, grad_outputs) runs after the gradient is computed."""
        if self.post_hooks is None:
            self.post_hooks = {}
        return add_hook(self.post_hooks, hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """hook(grad_outputs) runs before the gradient is computed."""
        if self.pre_hooks is None:
            self.pre_hooks = {}
        return add_hook(self.pre_hooks, hook)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at 0x{id(self):x}>"


def add_hook(hooks: dict[int, Any], hook: Callable[..., Any]) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


class AccumulateGrad(BaseFn):
    """The end of the graph at a leaf."""

    __slots__ = ("variable",)

    def __init__(self, variable: Any):
        super().__init__((), LAST)
        self.variable = variable


class GradFn(BaseFn):
    """One operation: `out_nodes` computed from `in_nodes`, whose gradients go along `edges`."""

    __slots__ = (
        "captured",
        "in_nodes",
        "kept",
        "out_nodes",
        "reads_values",
        "released",
        "saved",
        "stops",
    )

    plain = True

    def __init__(
        self,
        in_nodes: Sequence[Node],
        out_nodes: Sequence[Node],
        edges: Sequence[Edge],
        captured: list[Entry],
        stops: Sequence[Node] = (),
    ):
        self.edges = tuple(edges)
        self.seq = next(_sequence)
        self.tensor_hooks = self.pre_hooks = self.post_hooks = None
        self.retained = self.notes = self.stack = None
        self.stops = tuple(stops)  # values taken as given, here and in the gradient's gradient
        self.in_nodes = tuple(in_nodes)
        self.out_nodes = tuple(out_nodes)
        self.captured = captured
        self.saved: list[Saved] = []  # versions to be checked when the gradient runs
        self.kept: tuple[Node, ...] = ()
        self.reads_values = False
        self.released = False
        if mode.anomaly:
            self.stack = "".join(traceback.format_stack()[:-1])

    def __del__(self) -> None:
        for node in self.kept:
            node.saves -= 1

    def keep(self, given: Sequence[Node] = ()) -> tuple[Node, ...]:
        """Find which values the rules will read, and tell the executor so.

        `given` are the values of the operation's tensors, with and without gradient.
        """
        captured = self.captured
        if len(captured) == 1:  # one op: nothing is inside, and what it reads is quickly said
            node, op, srcs, _ = captured[0]
            if not op.saves:
                return ()
            found = [_origin(value, given) for value in _reads(node, op, srcs, self.in_nodes)]
        else:
            found = self._boundary_reads(given)
        kept = tuple(dict.fromkeys(found))
        self.reads_values = bool(kept)
        self.kept = kept
        for node in kept:
            node.saves += 1
        return kept

    def _boundary_reads(self, given: Sequence[Node]) -> list[Node]:
        """What the rules read of the values at the ends of the record.

        A value that was only moved is the value it was moved from, or to, at an end; any other
        inside is computed again, from the inputs.
        """
        inside = {entry[0]: entry for entry in self.captured}
        wanted = set(inside).union(self.in_nodes)
        ends = dict.fromkeys((*self.out_nodes, *self.in_nodes, *given))
        moved_to: dict[Node, Node] = {}
        for out in self.out_nodes:
            value = out
            while value in inside and value.op.lowering is Lowering.MOVEMENT:
                value = inside[value][2][0]
            moved_to[value] = out
        found: list[Node] = []
        for node, op, srcs, _ in self.captured:
            for value in _reads(node, op, srcs, wanted) if op.saves else ():
                value = moved_to.get(value, value)
                while (
                    value not in ends and value in inside and value.op.lowering is Lowering.MOVEMENT
                ):
                    value = inside[value][2][0]
                if value in ends or value not in inside:
                    found.append(_origin(value, ends))
                else:
                    found += self.in_nodes
        return found

    def vjp(self, grads: Sequence[Node | None]) -> list[Node | None]:
        """The gradient of each input, given those of the outputs."""
        pairs = [*zip(grads, self.out_nodes)]
        if any(g is not None and g.shape != o.shape for g, o in pairs):
            # axes were added without a record
            grads = [None if g is None else ops.sum_to(g, o.shape) for g, o in pairs]
        captured = self.captured
        if len(captured) == 1 and len(grads) == 1 and self.out_nodes[0] is captured[0][0]:
            return self._vjp_of_one(grads[0])
        table: dict[Node, Node] = {}
        for node, grad in zip(self.out_nodes, grads):
            if grad is not None:
                have = table.get(node)
                table[node] = grad if have is None else ops.add(have, grad)
        inputs = self.in_nodes
        wanted = {entry[0] for entry in captured}.union(inputs)
        before = override.place
        try:
            for node, op, srcs, arg in reversed(captured):
                grad = table.pop(node, None)
                if grad is None or op.vjp is None:
                    continue
                override.place = node.place
                for src, part in zip(srcs, op.vjp(grad, node, *srcs, arg=arg)):
                    if part is None or src not in wanted:
                        continue
                    if part.shape != src.shape:
                        part = ops.sum_to(part, src.shape)
                    have = table.get(src)
                    table[src] = part if have is None else ops.add(have, part)
        finally:
            override.place = before
        return [
            ops.zeros(node.shape, node.dtype, node.device) if found is None else found
            for node, found in ((node, table.get(node)) for node in inputs)
        ]

    def _vjp_of_one(self, grad: Node | None) -> list[Node | None]:
        """The same for a record of one op."""
        node, op, srcs, arg = self.captured[0]
        inputs = self.in_nodes
        table: dict[Node, Node] = {}
        if grad is not None and op.vjp is not None:
            before = override.place
            override.place = node.place
            try:
                for src, part in zip(srcs, op.vjp(grad, node, *srcs, arg=arg)):
                    if part is None or src not in inputs:
                        continue
                    if part.shape != src.shape:
                        part = ops.sum_to(part, src.shape)
                    have = table.get(src)
                    table[src] = part if have is None else ops.add(have, part)
            finally:
                override.place = before
        return [table.get(n) or ops.zeros(n.shape, n.dtype, n.device) for n in inputs]

    def apply(self, grads: Sequence[Any], create: bool) -> Sequence[Any]:
        """Tensors in, tensors out; with `create` the way from one to the other is recorded."""
        core, history, storage = tensors.core, tensors.history, tensors.storage
        self.check()
        given = [None if g is None else core.node_of(g) for g in grads]
        if create:  # a gradient that is the same value as an input must not be taken for it
            given = [
                ops.reshape(n, arg=n.shape) if n is not None and n in self.in_nodes else n
                for n in given
            ]
        results = self.vjp(given)
        if create and storage.reads:  # what is recorded must not be computed and dropped
            storage.freeze()
            storage.forget()
        storage.depth.value += create  # nothing is to be computed before it is recorded
        try:
            made = [None if node is None else core.wrap(node) for node in results]
        finally:
            storage.depth.value -= create
        if create:
            history.record_gradient(self, grads, given, results, made)
        return made

    def flow(self, grads: Sequence[Node | None]) -> list[Node | None]:
        """`apply` for values alone: nothing is recorded, and nobody sees them on the way."""
        self.check()
        return self.vjp(grads)

    def check(self) -> None:
        """Raise if values have been freed, or were changed in place since."""
        if self.released:
            raise RuntimeError(SECOND_TIME)
        for storage, version, writes, maker, number, node, view, counter in self.saved:
            now = storage.version if counter is None else counter[0]
            if now != version:
                raise RuntimeError(_modified(storage, now, version, maker, number))
            if storage.writes != writes or storage.shared is not None:
                self._substitute(node, storage, view)

    def _substitute(self, node: Node, storage: Any, view: Any) -> None:
        """A saved value was written unseen by its version: backward reads what is there now."""
        core, read = tensors.core, tensors.storage.read
        now = read(storage)
        now = now if view is None else core.strided(now, view)

        inside = {entry[0] for entry in self.captured if entry[0] is not node}
        known: dict[Node, Node] = {}  # the same node becomes the same one everywhere

        def swap(nodes: Sequence[Node]) -> tuple[Node, ...]:
            for n in nodes:
                if n not in known:
                    known[n] = n if n in inside else _replaced(n, node, now)
            return tuple(known[n] for n in nodes)

        self.captured = [
            (now if out is node else out, op, swap(srcs), arg)
            for out, op, srcs, arg in self.captured
        ]
        self.in_nodes, self.out_nodes = swap(self.in_nodes), swap(self.out_nodes)

    def release(self) -> None:
        """Let go of the values. A record that reads none goes on working, on shapes alone."""
        for node in self.kept:
            node.saves -= 1
        self.kept = ()
        self.saved = []
        if self.reads_values:
            self.released = True
            self.captured = []
            self.in_nodes = self.out_nodes = self.stops = ()
        else:
            self._keep_shapes_only()

    def _keep_shapes_only(self) -> None:
        stubs: dict[Node, Node] = {}

        def stub(node: Node) -> Node:
            if not node.srcs and node.buffer is None:
                return node  # a literal or a scalar: small, and its value may be read
            found = stubs.get(node)
            if found is None:
                found = stubs[node] = stand_in(BUFFER, node)
            return found

        self.captured = [
            (stub(node), op, tuple(map(stub, srcs)), arg) for node, op, srcs, arg in self.captured
        ]
        self.in_nodes = tuple(map(stub, self.in_nodes))
        self.out_nodes = tuple(map(stub, self.out_nodes))
        self.stops = ()  # stubs have no sources to be walked to


@functools.cache
def unreached(name: str) -> type[GradFn]:
    """The class of records through which PyTorch gives no gradient at all, not even zeros."""

    def apply(self: GradFn, grads: Sequence[Any], create: bool) -> Sequence[Any]:
        self.check()
        return [None] * len(self.edges)

    return type(name, (GradFn,), {"__slots__": (), "apply": apply, "plain": False})


@functools.cache
def refusing(name: str, error: type[Exception], words: str) -> type[GradFn]:
    """The class of records of an operation that PyTorch has no gradient of: backward raises."""

    def apply(self: GradFn, grads: Sequence[Any], create: bool) -> Sequence[Any]:
        raise error(words)

    return type(name, (GradFn,), {"__slots__": (), "apply": apply, "plain": False})


SECOND_TIME = (
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Saved intermediate values of the graph are freed when you "
    "call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward "
    "through the graph a second time or if you need to access saved tensors after calling "
    "backward."
)


def _modified(storage: Any, now: int, version: int, maker: Any, number: int) -> str:
    from lazygrad.tensor.promotion import type_name

    shape = list(storage.shape)
    source = f", which is output {number} of {maker}," if maker else ""
    return (
        "one of the variables needed for gradient computation has been modified by an inplace "
        f"operation: [lazygrad.{type_name(storage.dtype)}Tensor {shape}]{source} is at version "
        f"{now}; expected version {version} instead. Hint: "
        + (
            "the backtrace further above shows the operation that failed to compute its "
            "gradient. The variable in question was changed in there or anywhere later. Good "
            "luck!"
            if mode.anomaly
            else "enable anomaly detection to find the operation that failed to compute its "
            "gradient, with lazygrad.autograd.set_detect_anomaly(True)."
        )
    )


def fn_class(name: str) -> type[GradFn]:
    """The class of records of this name."""
    found = _classes.get(name)
    if found is None:
        found = _classes[name] = type(name, (GradFn,), {"__slots__": ()})
    return found


def capture(
    outs: Sequence[Node],
    ins: Sequence[Node],
    known: dict[Node, Entry] | None = None,
    stops: Sequence[Node] = (),
) -> list[Entry]:
    """The nodes between `ins` and `outs` that depend on `ins`, sources first, with their sources.

    `known` gives the sources of nodes that were captured before: theirs may have been dropped.
    `stops` are values taken as given, whatever they were computed from.
    """
    if len(outs) == 1 and known is None:
        out = outs[0]
        reached = False
        for src in out.srcs:
            if src in ins:
                reached = True
            elif src.srcs and src not in stops:
                break
        else:
            return [(out, out.op, out.srcs, out.arg)] if reached and out not in ins else []
    depends: dict[Node, bool] = dict.fromkeys(stops, False)
    depends.update(dict.fromkeys(ins, True))
    entries: list[Entry] = []
    stack: list[tuple[Node, bool]] = [(out, False) for out in outs]
    while stack:
        node, done = stack.pop()
        if done:
            entry = known.get(node) if known is not None else None
            if entry is None:
                entry = (node, node.op, node.srcs, node.arg)
            depends[node] = any(depends.get(src, False) for src in entry[2])
            if depends[node]:
                entries.append(entry)
            continue
        if node in depends:
            continue
        depends[node] = False
        srcs = node.srcs
        if known is not None and node in known:
            srcs = known[node][2]
        if srcs:
            stack.append((node, True))
            stack.extend((src, False) for src in srcs if src not in depends)
    return entries
