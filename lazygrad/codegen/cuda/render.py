"""CUDA C of a kernel: its plan as text, through Jinja2 templates.

Owns: the context that each strategy's template is rendered with, the names of functions, and how
many blocks a launch has. Must not know: how text is compiled, or which buffers it will get.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace
from functools import cache, partial
from math import prod
from pathlib import Path
from typing import Any

from lazygrad.codegen.cpu import heading, readable_name
from lazygrad.codegen.cuda import ARGUMENT_BYTES
from lazygrad.codegen.cuda import plan as plans
from lazygrad.codegen.cuda.expr import Emitter
from lazygrad.codegen.cuda.plan import Plan, divisor
from lazygrad.codegen.cuda.reducers import PARTIAL_BYTES, joined_reducer, reducer
from lazygrad.codegen.environment import environment
from lazygrad.codegen.expr import Statement
from lazygrad.codegen.loops import Stage, crossing_axis, crossing_loads
from lazygrad.codegen.target import Phase, Rendered
from lazygrad.ir import ops
from lazygrad.ir.fusion import FULL
from lazygrad.ir.kernel import Kernel

INSTANCES = (32, 256)  # that a launch may run, if their arguments fit
_HEADER = Path(__file__).parent.parent / "c" / "device.cuh"


class Writer:
    """Fills the context of a template."""

    def __init__(self, kernel: Kernel, plan: Plan):
        self.kernel = kernel
        self.plan = plan
        self.e = Emitter(kernel, plan.lanes, plan.wide)

    # -- pieces -----------------------------------------------------------------------------------
    def values(self, numbers: list[int]) -> list[Statement]:
        return [self.e.value(number) for number in numbers]

    def stores(self, numbers: list[int]) -> list[Statement]:
        return [s for n in numbers for s in self.e.store(n, self.kernel.stores[n])]

    def product(self, axes: list[int]) -> str:
        """The number of positions along these axes."""
        return " * ".join(self.e.extent[axis] for axis in axes) or "1"

    def split(self, flat: str, axes: list[int], start: bool = False) -> list[str]:
        """Positions along the axes of a flat position; `start`: the last one is named x0."""
        kind, lines = self.e.index, []
        rest = flat
        for axis in reversed(axes):
            name = "x0" if start and axis == self.e.axis else f"i{axis}"
            if axis == axes[0]:
                lines.append(f"const {kind} {name} = {rest};")
                break
            if self.plan.wide:
                quotient = f"{rest} / {self.e.extent[axis]}"
            else:
                magic = self.e.params.add(divisor(self.kernel.extents[axis]))
                quotient = f"(i32)v_quot({rest}, d.v{magic.removeprefix('d')})"
            lines.append(f"const {kind} q{axis} = {quotient};")
            lines.append(f"const {kind} {name} = {rest} - q{axis} * {self.e.extent[axis]};")
            rest = f"q{axis}"
        return lines

    def axes(self, reduced: bool) -> list[int]:
        return [axis for axis, r in enumerate(self.kernel.reduced) if r == reduced]

    def chunked(
        self, values: list[int], stores: list[int], left: str, given: Collection[int] = ()
    ) -> dict[str, Any]:
        """Loads and stores of whole chunks, and what is done with every element between them.
        Values that are `given` are in registers."""
        e, loads = self.e, []
        for number in values:
            ins = self.kernel.instrs[number]
            if ins.op is not ops.BUFFER or number in given:
                continue
            if ins.access is not None and e.vector_access(ins.access):
                kind = f"Vec<{e.storage(ins.dtype)}, {e.lanes}>"
                loads.append((kind, number, e.chunk(number, left)))
                e.chunked[number] = f"l{number}" + ("[u]" if self.unrolled else "")
        within = self.values(values)
        kept, flushes = [], []
        for number in stores:
            store = self.kernel.stores[number]
            dtype = self.kernel.instrs[store.value].dtype
            if store.index is None and e.vector_access(store.access):
                kept.append((f"Vec<{e.storage(dtype)}, {e.lanes}>", number))
                within.append(e.keep(number, store))
                flushes.append(e.flush(number, store, left))
            else:
                within += e.store(number, store)
        return {
            "loads": loads,
            "kept": kept,
            "within": within,
            "flushes": flushes,
            "axis": e.axis,
            "index": e.index,
        }

    @property
    def unrolled(self) -> bool:
        return self.plan.unroll > 1

    def context(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "index": self.e.index,
            "axis": self.e.axis,
            "lanes": plan.lanes,
            "unroll": plan.unroll,
            "threads": plan.threads,
            "group": plan.group,
            "splits": plan.splits,
            "partial_bytes": PARTIAL_BYTES,
            "count": len(self.kernel.reductions),
            "constants": self.values(plan.loops.constants),
        }

    # -- strategies -------------------------------------------------------------------------------
    def pointwise(self) -> dict[str, Any]:
        stage, axes = self.plan.loops.stages[0], list(range(self.e.axis + 1))
        ragged = prod(self.kernel.extents) % self.plan.lanes != 0
        split = self.split("f", axes, True)
        left = "total - f" if ragged else str(self.plan.lanes)
        made = self.chunked(stage.values, stage.stores, left)
        return {**made, "total": self.product(axes), "split": split, "ragged": ragged}

    def serial(self) -> dict[str, Any]:
        stage, axes = self.plan.loops.stages[0], list(range(self.e.axis + 1))
        within = self.values(stage.values) + self.stores(stage.stores)
        return {
            "total": self.product(axes),
            "split": self.split("f", axes, True),
            "within": within,
        }

    def tiled(self) -> dict[str, Any]:
        crossing = crossing_axis(self.kernel)
        assert crossing is not None
        stage = self.plan.loops.stages[0]
        others = [a for a in self.axes(False) if a not in (crossing, self.e.axis)]
        tiles = []
        for number in crossing_loads(self.kernel, crossing):
            ins = self.kernel.instrs[number]
            assert ins.access is not None
            read = f"p{ins.buffer}[{self.e.offset(ins.access)}]"
            tiles.append((self.e.storage(ins.dtype), number, read))
            self.e.tiles[number] = f"t{number}[lane][s]"
        return {
            "tiles": tiles,
            "tile": plans.TILE,
            "crossing": crossing,
            "across": self.e.extent[crossing],
            "along": self.e.extent[self.e.axis],
            "split_row": self.split("row", others),
            "within": self.values(stage.values) + self.stores(stage.stores),
        }

    def scatter(self) -> dict[str, Any]:
        stage = self.plan.loops.stages[0]
        walked = plans.scatter_axes(self.kernel)
        others = [a for a in self.axes(False) if a not in walked]
        before: list[int] = []
        first: list[Statement] = []
        place = ""
        only = self.kernel.stores[0]
        if len(self.kernel.stores) == 1 and only.index is not None:
            before = self.needed(only.index)
            first = self.values(before)  # their errors are told before the place's
            cell, size = self.e.error_cell(-1), self.e.params.add(only.size)
            place = f"v_position(v{only.index}, {size}, {cell})"
        later = [v for v in stage.values if v not in before]
        return {
            "others": self.product(others),
            "walked": self.product(walked),
            "shares": self.e.params.add(shares(self.kernel)),
            "split_row": self.split("row", others),
            "split_length": self.split("r", walked),
            "before": first,
            "place": place,
            "within": self.values(later) + self.stores(stage.stores),
        }

    def needed(self, number: int) -> list[int]:
        """What a value is made of, and itself, in order, without constants."""
        constants = self.plan.loops.constants
        return [v for v in plans.needed(self.kernel, number) if v not in constants]

    def sorted(self) -> dict[str, Any]:
        """A scatter of items that are sorted first."""
        e, (only,) = self.e, self.kernel.stores
        assert only.index is not None
        walked = plans.scatter_axes(self.kernel)
        others = [axis for axis in self.axes(False) if axis not in walked]
        target, combine = e.scattered(only)
        before = self.values(self.needed(only.index))  # their errors are told before the place's
        cell, size = e.error_cell(-1), e.params.add(only.size)
        rows = prod(self.kernel.extents[axis] for axis in others)
        context = {
            "others": self.product(others),
            "walked": self.product(walked),
            "by_others": e.params.add(divisor(rows)).removeprefix("d[").removesuffix("]"),
            "split_row": self.split("row", others),
            "split_length": self.split("r", walked),
            "before": before,
            "place": f"v_position(v{only.index}, {size}, {cell})",
            "within": self.values(self.needed(only.value)),
            "stored": e.storage(self.kernel.instrs[only.value].dtype),
            "target": target,
            "combine": combine,
            "tile": plans.SORT_TILE,
        }
        return context | {"extra": len(e.params.values)}

    def reduction(self) -> dict[str, Any]:
        """What row and column reductions have in common."""
        loops = self.plan.loops
        context: dict[str, Any] = {
            "length": self.product(self.axes(True)),
            "rows": self.product(self.axes(False)),
            "first": self.values(loops.first),
            "first_stores": self.stores(loops.first_stores),
        }
        if self.plan.splits > 1:
            length, count = plans.parts(self.kernel, self.plan.splits)
            context["part_length"] = self.e.params.add(length)
            context["split_count"] = self.e.params.add(count)
            context["functions"] = functions(len(loops.stages))
            context["places"] = {
                n: PARTIAL_BYTES * place for place, n in enumerate(self.kernel.reductions)
            }
        return context

    def stage(self, stage: Stage) -> dict[str, Any]:
        joined = self.plan.joined
        reducers = [
            joined_reducer(self.e, n, joined[n]) if n in joined else reducer(self.e, n)
            for n in stage.reductions
        ]
        late = {one.number: Statement(one.finish) for one in reducers if one.late}
        return {
            "reducers": reducers,
            "after": [late.get(n) or self.e.value(n) for n in sorted([*stage.row_values, *late])],
            "row_stores": self.stores(stage.row_stores),
            "at_once": plans.chunks_at_once(self.kernel, self.plan, stage),
        }

    def rows(self) -> dict[str, Any]:
        context = self.reduction()
        context["split_row"] = self.split("row", self.axes(False))
        context["split_length"] = self.split("r0", self.axes(True), True)
        left = str(self.plan.lanes)
        context["held"] = self.plan.held
        context["stages"] = stages = []
        for stage in self.plan.loops.stages:
            held = self.held(stage)
            made = self.chunked([v for v in stage.values if v not in held], stage.stores, left)
            made["within"] = self.read_back(stage, held) + made["within"]
            made["within"] += [self.e.save(v) for v in stage.saves if v not in held]
            stages.append(made | self.holds(stage, held) | self.stage(stage))
        return context

    def held(self, stage: Stage) -> list[int]:
        """Values of memory that stay in registers, as they are, from this pass on."""
        e = self.e
        return [
            number
            for number in stage.saves
            if e.kernel.instrs[number].op is ops.BUFFER
            and (e.lanes == 1 or e.vector_access(e.access(number)))
        ]

    def holds(self, stage: Stage, held: list[int]) -> dict[str, Any]:
        """The registers that are filled in a pass, and the loads that fill them first of all."""
        e, lanes = self.e, self.e.lanes
        kinds = {v: e.kernel.instrs[v].dtype for v in stage.saves}
        return {
            "held_loads": [
                (f"Vec<{e.storage(kinds[v])}, {lanes}>", v, e.chunk(v, str(lanes))) for v in held
            ],
            "saved": [
                (f"Vec<{e.register(kinds[v])}, {lanes}>", v) for v in stage.saves if v not in held
            ],
        }

    def read_back(self, stage: Stage, held: list[int]) -> list[Statement]:
        """Values that this pass finds in registers."""
        for number in held:
            self.e.chunked[number] = f"l{number}[u]"
        known = self.e.chunked
        return [
            self.e.value(number) if number in known else self.e.saved(number)
            for number in sorted({*held, *stage.loads})
        ]

    def columns(self) -> dict[str, Any]:
        context = self.reduction()
        context["columns"] = self.e.extent[self.e.axis]
        context["split_row"] = self.split("row", self.axes(False)[:-1])
        context["split_length"] = self.split("r", self.axes(True))
        context["stages"] = [
            self.chunked(stage.values, [], str(self.plan.lanes))
            | {"stores": self.stores(stage.stores)}
            | self.stage(stage)
            for stage in self.plan.loops.stages
        ]
        return context


def functions(passes: int) -> list[str]:
    """Names of the passes of a reduction that is split, of which each is a function."""
    return ["parts", *(f"parts{number}" for number in range(2, passes + 1))]


def shares(kernel: Kernel) -> int:
    """Into how many shares the places of a scatter are dealt, a power of two."""
    if len(kernel.stores) != 1:
        return 1
    walked = plans.scatter_axes(kernel)
    others = prod(n for a, n in enumerate(kernel.extents) if a not in walked)
    blocks = max(1, -(-others // plans.THREADS))
    most = min(plans.SCATTER_BLOCKS // blocks, kernel.stores[0].size)
    return 1 << (most.bit_length() - 1) if most > 1 else 1


def _phases(writer: Writer, symbol: str) -> tuple[tuple[Phase, ...], int]:
    """Launches with their numbers of blocks, and the bytes of scratch memory."""
    kernel, plan = writer.kernel, writer.plan
    total = prod(kernel.extents)
    kept = plans.sizes(kernel)[1]
    rows, threads = prod(kept), plan.threads
    if plan.strategy == "sorted":
        return _sorting(kernel, symbol, threads)
    if plan.strategy == "pointwise":
        blocks = -(-total // (threads * plan.lanes * plan.unroll))
    elif plan.strategy == "serial":
        blocks = min(total, 1)
    elif plan.strategy == "tiled":
        crossing = crossing_axis(kernel) or 0
        across, along = kernel.extents[crossing], kernel.extents[-1]
        outer = total // max(across * along, 1)
        blocks = outer * -(-across // plans.TILE) * -(-along // plans.TILE)
    elif plan.strategy == "scatter":
        walked = plans.scatter_axes(kernel)
        others = prod(n for a, n in enumerate(kernel.extents) if a not in walked)
        blocks = -(-others // threads) * shares(kernel) if total else 0
    elif plan.strategy == "columns":
        blocks = prod(kept[:-1]) * -(-kept[-1] // (plans.WARP * plan.lanes))
    else:
        blocks = -(-rows // (threads // plan.group))
    if plan.splits == 1:
        return (Phase(symbol, blocks, threads),), 0
    _, count = plans.parts(kernel, plan.splits)
    finishing = rows
    if plan.strategy == "columns":
        finishing = prod(kept[:-1]) * -(-kept[-1] // plans.WARP)
    scratch = rows * count * len(kernel.reductions) * PARTIAL_BYTES
    stages = plan.loops.stages
    names = functions(len(stages))
    phases = [Phase(f"{symbol}_{name}", blocks * count, threads) for name in names]
    if stages[-1].reductions:
        phases.append(Phase(symbol + "_done", finishing, threads))
    return tuple(phases), scratch


def _sorting(kernel: Kernel, symbol: str, threads: int) -> tuple[tuple[Phase, ...], int]:
    """The launches of a scatter that sorts: each has the width of a run, and the half of the
    memory that is read, as parameters."""
    n = prod(kernel.extents[axis] for axis in plans.scatter_axes(kernel))
    total, count = prod(kernel.extents), plans.merges(n)
    some = -(-n // threads) if total else 0
    merging = [
        Phase(symbol + "_merge", some if k < count else 0, threads, (plans.SORT_TILE << k, k & 1))
        for k in range(max(count, 1))  # a function of the text in any case
    ]
    sorting = Phase(symbol + "_sort", -(-n // plans.SORT_TILE) if total else 0, threads, (0, 0))
    last = Phase(symbol, -(-total // threads), threads, (0, count & 1))
    return (sorting, *merging, last), 16 * n


def render(kernel: Kernel, argument_bytes: int = ARGUMENT_BYTES) -> Rendered:
    """The kernel as CUDA C. Equal structure gives equal text, whatever the sizes. A launch may be
    given so many bytes of arguments."""
    writer = Writer(kernel, plans.plan(kernel))
    strategy = writer.plan.strategy
    context = writer.context() | getattr(writer, strategy)()
    pointers = writer.e.pointers()
    if writer.plan.splits > 1 or strategy == "sorted":
        pointers.append("char *scratch")
    count = len(writer.e.params.values) + (2 if strategy == "sorted" else 0)
    dims = f"Dims<{writer.e.index}, {count}> d"
    context["parameters"] = ", ".join([*pointers, f"const {dims}"])
    context["arguments"] = [text.split()[-1].lstrip("*") for text in [*pointers, dims]]
    fields = [text.replace("__restrict__ ", "") for text in [*pointers, dims]]
    context["fields"] = [f"{text};" for text in fields]
    template = environment().get_template(f"cuda/{strategy}.cu.j2")
    name = readable_name(kernel)
    plain = template.render(**context, symbol="SYMBOL", at_once=1, notes=False, heading="")
    key = hashlib.blake2b(plain.encode(), digest_size=6).hexdigest()
    symbol = f"lg_{name}_{key}"

    def shown(symbol: str = symbol, at_once: int = 1) -> str:
        notes = {"symbol": symbol, "notes": True, "heading": heading(kernel, strategy)}
        return str(template.render(**context, **notes, at_once=at_once))

    phases, scratch = _phases(writer, symbol)
    made = Rendered(
        symbol,
        plain.replace("SYMBOL", symbol),
        shown,
        phases,
        tuple(writer.e.params.values),
        tuple(writer.e.errors),
        scratch,
    )
    counts = instances_at_once(writer, argument_bytes)

    def together(wanted: int) -> Rendered:
        count = next((n for n in counts if n >= wanted), counts[-1])
        many = f"{symbol}_many{count}"
        return replace(
            made,
            name=many,
            body=template.render(**context, symbol=many, at_once=count, notes=False, heading=""),
            annotated=partial(shown, many, count),
            phases=tuple(replace(phase, symbol=many) for phase in phases),
            at_once=count,
        )

    return replace(made, together=together) if counts else made


def instances_at_once(writer: Writer, argument_bytes: int) -> list[int]:
    """How many instances of a kernel one launch may run, for few and for many: their arguments must
    fit into its own. Few have a function of their own, as all arguments travel with a launch."""
    if writer.plan.strategy != "pointwise":
        return []
    words = len(writer.e.pointers()) + len(writer.e.params.values)
    counts = {min(most, argument_bytes // (8 * words + 4)) & ~1 for most in INSTANCES}
    return sorted(n for n in counts if n > 1)


@cache
def device_header() -> str:
    return _HEADER.read_text(encoding="utf-8")


def translation_unit(bodies: list[str]) -> str:
    """A complete CUDA C source: the device's functions, then the kernels."""
    halves = any("f16(" in body for body in bodies)
    head = "#define LG_HALF\n#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n" if halves else ""
    return head + device_header() + "\n" + "\n".join(bodies)


__all__ = ["FULL", "render", "translation_unit"]
