"""C for the CPU: a kernel's plan as text, through Jinja2 templates.

Owns: the context that each strategy's template is rendered with, the names of functions, and how
many work items a launch has. Must not know: how text is compiled, or which buffers it will get.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from math import prod
from typing import Any

from lazygrad.codegen.environment import environment
from lazygrad.codegen.expr import Emitter, Statement
from lazygrad.codegen.loops import (
    APART,
    BAND,
    CHEAP,
    CHUNK,
    COLUMN_TILE,
    GRAIN_TIME,
    REACH,
    TILE,
    TWICE,
    Loops,
    Stage,
    crossing_axis,
    crossing_loads,
    element_cost,
    is_cheap,
    long_innermost,
    place,
    walked_apart,
    writes_may_meet,
)
from lazygrad.codegen.prelude import chunks, prelude
from lazygrad.codegen.reducers import BLOCK, COLUMN_BLOCK, LANES, Several, column_reducer, reducer
from lazygrad.codegen.target import Phase, Rendered, Target
from lazygrad.ir import ops
from lazygrad.ir.fusion import FULL
from lazygrad.ir.kernel import Kernel
from lazygrad.ir.node import place_text
from lazygrad.ir.ops import Lowering
from lazygrad.ir.sizes import larger, smaller

STARVED = "if (!scratch) { p[-1] = (char *)p; return; }"  # the runtime's sign for: no memory
PARTIAL_BYTES = 16  # a full reduction's partial result: a value and, for argmax, its index


def readable_name(kernel: Kernel) -> str:
    """Which ops the kernel is made of: sub_exp_sum_div."""
    names: list[str] = []
    for ins in kernel.instrs:
        if ins.op.lowering is not Lowering.LEAF and (not names or names[-1] != ins.op.name):
            names.append(ins.op.name)
    for store in kernel.stores:
        if store.node is not None and store.node.op.lowering is Lowering.INDEXED:
            names.append(store.node.op.name)
    if len(names) > 6:
        names = [*names[:4], "etc", names[-1]]
    return "_".join(names) or "copy"


class _Writer:
    """Fills the context of a template."""

    def __init__(self, kernel: Kernel, target: Target):
        self.kernel = kernel
        self.e = Emitter(kernel, target)
        self.loops: Loops = place(kernel)

    def lines(self, numbers: list[int]) -> list[Statement]:
        """Values that do not vary along the vector, in order."""
        result = []
        for number in numbers:
            outer, inner = self.e.value(number)
            result += outer + inner
        return result

    def split(
        self, values: list[int], stores: list[int]
    ) -> tuple[list[Statement], list[Statement]]:
        outer: list[Statement] = []
        inner: list[Statement] = []
        for number in values:
            before, within = self.e.value(number)
            outer += before
            inner += within
        for number in stores:
            before, within = self.e.store(number, self.kernel.stores[number])
            outer += before
            inner += within
        return outer, inner

    def outer_axes(self, reduced: bool) -> list[tuple[int, str]]:
        """(axis, extent) of the axes outside the innermost one, outermost first."""
        last = self.e.axis
        return [
            (axis, self.e.extent[axis])
            for axis in range(last)
            if self.kernel.reduced[axis] == reduced
        ]

    def context(self) -> dict[str, Any]:
        return {
            "lanes": self.e.lanes,
            "extent": self.e.extent[self.e.axis],
            "axis": self.e.axis,
            "kept": self.outer_axes(False),
            "reduced": self.outer_axes(True),
            "constants": self.lines(self.loops.constants),
            "tile": TILE,
            "chunk": CHUNK,
            "block": BLOCK,
            "column_tile": COLUMN_TILE,
            "column_block": COLUMN_BLOCK,
            "logical_lanes": LANES,
            "unrolled": CHEAP,
            "twice": TWICE,
            "apart": APART,
        }

    def pointwise(self) -> dict[str, Any]:
        stage = self.loops.stages[0]
        before, within = self.split(stage.values, stage.stores)
        return {"before": before, "within": within}

    def epilogue(self) -> dict[str, Any]:
        context = self.pointwise()
        columns = self.e.params.add(0), self.e.params.add(self.kernel.extents[-1])
        return context | {"range": columns}  # the last two parameters: the product sets them

    def tiled(self) -> dict[str, Any]:
        crossing = crossing_axis(self.kernel)
        assert crossing is not None
        pitch = REACH + self.e.lanes  # rows of a copy do not all fall into the same cache lines
        tiles, scratch, size = [], "", "0"
        for number in crossing_loads(self.kernel, crossing):
            ins = self.kernel.instrs[number]
            assert ins.access is not None and ins.buffer is not None
            stored = self.e.storage(ins.dtype)
            strides = tuple(s if a != crossing else 0 for a, s in enumerate(ins.access.strides))
            base = self.e.base(ins.buffer, stored, replace(ins.access, strides=strides))
            step = self.e.params.add(strides[-1])
            scratch += f" {stored} *t{number} = ({stored} *)(scratch + {size});"
            size += f" + {BAND * pitch} * sizeof({stored})"
            tiles.append(
                f"v_tile_{self.e.vector(stored)}(t{number}, {pitch}, {base} + first + "
                f"start * {step}, {step}, last - first, end - start);"
            )
            self.e.tiles[number] = f"t{number} + (i{crossing} - first) * {pitch} - start"
        return self.pointwise() | {
            "scratch_lines": [f"char *scratch = v_scratch({size});", STARVED, scratch.lstrip()],
            "tiles": tiles,
            "band": BAND,
            "reach": REACH,
            "crossing": crossing,
            "crossing_extent": self.e.extent[crossing],
            "others": [(a, n) for a, n in self.outer_axes(False) if a != crossing],
        }

    def rows(self, several: Several | None = None) -> dict[str, Any]:
        first = self.split(self.loops.first, self.loops.first_stores)[0]
        stages: list[dict[str, Any]] = []
        rows: list[int] = []
        for stage in self.loops.stages:
            before, within = self.split(stage.values, stage.stores)
            within = [self.kept_load(v) for v in stage.loads] + within
            for value in stage.saves:
                rows.append(value)
                at = next(i for i, s in enumerate(within) if f" v{value} = " in s.code)
                within.insert(at + 1, self.kept_save(value))
            after = self.split(stage.row_values, stage.row_stores)[0]
            reducers = [reducer(self.e, n, several) for n in stage.reductions]
            stages.append(
                {
                    "before": before,
                    "within": within,
                    "reducers": reducers,
                    "after": after,
                    "ahead": self.ahead() if len(stages) == 1 else [],
                }
            )
        return {"first": first, "stages": stages, "scratch_rows": self.scratch_rows(rows)}

    def apart(self) -> dict[str, Any]:
        return {"stage": self.rows(Several("many", APART))["stages"][0]}

    def ahead(self) -> list[str]:
        """Asks for the next row, 64 elements a time, while later passes leave the memory idle."""
        last = self.e.axis
        kept = [a for a in range(last) if not self.kernel.reduced[a]]
        lines = []
        for number in self.loops.stages[0].values:
            ins = self.kernel.instrs[number]
            access = ins.access
            if ins.op is not ops.BUFFER or access is None or access.box is not None or not kept:
                continue
            if access.strides[last] != 1 or not access.strides[kept[-1]]:
                continue
            stored = self.e.storage(ins.dtype)
            assert ins.buffer is not None
            base = self.e.base(ins.buffer, stored, access)
            step = self.e.params.add(access.strides[kept[-1]])
            lines.append(f"v_ahead({base} + {step} + y, {LANES} * sizeof({stored}));")
        return lines

    def kept_vector(self, value: int) -> str:
        return self.e.vector(self.e.register(self.kernel.instrs[value].dtype))

    def kept_save(self, value: int) -> Statement:
        return Statement(f"*({self.kept_vector(value)} *)(c{value} + x) = v{value};")

    def kept_load(self, value: int) -> Statement:
        vector = self.kept_vector(value)
        return Statement(f"const {vector} v{value} = *(const {vector} *)(c{value} + x);")

    def scratch_rows(self, values: list[int]) -> list[str]:
        """Declarations of the rows of this thread's scratch memory that values are kept in."""
        if not values:
            return []
        lines = [f"const i64 padded = (n + {LANES - 1}) / {LANES} * {LANES};"]
        sizes = [f"{self.e.register(self.kernel.instrs[v].dtype)}" for v in values]
        total = " + ".join(f"sizeof({name})" for name in sizes)
        lines += [f"char *scratch = v_scratch(padded * ({total}));", STARVED]
        for value, name in zip(values, sizes):
            lines.append(
                f"{name} *c{value} = ({name} *)scratch; scratch += padded * sizeof({name});"
            )
        return lines

    def full(self) -> dict[str, Any]:
        apart = walked_apart(self.kernel, self.loops)
        context = self.rows(Several("many", APART) if apart else None)
        (stage,) = self.loops.stages
        context["walked_apart"] = apart
        context["enders"] = [reducer(self.e, n) for n in stage.reductions]  # take partial results
        # stores of full values happen in the parts, everything of the row level at the end
        at = len(self.kernel.buffers) + len(self.e.errors)
        return {**context, "scratch": f"p[{at}]", "partial_bytes": PARTIAL_BYTES}

    def columns(self) -> dict[str, Any]:
        walked = max(a for a, r in enumerate(self.kernel.reduced) if r)
        first = self.split(self.loops.first, self.loops.first_stores)
        made = list(self.loops.first)
        stages = []
        for number, stage in enumerate(self.loops.stages):
            stages.append(self.column_stage(stage, made, walked))
            made += stage.reductions + stage.row_values
            later = self.loops.stages[number + 1 :]
            stages[-1]["kept_values"] = [
                n for n in stage.reductions + stage.row_values if self.used_in(n, later)
            ]
        kept_first = [n for n in self.loops.first if self.used_in(n, self.loops.stages)]
        return {
            "tile_width": self.e.params.add(column_tile(self.kernel.extents[-1], self.e.target)),
            "first_before": first[0],
            "first_within": first[1],
            "first_kept": kept_first,
            "stages": stages,
            "walked": walked,
            "walked_extent": self.e.extent[walked],
            "outer_reduced": [(a, n) for a, n in self.outer_axes(True) if a != walked],
            "registers": {
                n: self.e.register(ins.dtype) for n, ins in enumerate(self.kernel.instrs)
            },
        }

    def column_stage(self, stage: Stage, made: list[int], walked: int) -> dict[str, Any]:
        before, within = self.split(stage.values, stage.stores)
        row_before, row_within = self.split(stage.row_values, stage.row_stores)
        reads = [n for n in made if self.read_by(n, stage.values + stage.reductions)]
        stored = [self.kernel.stores[s].value for s in stage.stores]
        reads += [n for n in made if n in stored and n not in reads]
        reads = [n for n in reads if not self.e.uniform[n]]
        row_reads = [
            n
            for n in made
            if self.read_by(n, stage.row_values)
            or any(self.kernel.stores[s].value == n for s in stage.row_stores)
        ]
        return {
            "reads": reads,
            "cheap": not reads and is_cheap(self.kernel, stage),
            "row_reads": [n for n in row_reads if not self.e.uniform[n]],
            "before": before,
            "within": within,
            "reducers": [column_reducer(self.e, n, COLUMN_TILE, walked) for n in stage.reductions],
            "row_before": row_before,
            "row_within": row_within,
        }

    def read_by(self, number: int, users: list[int]) -> bool:
        return any(number in self.kernel.instrs[user].args for user in users)

    def used_in(self, number: int, stages: list[Stage]) -> bool:
        if self.e.uniform[number]:
            return False
        return any(
            self.read_by(number, s.values + s.row_values + s.reductions)
            or any(self.kernel.stores[x].value == number for x in s.stores + s.row_stores)
            for s in stages
        )


