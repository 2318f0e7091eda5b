"""Every primitive x dtype x layout, generated from the registry: compiled = interpreter.

All layouts of an op and dtype are outputs of one program: compiling dominates the time.
"""

from __future__ import annotations

import gc
import itertools
import weakref
import zlib
from collections.abc import Callable

import numpy as np
import on_device
import pytest
from graphs import (
    DEVICE,
    OTHER,
    SAME,
    compiled,
    dtypes_of,
    interpreted,
    leaf,
    normal,
    same_bits,
    sample,
    stored_sample,
    ulps,
)

from lazygrad.ir import ops
from lazygrad.ir.dtypes import ALL, FLOATS, DType, bool_, float32, float64, int32, int64, uint8
from lazygrad.ir.interp import apply
from lazygrad.ir.node import Node
from lazygrad.ir.ops import REGISTRY, Lowering, Op
from lazygrad.ir.views import View
from lazygrad.runtime.stats import stats

pytestmark = pytest.mark.filterwarnings("error")  # the interpreter's arithmetic is silent
POINTWISE = [op for op in REGISTRY.values() if op.lowering is Lowering.POINTWISE]
PLAIN = [op for op in POINTWISE if op is not ops.cast and op not in ops.CHECKS]
LAYOUTS = {**SAME, **OTHER}
NUMPY_ULP = 1.0  # what numpy's own float64 functions may be off


def rng_of(*parts: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(parts).encode()))


def ids(item: object) -> str:
    return getattr(item, "name", str(item))


def check(op: Op, outputs: list[Node], names: list[str]) -> None:
    """Compile all outputs as one program and compare each with the interpreter."""
    wide = [wide_truth(node) for node in outputs] if op.ulp > 0.5 else None
    wanted = interpreted(outputs)
    got = compiled(outputs)
    bad = []
    for number, (node, have, want) in enumerate(zip(outputs, got, wanted)):
        if wide is None or node.dtype.kind != "f":
            good = same_bits(have, want)
        else:
            bound = op.ulp + (NUMPY_ULP if node.dtype is float64 else 0.0)
            if node.dtype.is_half:
                bound = 1.0
            good = have.shape == want.shape and bool(
                np.all(ulps(have, wide[number], node.dtype) <= bound)
            )
        if not good:
            bad.append(f"{names[number]}: {node!r}\n got {have}\nwant {want}")
    assert not bad, "\n".join(bad)


def wide_truth(node: Node) -> np.ndarray:
    """A pointwise op's meaning on float64 versions of its sources, not rounded."""
    sources = [
        source.astype(np.float64) if source.dtype.kind == "f" else source
        for source in interpreted(node.srcs)
    ]
    if node.dtype.kind != "f":
        return interpreted([node])[0]
    twin = Node(node.op, node.srcs, node.arg, node.shape, float64, node.device)
    return apply(twin, sources)


def source(op: Op, dtype: DType, position: int, layout: str, rng: np.random.Generator) -> Node:
    dtype = bool_ if op is ops.where and position == 0 else dtype
    if layout == "padded" and op.errors and dtype.kind != "f" and position == 1:
        layout = "flipped"  # no zeros as integer divisors
    return LAYOUTS[layout](lambda *shape: stored_sample(rng, shape, dtype, op, position))


def layouts_for(op: Op, dtype: DType) -> list[tuple[str, ...]]:
    """Per case the layout of each source, so that all have their turn."""
    names = list(SAME)
    turn = ALL.index(dtype)
    names = names[turn:] + names[:turn]
    names += names[: -len(names) % op.arity]
    same = [tuple(names[i : i + op.arity]) for i in range(0, len(names), op.arity)]
    return same + [(name,) * op.arity for name in OTHER]


@pytest.mark.parametrize("op", PLAIN, ids=ids)
def test_pointwise_on_every_layout(op: Op) -> None:
    rng = rng_of(op.name)
    outputs, names = [], []
    for dtype in dtypes_of(op):
        for layouts in layouts_for(op, dtype):
            srcs = [source(op, dtype, i, name, rng) for i, name in enumerate(layouts)]
            outputs.append(op(*srcs))
            names.append(f"{op.name} {dtype.name} {layouts}")
        if op.arity > 1:  # a 0-d source, a literal and a run-time number are read everywhere
            first = [source(op, dtype, i, "contiguous", rng) for i in range(op.arity)]
            one = sample(rng, (), dtype, op, op.arity - 1).item()
            for last in (
                source(op, dtype, op.arity - 1, "0-d", rng),
                ops.const(one, dtype, DEVICE),
                ops.scalar(one, dtype, DEVICE),
            ):
                outputs.append(op(*first[:-1], last))
                names.append(f"{op.name} {dtype.name} with {last!r}")
    check(op, outputs, names)


