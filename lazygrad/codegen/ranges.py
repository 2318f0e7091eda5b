"""What is known of a value's range from how it is made: a shorter text may do.

Owns: `never_positive`, and which op has a text for that. Must not know: loops. A text chosen by a
range gives the bits of the general one, or fusion, which decides what is known, would show.
"""

from __future__ import annotations

from lazygrad.ir import ops
from lazygrad.ir.dtypes import compute_dtype
from lazygrad.ir.kernel import Instr, Kernel


def never_positive(kernel: Kernel, number: int) -> bool:
    """Whether no element is above zero (NaN may be): x - max(x), -x * x, -(x * x), -|x|."""
    ins = kernel.instrs[number]
    if ins.op is ops.sub:
        x, top = ins.args
        most = kernel.instrs[top]
        return most.op is ops.max_ and most.args[0] == x
    if ins.op is ops.mul:
        return any(_negates(kernel, a, b) for a, b in (ins.args, ins.args[::-1]))
    return ins.op is ops.neg and _never_negative(kernel.instrs[ins.args[0]])


def _negates(kernel: Kernel, number: int, other: int) -> bool:
    ins = kernel.instrs[number]
    return ins.op is ops.neg and ins.args[0] == other


def _never_negative(ins: Instr) -> bool:
    square = ins.op is ops.mul and ins.args[0] == ins.args[1]
    return square or ins.op in (ops.absolute, ops.exp, ops.sigmoid)


def shorter(kernel: Kernel, ins: Instr) -> str | None:
    """The C expression for an instruction whose operand is known to suit it, if there is one."""
    single = compute_dtype(ins.dtype).short == "f32"
    if ins.op is ops.exp and single and never_positive(kernel, ins.args[0]):
        return "v_explow_{t}({0})"
    return None