def column_tile(columns: int, target: Target) -> int:
    """Columns in a work item: as long a piece of every row as leaves an item for each thread."""
    share = -(-columns // target.threads)
    return larger(64, smaller(COLUMN_TILE, -(-share // 64) * 64))


def grain_of(kernel: Kernel, items: int) -> int:
    """How many of the work items take as long as is worth giving to another thread."""
    total = prod(kernel.extents) * element_cost(kernel)
    return larger(1, -(-GRAIN_TIME * items // total)) if total else larger(1, items)


def _launch(
    kernel: Kernel, strategy: str, symbol: str, target: Target
) -> tuple[tuple[Phase, ...], int]:
    """Phases with their numbers of items, and the bytes of scratch memory."""
    extents = kernel.extents
    outer = prod(n for n, r in zip(extents[:-1], kernel.reduced) if not r)
    inner = extents[-1]
    total = prod(extents)
    if writes_may_meet(kernel):
        items = outer * -(-inner // TILE)
        return (Phase(symbol, items, larger(items, 1)),), 0  # writes may meet: one thread
    if strategy == "full":
        items = prod(extents[:-1]) * larger(-(-inner // CHUNK), 1)
        count = len(kernel.reductions)
        grain = grain_of(kernel, items)
        parts = Phase(symbol + "_parts", items if total else 0, grain)
        done = Phase(symbol + "_done", 1, 1)
        return (parts, done), larger(items, 1) * count * PARTIAL_BYTES
    if strategy == "epilogue":
        return (Phase(symbol, outer, outer),), 0  # the product says when
    if strategy == "rows":
        items = outer
    elif strategy == "tiled":
        crossing = extents[crossing_axis(kernel) or 0]
        items = outer // larger(crossing, 1) * -(-crossing // BAND)
    elif strategy == "columns":
        items = outer * -(-inner // column_tile(inner, target))
    else:
        items = outer * -(-inner // TILE)
    grain = grain_of(kernel, items)
    return (Phase(symbol, items, grain),), 0


def render(kernel: Kernel, target: Target) -> Rendered:
    """The kernel as C. Equal structure gives equal text, whatever the sizes."""
    kernel = kernel if kernel.product is not None else long_innermost(kernel)
    writer = _Writer(kernel, target)
    strategy = "epilogue" if kernel.product is not None else writer.loops.strategy
    form = strategy
    if strategy == "rows" and walked_apart(kernel, writer.loops):
        form = "apart"
    context = writer.context() | getattr(writer, form)()
    context["streams"] = [f"d[{parameter}]" for _, parameter in writer.e.streams]
    template = environment().get_template(f"{form}.c.j2")
    name = readable_name(kernel)
    count = len(kernel.reductions)
    given = context | {"symbol": "SYMBOL", "notes": False, "heading": "", "count": count}
    plain = _rendered(template, given)
    key = hashlib.blake2b(f"{target.vector_bytes}{plain}".encode(), digest_size=6).hexdigest()
    symbol = f"lg_{name}_{key}"

    def shown() -> str:
        notes = {"symbol": symbol, "notes": True, "heading": heading(kernel, strategy)}
        return str(template.render(**context, **notes, count=count))

    phases, scratch = _launch(kernel, strategy, symbol, target)
    return Rendered(
        symbol,
        plain.replace("SYMBOL", symbol),
        shown,
        phases,
        tuple(writer.e.params.values),
        tuple(writer.e.errors),
        scratch,
        tuple(writer.e.streams),
    )


_texts: dict[tuple[str, str], str] = {}  # named cache: of template and what it is given
_MOST_TEXTS = 4096


def _rendered(template: Any, given: dict[str, Any]) -> str:
    """A template's text; that of a kernel at another size was rendered before."""
    key = template.name, repr(given)
    found = _texts.get(key)
    if found is None:
        if len(_texts) >= _MOST_TEXTS:
            _texts.clear()
        found = _texts[key] = template.render(**given)
    return found


def heading(kernel: Kernel, strategy: str) -> str:
    lines: dict[str, None] = {}
    for node in [*kernel.places(), *(s.node for s in kernel.stores if s.node is not None)]:
        if node.op.lowering is not Lowering.LEAF:
            lines.setdefault(place_text(node.place))
    axes = ", ".join(
        f"{n}{' reduced' if r else ''}" for n, r in zip(kernel.extents, kernel.reduced)
    )
    kinds = sum(1 for s in kernel.stores if s.level == FULL)
    return (
        f"/* {strategy} over ({axes}); {len(kernel.buffers)} buffers, {kinds} full stores\n"
        f"   from {', '.join(filter(None, lines)) or 'no user line'} */\n"
    )


_WORD = re.compile(r"\b(v_\w+|[fiu]\d+x\d+u?)\b")


def translation_unit(bodies: list[str], target: Target) -> str:
    """A complete C source: the prelude that these kernels need, then the kernels."""
    needed: set[tuple[str, int]] = set()
    known = chunks()
    for body in bodies:
        for word in _WORD.findall(body):
            stem, _, lanes = word.rstrip("u").rpartition("x")
            if word in known:
                needed.add((word, 0))
            elif f"{stem}xV" in known:
                needed.add((f"{stem}xV", int(lanes)))
            else:
                raise AssertionError(f"generated text uses {word}, which no chunk defines")
    return prelude(sorted(needed), target.vector_bytes) + "\n" + "\n".join(bodies)
