"""Plans: programs made once for all sizes that planning treats alike.

Owns: the form in which a program's numbers are formulas of its graph's sizes, how a program comes
of it, and which plans there are of a skeleton. Must not know: how programs are planned. A plan says
for which sizes it holds (`sizes.Formulas`): for those its program is what planning would make.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lazygrad.ir.places import place_all
from lazygrad.ir.sizes import Formulas, Size, Trace, formulas
from lazygrad.ir.skeleton import concrete
from lazygrad.runtime.program import (
    ARENA,
    FIRST,
    HostCall,
    HostNode,
    Instance,
    Launch,
    Output,
    Program,
    offset_in,
    slot_in,
)

if TYPE_CHECKING:
    from lazygrad.ir.node import Node
    from lazygrad.ir.schedule import Later


@dataclass
class Plan:
    """A program whose numbers are positions among the values of its formulas."""

    formulas: Formulas
    program: Program
    output_of: list[int]
    memory: Memory | None
    places: dict[int, int] = field(default_factory=dict)  # of the Sizes of ops on the host

    @classmethod
    def traced(
        cls,
        program: Program,
        output_of: list[int],
        trace: Trace,
        later: Later | None,
        out_slot: dict[Node, int],
    ) -> Plan:
        """`program` is one that was planned for the trace's Sizes, and so is `later`, by which its
        temporaries get their places; `out_slot` has the slots of the outputs."""
        hosts = _sizes_of(program.host_nodes)
        wanted = [*_numbers(program), *hosts, *(later.size.values() if later else ())]
        found, at = formulas(trace, wanted)
        memory = None if later is None else Memory.traced(later, program, out_slot, at)
        numbered = _numbered(program, at, same)
        numbered.host_nodes = list(program.host_nodes)
        places = {s.at: at(s) for s in hosts}
        return cls(found, numbered, output_of, memory, places)

    def to_json(self) -> str:
        """As text; only for plans without ops on the host."""
        memory = None if self.memory is None else list(vars(self.memory).values())
        return json.dumps([self.formulas.to_json(), self.program.to_json(), self.output_of, memory])

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Raises ValueError, KeyError or TypeError where the text is not a plan's."""
        found, program, output_of, memory = json.loads(text)
        return cls(
            Formulas(*found),
            Program.from_json(program),
            output_of,
            None if memory is None else Memory(*memory),
        )

    def broken(self, sizes: Sequence[int]) -> list[str]:
        """Why this plan does not hold for these sizes: what would be answered otherwise."""
        return self.formulas.broken(sizes)

    def for_sizes(self, sizes: Sequence[int]) -> tuple[Program, list[int]] | None:
        """The program for these sizes and its outputs' positions; None if it does not hold."""
        slots: list[int] = []

        def placed(values: list[Any]) -> list[int]:
            assert self.memory is not None
            unknown, found = self.memory.places(values)
            slots[:] = found
            return unknown

        values = self.formulas.held(sizes, None if self.memory is None else placed)
        if values is None:
            return None
        slot = same if self.memory is None else slots.__getitem__
        program = _numbered(self.program, values.__getitem__, slot)
        places = self.places
        program.host_nodes = [
            HostNode(*_concrete(h, lambda size: values[places[size.at]]))
            for h in self.program.host_nodes
        ]
        return program, self.output_of


@dataclass
class Memory:
    """Where temporaries lie: worked out for each size, as that depends on who is larger than whom.

    Values are known by number: a temporary by its own, -1 and less in a program's slots, and an
    output by its slot. `span` has (number, first step, last step), `size` (number, position).
    """

    span: list[tuple[int, int, int]]
    outputs: list[int]
    size: list[tuple[int, int]]
    slots: int

    @classmethod
    def traced(
        cls,
        later: Later,
        program: Program,
        out_slot: dict[Node, int],
        at: Callable[[Any], int],
    ) -> Memory:
        name = {n: -1 - number for n, number in later.number.items()}
        name |= {n: out_slot[n] for n in later.span if n in later.outputs}
        return cls(
            [(name[n], *ends) for n, ends in later.span.items()],
            [name[n] for n in later.span if n in later.outputs],
            [(name[n], at(later.size[n])) for n in later.span],
            FIRST + len(program.leaf_slots) + len(out_slot),
        )

    def places(self, values: list[Any]) -> tuple[list[int], list[int]]:
        """The temporaries' offsets and the arena's size; the slot of every slot of the program."""
        size = {name: values[at] for name, at in self.size}
        span = {name: (first, last) for name, first, last in self.span}
        offsets, homes, arena = place_all(span, set(self.outputs), size)
        temporaries = range(-1, -1 - len(offsets), -1)
        homed = [homes.get(name, ARENA) for name in reversed(temporaries)]
        return [*(offsets[name] for name in temporaries), arena], [*range(self.slots), *homed]


def same(slot: int) -> int:
    """A program without temporaries, or one whose numbers are formulas, has its slots as said."""
    return slot


def _concrete(host: HostNode, value_of: Callable[[Size], int]) -> tuple[Any, tuple[Any, ...]]:
    node = concrete(host.node, value_of)
    return node, tuple([concrete(source, value_of) for source in host.sources])


def _sizes_of(hosts: Sequence[HostNode]) -> list[Size]:
    found: list[Size] = []

    def note(size: Size) -> int:
        found.append(size)
        return size.value

    for host in hosts:
        _concrete(host, note)
    return found


def _numbers(program: Program) -> list[Any]:
    """All numbers of a program that sizes may enter."""
    found: list[Any] = []

    def note(number: Any) -> int:
        found.append(number)
        return 0

    _numbered(program, note, same)
    return found


def _numbered(program: Program, of: Callable[[Any], int], slot_of: Callable[[int], int]) -> Program:
    """The same program with other numbers and slots; ops on the host are left out."""
    parts: list[list[Launch] | HostCall] = []
    for part in program.parts:
        if isinstance(part, HostCall):
            sources = [(slot_of(slot), of(offset)) for slot, offset in part.sources]
            target = (slot_of(part.target[0]), of(part.target[1]))
            parts.append(HostCall(part.node, sources, target))
            continue
        parts.append(
            [
                Launch(  # `replace` takes three times as long
                    one.function,
                    of(one.grain),
                    [
                        Instance(
                            of(i.items),
                            list(
                                zip(
                                    map(slot_of, map(slot_in, i.pointers)),
                                    map(of, map(offset_in, i.pointers)),
                                )
                            ),
                            list(map(of, i.dims)),
                        )
                        for i in one.instances
                    ],
                    one.name,
                    one.lines,
                    one.counted,
                    of(one.moved),
                    of(one.size),
                    one.at_once,
                    one.calls,
                )
                for one in part
            ]
        )
    return replace(
        program,
        parts=parts,
        outputs=[Output(o.leaf, o.slot, of(o.nbytes)) for o in program.outputs],
        arena=of(program.arena),
        sites=[replace(s, size=of(s.size)) for s in program.sites],
        host_nodes=[],
        _loaded=None,
        _frames=[],
    )


_plans: dict[Any, list[Plan]] = {}  # named cache: device, target, skeleton -> plans


def known(key: Any) -> list[Plan]:
    """The plans of a skeleton in this process, in the order in which they were made."""
    found: list[Plan] = _plans.setdefault(key, [])
    return found


def find(key: Any, sizes: Sequence[int]) -> tuple[Program, list[int]] | None:
    """A program for these sizes, if there is a plan that holds for them."""
    for plan in known(key):
        found = plan.for_sizes(sizes)
        if found is not None:
            return found
    return None


__all__ = ["Plan", "find", "known"]