@pytest.mark.parametrize("dtype", ALL, ids=ids)
def test_cast_to_every_dtype_on_every_layout(dtype: DType) -> None:
    rng = rng_of("cast", dtype.name)
    outputs, names = [], []
    for target, layout in itertools.product(ALL, LAYOUTS):
        if target is dtype:
            continue
        if layout in SAME and (list(SAME).index(layout) + ALL.index(target)) % 3:
            continue  # a third of the layouts for each target: loads do not depend on it
        outputs.append(ops.cast(source(ops.add, dtype, 0, layout, rng), arg=target))
        names.append(f"{dtype.name} -> {target.name} {layout}")
    check(ops.cast, outputs, names)


@pytest.mark.parametrize("dtype", [d for d in ALL if d.kind == "f"], ids=ids)
def test_cast_of_special_values(dtype: DType) -> None:
    """Out of range, NaN and infinities to integers and bool; ties and overflow to half types."""
    edges = [2.0**k + d for k in (7, 8, 15, 16, 31, 32, 63) for d in (-1.5, -1, -0.5, 0, 0.5, 1)]
    ties = [
        1 + 2.0**-11,
        1 + 3 * 2.0**-11,
        1 + 2.0**-8,
        1 + 3 * 2.0**-8,
        65519.9,
        65520.0,
        2.0**-24,
        2.0**-25,
        1.5 * 2.0**-25,
        3.3895e38,
        3.4e38,
        2.0**-133,
        2.0**-134,
    ]
    values = specials(dtype)
    values = np.concatenate([values, edges, np.negative(edges), ties, np.negative(ties)])
    if dtype.itemsize == 4:
        values = values[~np.isfinite(values) | (np.abs(values) <= 3.4e38)]
    x = leaf_of(values, dtype)
    outputs = [ops.cast(x, arg=target) for target in ALL if target is not dtype]
    check(ops.cast, outputs, [f"{dtype.name} -> {o.dtype.name}" for o in outputs])


def leaf_of(values: np.ndarray, dtype: DType) -> Node:
    with np.errstate(all="ignore"):
        return leaf(values.astype(np.float32) if dtype.is_half else values, dtype)


def specials(dtype: DType) -> np.ndarray:
    """NaN, infinities, both zeros, subnormals, least and greatest normal numbers, ones."""
    info = np.finfo(
        np.float16 if dtype.name == "float16" else np.float64 if dtype is float64 else np.float32
    )
    small, most = float(info.smallest_subnormal), float(info.max)
    if dtype.name == "bfloat16":
        small, most = 2.0**-133, 3.3895313892515355e38
    least = float(info.smallest_normal)
    some = [0.0, small, 3 * small, least - small, least, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, most, np.inf]
    return np.array([*some, *(-x for x in some), np.nan])


# at these pairs the reference itself is numpy's float64 function, or PyTorch leaves them open
@pytest.mark.parametrize("op", [op for op in PLAIN if "f" in op.kinds], ids=ids)
def test_special_values_of_floats(op: Op) -> None:
    outputs = []
    for dtype in FLOATS:
        rows = specials(dtype)
        floats = op.arity - (op is ops.where)
        grid = [g.reshape(-1) for g in np.meshgrid(*[rows] * floats, indexing="ij")]
        srcs = [leaf_of(g, dtype) for g in grid]
        if op is ops.where:
            srcs.insert(0, leaf(np.arange(grid[0].size) % 3 == 0, bool_))
        outputs.append(op(*srcs))
    check(op, outputs, [o.dtype.name for o in outputs])


@pytest.mark.parametrize("op", [op for op in PLAIN if set(op.kinds) & set("ui")], ids=ids)
def test_special_values_of_integers(op: Op) -> None:
    outputs = []
    for dtype in (d for d in dtypes_of(op) if d.kind in "ui"):
        info = np.iinfo(dtype.np)
        some = sorted(
            {
                info.min,
                info.min + 1,
                max(info.min, -2),
                max(info.min, -1),
                0,
                1,
                2,
                3,
                7,
                8,
                31,
                63,
                info.max - 1,
                info.max,
            }
        )
        grid = [g.reshape(-1) for g in np.meshgrid(*[some] * min(op.arity, 2), indexing="ij")]
        if op.errors:
            keep = grid[1] != 0
            grid = [g[keep] for g in grid]
        srcs = [leaf(g.astype(dtype.np), dtype) for g in grid]
        if op is ops.where:
            srcs.insert(0, leaf(np.arange(grid[0].size) % 3 == 0, bool_))
        outputs.append(op(*srcs))
    check(op, outputs, [repr(o) for o in outputs])


