"""From a recording to an entry: where every leaf of its programs comes from, every result goes.

Owns: that mapping, and the last reasons to refuse: a leaf that nobody can find again, a result
that is still connected to gradients. Must not know: how functions are run or entries chosen.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from lazygrad.ir.node import Node
from lazygrad.ir.picking import picker
from lazygrad.ir.traced import Traced, plain
from lazygrad.realize import Ran, crosses, realize_nodes, run_recorded
from lazygrad.recorded.record import Recording, is_spent, state_of
from lazygrad.recorded.replay import Entry, Given, Made, Part, Sources, Value, Write
from lazygrad.recorded.watch import PLAIN, Guard
from lazygrad.runtime.memory import Buffer
from lazygrad.tensor.core import Tensor
from lazygrad.tensor.storage import Storage


class Result:
    """What a function returned, as the tensors in it and a way to put it together again."""

    def __init__(self, recording: Recording, arguments: Sequence[Tensor], opaque: set[int]):
        self.recording = recording
        self.grads = {
            id(before.tensor._meta.grad): before
            for before in recording.tensors.values()
            if before.tensor._meta is not None and before.tensor._meta.grad is not None
        }
        self.position = {id(t): i for i, t in reversed(list(enumerate(arguments)))}
        self.opaque = opaque  # identities of objects that may be returned as they are
        self.fresh: list[Tensor] = []
        self.numbers: list[Traced] = []

    def template(self, value: Any) -> Callable[..., Any]:
        """make(arguments, new tensors, numbers) -> the value."""
        if isinstance(value, Tensor):
            return self._tensor(value)
        if type(value) is Traced:
            self.numbers.append(value)
            number = len(self.numbers)
            return lambda args, new, numbers: numbers[-number]
        if isinstance(value, PLAIN) or id(value) in self.opaque:
            return lambda args, new, numbers: value
        if isinstance(value, (list, tuple)):
            parts = [self.template(v) for v in value]
            if type(value) in (list, tuple):
                kind: Any = type(value)
            elif hasattr(value, "_make"):
                kind = value._make
            else:
                return self._unknown(value)
            return lambda args, new, numbers: kind([p(args, new, numbers) for p in parts])
        if type(value) is dict:
            pairs = {k: self.template(v) for k, v in value.items()}
            return lambda args, new, numbers: {k: p(args, new, numbers) for k, p in pairs.items()}
        return self._unknown(value)

    def _unknown(self, value: Any) -> Callable[..., Any]:
        self.recording.refuse(f"it returns a {type(value).__name__}", True)
        return lambda args, new, numbers: None

    def _tensor(self, t: Tensor) -> Callable[..., Any]:
        at = self.position.get(id(t))
        if at is not None:
            return lambda args, new, numbers: args[at]
        if id(t) in self.recording.tensors:
            return lambda args, new, numbers: t
        if id(t) in self.grads:
            owner = self.grads[id(t)].tensor
            holder = self.position.get(id(owner))
            if holder is None:
                return lambda args, new, numbers: owner._meta.grad  # type: ignore[union-attr]
            return lambda args, new, numbers: args[holder]._meta.grad
        if not is_spent(t):
            self.recording.refuse("its result is still connected to gradients")
        if t._storage in self.recording.storages or (t._meta is not None and t._meta.base):
            self.recording.refuse("it returns a view")
        number = next((i for i, known in enumerate(self.fresh) if known is t), len(self.fresh))
        if number == len(self.fresh):
            if any(t._storage is known._storage for known in self.fresh):
                self.recording.refuse("it returns two tensors on the same memory")
            self.fresh.append(t)
        return lambda args, new, numbers: new[number]


class Builder:
    """One entry in the making."""

    def __init__(self, recording: Recording, arguments: Sequence[Tensor], result: Result):
        self.recording = recording
        self.arguments = arguments
        self.result = result
        self.entry = Entry()
        self.grads = recording.gradients()
        self.written = [
            stored for stored, (node, _, _) in recording.storages.items() if stored.node is not node
        ]

    def finals(self) -> list[Node]:
        """The values that are there after the call, and were not before."""
        stored = [
            *self.written,
            *(grad._storage for _, grad in self.grads if grad is not None),
            *(t._storage for t in self.result.fresh),
        ]
        return list(dict.fromkeys(s.node for s in stored if s.node is not None))

    def kept(self) -> set[Storage]:
        """Storages that may live on."""
        return {
            *self.recording.storages,
            *(grad._storage for _, grad in self.grads if grad is not None),
            *(t._storage for t in self.result.fresh),
        }

    def build(self, inputs: set[tuple[int, Any]], stores: list[Any], make: Any) -> Entry | None:
        """Compute what was recorded, and keep how. None if it cannot be replayed."""
        recording, entry = self.recording, self.entry
        finals = self.finals()
        pending = [node for node in finals if node.buffer is None]
        if crosses(pending):
            recording.refuse("it moves values from one device to another")
        ran = None if recording.reason else run_recorded(pending) if pending else []
        if ran is None:
            recording.refuse("")
            realize_nodes(pending)
            return None
        self._sources(ran, finals)
        self._programs(ran, finals)
        if recording.reason:
            return None
        self._effects()
        results: list[Any] = [
            tuple(self._scalars(one)) if part.scalars >= 0 else ()
            for one, part in zip(ran, entry.parts)
        ]
        results += [value for _, _, value in stores]
        entry.stores = [(c, key, len(ran) + i) for i, (c, key, _) in enumerate(stores)]
        results += reversed(self.result.numbers)
        entry.numbers = recording.tape.function(results)
        entry.build = make
        entry.guard = Guard(recording.watched, inputs)
        entry.kernels = sum(one.program.kernels for one in ran)
        return entry

    # -- memory ---------------------------------------------------------------------------------
    def _sources(self, ran: Sequence[Ran], finals: Sequence[Node]) -> None:
        """The storages that are read or written, each with a way to find it again."""
        recording = self.recording
        used = {leaf for one in ran for leaf in one.leaves}.union(finals)
        wanted = [
            stored
            for stored, (node, _, _) in recording.storages.items()
            if node in used or stored.node is not node
        ]
        befores = list(recording.tensors.values())
        by_argument: dict[Storage, int] = {}
        for number, t in enumerate(self.arguments):
            by_argument.setdefault(t._storage, number)
        watched = [b for b in befores if id(b.tensor) in recording.watched.tensors]
        fixed = {b.storage for b in watched}
        by_grad = {b.grad._storage: b for b in befores if b.grad is not None}
        first, second, third = [], [], []
        for stored in wanted:
            if stored in by_argument:
                first.append(stored)
            elif stored in fixed:
                second.append(stored)
            else:
                third.append(stored)
        metas, like = [], []
        for stored in third:
            before = by_grad[stored]
            if before.meta is not before.tensor._meta or before not in watched:
                recording.refuse("it uses the gradient of an argument")
            metas.append(before.meta)
            assert before.grad is not None
            like.append((before.grad._view, stored.shape, stored.dtype))
        self.sources = [*first, *second, *third]
        self.table: dict[Any, int] = {
            recording.storages[stored][0]: i for i, stored in enumerate(self.sources)
        }
        self.entry.sources = Sources(
            [by_argument[s] for s in first],
            second,
            metas,  # type: ignore[arg-type]
            like,
            [b.tensor for b in watched],
            [b.storage for b in watched],
            [b.view for b in watched],
            [b.tensor._meta for b in watched],
            [state_of(b.tensor._meta) for b in watched if b.tensor._meta is not None],
            [b.grad is None for b in watched if b.tensor._meta is not None],
        )

    def _programs(self, ran: Sequence[Ran], finals: Sequence[Node]) -> None:
        """Places in the table for constants, for what passes between programs, and for results."""
        entry = self.entry
        final = set(finals)
        self.values: dict[Node, Value] = {}
        memory: dict[Any, Buffer] = {}
        produced: list[tuple[Ran, list[Any]]] = []
        made_before: set[Node] = set()
        computed = {node for one in ran for node in one.outputs}
        for node in finals:
            if node not in self.table and node not in computed:
                self._check_constant(node)
                memory[node] = node.buffer
        for one in ran:
            for leaf in (one.leaves[i] for i in one.program.leaf_slots):
                if leaf not in self.table and leaf not in made_before and leaf not in memory:
                    self._check_constant(leaf)
                    memory[leaf] = leaf.buffer
            outs: list[Any] = []
            for position, output in enumerate(one.program.outputs):
                if output.leaf >= 0:
                    outs.append(None)
                    continue
                nodes = [n for n, p in zip(one.outputs, one.output_of) if p == position]
                first = next((n for n in nodes if n in final), None)
                if first is None:
                    key: Any = nodes[0]
                    memory[key] = nodes[0].buffer  # ours from now on: the nodes are dropped
                else:
                    key = first
                    self.values[first] = Value(
                        first.shape, first.dtype, first.device, output.nbytes
                    )
                outs.append(key)
                made_before.update(nodes)
            produced.append((one, outs))
        base = len(self.sources)
        for number, (key, buffer) in enumerate(memory.items()):
            self.table[key] = base + number
            entry.given.append(buffer)
        entry.fixed = [buffer.address for buffer in entry.given]
        base += len(memory)
        for number, (node, value) in enumerate(self.values.items()):
            self.table[node] = base + number
            entry.values.append(value)
        for one, outs in produced:
            for node, position in zip(one.outputs, one.output_of):  # other names of one memory
                output = one.program.outputs[position]
                key = outs[position] if output.leaf < 0 else one.leaves[output.leaf]
                self.table.setdefault(node, self.table[key])
        for number, (one, outs) in enumerate(produced):
            replay = one.program.replay(one.order)
            replay.places = [_Place(node.place) for node in one.order] if one.program.sites else ()
            indexes = [self.table[one.leaves[i]] for i in one.program.leaf_slots]
            indexes += [self.table[key] for key in outs if key is not None]
            scalars = self._scalars(one)
            fixed = not any(type(value) is Traced for value in scalars)
            if fixed and scalars:
                replay.set_scalars([plain(value) for value in scalars])
            entry.parts.append(Part(replay, picker(indexes), -1 if fixed else number))

    @staticmethod
    def _scalars(one: Ran) -> list[Any]:
        return [one.leaves[leaf].value for leaf, _ in one.program.scalars]

    def _check_constant(self, leaf: Node) -> None:
        """A leaf that is no tensor's that can be found again must have been made in the call."""
        stored = leaf.holder and leaf.holder()
        if stored is not None and stored not in self.recording.alive():
            self.recording.refuse("it reads a tensor that it cannot reach by name")

    def _place(self, node: Node) -> Value | Given:
        """Where a value is after a replay."""
        found = self.values.get(node)
        if found is not None:
            return found
        self.entry.needs_given = True
        return Given(self.table[node], node)

    # -- what changes ---------------------------------------------------------------------------
    def _effects(self) -> None:
        recording, entry = self.recording, self.entry
        for stored in self.written:
            _, version, loose = recording.storages[stored]
            place = self._place(stored.node)  # type: ignore[arg-type]
            if type(place) is Value:
                place.written = True
            entry.writes.append(
                Write(
                    self.sources.index(stored),
                    place,
                    stored.version - version,
                    stored.loose - loose,
                    weakref.ref(stored),
                )
            )
        argument = {id(t): i for i, t in enumerate(self.arguments)}
        for before, grad in self.grads:
            where: Any = argument.get(id(before.tensor), before.tensor._meta)
            made = None
            if grad is not None:
                stored = grad._storage
                place = self._place(stored.node)  # type: ignore[arg-type]
                if type(place) is Value:
                    place.written = True
                made = Made(place, stored.version, grad)
            entry.grads.append((where, made))
        for t in self.result.fresh:
            stored = t._storage
            place = self._place(stored.node)  # type: ignore[arg-type]
            entry.results.append(Made(place, stored.version, t))


class _Place:
    """What is left of a node: its line."""

    __slots__ = ("place",)

    def __init__(self, place: Any):
        self.place = place


__all__ = ["Builder", "Result"]
