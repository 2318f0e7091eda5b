"""The cost model: what keeping a value in memory takes, and what computing it again would.

Owns: the figures (picoseconds for a byte, for an op on an element) and the comparison that
decisions quote. Must not know: groups, or any backend. The figures are of one thread on a common
server core, rounded: they have to tell a subtraction from an exponential, no more. Measured with
float32: reading or writing 10 GB/s from memory and 40 from the cache, 0.04 ns for an addition in
vectors, 0.6 ns for an exponential. The comparison is of one element: a decision must not change
with the size of a batch, or another batch would be another program to compile.
"""

from __future__ import annotations

from dataclasses import dataclass

from lazygrad.ir import ops
from lazygrad.ir.ops import Lowering, Op

BYTE = 40  # picoseconds to read or write a byte, some of it in the cache
OP = 40  # an element of a simple op, a vector at a time
DIVISION = 200  # ops whose instruction takes several cycles
FUNCTION = 600  # ops that are a polynomial
RANDOM = 1200  # a random word

_DIVISIONS = frozenset({"div", "sqrt", "rsqrt", "floordiv", "remainder", "fmod", "truncdiv"})


def op_cost(op: Op) -> int:
    """Picoseconds that one element of this op takes."""
    if op is ops.RANDOM:
        return RANDOM
    if op.name in _DIVISIONS:
        return DIVISION
    if op.ulp:
        return FUNCTION
    return 0 if op.lowering is Lowering.LEAF else OP


@dataclass(frozen=True)
class Comparison:
    """Picoseconds an element of keeping a value for a reader, and of computing it there again."""

    stored: int
    again: int
    elements: int
    nbytes: int  # of the value
    ops: int  # computed again for each element
    repeats: int  # how often the reader would compute each element

    @property
    def compute_again(self) -> bool:
        """No element is computed more often than it was, and memory takes longer."""
        return self.repeats <= 1 and self.again < self.stored

    def __str__(self) -> str:
        def total(picoseconds: int) -> str:
            return f"{self.elements * picoseconds / 1e6:.3g} us"

        often = f", {self.repeats} times each" if self.repeats > 1 else ""
        return (
            f"{self.nbytes} bytes through memory take {total(self.stored)}, {self.ops} "
            f"op{'s' * (self.ops != 1)} again {total(self.again * self.repeats)}{often}"
        )
