"""Ops that are C functions of their own: scans and sorting. One text for each op and dtype.

Owns: the context of their templates, their parameters and work items. Must not know: kernels, or
how text is compiled. Sources and results are row-major in memory; the axis and its stride are
parameters, so that a new shape needs no new text.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from lazygrad.codegen.environment import environment
from lazygrad.codegen.loops import GRAIN
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node
from lazygrad.ir.sizes import larger

_MAX_ROW = 2**32 - 1  # positions in a row are counted in 32 bits

# The state s after the value v, with the coefficient c, at position k; i is a second state, a
# position.
_STEPS = {
    "cumsum": "{s} += {v};",
    "cumprod": "{s} *= {v};",
    "recurrence": "{s} = {c} * {s} + {v};",
    "logcumsumexp": (
        "{{ const f64 hi = {v} > {s} || {v} != {v} ? {v} : {s}, lo = {v} > {s} ? {s} : {v}; "
        "{s} = lo == hi ? hi + (hi - hi == 0 ? 0x1.62e42fefa39efp-1 : 0) "
        ": hi + log1p(exp(lo - hi)); }}"
    ),
    "argcummax": "if ({v} >= {s} || {v} != {v} || {k} == 0) {{ {s} = {v}; {i} = {k}; }}",
    "argcummin": "if ({v} <= {s} || {v} != {v} || {k} == 0) {{ {s} = {v}; {i} = {k}; }}",
}
_IDENTITY = {"logcumsumexp": "-__builtin_inf()", "cumprod": "1"}
_LIBRARY = {"logcumsumexp": "extern f64 exp(f64), log1p(f64);\n"}


@dataclass(frozen=True)
class Routine:
    symbol: str
    body: str
    dims: tuple[int, ...]
    items: int
    grain: int


def _stored(dtype: DType) -> str:
    return "u16" if dtype.is_half else "u8" if dtype.kind == "b" else dtype.short


def _scan(node: Node, source: DType) -> tuple[str, str]:
    """(symbol, text) of a scan."""
    name, stored = node.op.name, _stored(source)
    symbol = f"lg_{name}_{source.short}"
    load, store, state = "{0}", "{s}", source.short
    if source.kind == "f":
        state = "f64"
        store = "(f32){s}" if source.short != "f64" else "{s}"
        if source.is_half:
            load = "v_" + source.short + "_to_f32x2((u16x2){{{0}}})[0]"
            store = "v_f32_to_" + source.short + "x2((f32x2){{(f32){s}}})[0]"
    elif source.kind == "b":
        state = "u8"
    result = stored
    if name.startswith("arg"):
        result, store = "i64", "{i}"
    text = (
        environment()
        .get_template("scan.c.j2")
        .render(
            op=name,
            symbol=symbol,
            stored=stored,
            result=result,
            state=state,
            identity=_IDENTITY.get(name, "0"),
            coefficients=len(node.srcs) == 2,
            load=load,
            store=store,
            step=_STEPS[name],
        )
    )
    return symbol, _LIBRARY.get(name, "") + text


def sort_key(dtype: DType) -> str:
    """Statements that make the bits u of a value v an unsigned integer of the same order."""
    bits = 8 * dtype.itemsize
    top = f"((u{bits})1 << {bits - 1})"
    if dtype.kind == "i":
        return f"u ^= {top};"
    if dtype.kind != "f":
        return ""
    mantissa = {"f16": 10, "bf16": 7, "f32": 23, "f64": 52}[dtype.short]
    infinite = ((1 << (bits - 1 - mantissa)) - 1) << mantissa
    return (
        f"const u{bits} size = u & (u{bits})~{top}; "
        f"u = size == 0 ? {top} : size > 0x{infinite:x}ull ? (u{bits})-1 "
        f": u & {top} ? (u{bits})~u : (u{bits})(u | {top});"
    )


def _to_keys(dtype: DType, lanes: int) -> str:
    """The same for a vector u of so many."""
    bits = 8 * dtype.itemsize
    keys, signs = f"u{bits}x{lanes}", f"i{bits}x{lanes}"
    if dtype.kind == "i":
        return f"u ^= (u{bits})1 << {bits - 1};"
    if dtype.kind != "f":
        return ""
    mantissa = {"f16": 10, "bf16": 7, "f32": 23, "f64": 52}[dtype.short]
    infinite = ((1 << (bits - 1 - mantissa)) - 1) << mantissa
    return (
        f"const {keys} top = v_sp_{keys}((u{bits})1 << {bits - 1}), size = u & ~top; "
        f"u = v_sel_{keys}(({signs})u < 0, ~u, u | top); "
        f"u = v_sel_{keys}(size == 0, top, u); "
        f"u = v_sel_{keys}(({signs})size > 0x{infinite:x}ll, v_sp_{keys}(-1), u);"
    )


def _argsort(source: DType) -> tuple[str, str]:
    symbol = f"lg_argsort_{source.short}"
    head = "extern void *aligned_alloc(unsigned long, unsigned long);\nextern void free(void *);\n"
    text = (
        environment()
        .get_template("argsort.c.j2")
        .render(
            symbol=symbol,
            stored=_stored(source),
            key=f"u{8 * source.itemsize}",
            index="u32",
            to_key=sort_key(source),
            to_keys=_to_keys(source, 32 // source.itemsize),
            lanes=32 // source.itemsize,
        )
    )
    return symbol, head + text


def ranks(node: Node) -> tuple[int, bool, int, int]:
    """(axis, whether descending, the first rank wanted, how many)."""
    if node.op is ops.argrank:
        return node.arg
    axis, descending = node.arg
    return axis, descending, 0, node.srcs[0].shape[axis]


def routine(node: Node) -> Routine | None:
    """The function for a node without a kernel; None where there is none."""
    source = node.srcs[0]
    if node.op is ops.argsort or node.op is ops.argrank:
        axis, descending, first, count = ranks(node)
        symbol, body = _argsort(source.dtype)
        more: tuple[int, ...] = (int(descending), first, count)
    elif node.op.name in _STEPS:
        axis = node.arg
        symbol, body = _scan(node, source.dtype)
        more = ()
    else:
        return None
    n, inner = source.shape[axis], prod(source.shape[axis + 1 :])
    if n > _MAX_ROW:
        return None
    outer = prod(source.shape[:axis])
    items = outer * (inner if more else -(-inner // 64)) if n else 0
    grain = larger(1, GRAIN * items // larger(source.numel, 1))
    return Routine(symbol, body, (n, larger(inner, 1), *more), items, grain)
