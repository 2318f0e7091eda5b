"""What the plans of CUDA kernels promise, in the machine code that NVIDIA's compiler makes of them.

Accesses of 16 bytes, stores that are whole, loads in flight: expected from each kernel's plan, for
every kernel of `test_cuda_source.CASES`. No GPU is needed.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import emulator
import pytest
import sass
from test_cuda_source import CASES, products, text_of

from lazygrad.codegen.cuda import plan as plans
from lazygrad.codegen.cuda.expr import Emitter
from lazygrad.codegen.cuda.plan import plan
from lazygrad.codegen.cuda.render import render, translation_unit
from lazygrad.ir import ops
from lazygrad.ir.fusion import FULL
from lazygrad.ir.kernel import Kernel
from lazygrad.ir.schedule import KernelStep, make_schedule
from lazygrad.tensor.core import node_of

TOOLS = ("cuobjdump", "nvdisasm")
needs_tools = pytest.mark.skipif(
    emulator.real_nvcc() is None or None in map(sass.tool, TOOLS),
    reason="needs NVIDIA's nvcc, cuobjdump and nvdisasm",
)
WIDE = 16  # bytes of the widest access


@dataclass
class Promise:
    """Of a kernel's first function: 16-byte accesses, at least, and stores of other widths."""

    loads: int
    stores: int
    other_stores: int | None  # None: not known, as errors and elements at a ragged end are stored


def promise(kernel: Kernel) -> Promise:
    made = plan(kernel)
    e = Emitter(kernel, made.lanes, made.wide)

    def words(itemsize: int) -> int:
        return made.lanes * itemsize // WIDE

    (first, *more) = made.loops.stages
    alone = made.splits > 1  # a pass is a function
    loads = [
        words(i.dtype.itemsize)
        for n, i in enumerate(kernel.instrs)
        if i.op is ops.BUFFER and i.level == FULL and i.access and e.vector_access(i.access)
        if not alone or n in first.values
    ]
    stores = [
        words(kernel.instrs[s.value].dtype.itemsize)
        for n, s in enumerate(kernel.stores)
        if s.level == FULL and s.index is None and e.vector_access(s.access)
        if not alone or n in first.stores
    ]
    times = made.held or made.unroll
    if made.strategy in ("rows", "columns") and (alone or not more):
        times = plans.chunks_at_once(kernel, made, first)
    ragged = made.strategy == "pointwise" and plans.prod(kernel.extents) % made.lanes != 0
    known = (
        bool(stores) and all(stores) and not ragged and not any(i.op.errors for i in kernel.instrs)
    )
    return Promise(
        sum(loads) * times,
        sum(stores) * times,
        len(kernel.stores) - len(stores) if known else None,
    )


def promises(name: str) -> dict[str, Promise]:
    """By function."""
    steps = make_schedule([node_of(CASES[name]())]).steps
    kernels = [step.kernels[0] for step in steps if isinstance(step, KernelStep)]
    found = {}
    for kernel in kernels:
        made, expected = render(kernel), promise(kernel)
        found[made.phases[0].symbol] = expected
        if made.together is not None:
            found[made.together(2).name] = expected
    return found


@functools.cache
def machine_code(architecture: str) -> dict[str, sass.Code]:
    """Of all cases together, as starting nvcc takes most of its time."""
    bodies = dict.fromkeys(text_of(name, many=True) for name in CASES)
    kernels = dict.fromkeys(part.strip() for body in bodies for part in body.split("\n\n"))
    return sass.compile_(translation_unit(list(kernels)), architecture)


@needs_tools
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_accesses_are_as_wide_as_planned(architecture: str, name: str) -> None:
    for symbol, expected in promises(name).items():
        code = machine_code(architecture)[symbol]
        assert code.wide("LDG") >= expected.loads, symbol
        assert code.wide("STG") >= expected.stores, symbol
        if expected.other_stores is not None:
            assert code.narrow("STG") == expected.other_stores, symbol
        assert code.spills == code.stack == 0, symbol


@needs_tools
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_products_read_16_bytes_at_a_time(architecture: str) -> None:
    """From memory, where the form says so, and from shared memory always; two large tiles of
    float32 run on a multiprocessor."""
    texts = {n: t for n, t in products().items() if re.match(r"lg_matmul_f(32|16)_[01]_\d+\w+$", n)}
    for name, code in sass.compile_(translation_unit(list(texts.values())), architecture).items():
        form = name.rpartition("_")[2]
        assert code.narrow("LDS") == 0 and code.wide("LDS") > 0, name
        assert code.spills == code.stack == 0, name
        if name.startswith("lg_matmul_f32_0") and form.endswith("w") and "x" not in form:
            assert (code.wide("LDG"), code.narrow("LDG")) == (2, 0), name
            assert code.wide("STG") == (16 if form.startswith("128") else 4), name
            assert code.narrow("STG") == 0, name
            assert code.registers <= (128 if form.startswith("128") else 80), name


def test_something_is_promised() -> None:
    wide = {name for name in CASES if any(p.loads for p in promises(name).values())}
    assert {"chain", "chain_f16", "chain_f64", "bias", "long_chain", "ragged", "sum_all"} <= wide
    assert {"sum_rows", "softmax", "softmax_block", "layer_norm", "norm_of_sum"} <= wide
    assert {"sum_columns", "sum_columns_f16", "sum_f16", "mean_f16", "norm_bf16"} <= wide
    assert {"softmax_few", "norm_long", "batch_norm"} <= wide


@pytest.mark.parametrize("name", CASES)
def test_positions_take_32_bits_and_no_division_in_loops(name: str) -> None:
    text = text_of(name)
    assert "Dims<i64" not in text or name in ("cumsum", "cummax", "argsort")
    depth, loops = 0, []  # of braces; where loops are open
    for line in text.splitlines():
        if loops and re.match(r"\s*(const )?i(32|64) \w+ = ", line):
            assert not re.search(r" [/%] ", line), line
        if re.match(r"\s*for \(.*\{", line):
            loops.append(depth)
        depth += line.count("{") - line.count("}")
        while loops and depth <= loops[-1]:
            loops.pop()
