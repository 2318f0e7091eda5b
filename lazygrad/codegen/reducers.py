"""How each reduction is written in C, piece by piece, for the templates to place.

Owns: accumulators and the fixed trees that combine them. Sums and products of floats are kept in
64 logical lanes of the value's type for a block of 4,096, then in 64 lanes of float64 for a chunk,
whose lanes are added by halves; chunks are added one after the other. 64 lanes whatever the
vector's width: the same bits on every CPU. Must not know: loops.
"""

from __future__ import annotations

from dataclasses import dataclass

from lazygrad.codegen.expr import Emitter
from lazygrad.ir import ops
from lazygrad.ir.dtypes import accumulate
from lazygrad.ir.ops import Lowering

BLOCK = 4096
COLUMN_BLOCK = 256
LANES = 64


@dataclass(frozen=True)
class Reducer:
    """Texts for one reduction. Every piece may be empty."""

    number: int
    item: str = ""  # declared once a row (or item)
    chunk: str = ""  # at a chunk's start
    block: str = ""
    step: str = ""  # for each vector, at x with m lanes left; j is the logical lane group
    hold: str = ""  # takes the accumulators of all lane groups into registers ...
    held_step: str = ""  # ... where a loop unrolled over j finds them ...
    release: str = ""  # ... and back
    end_block: str = ""
    end_chunk: str = ""
    finish: str = ""  # makes v{number}
    partial: str = ""  # full reductions: writes the item's partial result to q
    combine: str = ""  # full reductions: takes a partial result q in


@dataclass(frozen=True)
class Several:
    """Accumulators for several items that are walked at once: arrays indexed by `r` < `count`."""

    count: str  # how many there are now, an expression
    limit: int  # and at most


def reducer(e: Emitter, number: int, several: Several | None = None) -> Reducer:
    ins = e.kernel.instrs[number]
    if ins.op is ops.sum_ or ins.op is ops.prod:
        return _fold(e, number, several)
    if ins.op is ops.argmax or ins.op is ops.argmin:
        assert several is None
        return _position(e, number)
    return _extreme(e, number, several)


def _state(several: Several | None) -> tuple[str, str, str]:
    """(dimension, index, loop) of accumulators: texts that are empty for one item at a time."""
    if several is None:
        return "", "", ""
    return f"[{several.limit}]", "[r]", f"for (int r = 0; r < {several.count}; r++) "


def _identity(e: Emitter, number: int) -> str:
    ins = e.kernel.instrs[number]
    source = e.kernel.instrs[ins.args[0]].dtype
    assert ins.op.identity is not None
    return e.literal(ins.op.identity(source), source)


def _held(state: str, vec: str, groups: int, step: str) -> dict[str, str]:
    """The pieces that keep an array of accumulators in registers while whole groups are added up.

    The array itself cannot be there: a row's end is looked for at a `j` that the compiler does not
    know.
    """
    each = f'_Pragma("GCC unroll {groups}") for (int j = 0; j < {groups}; j++) '
    return {
        "hold": f"{vec} h_{state}[{groups}]; {each}h_{state}[j] = {state}[j];",
        "held_step": step.replace(f"{state}[j]", f"h_{state}[j]"),
        "release": f"{each}{state}[j] = h_{state}[j];",
    }


def _fold(e: Emitter, n: int, several: Several | None) -> Reducer:
    ins = e.kernel.instrs[n]
    assert ins.op.lowering is Lowering.REDUCE
    plus, name = ("+", "sum") if ins.op is ops.sum_ else ("*", "prod")
    start = 0 if plus == "+" else 1
    register, wide = e.register(ins.dtype), accumulate(ins.dtype).short
    groups = LANES // e.lanes
    vec, wvec = e.vector(register), e.vector(wide)
    many, at, over = _state(several)
    s, t, a = f"s{n}{at}", f"t{n}{at}", f"a{n}{at}"
    grown = f"{a}[j]" if register == wide else f"__builtin_convertvector({a}[j], {wvec})"
    fill = f"for (int j = 0; j < {groups}; j++) "
    result = e.rounded(f"v_sp_{vec}(({register}){s})", ins.dtype)
    step = f"{a}[j] = {a}[j] {plus} v_keep_{vec}(v{ins.args[0]}, m, {start});"
    return Reducer(
        n,
        item=f"{wide} s{n}{many}; {over}{s} = {start};",
        chunk=f"{wvec} t{n}{many}[{groups}]; {over}{fill}{t}[j] = v_sp_{wvec}({start});",
        block=f"{vec} a{n}{many}[{groups}]; {over}{fill}{a}[j] = v_sp_{vec}({start});",
        step=step,
        **({} if several else _held(f"a{n}", vec, groups, step)),
        end_block=f"{over}{fill}{t}[j] = {t}[j] {plus} {grown};",
        end_chunk=f"{over}{s} = {s} {plus} v_tree_{name}_{wvec}({t});",
        finish=f"const {vec} v{n} = {result};",
        partial=f"*({wide} *)q = {s};",
        combine=f"{s} = {s} {plus} *(const {wide} *)q;",
    )