DIVISIONS = [op for op in POINTWISE if "ZeroDivisionError" in op.errors]


@pytest.mark.parametrize("op", DIVISIONS, ids=ids)
def test_integer_division_by_zero_is_an_error(op: Op) -> None:
    for dtype in (d for d in dtypes_of(op) if d.kind in "ui"):
        ok = op(leaf(np.arange(5, dtype=dtype.np), dtype), leaf(np.full(5, 2, dtype.np), dtype))
        bad = op(leaf(np.arange(5, dtype=dtype.np), dtype), leaf(np.zeros(5, dtype.np), dtype))
        compiled([ok])
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            compiled([bad])


# -- reductions ------------------------------------------------------------------------------------
REDUCE = [op for op in REGISTRY.values() if op.lowering is Lowering.REDUCE]
POSITION = (ops.argmax, ops.argmin)
FIRST = (ops.first_max, ops.first_place)
CUBES: dict[str, Callable[..., Node]] = {
    "contiguous": lambda new: new(3, 4, 17),
    "permuted": lambda new: ops.permute(new(17, 3, 4), arg=(1, 2, 0)),
    "expanded": lambda new: ops.expand(new(3, 1, 17), arg=(3, 4, 17)),
    "stepped": lambda new: ops.slice_(new(5, 4, 40), arg=((0, 5, 2), (0, 4, 1), (2, 36, 2))),
    "flipped": lambda new: ops.flip(new(3, 4, 17), arg=(0, 2)),
    "padded": lambda new: ops.pad(new(2, 4, 14), arg=((1, 0), (0, 0), (2, 1))),
    "flat": lambda new: new(1, 5, 1),
}
SUBSETS = [axes for n in (1, 2, 3) for axes in itertools.combinations(range(3), n)]


def check_reduced(outputs: list[Node], names: list[str], slack: float = 1.0) -> None:
    """Extremes, positions and integers exactly; float sums and products within a few ulp of what
    float64 gives, an ulp of a sum being one of the largest partial sum."""
    sizes = [
        np.abs(x.astype(np.float64)).sum(axis=o.arg, keepdims=True)
        if o.op is ops.sum_ and o.dtype.kind == "f"
        else None
        for o, (x,) in zip(outputs, (interpreted(o.srcs) for o in outputs))
    ]
    wanted, got = interpreted(outputs), compiled(outputs)
    bad = []
    for node, name, have, want, size in zip(outputs, names, got, wanted, sizes):
        if node.dtype.kind != "f" or node.op not in (ops.sum_, ops.prod):
            good = same_bits(have, want)
        elif size is not None:
            eps = {
                "float64": 2.0**-52,
                "float32": 2.0**-23,
                "float16": 2.0**-10,
                "bfloat16": 2.0**-7,
            }[node.dtype.name]
            room = eps * (
                4 * slack * size if not node.dtype.is_half else np.abs(want) + 2**-13 * slack * size
            )
            good = have.shape == want.shape and bool(np.all(close(have, want, room)))
        else:
            good = have.shape == want.shape and bool(
                np.all(ulps(have, want, node.dtype) <= (32 if node.dtype is float64 else 4) * slack)
            )
        if not good:
            bad.append(f"{name}: {node!r}\n got {have}\nwant {want}")
    assert not bad, "\n".join(bad)


