"""Scans and sorting as CUDA kernels of their own: one text for each op, dtype and form.

Owns: the context of their templates, their launches and temporary memory. Must not know: kernels,
or how text is compiled. Sources and results are row-major in memory; lengths are parameters. What
is combined in which order depends on the shape alone: a parallel scan of floats adds in another
order than a serial one, in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from lazygrad.codegen.cuda.expr import Emitter
from lazygrad.codegen.cuda.plan import BLOCKS, PART, THREADS, WARP
from lazygrad.codegen.cuda.reducers import PARTIAL_BYTES, accumulator
from lazygrad.codegen.environment import environment
from lazygrad.codegen.routines import ranks, sort_key
from lazygrad.codegen.target import Phase
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node

SHORT_ROW = 512  # rows up to this length are scanned by a warp
BUSY = 65536  # so many threads keep any GPU busy: with fewer, columns are scanned in parts
COLUMN_PART = 256  # least number of elements of a column that are worth a part of their own
TILE = 1024  # elements that a block sorts in shared memory
POSITIONS = 2**31  # in a row: they are kept in 32 bits

_COMBINE = {
    "cumsum": "Sum",
    "cumprod": "Prod",
    "logcumsumexp": "LogSum",
    "argcummax": "LastMost",
    "argcummin": "LastLeast",
    "recurrence": "Affine",
}


@dataclass(frozen=True)
class Routine:
    """A text and its functions, their launches in order, and bytes of temporary memory, never 0:
    its address is a parameter."""

    body: str
    symbols: tuple[str, ...]
    phases: tuple[Phase, ...]
    scratch: int


def routine(node: Node) -> Routine | None:
    """The kernels of a scan or a sort; None where there are none."""
    source = node.srcs[0]
    if node.op is ops.argsort or node.op is ops.argrank:
        axis, descending, first, count = ranks(node)
        order = _argsort(source, axis, descending, first, count)
        return order if source.shape[axis] < POSITIONS else None
    return _scan(node, node.srcs[-1]) if node.op.name in _COMBINE else None


# -- scans ----------------------------------------------------------------------------------------


def _state(op: str, dtype: DType) -> tuple[str, str]:
    """Type of what is passed along, and its value before the first element."""
    if op.startswith("arg"):
        register = Emitter.register(dtype)
        kind = register if register in ("f32", "f64", "i64") else "i32"
        return f"Best<{kind}>", f"Best<{kind}>{{0, -1}}"
    if op == "recurrence":
        return "Map", "Map{1, 0}"
    if op == "logcumsumexp":
        return "f64", "-f64(INFINITY)"
    return accumulator(dtype), "1" if op == "cumprod" else "0"


def _scan(node: Node, source: Node) -> Routine:
    name, axis, dtype = node.op.name, node.arg, source.dtype
    n, inner = source.shape[axis], prod(source.shape[axis + 1 :])
    rows = prod(source.shape[:axis]) * inner
    factors = len(node.srcs) == 2
    lanes, group, parts = 1, 1, 1
    if inner == 1:
        lanes = min(4 if factors else 8, 16 // dtype.itemsize)
        lanes = lanes if n % lanes == 0 else 1
        group = WARP if n <= SHORT_ROW else THREADS
        if rows < BLOCKS // 2 and n > PART:
            parts = min(-(-BLOCKS // max(rows, 1)), n // PART)
    elif rows < BUSY // 2 and n > COLUMN_PART:
        parts = min(-(-BUSY // max(rows, 1)), n // COLUMN_PART)
    length = -(-n // parts)
    length += -length % lanes
    parts = max(1, -(-n // max(length, 1)))
    state, nothing = _state(name, dtype)
    position = name.startswith("arg")
    stored = Emitter.storage(dtype)

    def value(element: str, at: str, factor: str, before: str = "") -> str:
        text = f"{element} != 0" if dtype.kind == "b" else Emitter.from_storage(element, dtype)
        if factors:
            factor = f"(f64){Emitter.from_storage(factor, dtype)}"
            return f"{factor} * {before} + {text}" if before else f"Map{{{factor}, (f64){text}}}"
        return f"{state}{{{text}, {at}}}" if position else f"({state}){text}"

    def result(kept: str) -> str:
        if position:
            return f"{kept}.at"
        kept += ".s" if factors else ""
        return f"v_to_{dtype.short}((f32){kept})" if dtype.is_half else f"({stored}){kept}"

    form = f"{group}x{lanes}" if inner == 1 else "columns"
    symbol = f"lg_{name}_{dtype.short}_{form}"
    body = (
        environment()
        .get_template("cuda/scan.cu.j2")
        .render(
            op=name,
            symbol=symbol,
            stored=stored,
            made="i64" if position else stored,
            state=state,
            nothing=nothing,
            combine=_COMBINE[name],
            value=value,
            result=result,
            factors=factors,
            in_rows=inner == 1,
            lanes=lanes,
            group=group,
            threads=THREADS,
        )
    )
    dims = (n, max(inner, 1), rows, length, parts)
    blocks = -(-rows * parts // (THREADS // group)) if n else 0
    symbols = (symbol, symbol + "_parts")
    phases = [Phase(one, blocks, THREADS, dims) for one in symbols]
    used = (phases[1], phases[0]) if parts > 1 else (phases[0],)
    return Routine(body, symbols, used, max(rows * parts, 1) * PARTIAL_BYTES)


# -- sorting --------------------------------------------------------------------------------------


def _argsort(source: Node, axis: int, descending: bool, first: int, count: int) -> Routine:
    dtype = source.dtype
    n, inner = source.shape[axis], prod(source.shape[axis + 1 :])
    rows = prod(source.shape[:axis]) * inner
    symbol, key = f"lg_argsort_{dtype.short}", f"u{8 * dtype.itemsize}"
    body = (
        environment()
        .get_template("cuda/argsort.cu.j2")
        .render(symbol=symbol, key=key, to_key=sort_key(dtype), tile=TILE, threads=THREADS)
    )
    symbols = (symbol, symbol + "_merge")
    tiles = -(-n // TILE)
    head = (n, max(inner, 1), rows, int(descending), tiles)
    threads = THREADS if n > 2 * WARP else WARP
    phases = [Phase(symbol, rows * tiles, threads, (*head, 0, 0, 0, first, count))]
    width, place = TILE, 0
    while (
        width < n
    ):  # runs of this width are merged by twos, from one half of the memory to the other
        dims = (*head, width, place, int(2 * width >= n), first, count)
        phases.append(Phase(symbols[1], -(-rows * n // THREADS), THREADS, dims))
        width, place = 2 * width, 1 - place
    scratch = 2 * rows * n * (dtype.itemsize + 4) if tiles > 1 else 0
    return Routine(body, symbols, tuple(phases), scratch + 16)
