"""Gathers ask early for what they will read: the processor cannot guess where an index points.

Owns: the statements that make a later index once more and prefetch what it chooses. Must not
know: how values are written (the emitter's), or loops but those of kernels without reductions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazygrad.ir import ops
from lazygrad.ir.kernel import Instr
from lazygrad.ir.ops import Lowering

if TYPE_CHECKING:
    from lazygrad.codegen.expr import Emitter

ROWS_AHEAD = 4  # how many rows early a row is asked for that an index chooses
ELEMENTS_AHEAD = 64  # and elements
CHAIN = 8  # values that make an index, up to which making it early is worth the time
NEAR = 1 << 18  # bytes that the near caches hold: rows of less are not asked for


def later_row(e: Emitter, number: int, step: str, size: str) -> list[str]:
    """Asks for the row that the index a few rows on chooses, if rows come from far away.

    `number` is the gather, `step` and `size` its parameters. The index's arithmetic is done
    once more, in a scope of its own.
    """
    ins = e.kernel.instrs[number]
    (index,) = ins.args
    chain = made_of(e, index)
    axes = [a for n in chain for a, s in enumerate(strides(e, n)) if s]
    if not axes or strides(e, number)[e.axis] != 1:
        return []
    axis = max(axes)
    later = f"i{axis} + {ROWS_AHEAD}"
    lines = [
        f"if ({far(e, ins)} && {later} < {e.extent[axis]}) {{",
        f"  const i64 later = {later};",
        "  {",
        f"    const i64 i{axis} = later;",
        *(f"    {s.code}" for n in chain for s in e.value(n)[0]),
        f"    if ((u64)v{index}[0] < (u64){size})",
        f"      v_row_ahead(b{number} + v{index}[0] * {step} + start, "
        f"(end - start) * sizeof({e.storage(ins.dtype)}));",
        "  }",
        "}",
    ]
    return lines


def later_elements(e: Emitter, number: int, stride: str, step: str) -> list[str]:
    """Asks for the elements that the indices a few vectors on choose, if they are far away."""
    ins = e.kernel.instrs[number]
    (index,) = ins.args
    chain = made_of(e, index)
    if not chain:
        return []
    vector = e.vector(e.storage(ins.dtype))
    lines = [
        f"if ({far(e, ins)} && x + {ELEMENTS_AHEAD + e.lanes} <= end) {{",
        f"  const i64 later = x + {ELEMENTS_AHEAD}, m = {e.lanes};",
        "  (void)m;",
        "  {",
        "    const i64 x = later;",
        *(f"    {s.code}" for n in chain for s in e.value(n)[1]),
        f"    v_gather_ahead_{vector}(b{number}, {stride}, x, v{index}, {step});",
        "  }",
        "}",
    ]
    return lines


def far(e: Emitter, ins: Instr) -> str:
    """The parameter that says whether a gather chooses from more than the near caches hold."""
    return e.params.add(int(ins.size * ins.stride * ins.dtype.itemsize > NEAR))


def strides(e: Emitter, number: int) -> tuple[int, ...]:
    access = e.kernel.instrs[number].access
    return access.strides if access is not None else ()


def made_of(e: Emitter, index: int) -> list[int]:
    """The values, in order, that make an index from memory; none if they are not a few simple
    ones in a kernel without reductions. What the loops around have made is left out."""
    if any(e.kernel.reduced) or e.tiles:
        return []
    wanted: set[int] = set()
    stack = [index]
    while stack:
        number = stack.pop()
        ins = e.kernel.instrs[number]
        if ins.op is ops.CONST or ins.op is ops.SCALAR:
            if ins.access is not None and ins.access.box is not None:
                return []
            continue
        if e.uniform[number] and not e.uniform[index]:
            continue
        boxed = ins.access is not None and ins.access.box is not None
        simple = ins.op is ops.BUFFER or ins.op.lowering is Lowering.POINTWISE
        if boxed or not simple or (ins.op.errors and ins.op is not ops.check_index):
            return []
        wanted.add(number)
        stack.extend(ins.args)
    return sorted(wanted) if len(wanted) <= CHAIN else []