def close(have: np.ndarray, want: np.ndarray, room: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        near = np.isfinite(want) & (np.abs(have - want) <= room)
    return near | (have == want) | (np.isnan(have) & np.isnan(want))


@pytest.mark.parametrize("op", REDUCE, ids=ids)
def test_reductions_of_every_layout_over_every_axis(op: Op) -> None:
    rng = rng_of(op.name)
    outputs, names = [], []
    for turn, dtype in enumerate(dtypes_of(op)):
        subsets = [s for s in SUBSETS if op not in POSITION or len(s) == 1]
        for number, (layout, axes) in enumerate(itertools.product(CUBES, subsets)):
            if layout not in ("contiguous", "permuted") and (number + turn) % 3:
                continue  # each layout with each subset, for a third of the dtypes
            x = CUBES[layout](lambda *s, d=dtype: stored_sample(rng, s, d, op, 0))
            outputs.append(op(x, arg=axes))
            names.append(f"{op.name} {dtype.name} {layout} {axes}")
    check_reduced(outputs, names)


@pytest.mark.parametrize("op", [op for op in REDUCE if op not in POSITION], ids=ids)
def test_reductions_of_nothing_and_over_nothing(op: Op) -> None:
    outputs = []
    for dtype in dtypes_of(op):
        x = stored_sample(rng_of(op.name), (3, 5), dtype, op, 0)
        outputs += [op(x, arg=()), op(ops.reshape(x, arg=(1, 15)), arg=(0,))]
        outputs.append(op(stored_sample(rng_of(0), (0, 4), dtype, op, 0), arg=(1,)))
        if op in (ops.sum_, ops.prod):  # the neutral element
            outputs.append(op(stored_sample(rng_of(0), (0, 4), dtype, op, 0), arg=(0,)))
            outputs.append(op(stored_sample(rng_of(0), (4, 0), dtype, op, 0), arg=(1,)))
            outputs.append(op(stored_sample(rng_of(0), (0,), dtype, op, 0), arg=(0,)))
    check_reduced(outputs, [repr(o) for o in outputs])


@pytest.mark.parametrize("op", REDUCE, ids=ids)
def test_reductions_of_many_elements(op: Op) -> None:
    """Across blocks, chunks and column tiles: 4,096, 65,536 and 256."""
    outputs = []
    shapes = [
        ((70_001,), (0,)),
        ((3, 9_001), (1,)),
        ((1_001, 3), (0,)),
        ((301, 517), (0,)),
        ((40, 1_700), (0, 1)),
        ((5, 40, 700), (0, 2)),
        ((7, 300, 11), (1,)),
    ]
    for dtype in dtypes_of(op):
        for shape, axes in shapes:
            if op in POSITION and len(axes) > 1:
                continue
            rng = rng_of(op.name, dtype.name, shape)
            x = stored_sample(rng, shape, dtype, op, 0)
            if op is ops.prod and dtype.kind == "f":
                x = leaf_of(np.exp2(rng.normal(size=shape) * 0.01), dtype)
            outputs.append(op(x, arg=axes))
    check_reduced(outputs, [repr(o) for o in outputs], slack=64.0)


@pytest.mark.parametrize("op", [ops.max_, ops.min_, *POSITION, *FIRST, ops.sum_, ops.prod], ids=ids)
def test_reductions_of_special_values(op: Op) -> None:
    """NaN wins wherever it is, also twice; of equal elements the first counts; infinities."""
    outputs = []
    for dtype in FLOATS:
        for at in ([0], [4], [99], [4, 99], [63, 64], []):
            x = rng_of(dtype.name).normal(size=100)
            x[7], x[50] = np.inf, -np.inf
            x[at] = np.nan
            if op in (ops.sum_, ops.prod):
                x[50] = 1.0
            row = leaf_of(x, dtype)
            outputs.append(op(row, arg=(0,)))
            outputs.append(op(ops.reshape(row, arg=(2, 50)), arg=(1,)))
            outputs.append(op(ops.reshape(row, arg=(50, 2)), arg=(0,)))
        ties = leaf_of(np.array([1.0, 3, -2, 3, -2, 3, -2.0] * 30), dtype)
        infinite = leaf_of(np.full(37, -np.inf if op in (ops.max_, ops.argmax) else np.inf), dtype)
        outputs += [
            op(ties, arg=(0,)),
            op(ops.reshape(ties, arg=(30, 7)), arg=(0,)),
            op(ops.reshape(ties, arg=(30, 7)), arg=(1,)),
            op(infinite, arg=(0,)),
            op(ops.reshape(infinite, arg=(37, 1)), arg=(1,)),
        ]
    check_reduced(outputs, [repr(o) for o in outputs])


# -- movement: an explicit copy of every movement of every dtype -----------------------------------
def movements(new: Callable[..., Node]) -> dict[str, Node]:
    x, cube = new(4, 6), new(2, 3, 7)
    return {
        "reshape": ops.reshape(ops.permute(cube, arg=(1, 0, 2)), arg=(6, 7)),
        "reshape that needs a copy": ops.reshape(ops.permute(cube, arg=(2, 0, 1)), arg=(14, 3)),
        "permute": ops.permute(cube, arg=(2, 0, 1)),
        "expand": ops.expand(new(4, 1), arg=(3, 4, 6)),
        "slice": ops.slice_(x, arg=((1, 4, 2), (0, 6, 5))),
        "empty slice": ops.slice_(x, arg=((2, 2, 1), (0, 6, 1))),
        "flip": ops.flip(cube, arg=(0, 2)),
        "pad": ops.pad(x, arg=((1, 0), (2, 3))),
        "pad of flip of pad": ops.pad(
            ops.flip(ops.pad(x, arg=((1, 0), (0, 2))), arg=(0, 1)), arg=((0, 2), (1, 1))
        ),
        "pad, then reshape": ops.reshape(ops.pad(x, arg=((0, 0), (1, 1))), arg=(2, 2, 8)),
        "pad, then step": ops.slice_(
            ops.pad(x, arg=((3, 3), (5, 5))), arg=((0, 10, 3), (1, 16, 4))
        ),
        "window": ops.window(x, arg=(1, 3, 2)),
        "windows": ops.window(
            ops.window(ops.pad(x, arg=((1, 1), (1, 1))), arg=(0, 3, 1)), arg=(1, 2, 2)
        ),
        "as_strided": ops.as_strided(x, arg=View((3, 2, 2), (5, 1, 2), 4)),
        "copy": ops.copy(ops.permute(cube, arg=(1, 2, 0))),
        "pad of a literal": ops.pad(
            ops.expand(ops.const(1, cube.dtype, DEVICE), arg=(2, 3)), arg=((1, 1), (2, 0))
        ),
        "pad of a number": ops.pad(
            ops.expand(ops.scalar(1, cube.dtype, DEVICE), arg=(3,)), arg=((2, 2),)
        ),
        "pad of nothing": ops.pad(new(0, 3), arg=((2, 1), (0, 1))),
        "expand of nothing": ops.expand(new(1, 0), arg=(4, 0)),
    }


@pytest.mark.parametrize("dtype", ALL, ids=ids)
def test_movement(dtype: DType) -> None:
    made = movements(lambda *shape: stored_sample(rng_of(shape), shape, dtype, ops.add, 0))
    check(ops.copy, [ops.copy(node) for node in made.values()], list(made))


# -- matrix products -------------------------------------------------------------------------------
MATRICES: dict[str, Callable[[Callable[..., Node], int, int], Node]] = {
    "plain": lambda new, m, n: new(m, n),
    "transposed": lambda new, m, n: ops.permute(new(n, m), arg=(1, 0)),
    "stepped": lambda new, m, n: ops.slice_(
        new(2 * m, 3 * n + 1), arg=((1, 2 * m, 2), (1, 3 * n + 1, 3))
    ),
    "flipped": lambda new, m, n: ops.flip(new(m, n), arg=(0, 1)),
    "row": lambda new, m, n: ops.expand(new(1, n), arg=(m, n)),
    "column": lambda new, m, n: ops.expand(new(m, 1), arg=(m, n)),
    "padded": lambda new, m, n: ops.pad(
        new(max(m - 1, 0), n), arg=((m - max(m - 1, 0), 0), (0, 0))
    ),
}


def check_products(outputs: list[Node]) -> None:
    wanted = interpreted(outputs)
    sizes = [
        o.op.numpy(*(np.abs(s.astype(np.float64)) for s in interpreted(o.srcs)), node=o)
        for o in outputs
    ]
    bad = []
    for node, have, want, size in zip(outputs, compiled(outputs), wanted, sizes):
        if node.dtype.kind != "f":
            good = same_bits(have, want)
        else:
            eps = {
                "float64": 2.0**-52,
                "float32": 2.0**-23,
                "float16": 2.0**-10,
                "bfloat16": 2.0**-7,
            }[node.dtype.name]
            room = (
                ops.matmul.ulp / 8 * eps * size
                if not node.dtype.is_half
                else (eps * np.abs(want) + 2.0**-20 * size + 2.0**-24)
            )
            good = have.shape == want.shape and bool(np.all(np.abs(have - want) <= room))
        if not good:
            bad.append(f"{node!r} of {node.op.name}\n got {have}\nwant {want}")
    assert not bad, "\n".join(bad)


CONVOLUTIONS = [  # image, kernel, steps, spreads
    ((2, 3, 9, 11), (5, 3, 3, 3), (1, 1), (1, 1)),
    ((2, 3, 20, 21), (5, 3, 3, 2), (2, 3), (2, 1)),
    ((3, 1, 28, 28), (33, 1, 3, 3), (1, 1), (1, 1)),
    ((1, 40, 17), (2, 40, 5), (1,), (2,)),
    ((2, 2, 5, 6, 7), (3, 2, 2, 3, 2), (1, 2, 1), (1, 1, 2)),
    ((2, 3, 2, 12, 10), (2, 4, 2, 3, 3), (1, 1), (1, 1)),
    ((4, 7, 5, 5), (6, 7, 5, 5), (1, 1), (1, 1)),
]


@pytest.mark.parametrize("dtype", dtypes_of(ops.conv), ids=ids)
def test_conv_of_many_shapes(dtype: DType) -> None:
    """The product packs its blocks from the image: no matrix of windows is made."""

    def new(*shape: int) -> Node:
        return stored_sample(rng_of(shape), shape, dtype, ops.matmul, 0)

    outputs = [ops.conv(new(*x), new(*w), arg=(s, d)) for x, w, s, d in CONVOLUTIONS]
    flipped = ops.flip(ops.permute(new(4, 5, 3, 9), arg=(1, 2, 3, 0)), arg=(2,))
    outputs.append(ops.conv(flipped, new(2, 3, 3, 2), arg=((1, 1), (1, 1))))
    check_products(outputs)
    before = stats.kernels
    compiled([ops.conv(new(*CONVOLUTIONS[2][0]), new(*CONVOLUTIONS[2][1]), arg=((1, 1), (1, 1)))])
    assert stats.kernels - before == 1


@pytest.mark.parametrize("dtype", dtypes_of(ops.matmul), ids=ids)
def test_matmul_of_every_layout(dtype: DType) -> None:
    def new(*shape: int) -> Node:
        return stored_sample(rng_of(shape), shape, dtype, ops.matmul, 0)

    outputs = [
        ops.matmul(a(new, 5, 19), b(new, 19, 7))
        for a, b in itertools.product(MATRICES.values(), MATRICES.values())
    ]
    sizes = [
        (1, 1, 1),
        (1, 130, 1),
        (130, 1, 33),
        (33, 65, 130),
        (17, 3, 1),
        (1, 17, 40),
        (0, 3, 4),
        (3, 0, 4),
        (3, 4, 0),
        (70, 300, 50),
    ]
    outputs += [ops.matmul(new(m, k), new(k, n)) for m, k, n in sizes]
    batch = new(2, 3, 5, 4)
    outputs += [
        ops.matmul(batch, new(2, 3, 4, 6)),
        ops.matmul(batch, ops.expand(new(1, 1, 4, 6), arg=(2, 3, 4, 6))),
        ops.matmul(ops.permute(new(3, 5, 2, 4), arg=(2, 0, 1, 3)), new(2, 3, 4, 6)),
        ops.matmul(
            ops.permute(new(4, 5, 3, 2), arg=(3, 2, 1, 0)),
            ops.permute(new(6, 2, 3, 4), arg=(1, 2, 3, 0)),
        ),
        ops.matmul(new(0, 2, 3), new(0, 3, 4)),
        ops.matmul(ops.slice_(new(4, 5, 3), arg=((0, 4, 2), (0, 5, 1), (0, 3, 1))), new(2, 3, 2)),
    ]
    check_products(outputs)


# -- indexed ---------------------------------------------------------------------------------------
def some_index(rng: np.random.Generator, size: int, *shape: int) -> Node:
    return leaf(rng.integers(0, size, shape), int64)


def indexed_cases(op: Op, dtype: DType) -> list[Node]:
    rng = rng_of(op.name, dtype.name)

    def new(*shape: int) -> Node:
        return stored_sample(rng, shape, dtype, ops.add, 0)

    def spread(index: Node, *shape: int) -> Node:
        return ops.expand(index, arg=shape)

    def index(*shape: int) -> Node:
        return some_index(rng, 5, *shape)

    cases = []
    for axis, shape in ((0, (9, 17)), (1, (5, 9))):
        base = (5, 17) if axis == 0 else (5, 5)
        both = [
            index(*shape),
            ops.flip(index(*shape), arg=(0, 1)),
            ops.permute(index(*shape[::-1]), arg=(1, 0)),
            spread(index(*(1 if a != axis else n for a, n in enumerate(shape))), *shape),
        ]
        for number, at in enumerate(both):
            values = [
                new(*shape),
                ops.permute(new(*shape[::-1]), arg=(1, 0)),
                ops.expand(new(), arg=shape),
                ops.pad(new(shape[0] - 1, shape[1]), arg=((0, 1), (0, 0))),
            ][number]
            data = [
                new(*base),
                ops.permute(new(*base[::-1]), arg=(1, 0)),
                ops.flip(new(*base), arg=(0,)),
                ops.pad(new(base[0] - 2, base[1]), arg=((1, 1), (0, 0))),
            ][number]
            cases.append(
                op(data, at, arg=axis) if op is ops.gather else op(data, at, values, arg=axis)
            )
    flat, none = new(5), leaf(np.zeros((0,), np.int64), int64)
    last = index(300)
    cases.append(op(flat, last, arg=0) if op is ops.gather else op(flat, last, new(300), arg=0))
    cases.append(op(flat, none, arg=0) if op is ops.gather else op(flat, none, new(0), arg=0))
    cube, at = new(2, 5, 3), index(2, 4, 3)
    cases.append(op(cube, at, arg=1) if op is ops.gather else op(cube, at, new(2, 4, 3), arg=1))
    return cases


@pytest.mark.parametrize("op", [ops.gather, ops.scatter, ops.scatter_add], ids=ids)
@pytest.mark.parametrize("dtype", ALL, ids=ids)
def test_reads_and_writes_at_computed_positions(op: Op, dtype: DType) -> None:
    if dtype not in dtypes_of(op):
        return
    cases = indexed_cases(op, dtype)
    check(ops.copy, cases, [repr(c) for c in cases])


@pytest.mark.parametrize("dtype", ALL, ids=ids)
def test_writes_through_views(dtype: DType) -> None:
    def new(*shape: int) -> Node:
        return stored_sample(rng_of(shape, dtype.name), shape, dtype, ops.add, 0)

    whole = View.contiguous((6, 8))
    computed = ops.copy(ops.flip(new(6, 8), arg=(0,)))
    cases = [
        ops.write(new(6, 8), new(2, 3), whole.slice(((1, 5, 2), (0, 8, 3)))),
        ops.write(new(6, 8), ops.permute(new(8, 6), arg=(1, 0)), whole.flip((0, 1))),
        ops.write(ops.permute(new(8, 6), arg=(1, 0)), new(8, 6), whole.permute((1, 0))),
        ops.write(ops.zeros((6, 8), dtype, DEVICE), ops.expand(new(1, 8), arg=(6, 8)), whole),
        ops.write(
            computed,
            ops.slice_(computed, arg=((0, 3, 1), (0, 8, 1))),
            whole.slice(((3, 6, 1), (0, 8, 1))),
        ),
        ops.write(ops.write(new(6, 8), new(8), View((8,), (1,), 8)), new(6), View((6,), (8,), 2)),
        ops.write(new(4), new(0), View((0,), (1,), 0)),
        ops.write(new(), new(), View((), ())),
        ops.write(new(6, 8), ops.pad(new(4, 8), arg=((1, 1), (0, 0))), whole),
    ]
    check(ops.copy, cases, [repr(c) for c in cases])


@pytest.mark.parametrize("op", [ops.gather, ops.scatter, ops.scatter_add], ids=ids)
@pytest.mark.parametrize("bad", [-1, 5, 2**40])
def test_an_index_out_of_range_is_an_error(op: Op, bad: int) -> None:
    base, src = leaf(np.zeros((5, 3), np.float32)), leaf(np.ones((4, 3), np.float32))
    where = np.ones((4, 3), np.int64)
    where[2, 1] = bad
    single = ops.expand(leaf(where[2:3, 1:2], int64), arg=(4, 3))
    for index in (leaf(where, int64), single):
        node = op(base, index, arg=0) if op is ops.gather else op(base, index, src, arg=0)
        with pytest.raises(IndexError, match=f"index {bad} is out of bounds .* with size 5"):
            compiled([node])


@pytest.mark.parametrize("dtype", [int32, int64], ids=ids)
def test_check_index(dtype: DType) -> None:
    at = np.arange(51).reshape(3, 17) % 7
    node = leaf(at.astype(dtype.np), dtype)
    cases = [
        ops.check_index(n, arg=ops.Check(7))
        for n in (
            node,
            ops.permute(node, arg=(1, 0)),
            ops.slice_(node, arg=((0, 3, 2), (1, 17, 5))),
            leaf(np.array(6, dtype.np), dtype),
            leaf(np.zeros((0,), dtype.np), dtype),
        )
    ]
    check(ops.check_index, cases, [repr(c) for c in cases])
    for bad in (-1, 7):
        at[1, 16] = bad
        with pytest.raises(IndexError, match=f"index {bad} is out of bounds .* with size 7"):
            compiled([ops.check_index(leaf(at.astype(dtype.np), dtype), arg=ops.Check(7))])


# -- leaves that are functions of their index, and ops on the host ---------------------------------
def test_random_bits_on_every_layout() -> None:
    def bits(*shape: int, seed: int = 3, draw: int = 1, stream: int = 0) -> Node:
        key = ops.scalar(seed, int64, DEVICE), ops.scalar(draw, int64, DEVICE)
        return ops.random_bits(*key, shape, stream, DEVICE)

    x = bits(3, 17)
    cases = [
        ops.cast(made, arg=target)
        for target in (int64, int32, uint8, float64)
        for made in (
            bits(5000),
            bits(3, 17, seed=-5),
            bits(70, draw=2**40, stream=3),
            bits(),
            bits(0),
            ops.permute(x, arg=(1, 0)),
            ops.flip(x, arg=(0, 1)),
            ops.slice_(x, arg=((1, 3, 1), (2, 17, 3))),
            ops.pad(x, arg=((1, 0), (0, 2))),
            ops.expand(bits(1, 17), arg=(3, 17)),
        )
    ]
    cases += [ops.sum_(ops.cast(x, arg=int64), arg=axes) for axes in ((0,), (1,), (0, 1))]
    check(ops.copy, cases, [repr(c) for c in cases])


def test_iota_on_every_layout() -> None:
    x = ops.iota((3, 17), DEVICE)
    moved = [
        x,
        ops.permute(x, arg=(1, 0)),
        ops.flip(x, arg=(1,)),
        ops.iota((), DEVICE),
        ops.slice_(x, arg=((1, 3, 1), (2, 17, 3))),
        ops.pad(x, arg=((1, 0), (0, 2))),
        ops.expand(ops.iota((1, 17), DEVICE), arg=(3, 17)),
        ops.iota((0, 3), DEVICE),
    ]
    cases = [ops.cast(m, arg=target) for m in moved for target in (float32, int32, uint8, float64)]
    cases += [ops.copy(m) for m in moved]
    check(ops.copy, cases, [repr(c) for c in cases])


@pytest.mark.parametrize("dtype", ALL, ids=ids)
def test_sorting_and_sums_along_an_axis(dtype: DType) -> None:
    """A device that adds in parallel has another order, which float64 shows."""
    cases: list[Node] = []
    sums: list[Node] = []
    for layout in LAYOUTS:
        for axis in range(
            LAYOUTS[layout](lambda *s: stored_sample(rng_of(), s, dtype, ops.add, 0)).ndim
        ):
            x = LAYOUTS[layout](lambda *s: stored_sample(rng_of(s), s, dtype, ops.add, 0))
            cases += [ops.argsort(x, arg=(axis, down)) for down in (False, True)]
            if dtype.kind in ops.cumsum.kinds:
                sums.append(ops.neg(ops.cumsum(x, arg=axis)))
    if DEVICE == on_device.HOST or dtype is not float64:
        cases += sums
    else:
        for have, want in zip(compiled(sums), interpreted(sums)):
            np.testing.assert_allclose(have, want, rtol=1e-13, atol=1e-13)
    check(ops.copy, cases, [repr(c) for c in cases])


def test_an_op_on_the_host_reads_its_source_in_the_sources_shape() -> None:
    """Not in the shape of the computed value behind a reshape."""
    x = ops.exp(leaf(np.ones((2, 3, 7), np.float32)))
    cases = [ops.cumsum(ops.reshape(x, arg=(6, 7)), arg=0)]
    check(ops.copy, cases, ["reshaped"])


def test_a_program_with_ops_on_the_host_keeps_no_memory_alive() -> None:
    source = leaf(np.ones(5, np.float32))
    buffer = weakref.ref(source.buffer)
    compiled([ops.cumsum(source, arg=0)])
    del source
    gc.collect()
    assert buffer() is None


def test_a_transfer_keeps_the_bits() -> None:
    x = ops.exp(normal(rng_of("transfer"), 3, 5))
    check(ops.copy, [ops.to_device(x, DEVICE)], ["here"])


def test_every_primitive_is_in_a_test_of_this_file() -> None:
    others = {
        "attention",  # these two in test_attention
        "attention_grad",
        "gather",
        "scatter",
        "scatter_add",
        "update",
        "matmul",
        "conv",
        "cumsum",
        "cumprod",
        "recurrence",
        "argsort",
        "argrank",
        "argcummax",
        "argcummin",
        "logcumsumexp",
        "buffer",
        "scalar",
        "const",
        "iota",
        "random",
        "normal",
        "transfer",
    }
    made = movements(lambda *shape: stored_sample(rng_of(shape), shape, float32, ops.add, 0))
    moved = {node.op.name for node in made.values()}
    covered = {op.name for op in POINTWISE + REDUCE} | moved | others
    assert covered == set(REGISTRY)