def _extreme(e: Emitter, n: int, several: Several | None) -> Reducer:
    ins = e.kernel.instrs[n]
    register = e.register(ins.dtype)
    vec, value, first = e.vector(register), f"v{ins.args[0]}", _identity(e, n)
    best = "max" if ins.op is ops.max_ else "min"
    many, at, over = _state(several)
    w, groups = f"w{n}{at}", LANES // e.lanes
    both = f"v_{best}_{vec}({w}[j], v_keep_{vec}({value}, m, {first}))"
    if ins.dtype.kind == "b":  # masks: true is -1, so the largest truth is the smallest number
        both = f"({w}[j] {'|' if best == 'max' else '&'} v_keep_{vec}({value}, m, {first}))"
        best = "min" if best == "max" else "max"
    fill = f"for (int j = 0; j < {groups}; j++) "
    step = f"{w}[j] = {both};"
    return Reducer(
        n,
        item=f"{vec} w{n}{many}[{groups}]; {over}{fill}{w}[j] = v_sp_{vec}({first});",
        step=step,
        **({} if several else _held(f"w{n}", vec, groups, step)),
        finish=f"const {vec} v{n} = v_sp_{vec}(v_all_{best}_{vec}({w}));",
        partial=f"*({register} *)q = v_all_{best}_{vec}({w});",
        combine=f"{{ const {vec} {value} = v_sp_{vec}(*(const {register} *)q); "
        f"const i64 m = {e.lanes}; const int j = 0; {w}[j] = {both}; }}",
    )


def better(e: Emitter, n: int, value: str, best: str) -> str:
    """The mask of lanes where `value` beats `best`; NaN beats everything."""
    ins = e.kernel.instrs[n]
    source = e.kernel.instrs[ins.args[0]].dtype
    if source.kind == "b":
        return f"({value} & ~{best})" if ins.op is ops.argmax else f"(~{value} & {best})"
    sign = ">" if ins.op is ops.argmax else "<"
    if source.kind != "f":
        return f"({value} {sign} {best})"
    return f"(({value} {sign} {best}) | (({value} != {value}) & ({best} == {best})))"


def _position(e: Emitter, n: int) -> Reducer:
    """The first index of the best value: each lane keeps the number of the vector that it saw its
    best in, -1 where it has seen nothing."""
    ins = e.kernel.instrs[n]
    source = e.kernel.instrs[ins.args[0]].dtype
    register = e.register(source)
    vec, value, lanes = e.vector(register), f"v{ins.args[0]}", e.lanes
    bits = "i" + register.strip("iuf")
    count = "i64" if bits == "i64" else "i32"  # of vectors: a row may have 2^31
    numbers, mask, places = e.vector(count), e.vector(bits), e.vector("i64")
    more = better(e, n, value, f"w{n}")
    if bits != count:
        more = f"v_mcvt_{bits}_{numbers}({more})"
    chosen = "take" if bits == count else f"v_mcvt_{count}_{mask}(take)"
    step = (
        f"{{ {numbers} take = {more} | (k{n} < 0); "
        f"if (__builtin_expect(m < {lanes}, 0)) take &= v_iota_{numbers}() < ({count})m; "
        f"w{n} = v_sel_{vec}({chosen}, {value}, w{n}); "
        f"k{n} = v_sel_{numbers}(take, v_sp_{numbers}(({count})(x / {lanes})), k{n}); }}"
    )
    name = "max" if (ins.op is ops.argmax) != (source.kind == "b") else "min"
    wide = f"k{n}" if count == "i64" else f"v_mcvt_i32_{places}(k{n})"
    first = (
        f"v_first_{name}_{vec}(w{n}, v_sel_{places}({wide} < 0, v_sp_{places}(-1), "
        f"{wide} * {lanes} + v_iota_{places}()))"
    )
    before = better(e, n, value, f"w{n}")
    return Reducer(
        n,
        item=f"{vec} w{n} = v_sp_{vec}(0); {numbers} k{n} = v_sp_{numbers}(-1); int seen{n} = 0;",
        step=step,
        held_step=step,
        finish=f"const {places} v{n} = v_sp_{places}({first});",
        partial=(
            f"{{ const i64 first = {first}; *(i64 *)(q + 8) = first; "
            f"if (first >= 0) *({register} *)q = w{n}[first % {lanes}]; }}"
        ),
        combine=(  # the best so far in all lanes of the values, and in one of the numbers
            f"{{ const {vec} {value} = v_sp_{vec}(*(const {register} *)q); "
            f"const {mask} more = {before}; const i64 first = *(const i64 *)(q + 8); "
            f"if (first >= 0 && (!seen{n} || more[0])) {{ seen{n} = 1; w{n} = {value}; "
            f"k{n} = v_sp_{numbers}(-1); k{n}[first % {lanes}] = ({count})(first / {lanes}); }} }}"
        ),
    )


