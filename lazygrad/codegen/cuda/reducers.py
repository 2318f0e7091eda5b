"""How each reduction is written in CUDA C, piece by piece, for the templates to place.

Owns: accumulators, and how those of several threads become one. Sums and products of floats are
kept in f64, so the order of additions hardly shows; it depends on the reduced extents alone. Must
not know: loops.
"""

from __future__ import annotations

from dataclasses import dataclass

from lazygrad.codegen.cuda.expr import Emitter
from lazygrad.codegen.cuda.online import Joined
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType

PARTIAL_BYTES = 16  # a value and, for argmax, its position


@dataclass(frozen=True)
class Reducer:
    """Texts for one reduction. `combine` is the functor's name; `kind` the accumulator's type, of
    at most `PARTIAL_BYTES`. What is `late` is finished when a value of the row is known."""

    number: int
    kind: str
    start: str
    combine: str
    step: str
    finish: str  # makes v{number} of the accumulator a{number}
    late: bool = False


def accumulator(dtype: DType) -> str:
    """Small integers wrap when they are stored; threads exchange 32 or 64 bits."""
    if dtype.kind == "f":
        return "f64"
    return "u64" if dtype.itemsize == 8 else "u32"


def reducer(e: Emitter, n: int) -> Reducer:
    ins = e.kernel.instrs[n]
    source = e.kernel.instrs[ins.args[0]].dtype
    value, register = f"v{ins.args[0]}", e.register(ins.dtype)
    if ins.op is ops.sum_ or ins.op is ops.prod:
        sign, start = ("+", 0) if ins.op is ops.sum_ else ("*", 1)
        kind = accumulator(ins.dtype)
        result = e.rounded(f"({register})a{n}", ins.dtype)
        return _plain(
            n,
            kind,
            str(start),
            "Sum" if sign == "+" else "Prod",
            f"a{n} = a{n} {sign} ({kind}){value};",
            f"const {register} v{n} = {result};",
        )
    if ins.op is ops.argmax or ins.op is ops.argmin:
        return _position(e, n, source)
    assert ins.op.identity is not None
    first = e.literal(ins.op.identity(source), source)
    if ins.dtype.kind == "b":
        combine = "Or" if ins.op is ops.max_ else "And"
        sign = "|" if ins.op is ops.max_ else "&"
        step = f"a{n} = a{n} {sign} {value};"
        return _plain(n, "i32", first, combine, step, f"const i32 v{n} = a{n};")
    combine = "Max" if ins.op is ops.max_ else "Min"
    kind = register if register in ("f32", "f64", "i64") else "i32"
    return _plain(
        n,
        kind,
        first,
        combine,
        f"a{n} = {combine}()(a{n}, ({kind}){value});",
        f"const {register} v{n} = ({register})a{n};",
    )


def _plain(n: int, kind: str, start: str, combine: str, step: str, finish: str) -> Reducer:
    return Reducer(
        n,
        kind,
        f"{kind} a{n} = {start};",
        combine,
        step,
        finish,
    )


def joined_reducer(e: Emitter, n: int, how: Joined) -> Reducer:
    """A sum that is made before what is taken from its terms is known: `online` has the formulas.
    `finish` comes when v{mean} is there; `length` is the number of terms."""
    register = e.register(e.kernel.instrs[n].dtype)
    value, mean = f"v{how.source}", f"(f64)v{how.mean}"
    if how.powers:
        kind = f"Power<{register}>"
        start = f"{{-{register}(INFINITY), 0}}"
        step = f"v_power(a{n}, {value});"
        sum_ = f"a{n}.sum * exp((f64)a{n}.top - {mean})"
        combine = "Powers"
    else:
        kind, start, combine = "f64", "0", "Sum"
        step = f"a{n} = a{n} + (f64){value} * (f64){value};"
        sum_ = f"v_squares(a{n}, a{how.first}, {mean}, (f64)length)"
    finish = f"const {register} v{n} = ({register})({sum_});"
    return Reducer(n, kind, f"{kind} a{n} = {start};", combine, step, finish, late=True)


def _position(e: Emitter, n: int, source: DType) -> Reducer:
    """The first position of the best value; `r` is the position along the reduced axis."""
    ins = e.kernel.instrs[n]
    register = e.register(source)
    value_kind = register if register in ("f32", "f64", "i64") else "i32"
    kind = f"Best<{value_kind}>"
    value = f"v{ins.args[0]}"
    if source.kind == "b":
        value = f"-{value}"
    combine = "Most" if ins.op is ops.argmax else "Least"
    return Reducer(
        n,
        kind,
        f"{kind} a{n} = {{0, -1}};",
        combine,
        f"{{ const {kind} b = {{({value_kind}){value}, (i64)r}}; a{n} = {combine}()(a{n}, b); }}",
        f"const i64 v{n} = a{n}.at;",
    )
