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
import importlib
import itertools
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lazygrad.autograd.capture import Entry, origin, read_values
from lazygrad.autograd.hooks import Extras, RemovableHandle, add_hook, extra
from lazygrad.autograd.kept import Kept
from lazygrad.autograd.late import tensors
from lazygrad.autograd.modes import mode
from lazygrad.autograd.saved import Saved, check_saved
from lazygrad.autograd.steps import Part, walk
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Block, Place, Shape, blank, override, sources, stand_in, toposort
from lazygrad.ir.node import Node as Value
from lazygrad.ir.ops import BUFFER, Lowering, Op

Edge = tuple[Any, int] | None
Like = tuple[Shape, DType, str, Place]  # what a node was, without its value
# op, arg, its node, its sources, which of them each one is, which of them are inputs
Outline = tuple[Op, Any, Like, tuple[Like, ...], tuple[int, ...], tuple[int, ...]]

_sequence = itertools.count()
_classes: dict[str, type[GradFn]] = {}  # named cache: PyTorch shows each name as a class
LAST = 1 << 62  # leaves accumulate as soon as they can


class BaseFn:
    """What records and leaves have in common: hooks, and a place in the graph."""

    __slots__ = ("__weakref__", "edges", "extras", "seq")

    plain = False  # whether it is nothing but a piece of the forward graph: see repeats.py
    tensor_hooks = extra("tensor_hooks")
    pre_hooks = extra("pre_hooks")
    post_hooks = extra("post_hooks")
    retained = extra("retained")
    notes = extra("notes")
    stack = extra("stack")
    packs = extra("packs")

    def __init__(self, edges: Sequence[Edge], seq: int):
        self.edges = tuple(edges)
        self.seq = seq
        self.extras: Extras | None = None

    def name(self) -> str:
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """(record, output number) of each input; (None, 0) of one without gradient."""
        return tuple((None, 0) if edge is None else edge for edge in self.edges)

    @property
    def metadata(self) -> dict[Any, Any]:
        if self.notes is None:
            self.notes = {}
        found: dict[Any, Any] = self.notes
        return found

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


Node = BaseFn  # PyTorch's name; what a value is computed from is a `Value` here


class AccumulateGrad(BaseFn):
    """The end of the graph at a leaf."""

    __slots__ = ("variable",)

    def __init__(self, variable: Any):
        self.edges = ()
        self.seq = LAST
        self.extras = None
        self.variable = variable


def outlined(
    node: Value, op: Op, srcs: tuple[Value, ...], arg: Any, ins: tuple[int, ...]
) -> Outline:
    """What a released record of one op keeps; it is drawn as nodes only if backward comes this way
    again: most records die at once. `node` may stand for one that this op made."""
    like = (node.shape, node.dtype, node.device, node.place)
    if len(srcs) == 2 and srcs[0] is not srcs[1]:
        a, b = srcs
        pair = (a.shape, a.dtype, a.device, a.place), (b.shape, b.dtype, b.device, b.place)
        return op, arg, like, pair, (0, 1), ins
    likes = tuple([(s.shape, s.dtype, s.device, s.place) for s in srcs])
    return op, arg, like, likes, tuple(map(srcs.index, srcs)), ins


_UNSET = frozenset({"block", "made", "node", "outline"})  # fields that are None if they are not set
# whose other operand is a number if there is one input: to PyTorch a tensor without gradient
WITH_NUMBERS = {f"{name}Backward0" for name in ("Add", "Sub", "Mul", "Div")}