@dataclass(frozen=True)
class ColumnReducer:
    """The same for a tile of columns: accumulators are arrays, one element a column."""

    number: int
    item: str
    block: str
    step: str
    end_block: str
    finish: str


def column_reducer(e: Emitter, n: int, tile: int, axis: int) -> ColumnReducer:
    """`axis` is the reduced axis that is walked innermost."""
    ins = e.kernel.instrs[n]
    source = e.kernel.instrs[ins.args[0]].dtype
    register, value = e.register(source), f"v{ins.args[0]}"
    vec = e.vector(register)
    each = "for (i64 x = 0; x < whole; x++) "  # whole: the width, rounded up to vectors
    aligned = "__attribute__((aligned(64)))"
    if ins.op is ops.sum_ or ins.op is ops.prod:
        plus, start = ("+", 0) if ins.op is ops.sum_ else ("*", 1)
        wide = accumulate(ins.dtype).short
        whole = f"*({e.vector(wide)} *)(t{n} + x)"
        here = f"*({vec} *)(a{n} + x)"
        back = whole if wide == register else f"__builtin_convertvector({whole}, {vec})"
        return ColumnReducer(
            n,
            item=f"{wide} t{n}[{tile}] {aligned}; {each}t{n}[x] = {start};",
            block=f"{register} a{n}[{tile}] {aligned}; {each}a{n}[x] = {start};",
            step=f"{here} = {here} {plus} {value};",
            end_block=f"{each}t{n}[x] = t{n}[x] {plus} ({wide})a{n}[x];",
            finish=f"const {vec} v{n} = {e.rounded(back, ins.dtype)};",
        )
    here = f"*({vec} *)(w{n} + x)"
    if ins.op is ops.argmax or ins.op is ops.argmin:
        wide, bits = e.vector("i64"), "i" + register.strip("iuf")
        at = f"*({wide} *)(k{n} + x)"
        more = better(e, n, value, here)
        grown = "more" if bits == "i64" else f"__builtin_convertvector(more, {wide})"
        step = (
            f"{{ const {e.vector(bits)} more = {more}; "
            f"const {wide} take = {grown} | ({at} < 0); "
            f"{here} = v_sel_{vec}(__builtin_convertvector(take, {e.vector(bits)}), "
            f"{value}, {here}); {at} = v_sel_{wide}(take, v_sp_{wide}(i{axis}), {at}); }}"
        )
        return ColumnReducer(
            n,
            item=f"{register} w{n}[{tile}] {aligned}; i64 k{n}[{tile}] {aligned}; "
            f"{each}{{ w{n}[x] = 0; k{n}[x] = -1; }}",
            block="",
            step=step,
            end_block="",
            finish=f"const {wide} v{n} = {at};",
        )
    best = "max" if ins.op is ops.max_ else "min"
    both = f"v_{best}_{vec}({here}, {value})"
    if ins.dtype.kind == "b":
        both = f"({here} {'|' if best == 'max' else '&'} {value})"
    return ColumnReducer(
        n,
        item=f"{register} w{n}[{tile}] {aligned}; {each}w{n}[x] = {_identity(e, n)};",
        block="",
        step=f"{here} = {both};",
        end_block="",
        finish=f"const {vec} v{n} = {here};",
    )
