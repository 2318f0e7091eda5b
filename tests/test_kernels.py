"""Kernels bound by memory: every way through it gives what numpy gives, at awkward sizes too."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from graphs import compiled, interpreted, leaf, normal, same_bits

import lazygrad as lg
from lazygrad.codegen.cpu import render
from lazygrad.codegen.loops import strategy_of
from lazygrad.codegen.target import Target
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType, bfloat16, bool_, float32, float64, int16, int64, uint8
from lazygrad.ir.node import Node
from lazygrad.ir.schedule import KernelStep, make_schedule
from lazygrad.runtime import compiler
from lazygrad.runtime.stats import stats
from lazygrad.tensor.core import node_of

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler")
DTYPES = (float32, float64, int64, int16, uint8, bool_, bfloat16)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def values(dtype: DType, *shape: int) -> Node:
    return leaf(rng().integers(0, 2 if dtype is bool_ else 100, shape).astype(dtype.np), dtype)


def transposed(dtype: DType) -> list[Node]:
    found = []
    for rows, columns in ((1, 9), (64, 128), (65, 129), (130, 70), (7, 300)):
        x, y = values(dtype, rows, columns), values(dtype, columns, rows)
        found.append(ops.where(ops.eq(y, y), ops.permute(x, arg=(1, 0)), y))
    x = values(dtype, 3, 40, 50)
    return [*found, *(ops.copy(ops.permute(x, arg=p)) for p in ((2, 1, 0), (1, 2, 0), (0, 2, 1)))]


def walked(dtype: DType) -> list[Node]:
    """Every other element, and backwards, of rows that end anywhere in a vector."""
    found = []
    for size in (*range(1, 20), 63, 64, 65, 131):
        x = values(dtype, 3, size)
        found.append(ops.copy(ops.slice_(x, arg=((0, 3, 1), (0, size, 2)))))
        found.append(ops.copy(ops.flip(x, arg=(1,))))
    return found


def short(dtype: DType) -> list[Node]:
    """Rows of less than a vector, which are walked along another axis, one and both ways."""
    found = []
    for shape in ((9, 2), (70, 3), (5, 11, 2, 2), (3, 1, 7), (2, 40, 4)):
        x, turned = values(dtype, *shape), tuple(range(len(shape)))[::-1]
        y = ops.permute(values(dtype, *shape[::-1]), arg=turned)
        sides = tuple((1, 1) if n > 8 else (0, 1) for n in shape)
        found += [ops.copy(x), ops.copy(y), ops.where(ops.eq(x, y), x, y), ops.pad(x, arg=sides)]
        found.append(ops.add(ops.cast(x, arg=int64), ops.iota(shape, x.device)))
    return found


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_short_rows(dtype: DType) -> None:
    equal(short(dtype))


def test_pooling_is_one_kernel_each_way() -> None:
    """The elements of a window are compared by the kernel that walks the windows."""
    x = lg.tensor(rng().normal(size=(2, 3, 24, 36)).astype(np.float32), requires_grad=True)
    values_, weights = lg.nn.functional.max_pool2d(x, 2), lg.randn(2, 3, 12, 18).realize()
    before = stats.kernels
    (values_ * weights).sum().backward()
    assert stats.kernels - before <= 3
    data, wanted = x.detach().numpy(), np.zeros(x.shape, np.float32)
    for at in np.ndindex(2, 3, 12, 18):
        rows, columns = (slice(2 * i, 2 * i + 2) for i in at[2:])
        window = data[at[0], at[1], rows, columns]
        place = np.unravel_index(window.argmax(), (2, 2))
        wanted[at[0], at[1], rows, columns][place] = weights.numpy()[at]
    assert np.array_equal(x.grad.numpy(), wanted)


def equal(outputs: list[Node]) -> None:
    wanted = interpreted(outputs)
    for node, have, want in zip(outputs, compiled(outputs), wanted):
        assert same_bits(have, want), node


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_transposes(dtype: DType) -> None:
    equal(transposed(dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_steps_through_rows(dtype: DType) -> None:
    equal(walked(dtype))


def test_reductions_of_several_places_at_once() -> None:
    """Sums and extremes that are walked in four places, of every number of rows and chunks."""
    found, wanted = [], []
    for rows, columns in ((1, 5), (3, 64), (4, 65), (5, 4097), (9, 1), (1, 300_000), (2, 70_000)):
        data = rng().normal(size=(rows, columns)).astype(np.float32)
        x = leaf(data, float32)
        for axes in ((0,), (1,), (0, 1)):
            found += [ops.sum_(x, arg=axes), ops.max_(x, arg=axes)]
            wanted += [
                data.sum(axes, np.float64, keepdims=True),
                data.max(axes, keepdims=True),
            ]
    for node, have, want in zip(found, compiled(found), wanted):
        np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-3, err_msg=repr(node))


def kernel_of(node: Node) -> tuple[str, str]:
    (step,) = make_schedule([node]).steps
    assert isinstance(step, KernelStep)
    return strategy_of(step.kernels[0]), render(step.kernels[0], Target(32)).body


def test_forms() -> None:
    """Which loops are chosen: the fast forms are not lost by accident."""
    x, y = normal(rng(), 90, 80), normal(rng(), 80, 90)
    strategy, text = kernel_of(ops.add(ops.permute(x, arg=(1, 0)), y))
    assert strategy == "tiled" and "v_tile_f32x8" in text and "v_lds" not in text
    assert "v_ld2_f32x8" in kernel_of(ops.copy(ops.slice_(x, arg=((0, 90, 1), (0, 80, 2)))))[1]
    assert "many" in kernel_of(ops.sum_(x, arg=(1,)))[1]
    assert "many" in kernel_of(ops.sum_(x, arg=(0, 1)))[1]
    assert "row + 4" in kernel_of(ops.sum_(x, arg=(0,)))[1]
    pair = kernel_of(ops.copy(ops.expand(normal(rng(), 90, 1), arg=(90, 2))))[1]
    assert "v_ld_f32x8" in pair and "v_sts_f32x8" in pair
    centred = ops.sub(x, ops.spread(ops.sum_(x, arg=(1,)), x.shape))
    assert "v_ahead" in kernel_of(centred)[1]


def _below_largest(x: Node, other: Node) -> Node:
    return ops.sub(x, ops.spread(ops.max_(other, arg=(1,)), x.shape))


EXPONENTS: list[tuple[str, Callable[[Node, Node], Node], bool]] = [
    ("x - max(x)", lambda x, y: _below_largest(x, x), True),
    ("-x * x", lambda x, y: ops.mul(ops.neg(x), x), True),
    ("x * -x", lambda x, y: ops.mul(x, ops.neg(x)), True),
    ("-(x * x)", lambda x, y: ops.neg(ops.mul(x, x)), True),
    ("-|x|", lambda x, y: ops.neg(ops.absolute(x)), True),
    ("x", lambda x, y: x, False),
    ("-x", lambda x, y: ops.neg(x), False),
    ("-x * y", lambda x, y: ops.mul(ops.neg(x), y), False),
    ("x - max(y)", lambda x, y: _below_largest(x, y), False),
    ("max(x) - x", lambda x, y: ops.neg(_below_largest(x, x)), False),
]


@pytest.mark.parametrize("exponent, low", [e[1:] for e in EXPONENTS], ids=[e[0] for e in EXPONENTS])
def test_exponents_that_are_never_positive(
    exponent: Callable[[Node, Node], Node], low: bool
) -> None:
    """They have a shorter text, of the same bits: of subnormal results, of infinity and NaN too."""
    data = np.linspace(-130, 130, 7 * 80, dtype=np.float32).reshape(7, 80)
    data[0, 3], data[1, 5], data[2, 7] = np.nan, np.inf, -np.inf
    x, y = leaf(data, float32), leaf(data[::-1].copy(), float32)
    node = ops.exp(exponent(x, y))
    assert ("v_explow_" in kernel_of(node)[1]) == low
    held = ops.exp(leaf(interpreted([exponent(x, y)])[0], float32))
    assert "v_explow_" not in kernel_of(held)[1]
    assert same_bits(*compiled([node, held]))


@pytest.fixture
def tiny_cache() -> Iterator[None]:
    """Every result is larger than half the cache, and so stored past it."""
    target = compiler.target()
    before = target.cache_bytes
    object.__setattr__(target, "cache_bytes", 64)
    yield
    object.__setattr__(target, "cache_bytes", before)


def test_results_stored_past_the_caches(tiny_cache: None) -> None:
    found = []
    for shape in ((77,), (1000,), (13, 64), (13, 65), (40, 50)):
        x = normal(rng(), *shape)
        found += [ops.neg(x), ops.sub(x, ops.spread(ops.sum_(x, arg=(x.ndim - 1,)), shape))]
    found.append(ops.copy(ops.permute(normal(rng(), 70, 140), arg=(1, 0))))
    wanted = interpreted(found)
    for have, want in zip(compiled(found), wanted):
        np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-5)


def picked(rows: int, row: tuple[int, ...], picks: int, dtype: np.dtype) -> tuple:
    """A table, and places in it of which some count from the end."""
    table = rng().integers(0, 100, (rows, *row)).astype(dtype)
    return table, rng().integers(-rows, rows, picks)


@pytest.mark.parametrize("picks", [1, 3, 4, 5, 67, 131, 4096 + 70])
@pytest.mark.parametrize("row", [(), (1,), (7,), (600,)], ids=str)
@pytest.mark.parametrize("name", ["float32", "float64", "int16", "bool"])
def test_gathers_that_ask_early(name: str, row: tuple[int, ...], picks: int) -> None:
    """Tables larger than the near caches, and a plain one."""
    for rows in (1, 300_000 if len(row) == 0 or row[0] == 1 else 40_000 // row[0] * 10):
        table, at = picked(rows, row, picks, np.dtype(name))
        np.testing.assert_array_equal(lg.tensor(table)[lg.tensor(at)].numpy(), table[at])
        both = lg.tensor(table)[lg.tensor(at)[:, None], ...].neg() if name == "float32" else None
        if both is not None:
            np.testing.assert_array_equal(both.numpy(), -table[at[:, None]])


def test_what_gathers_ask_for() -> None:
    """The request is in the text of every size; a parameter says whether the table is large."""

    def requests(table: lg.Tensor, at: lg.Tensor) -> tuple[str, tuple[int, ...]]:
        (step,) = make_schedule([node_of(table[at])]).steps
        assert isinstance(step, KernelStep)
        made = render(step.kernels[0], Target(32))
        return made.body, made.dims

    at = lg.tensor(np.arange(9))
    small, few = requests(lg.zeros(50, 256).realize(), at)
    large, many = requests(lg.zeros(5000, 256).realize(), at)
    assert "v_row_ahead" in small and small == large
    changed = {(a, b) for a, b in zip(few, many) if a != b}
    assert changed == {(0, 1), (50, 5000)}
    small, few = requests(lg.zeros(50).realize(), at)
    large, many = requests(lg.zeros(500_000).realize(), at)
    assert "v_gather_ahead_f32x" in small and small == large
    assert {(a, b) for a, b in zip(few, many) if a != b} == {(0, 1), (50, 500_000)}


@pytest.mark.parametrize("shape", [(300_000,), (3000, 100)])
def test_an_index_out_of_range_is_not_read_early(shape: tuple[int, ...]) -> None:
    at = lg.zeros(200, dtype=lg.int64).realize() + lg.arange(200).eq(150) * (1 << 60)
    with pytest.raises(IndexError, match=str(1 << 60)):
        lg.ones(shape).realize()[at].realize()


def threads_of(node: Node, threads: int = 4) -> int:
    """How many threads a node's kernel is given: the pool's rule, a grain for each at least."""
    (step,) = make_schedule([node]).steps
    assert isinstance(step, KernelStep)
    phase = render(step.kernels[0], Target(32, threads)).phases[0]
    return max(1, min(threads, phase.items // phase.grain))


@pytest.mark.parametrize(
    ("make", "alone", "all_of_them"),
    [
        (lambda n: ops.add(values(float32, n), values(float32, n)), 40_000, 200_000),
        (lambda n: ops.add(values(uint8, n), values(uint8, n)), 150_000, 600_000),
        (lambda n: ops.exp(ops.sin(ops.exp(values(float32, n)))), 12_000, 50_000),
        (lambda n: ops.sum_(values(float32, n // 100, 100), arg=(1,)), 90_000, 400_000),
        (lambda n: ops.exp(ops.spread(values(float32, 1, 1), (n // 100, 100))), 100, 400_000),
    ],
    ids=["add", "bytes", "functions", "rows", "constant"],
)
def test_threads_are_given_what_is_worth_it(
    make: Callable[[int], Node], alone: int, all_of_them: int
) -> None:
    """By bytes and ops: a chain of functions is shared sooner than a sum of bytes."""
    assert threads_of(make(alone)) == 1
    assert threads_of(make(all_of_them)) == 4
    assert threads_of(make(all_of_them), 1) == 1


def test_a_costly_value_that_does_not_change_along_a_row() -> None:
    """Two passes need it; it is no row of its own to be kept."""
    scale = lg.rand(6, 1, dtype=lg.float64).expand(6, 10).rsqrt()
    x = lg.randn(6, 10, dtype=lg.float64)
    s = scale * x
    y = ((s - s.sum(1, keepdim=True)) * scale).sum(1)
    node = node_of(y)
    np.testing.assert_allclose(*interpreted([node]), *compiled([node]), rtol=1e-12)