class GradFn(BaseFn):
    """One operation: `out_nodes` computed from `in_nodes`, whose gradients go along `edges`."""

    __slots__ = (
        "block",
        "captured",
        "in_nodes",
        "inputs",
        "kept",
        "made",
        "node",
        "out_nodes",
        "outline",
        "reads_values",
        "released",
        "saved",
        "srcs",
        "stops",
    )

    plain = True
    inputs: tuple[Part, ...]  # the outline (steps.py); set where that is not just the `edges`

    def __init__(
        self,
        in_nodes: Sequence[Value],
        out_nodes: Sequence[Value],
        edges: Sequence[Edge],
        captured: list[Entry],
        stops: Sequence[Value] = (),
    ):
        self.edges = tuple(edges)
        self.seq = next(_sequence)
        self.extras = None
        self.outline: Outline | None = None
        # of a template: the other fields are made from that, and from the node it is to be of
        self.block: Block | None = None
        self.made: Value | None = None
        # of one op on its first source alone (`quick.py`): that node and its sources; the other
        # fields that say the same are made when they are asked for
        self.node: Value | None = None
        self.srcs: tuple[Value, ...] = ()
        self.stops = tuple(stops)  # values taken as given, here and in the gradient's gradient
        self.in_nodes = tuple(in_nodes)
        self.out_nodes = tuple(out_nodes)
        self.captured = captured
        self.saved: list[Saved] = []  # versions to be checked when the gradient runs
        self.kept: Iterable[Value] = ()
        self.reads_values = False
        self.released = False
        if mode.packs:
            self.packs = True
        if mode.anomaly:
            self.stack = "".join(traceback.format_stack()[:-1])

    def __getattr__(self, name: str) -> Any:
        if name in _UNSET:
            return None
        if name not in ("captured", "in_nodes", "out_nodes", "stops"):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        if self.released:
            return ()
        node = self.node
        if node is None:
            self._draw_block()
            return getattr(self, name)
        self.captured = [(node, node.op, self.srcs, node.arg)]
        self.in_nodes, self.out_nodes = self.srcs[:1], (node,)
        self.node, self.srcs = None, ()
        return getattr(self, name)

    def _draw_block(self) -> None:
        """The fields that a template stands for; they may be changed from here on."""
        block = self.block
        assert block is not None
        pattern, steps, given = block.template.record, block.template.steps, len(block.given)
        nodes = [*block.given, *block.drawn()]
        if self.made is not None:
            nodes.append(self.made)
        self.block = self.made = None
        self.captured = [
            (n, n.op, sources(steps[i - given], nodes), n.arg)
            for i, n in [(i, nodes[i]) for i in pattern.captured]
        ]
        self.in_nodes = tuple([nodes[i] for i in pattern.ins])
        self.out_nodes = tuple([nodes[i] for i in pattern.outs])
        self.stops = tuple([nodes[i] for i in pattern.stops])

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        inputs: tuple[Part, ...] | None = getattr(self, "inputs", None)
        if inputs is not None:
            return walk(self, inputs)
        numbered = self.name() in WITH_NUMBERS and len(self.edges) == 1
        return (*super().next_functions, *([(None, 0)] if numbered else []))

    def keep_also(self, nodes: Sequence[Value]) -> None:
        """Keep further nodes, which had not been made before."""
        self.kept = Kept((*self.kept, *nodes))

    def keep(self, given: Sequence[Value] = ()) -> tuple[Value, ...]:
        """Find which values the rules will read, and tell the executor so.

        `given` are the values of the operation's tensors, with and without gradient.
        """
        captured = self.captured
        if len(captured) == 1:  # one op: nothing is inside, and what it reads is quickly said
            node, op, srcs, _ = captured[0]
            if not op.saves:
                return ()
            found = [origin(value, given) for value in read_values(node, op, srcs, self.in_nodes)]
        else:
            found = self._boundary_reads(given)
        kept = self.kept = Kept(dict.fromkeys(found)) if found else ()
        self.reads_values = bool(kept)
        return kept

    def _boundary_reads(self, given: Sequence[Value]) -> list[Value]:
        """What the rules read of the values at the ends of the record.

        A value that was only moved is the value it was moved from, or to, at an end; any other
        inside is computed again, from the inputs.
        """
        inside = {entry[0]: entry for entry in self.captured}
        wanted = set(inside).union(self.in_nodes)
        ends = dict.fromkeys((*self.out_nodes, *self.in_nodes, *given))
        moved_to: dict[Value, Value] = {}
        for out in self.out_nodes:
            value = out
            while value in inside and value.op.lowering is Lowering.MOVEMENT:
                value = inside[value][2][0]
            moved_to[value] = out
        found: list[Value] = []
        for node, op, srcs, _ in self.captured:
            if not op.saves or node.dtype.kind != "f":  # no gradient goes through integers
                continue
            for value in read_values(node, op, srcs, wanted):
                value = moved_to.get(value, value)
                while (
                    value not in ends and value in inside and value.op.lowering is Lowering.MOVEMENT
                ):
                    value = inside[value][2][0]
                if value in ends or value not in inside:
                    found.append(origin(value, ends))
                else:
                    found += self.in_nodes
        return found

    def reads_given(self) -> bool:
        """Whether the rules read anything but constants of the operation: if not, a released
        record goes on working, and nothing is kept for it."""
        given = self._given()
        if not all([_is_own(node, given) for node in self.kept]):
            return True
        self.kept = ()
        return False

    def _given(self) -> set[Value]:
        """What was given, and what was computed from it."""
        return {*self.in_nodes, *self.stops, *(entry[0] for entry in self.captured)}

    def vjp(self, grads: Sequence[Value | None]) -> list[Value | None]:
        """The gradient of each input, given those of the outputs."""
        pairs = [*zip(grads, self.out_nodes)]
        if any(g is not None and g.shape != o.shape for g, o in pairs):
            # axes were added or left out without a record
            grads = [None if g is None else self._reduced(g, o.shape) for g, o in pairs]
        captured = self.captured
        if len(captured) == 1 and len(grads) == 1 and self.out_nodes[0] is captured[0][0]:
            return self._vjp_of_one(grads[0])
        table: dict[Value, Value] = {}
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

    def _reduced(self, grad: Value, shape: Shape) -> Value:
        """The gradient of an output, as autograd knows its shape. Raises RuntimeError if it is not
        that shape, broadcast."""
        ends = zip(reversed(shape), reversed(grad.shape))
        if len(shape) > len(grad.shape) or any(want not in (1, have) for want, have in ends):
            raise RuntimeError(
                f"an invalid gradient for a result of {self.name()} - got {list(grad.shape)} but "
                f"expected shape compatible with {list(shape)}"
            )
        return ops.sum_to(grad, shape)

    def _vjp_of_one(self, grad: Value | None) -> list[Value | None]:
        """The same for a record of one op."""
        node, op, srcs, arg = self.captured[0]
        inputs = self.in_nodes
        table: dict[Value, Value] = {}
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

    def flow(self, grads: Sequence[Value | None]) -> list[Value | None]:
        """`apply` for values alone: nothing is recorded, and nobody sees them on the way."""
        self.check()
        return self.vjp(grads)

    def check(self) -> None:
        """Raise if values have been freed, or were changed in place since."""
        if self.released:
            raise RuntimeError(SECOND_TIME)
        if self.outline is not None:
            self._draw()
        if self.saved:
            check_saved(self)

    def release(self) -> None:
        """Let go of the values. A record that reads none goes on working, on shapes alone."""
        self.kept = ()
        self.saved = []
        if self.block is not None:
            if self.reads_values:  # nothing else has been made
                self.block = self.made = None
                self.released = True
                return
            self._draw_block()
        node = self.node
        if self.reads_values or node is not None:
            if self.reads_values:
                self.released = True
            elif node is not None:
                self.outline = outlined(node, node.op, self.srcs, node.arg, (0,))
            self.node = None
            self.captured = []
            self.srcs = self.in_nodes = self.out_nodes = self.stops = ()
            return
        captured = self.captured
        if len(captured) == 1 and self.out_nodes == (captured[0][0],):
            node, op, srcs, arg = captured[0]
            if not op.saves and all([n in srcs for n in self.in_nodes]):
                ins = tuple(map(srcs.index, self.in_nodes))
                self.outline = outlined(node, op, srcs, arg, ins)
                self.captured = []
                self.in_nodes = self.out_nodes = self.stops = ()
                return
        if self.outline is None:
            self._keep_shapes_only()

    def _draw(self) -> None:
        """The nodes of a released record of one op again, without values."""
        assert self.outline is not None
        op, arg, like, likes, same, ins = self.outline
        self.outline = None
        node, srcs = blank(BUFFER, *like), tuple([blank(BUFFER, *each) for each in likes])
        srcs = tuple([srcs[number] for number in same])
        self.captured = [(node, op, srcs, arg)]
        self.in_nodes, self.out_nodes = tuple([srcs[number] for number in ins]), (node,)

    def _keep_shapes_only(self) -> None:
        """Let go of all that was given, or computed from it. What the operation reads besides are
        its own constants (a triangle's mask, the weights of an interpolation): they stay."""
        given = self._given()
        stubs: dict[Value, Value] = {}

        def stub(node: Value) -> Value:
            found = stubs.get(node)
            if found is None:
                own = _is_own(node, given)
                found = stubs[node] = node if own else stand_in(BUFFER, node)
            return found

        self.captured = [
            (stub(node), op, tuple(map(stub, srcs)), arg) for node, op, srcs, arg in self.captured
        ]
        self.in_nodes = tuple(map(stub, self.in_nodes))
        self.out_nodes = tuple(map(stub, self.out_nodes))
        self.stops = ()  # stubs have no sources to be walked to


def _is_own(node: Value, given: set[Value]) -> bool:
    """Whether a value depends on nothing that was given to its operation."""
    return node not in given and given.isdisjoint(toposort([node], given.__contains__))


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


def fn_class(name: str) -> type[GradFn]:
    """The class of records of this name."""
    found = _classes.get(name)
    if found is None:
        found = _classes[name] = type(name, (GradFn,), {"__slots__": ()})
    return found


_EDGES = ("GradientEdge", "get_gradient_edge", "increment_version", "register_multi_grad_hook")
_PACKING = ("disable_saved_tensors_hooks", "save_on_cpu", "saved_tensors_hooks")


def __getattr__(name: str) -> Any:
    """What PyTorch has in `autograd.graph` and is written on top of this module."""
    place = "edges" if name in _EDGES else "packing" if name in _PACKING else ""
    if not place:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"lazygrad.autograd.{place}"), name)
